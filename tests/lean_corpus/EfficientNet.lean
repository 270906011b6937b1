import LeanMlir

/-!
# EfficientNet by its scaling rule

Width and depth come from one table by rational arithmetic on natural numbers, in tenths.
-/

namespace EfficientNet

structure Stage where
  expand : Nat
  kernel : Nat
  stride : Nat
  channels : Nat
  blocks : Nat
  deriving Repr

/-- Tan and Le 2019, table 1. -/
def table : List Stage := [
  ⟨1, 3, 1, 16, 1⟩,
  ⟨6, 3, 2, 24, 2⟩,
  ⟨6, 5, 2, 40, 2⟩,
  ⟨6, 3, 2, 80, 3⟩,
  ⟨6, 5, 1, 112, 3⟩,
  ⟨6, 5, 2, 192, 4⟩,
  { expand := 6, kernel := 3, stride := 1, channels := 320, blocks := 1 }
]

/-- `n` tenths of `c`, to the nearest multiple of 8, which is never less than nine tenths of it. -/
def width (tenths c : Nat) : Nat :=
  let exact := c * tenths
  let near := (exact + 40) / 80 * 8
  if near * 100 < 9 * exact then near + 8 else near

/-- Depths are rounded up. -/
def depth (tenths n : Nat) : Nat := (n * tenths + 9) / 10

def stages (w d : Nat) : Nat → List Stage → List Layer
  | _, [] => []
  | ic, s :: rest =>
    let oc := width w s.channels
    .mbConv ic oc s.expand s.kernel s.stride (depth d s.blocks) true :: stages w d oc rest

def net (which : String) (w d : Nat) (size : Nat) : NetSpec := {
  name := s!"EfficientNet-{which}"
  imageH := size
  imageW := size
  convBnAct := .swish
  layers :=
    [.convBn 3 (width w 32) 3 2 .same]
      ++ stages w d (width w 32) table
      ++ [.convBn (width w 320) (4 * width w 320) 1 1 .same, .globalAvgPool, .dense (4 * width w 320) 1000 .identity]
}

def b0 : NetSpec := net "B0" 10 10 224
def b1 : NetSpec := net "B1" 10 11 240
def b2 : NetSpec := net "B2" 11 12 288
def b3 : NetSpec := net "B3" (w := 12) (d := 14) (size := 300)

/-- Tan and Le 2021, table 4. -/
def v2s : NetSpec where
  name := "EfficientNetV2-S"
  imageH := 384
  imageW := 384
  convBnAct := .swish
  layers := [
    .convBn 3 24 3 2 .same,
    .fusedMbConv 24 24 1 3 1 2 false,
    .fusedMbConv 24 48 4 3 2 4 false,
    .fusedMbConv 48 64 4 3 2 4 false,
    .mbConv 64 128 4 3 2 6 true,
    .mbConv 128 160 6 3 1 9 true,
    .mbConv 160 256 6 3 2 15 true,
    .convBn 256 1280 1 1 .same,
    .globalAvgPool,
    .dense 1280 1000 .identity
  ]

#eval width 12 320   -- 384
#guard depth 14 4 == 6

end EfficientNet
