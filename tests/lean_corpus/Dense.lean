/- Nets that join channels instead of adding them. -/
import LeanMlir.Spec

universe u

namespace Dense

/-- How many channels there are after a block of `n` layers of growth 32. -/
def after (c n : Nat) : Nat := c + 32 * n

def halved (c : Nat) : List Layer := [.transitionLayer c (c / 2)]

def densenet (blocks : Nat × Nat × Nat × Nat) : NetSpec :=
  let (n₁, n₂, n₃, n₄) := blocks
  let c₁ := after 64 n₁
  let c₂ := after (c₁ / 2) n₂
  let c₃ := after (c₂ / 2) n₃
  let c₄ := after (c₃ / 2) n₄
  { name := s!"DenseNet-{2 * (n₁ + n₂ + n₃ + n₄) + 5}"
    imageH := 224
    imageW := 224
    layers :=
      [.convBn 3 64 7 2 .same, .maxPool 3 2, .denseBlock 64 32 n₁] ++ halved c₁ ++
      [.denseBlock (c₁ / 2) 32 n₂] ++ halved c₂ ++
      [.denseBlock (c₂ / 2) 32 n₃] ++ halved c₃ ++
      [.denseBlock (c₃ / 2) 32 n₄, .batchNorm, .activation, .globalAvgPool, .dense c₄ 1000 .identity] }

abbrev densenet121 : NetSpec := densenet (6, 12, 24, 16)
abbrev densenet169 : NetSpec := densenet (6, 12, 32, 32)
abbrev densenet201 : NetSpec := densenet (6, 12, 48, 32)

lemma after_zero (c : Nat) : after c 0 = c := by
  simp [after]

end Dense

namespace Shuffle

def v2 (scale : String) (a b c last : Nat) : NetSpec where
  name := "ShuffleNetV2-" ++ scale
  imageH := 224
  imageW := 224
  layers := [
    .convBn 3 24 3 2 .same,
    .maxPool 3 2,
    .shuffleV2Block 24 a 4,
    .shuffleV2Block a b 8,
    .shuffleV2Block b c 4,
    .convBn c last 1 1 .same,
    .globalAvgPool,
    .dense last 1000 .identity
  ]

def v2x05 : NetSpec := v2 "x0.5" 48 96 192 1024
def v2x10 : NetSpec := v2 "x1.0" 116 232 464 1024

/-- Zhang et al. 2018, table 1, g = 3. The first 1 x 1 convolution of stage 2 is not grouped. -/
def v1 : NetSpec where
  name := "ShuffleNet 1x (g = 3)"
  imageH := 224
  imageW := 224
  layers := [
    .convBn 3 24 3 2 .same,
    .maxPool 3 2,
    .shuffleBlock 24 240 3 4 (first_groups := 1),
    .shuffleBlock 240 480 3 8,
    .shuffleBlock 480 960 3 4,
    .globalAvgPool,
    .dense 960 1000 .identity
  ]

end Shuffle
