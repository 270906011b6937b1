import LeanMlir
/-! # A value for each pixel -/

/-- Ronneberger et al. 2015, bilinear on the way up, as upstream computes it. -/
def unet : NetSpec where
  name := "U-Net (bilinear)"
  imageH := 64
  imageW := 64
  layers := [
    .unetDown 3 64, .unetDown 64 128, .unetDown 128 256, .unetDown 256 512,
    .convBn 512 1024 3 1 .same, .convBn 1024 1024 3 1 .same,
    .unetUp 1024 512, .unetUp 512 256, .unetUp 256 128, .unetUp 128 64,
    .conv2d 64 2 1 .same .identity
  ]

/-- With up-convolutions, as published: `rise` is netc's. -/
def unetPublished : NetSpec where
  name := "U-Net"
  imageH := 64
  imageW := 64
  layers :=
    let down := [3, 64, 128, 256].zipWith (fun i o => Layer.unetDown i o) |> fun f => f [64, 128, 256, 512]
    let up := [512, 256, 128, 64].map fun c => Layer.unetUp (2 * c) c (rise := "transpose")
    down ++ [.convBn 512 1024 3 1 .same, .convBn 1024 1024 3 1 .same] ++ up ++ [.conv2d 64 2 1 .same .identity]

/-- A decoder without skips. -/
def upsampler : NetSpec where
  name := "up-sampler"
  imageH := 8
  imageW := 8
  layers := [
    .convBn 3 16 3 1 .same, .bilinearUpsample 2,
    .convBn 16 8 3 1 .same, .bilinearUpsample (scale := 4),
    .conv2d 8 1 3 .same .identity
  ]

/-- Chen et al. 2017: atrous pyramid pooling on a ResNet-50 whose last stage keeps the picture's size, 21 classes. -/
def deepLab : NetSpec where
  name := "DeepLabv3-like"
  imageH := 224
  imageW := 224
  layers := [
    .convBn 3 64 7 2 .same, .maxPool 3 2,
    .bottleneckBlock 64 256 3 1, .bottleneckBlock 256 512 4 2,
    .bottleneckBlock 512 1024 6 2, .bottleneckBlock 1024 2048 3 1,
    .asppModule 2048 256,
    .convBn 256 256 3 1 .same,
    .conv2d 256 21 1 .same .identity,
    .bilinearUpsample 16
  ]

/-- Ho et al. 2020, small: the time joins each stage, attention in the middle. Counted only, for the time is read from
outside the picture. -/
def ddpm : NetSpec where
  name := "DDPM U-Net"
  imageH := 32
  imageW := 32
  layers := [
    .convBn 1 32 3 1 .same,
    .timeCondAdd 32 64,
    .unetDown 32 64,
    .unetDown 64 128,
    .timeCondAdd 128 64,
    .convBn 128 256 3 1 .same,
    .spatialFlatten,
    .transformerEncoder 256 4 512 1 (keepSequence := true),
    .spatialUnflatten 256 8 8,
    .unetUp 256 128,
    .unetUp 128 64,
    .conv2d 64 1 1 .same .identity
  ]

/-- netc's form, which can be trained: the last channel of the picture is the time. -/
def ddpmTrainable : NetSpec where
  name := "DDPM, the time as a channel"
  imageH := 16
  imageW := 16
  channels := 2
  layers := [
    .timeCondAdd (frequencies := 16),
    .conv2d (features := 8),
    .activation (function := .swish),
    .conv2d (features := 1) (kernel := 1)
  ]
