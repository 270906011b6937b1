import LeanMlir

/-! # Transformers on pictures -/

set_option linter.unusedVariables false

namespace ViT

/-- Patches of a square picture. -/
def patches (size patch : Nat) : Nat := (size / patch) ^ 2

def vit (name : String) (dim heads : Nat) (depth : Nat := 12) (size : Nat := 224) (patch : Nat := 16)
    (classes : Nat := 1000) : NetSpec where
  name := name
  imageH := size
  imageW := size
  layers := [
    .patchEmbed 3 dim patch (patches size patch),
    .transformerEncoder dim heads (4 * dim) depth,
    .dense dim classes .identity
  ]

def tiny : NetSpec := vit "ViT-Ti/16" 192 3
def small : NetSpec := vit "ViT-S/16" 384 6
def base : NetSpec := vit "ViT-B/16" 768 12
def deitTiny : NetSpec := { tiny with name := "DeiT-Ti/16" }

/-- 32 x 32 pictures in patches of 4, ten classes. -/
def cifar : NetSpec := vit "ViT (CIFAR)" 192 3 (size := 32) (patch := 4) (classes := 10)

/-- The upstream form: written out, ten classes. -/
def vitTiny : NetSpec where
  name := "ViT-Tiny"
  imageH := 224
  imageW := 224
  layers := [
    .patchEmbed 3 192 16 196,          -- (224 / 16)^2 = 196 patches
    .transformerEncoder 192 3 768 12,  -- 12 blocks, 3 heads
    .dense 192 10 .identity
  ]

/-- Two encoders in a row: only the last gives up its other tokens. -/
def twoParts : NetSpec where
  name := "ViT in two parts"
  imageH := 32
  imageW := 32
  layers := [
    .patchEmbed 3 64 8 16,
    .transformerEncoder (dim := 64) (heads := 4) (mlpDim := 128) (nBlocks := 1) (keepSequence := true),
    .transformerEncoder (dim := 64) (heads := 4) (mlpDim := 128) (nBlocks := 1),
    .dense 64 10 .identity
  ]

end ViT

namespace Swin

/-- Liu et al. 2021: four stages, channels and heads double, a merging between. -/
def swin (letter : String) (c h depth : Nat) : NetSpec where
  name := s!"Swin-{letter}"
  imageH := 224
  imageW := 224
  layers :=
    let stage (i n : Nat) : Layer := .swinStage (c * 2 ^ i) (h * 2 ^ i) (4 * c * 2 ^ i) 7 n
    let merge (i : Nat) : Layer := .patchMerging (c * 2 ^ i) (c * 2 ^ (i + 1))
    [.patchEmbed 3 c 4 (56 * 56), stage 0 2, merge 0, stage 1 2, merge 1, stage 2 depth, merge 2, stage 3 2,
     .layerNorm (8 * c), .globalAvgPool, .dense (8 * c) 1000 .identity]

def tiny : NetSpec := swin "T" 96 3 6
def small : NetSpec := swin "S" 96 3 18
def base : NetSpec := swin "B" 128 4 18

end Swin

/-- Mehta and Rastegari 2022, table 4, as timm has it: the expansion is 4 everywhere. -/
def mobileViT : NetSpec :=
  let act := "swish"
  let down (ic oc : Nat) := Layer.invertedResidual ic oc 4 2 1 (activation := act)
  {
    name := "MobileViT-S"
    imageH := 256
    imageW := 256
    convBnAct := .swish
    layers := [
      .convBn 3 16 3 2 .same,
      .invertedResidual 16 32 4 1 1 (activation := act),
      .invertedResidual 32 64 4 2 3 (activation := act),
      down 64 96,
      .mobileVitBlock 96 144 4 288 2,
      down 96 128,
      .mobileVitBlock 128 192 4 384 4,
      down 128 160,
      .mobileVitBlock 160 240 4 480 3,
      .convBn 160 640 1 1 .same,
      .globalAvgPool,
      .dense 640 1000 .identity
    ]
  }
