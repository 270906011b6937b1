module

public import LeanMlir

/-! ConvNeXt (Liu et al. 2022). The channels double from stage to stage. -/

@[expose] public section

/-- The four stages of a net that begins with `c` channels. -/
def convNextStages (c : Nat) (counts : List Nat) : List Layer :=
  (counts.zipIdx.map fun (n, i) =>
    let width := c * 2 ^ i
    let down : List Layer := if i == 0 then [] else [.convNextDownsample (width / 2) width]
    down ++ [.convNextStage width n]).flatten

def convNext (size : String) (c : Nat) (counts : List Nat) : NetSpec where
  name := s!"ConvNeXt-{size}"
  imageH := 224
  imageW := 224
  layers := [.convNextStem 3 c 4] ++ convNextStages c counts
    ++ [.globalAvgPool, .layerNorm (8 * c), .dense (8 * c) 1000 .identity]

def convNextTiny : NetSpec := convNext "T" 96 [3, 3, 9, 3]
def convNextSmall : NetSpec := convNext "S" 96 [3, 3, 27, 3]
def convNextBase : NetSpec := convNext "B" 128 [3, 3, 27, 3]

/-- A small one for 32 x 32 pictures, batch norm for layer norm and ReLU for GELU: the defaults, given. -/
def convNextCifar : NetSpec where
  name := "ConvNeXt (CIFAR)"
  imageH := 32
  imageW := 32
  layers := [
    .convNextStem 3 40 2,
    .convNextStage 40 2 .bn .relu,
    .convNextDownsample 40 80 .bn,
    .convNextStage 80 2 (norm := .bn) (act := .relu),
    .globalAvgPool,
    .dense 80 10 .identity
  ]

end
