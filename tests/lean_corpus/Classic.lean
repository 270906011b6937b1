import LeanMlir
set_option maxRecDepth 4000
set_option autoImplicit false

/-! # Before the residual nets

Paddings and strides that the original's `conv2d` does not have stand in netc's named options. -/

open NetSpec Layer Activation

variable (α : Type) [Inhabited α]

abbrev Net := NetSpec

/-- Krizhevsky 2014, the one-tower form. -/
def alexNet : Net where
  name := "AlexNet"
  imageH := 224
  imageW := 224
  layers := [
    .conv2d 3 64 11 .same .relu (stride := 4) (padding := [(2, 2), (2, 2)]),
    .maxPool 3 2 (padding := "valid"),
    .conv2d 64 192 5 .same .relu,
    .maxPool 3 2 (padding := "valid"),
    .conv2d 192 384 3 .same .relu,
    .conv2d 384 256 3 .same .relu,
    .conv2d 256 256 3 .same .relu,
    .maxPool 3 2 (padding := "valid"),    -- 6 x 6 x 256
    .flatten,
    .dropout (rate := 0.5),
    .dense 9216 4096 .relu,
    .dropout (rate := 0.5),
    .dense 4096 4096 .relu,
    .dense 4096 1000 .identity
  ]

/- ---------------------------------------------------------------- VGG -/

/-- A stage: `n` convolutions, then a pooling. `bn` picks convolutions with a norm. -/
def vggStage (bn : Bool) (ic oc n : Nat) : List Layer :=
  (List.range n).map (fun i =>
    let c := if i = 0 then ic else oc
    if bn then .convBn c oc 3 1 .same else .conv2d c oc 3 .same .relu) ++ [.maxPool 2 2]

def vggHead : List Layer :=
  [.flatten, .dense (7 * 7 * 512) 4096 .relu, .dense 4096 4096 .relu, .dense 4096 1000 .identity]

def vggBody (bn : Bool) : List Nat → List Layer
  | counts => ((counts.zip [(3, 64), (64, 128), (128, 256), (256, 512), (512, 512)]).map
      fun (n, ic, oc) => vggStage bn ic oc n).flatten

def vgg (depth : Nat) (bn : Bool := false) : NetSpec :=
  let counts := match depth with
    | 11 => [1, 1, 2, 2, 2]
    | 13 => [2, 2, 2, 2, 2]
    | 16 => [2, 2, 3, 3, 3]
    | _  => [2, 2, 4, 4, 4]
  { name := s!"VGG-{depth}" ++ (if bn then "-bn" else ""), imageH := 224, imageW := 224,
    layers := vggBody bn counts ++ vggHead }

def vgg11 : NetSpec := vgg 11
def vgg13 : NetSpec := vgg 13
def vgg16 : NetSpec := vgg 16
def vgg19 : NetSpec := vgg 19
def vgg16Bn : NetSpec := vgg 16 (bn := true)

/- ------------------------------------------------------- SqueezeNet -/

private def fires : List (Nat × Nat × Nat) := [
  (96, 16, 64),    -- fire2
  (128, 16, 64),   -- fire3
  (128, 32, 128),  -- fire4
  (256, 32, 128),  -- fire5
  (256, 48, 192),  -- fire6
  (384, 48, 192),  -- fire7
  (384, 64, 256),  -- fire8
  (512, 64, 256),  -- fire9
]

def fire (t : Nat × Nat × Nat) : Layer := .fireModule t.1 t.2.1 t.2.2 t.2.2

protected def squeezeNet : NetSpec where
  name := "SqueezeNet 1.0"
  imageH := 224
  imageW := 224
  layers :=
    .conv2d 3 96 7 .valid .relu (stride := 2) :: .maxPool 3 2 ::
    ((fires.take 3).map fire ++ [.maxPool 3 2] ++ ((fires.drop 3).take 4).map fire ++ [Layer.maxPool 3 2]
      ++ (fires.drop 7).map fire ++ [.conv2d 512 1000 1 .same .relu, .globalAvgPool])

/-- Version 1.1: a 3 x 3 stem of 64 channels. -/
def squeezeNet11 : NetSpec where
  name := "SqueezeNet 1.1"; imageH := 224; imageW := 224
  layers := [
    .conv2d 3 64 3 .valid .relu (stride := 2), .maxPool 3 2,
    .fireModule 64 16 64 64, .fireModule 128 16 64 64, .maxPool 3 2,
    .fireModule 128 32 128 128, .fireModule 256 32 128 128, .maxPool 3 2,
    .fireModule 256 48 192 192, .fireModule 384 48 192 192,
    .fireModule 384 64 256 256, .fireModule 512 64 256 256,
    .conv2d 512 1000 1 .same .relu, .globalAvgPool]

/- -------------------------------------------------------- GoogLeNet -/

/-- Szegedy et al. 2015, table 1, as torchvision has it: batch norms, and 3 x 3 kernels where the paper has 5 x 5. -/
def googLeNet : NetSpec where
  name := "GoogLeNet"
  imageH := 224
  imageW := 224
  layers := [
    .convBn 3 64 7 2 .same,
    .maxPool 3 2,
    .convBn 64 64 1 1 .same,
    .convBn 64 192 3 1 .same,
    .maxPool 3 2,
    inception 192 64 96 128 16 32 32,
    inception 256 128 128 192 32 96 64,
    .maxPool 3 2,
    inception 480 192 96 208 16 48 64,
    inception 512 160 112 224 24 64 64,
    inception 512 128 128 256 24 64 64,
    inception 512 112 144 288 32 64 64,
    inception 528 256 160 320 32 128 128,
    .maxPool 2 2,
    inception 832 256 160 320 32 128 128,
    inception 832 384 192 384 48 128 128,
    .globalAvgPool,
    .dense 1024 1000 .identity
  ]
where
  inception (ic b1 r2 b2 r3 b3 b4 : Nat) : Layer :=
    .inceptionModule ic b1 r2 b2 r3 b3 b4 (kernel := 3)

instance : Inhabited NetSpec := ⟨alexNet⟩

example : vgg16.layers.length = 22 := by decide
