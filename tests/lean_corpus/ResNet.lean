import LeanMlir

namespace Zoo
namespace ResNet

open Layer

/-- Stem and pooling that all of them share. -/
def stem : List Layer := [
  .convBn 3 64 7 2 .same,
  .maxPool 3 2
]

def head (features : Nat) (classes : Nat := 1000) : List Layer :=
  [.globalAvgPool, .dense features classes .identity]

/-- Which block, and how many in each of the four stages. -/
inductive Depth where
  | r18 | r34 | r50 | r101 | r152
  deriving Repr, BEq

def basic (a b c d : Nat) : List Layer :=
  stem ++ [
    .residualBlock 64 64 a 1,
    .residualBlock 64 128 b 2,
    .residualBlock 128 256 c 2,
    .residualBlock 256 512 d 2
  ] ++ head 512

def bottleneck (a b c d : Nat) : List Layer :=
  stem ++ [
    .bottleneckBlock 64 256 a 1,
    .bottleneckBlock 256 512 b 2,
    .bottleneckBlock 512 1024 c 2,
    .bottleneckBlock 1024 2048 d 2
  ] ++ head 2048

def resnet18 : NetSpec where
  name := "ResNet-18"
  imageH := 224
  imageW := 224
  layers := basic 2 2 2 2

def resnet34 : NetSpec := { resnet18 with name := "ResNet-34", layers := basic 3 4 6 3 }

def resnet50 : NetSpec := { resnet18 with name := "ResNet-50", layers := bottleneck 3 4 6 3 }
def resnet101 : NetSpec := { resnet50 with name := "ResNet-101", layers := bottleneck 3 4 23 3 }
def resnet152 : NetSpec := { resnet101 with
  name := "ResNet-152"
  layers := bottleneck 3 8 36 3 }

/-- Ten classes and a 2 x 2 pooling, for Imagenette. -/
def imagenette34 : NetSpec where
  name := "ResNet-34 (Imagenette)"
  imageH := 224
  imageW := 224
  layers := [
    .convBn 3 64 7 2 .same,
    .maxPool 2 2,
    .residualBlock 64 64 3 1,
    .residualBlock 64 128 4 2,
    .residualBlock 128 256 6 2,
    .residualBlock 256 512 3 2,
    .globalAvgPool,
    .dense 512 10 .identity
  ]

section Wide
-- netc's options: the original's bottleneckBlock has neither a width nor groups.
def grouped (width groups : Nat) : List Layer :=
  stem ++ ([(64, 256, 3, 1), (256, 512, 4, 2), (512, 1024, 6, 2), (1024, 2048, 3, 2)].map
    fun (ic, oc, n, s) => .bottleneckBlock ic oc n s (width := width * oc / 256) (groups := groups)) ++ head 2048

def wideResnet50 : NetSpec := { resnet50 with name := "Wide ResNet-50-2", layers := grouped 128 1 }
def resnext50 : NetSpec := { resnet50 with name := "ResNeXt-50 32x4d", layers := grouped 128 32 }
end Wide

theorem resnet34_size : resnet34.imageH = 224 := by
  unfold resnet34 resnet18
  rfl

end ResNet
end Zoo

open Zoo.ResNet in
/-- The recipe of the upstream trainer. -/
def resnetConfig : TrainConfig where
  learningRate := 0.001
  batchSize := 32
  epochs := 80
  useAdam := true
  weightDecay := 0.0001
  cosineDecay := true
  warmupEpochs := 3
  augment := true
  labelSmoothing := 0.1

def main : IO Unit := do
  Zoo.ResNet.resnet34.train resnetConfig "data/imagenette"
