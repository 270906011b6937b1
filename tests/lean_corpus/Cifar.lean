import LeanMlir.Types
import LeanMlir.Spec

/- Nets for 32 x 32 colour images, in the brace style.
   /- A comment inside a comment: def hidden : NetSpec := { name := "no", layers := [] } -/
   Still a comment. -/

private def head10 (features : Nat) : List Layer :=
  [.globalAvgPool, .dense features 10 .identity]

def cifarCnn : NetSpec := {
  name := "CIFAR-CNN", imageH := 32, imageW := 32,
  layers := [
    .conv2d 3 32 3 .same .relu, .conv2d 32 32 3 .same .relu, .maxPool 2 2,
    .conv2d 32 64 3 .same .relu, .conv2d 64 64 3 .same .relu, .maxPool 2 2,
    .flatten, .dense 4096 512 .relu, .dense 512 512 .relu, .dense 512 10 .identity]
}

def cifarBn : NetSpec := { cifarCnn with
  name := "CIFAR-CNN-BN"
  layers := [
    .convBn 3 32 3 1 .same, .convBn 32 32 3 1 .same, .maxPool 2 2,
    .convBn 32 64 3 1 .same, .convBn 64 64 3 1 .same, .maxPool 2 2,
    .flatten, .dense 4096 512 .relu, .dense 512 512 .relu, .dense 512 10 .identity
  ] }

-- The CIFAR nets of He et al. 2016, section 4.2: 6n + 2 layers of 16, 32, 64 channels.
def cifarResnet (n : Nat) : NetSpec := {
  name := s!"ResNet-{6 * n + 2}"
  imageH := 32
  imageW := 32
  layers :=
    [.convBn 3 16 3 1 .same, .residualBlock 16 16 n 1, .residualBlock 16 32 n 2, .residualBlock 32 64 n 2] ++ head10 64
}

def resnet20 : NetSpec := cifarResnet 3
def resnet56 : NetSpec := cifarResnet (n := 9)
def resnet110 := cifarResnet 18

/-- ResNet-18 with a 3 x 3 stem and no pooling, as CIFAR trainers have it. -/
@[inline] def resnet18Cifar : NetSpec := {
  name := "ResNet-18 (CIFAR)", imageH := 32, imageW := 32,
  layers :=
    let stem : List Layer := [.convBn 3 64 3 1 .same]
    let body := [.residualBlock 64 64 2 1] ++ ([64, 128, 256].map fun c => .residualBlock c (2 * c) 2 2)
    stem ++ body ++ head10 512
}

#eval cifarBn.layers.length   -- 10
#check (cifarResnet : Nat → NetSpec)
