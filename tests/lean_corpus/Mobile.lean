import LeanMlir
/-! # Nets for phones. The `convBn` of each is followed by what `convBnAct` says. -/

namespace Mobile

def pixels : Nat := 224

/-- Howard et al. 2017: (channels in, channels out, stride) of the thirteen separable convolutions. -/
def v1Table : List (Nat × Nat × Nat) :=
  [(32, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1), (256, 512, 2)]
    ++ List.replicate 5 (512, 512, 1) ++ [(512, 1024, 2), (1024, 1024, 1)]

def mobileNetV1 : NetSpec where
  name := "MobileNet V1"
  imageH := pixels
  imageW := pixels
  layers := [.convBn 3 32 3 2 .same]
    ++ v1Table.map (fun (ic, oc, s) => .separableConv ic oc s)
    ++ [.globalAvgPool, .dense 1024 1000 .identity]

def mobileNetV2 : NetSpec where
  name := "MobileNet V2"
  imageH := pixels
  imageW := pixels
  convBnAct := .relu6
  layers := [
    .convBn 3 32 3 2 .same,
    --                 in  out  t  s  n        (Sandler et al. 2018, table 2)
    .invertedResidual  32   16  1  1  1,
    .invertedResidual  16   24  6  2  2,
    .invertedResidual  24   32  6  2  3,
    .invertedResidual  32   64  6  2  4,
    .invertedResidual  64   96  6  1  3,
    .invertedResidual  96  160  6  2  3,
    .invertedResidual 160  320  6  1  1,
    .convBn 320 1280 1 1 .same,
    .globalAvgPool,
    .dense 1280 1000 .identity,
  ]

-- in, out, hidden, kernel, stride, squeeze, hard swish
def v3Block : Nat × Nat × Nat × Nat × Nat × Bool × Bool → Layer
  | (ic, oc, hidden, k, s, se, hs) => .mbConvV3 ic oc hidden k s se (if hs then .hSwish else .relu)

def mobileNetV3Large : NetSpec where
  name := "MobileNet V3-Large"
  imageH := pixels
  imageW := pixels
  convBnAct := .hSwish
  layers := [.convBn 3 16 3 2 .same] ++ [
      (16, 16, 16, 3, 1, false, false),
      (16, 24, 64, 3, 2, false, false),
      (24, 24, 72, 3, 1, false, false),
      (24, 40, 72, 5, 2, true, false),
      (40, 40, 120, 5, 1, true, false),
      (40, 40, 120, 5, 1, true, false),
      (40, 80, 240, 3, 2, false, true),
      (80, 80, 200, 3, 1, false, true),
      (80, 80, 184, 3, 1, false, true),
      (80, 80, 184, 3, 1, false, true),
      (80, 112, 480, 3, 1, true, true),
      (112, 112, 672, 3, 1, true, true),
      (112, 160, 672, 5, 2, true, true),
      (160, 160, 960, 5, 1, true, true),
      (160, 160, 960, 5, 1, true, true)
    ].map v3Block ++ [
    .convBn 160 960 1 1 .same,
    .globalAvgPool,
    .dense 960 1280 .hSwish,
    .dense 1280 1000 .identity
  ]

def mobileNetV3Small : NetSpec := { mobileNetV3Large with
  name := "MobileNet V3-Small",
  layers := [
    .convBn 3 16 3 2 .same,
    .mbConvV3 16 16 16 3 2 true .relu,
    .mbConvV3 16 24 72 3 2 false,
    .mbConvV3 24 24 88 3 1 false,
    .mbConvV3 24 40 96 5 2 true .hSwish,
    .mbConvV3 40 40 240 5 1 true .hSwish,
    .mbConvV3 40 40 240 5 1 true .hSwish,
    .mbConvV3 40 48 120 5 1 true (act := .hSwish),
    .mbConvV3 48 48 144 5 1 true (act := .hSwish),
    .mbConvV3 48 96 288 5 2 true (act := .hSwish),
    .mbConvV3 (ic := 96) (oc := 96) (expandCh := 576) (kSize := 5) (stride := 1) (useSE := true) (act := .hSwish),
    .mbConvV3 96 96 576 5 1 true (act := .hSwish),
    .convBn 96 576 1 1 .same, .globalAvgPool, .dense 576 1024 .hSwish, .dense 1024 1000 .identity]
}

/-- The classifier's first layer has a norm and no bias: netc's layers, which the original's vocabulary lacks. -/
def v4Head (ic hidden wide : Nat) : List Layer := [
  .convBn ic hidden 1 1 .same, .globalAvgPool,
  .dense hidden wide .identity (bias := false), .batchNorm, .activation, .dense wide 1000 .identity]

def mobileNetV4Medium : NetSpec where
  name := "MobileNet V4-Conv-Medium"
  imageH := 256
  imageW := 256
  layers := [
    .convBn 3 32 3 2 .same,
    .fusedMbConv 32 48 4 3 2 1 false .relu,
    .uib 48 80 4 2 3 5,     -- ExtraDW
    .uib 80 80 2 1 3 3,
    .uib 80 160 6 2 3 5,
    .uib 160 160 4 1 3 3, .uib 160 160 4 1 3 3, .uib 160 160 4 1 3 5, .uib 160 160 4 1 3 3,
    .uib 160 160 4 1 3 0,   -- ConvNeXt
    .uib 160 160 2 1 0 0,   -- FFN
    .uib 160 160 4 1 3 0,
    .uib 160 256 6 2 5 5,
    .uib 256 256 4 1 5 5, .uib 256 256 4 1 3 5, .uib 256 256 4 1 3 5,
    .uib 256 256 4 1 0 0,
    .uib 256 256 4 1 3 0,
    .uib 256 256 2 1 3 5,
    .uib 256 256 4 1 5 5,
    .uib 256 256 4 1 0 0, .uib 256 256 4 1 0 0,
    .uib 256 256 2 1 5 0
  ] ++ v4Head 256 960 1280

def mnasNet : NetSpec where
  name := "MNASNet 1.0"
  imageH := pixels
  imageW := pixels
  layers :=
    let stages : List (Nat × Nat × Nat × Nat × Nat × Nat) := [
      -- in, out, kernel, expansion, stride, blocks    (Tan et al. 2019; torchvision)
      (16, 24, 3, 3, 2, 3), (24, 40, 5, 3, 2, 3), (40, 80, 5, 6, 2, 3),
      (80, 96, 3, 6, 1, 2), (96, 192, 5, 6, 2, 4), (192, 320, 3, 6, 1, 1)]
    [.convBn 3 32 3 2 .same, .invertedResidual 32 16 1 1 1 (activation := "relu")] ++
    stages.map (fun (ic, oc, k, t, s, n) => .invertedResidual ic oc t s n (kernel := k) (activation := "relu")) ++
    [.convBn 320 1280 1 1 .same, .globalAvgPool, .dropout (rate := 0.2), .dense 1280 1000 .identity]

end Mobile
