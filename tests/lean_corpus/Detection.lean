import LeanMlir
open Layer (convBn darknetBlock cspBlock)

/-! # Boxes

  * Darknet-53 and the YOLO nets
  * pyramids
  * DETR
-/

namespace Darknet

/-- A convolution that halves the picture, then `n` residual blocks. -/
def stage (c n : Nat) : List Layer := [convBn c (2 * c) 3 2 .same, darknetBlock (2 * c) n]

def body : List Layer :=
  [convBn 3 32 3 1 .same] ++ [(32, 1), (64, 2), (128, 8), (256, 8), (512, 4)].foldl (fun acc (c, n) => acc ++ stage c n) []

/-- Redmon and Farhadi 2018, table 1. -/
def darknet53 : NetSpec where
  name := "Darknet-53"
  imageH := 256
  imageW := 256
  convBnAct := .leakyRelu
  layers := body ++ [.globalAvgPool, .dense 1024 1000 .identity]

/-- Cross-stage partial stages in their place. -/
def cspNet : NetSpec where
  name := "CSP net"
  imageH := 256
  imageW := 256
  convBnAct := .leakyRelu
  layers :=
    convBn 3 32 3 2 .same ::
    [(32, 64, 1), (64, 128, 2), (128, 256, 4)].flatMap (fun (ic, oc, n) =>
      [.convBn ic oc 3 2 .same, .cspBlock oc oc n]) ++
    [.globalAvgPool, .dense 256 10 .identity]

/-- A first YOLO: one grid of 7 x 7 cells, two boxes, twenty classes, on 64 x 64 pictures. -/
def yoloTiny : NetSpec where
  name := "YOLO-tiny"
  imageH := 64
  imageW := 64
  detStride := 32
  convBnAct := .leakyRelu
  layers :=
    let widths := [16, 32, 64, 128, 256]
    let ins := 3 :: widths.dropLast
    ((ins.zip widths).map fun (i, o) => [Layer.convBn i o 3 1 .same, .maxPool 2 2]).flatten ++
    [.flatten, .dense (2 * 2 * 256) 496 .leakyRelu, .dense 496 (7 * 7 * (2 * 5 + 20)) .identity]

/-- Three scales over a Darknet-53: counted only. -/
def fpnDetector : NetSpec where
  name := "Darknet-53 with a pyramid"
  imageH := 416
  imageW := 416
  convBnAct := .leakyRelu
  layers := body ++ [.fpnDetect 256 256 512 1024 13 3 2]

end Darknet

namespace Pyramid

def resnetBody : List Layer := [
  .convBn 3 64 7 2 .same, .maxPool 3 2,
  .bottleneckBlock 64 256 3 1, .bottleneckBlock 256 512 4 2,
  .bottleneckBlock 512 1024 6 2, .bottleneckBlock 1024 2048 3 2
]

/-- Lin et al. 2017 on a ResNet-50: the pyramid's convolutions are counted, the taps are not reachable. -/
def resnet50Fpn : NetSpec where
  name := "ResNet-50 FPN"
  imageH := 224
  imageW := 224
  layers := resnetBody ++ [.fpnModule 256 512 1024 2048 256]

/-- Carion et al. 2020: DETR with a ResNet-50, without its fixed positions. -/
def detr : NetSpec where
  name := "DETR (R50)"
  imageH := 224
  imageW := 224
  layers := resnetBody ++ [
    .conv2d 2048 256 1 .same .identity,
    .spatialFlatten,
    .transformerEncoder 256 8 2048 6 (keepSequence := true),
    .transformerDecoder 256 8 2048 6 (nQueries := 100),
    .detrHeads 256 91
  ]

end Pyramid
