import LeanMlir

/-! # Recipes of the years after 2018, as people write them: each trains one of the nets below -/

namespace Modern

def small : NetSpec where
  name := "small residual net"
  imageH := 16
  imageW := 16
  layers := [
    .convBn 3 8 3 1 .same,
    .residualBlock 8 8 1 1,
    .residualBlock 8 16 2 2,
    .globalAvgPool,
    .dense 16 10 .identity
  ]

def plain : TrainConfig where
  learningRate := 0.1
  batchSize := 32
  epochs := 30
  momentum := 0.9
  weightDecay := 5e-4
  cosineDecay := true

/-- Zhang et al. 2018: alpha 1 on small images. -/
def mixup : TrainConfig := { plain with useMixup := true, mixupAlpha := 1.0 }

/-- The alpha of large ones. -/
def mixupWeak : TrainConfig := { plain with useMixup := true, mixupAlpha := 0.2, labelSmoothing := 0.1 }

/-- Yun et al. 2019. -/
def cutmix : TrainConfig := { plain with useCutmix := true }

def both : TrainConfig := { plain with useMixup := true, useCutmix := true, labelSmoothing := 0.1, warmupEpochs := 5 }

/-- Zhong et al. 2020. -/
def erased : TrainConfig := { plain with randomErasing := true, randomErasingProb := 0.5, augment := true }

def erasedByNoise : TrainConfig := { plain with randomErasing := true, erasingPixel := true }

/-- Huang et al. 2016. -/
def stochasticDepth : TrainConfig := { plain with dropPath := 0.2 }

def stochasticDepthOverN : TrainConfig := { plain with dropPath := 0.2, dropPathOverN := true }

def headDropout : TrainConfig := { plain with dropout := 0.2 }

def averaged : TrainConfig := { plain with useEMA := true, emaDecay := 0.999 }

def clipped : TrainConfig := { plain with gradClipNorm := 1.0, useAdam := true }

def clippedAndAveraged : TrainConfig := { clipped with useEMA := true }

def repeated : TrainConfig := { plain with repeatedAug := 3, augment := true }

/-- Cubuk et al. 2020, as DeiT has it. -/
def randAugment : TrainConfig := {
  plain with
  augment := true
  useRandAugment := true
  randAugmentGeometric := true
  randAugmentM := 9.0
  randAugmentMstd := 0.5
  randAugmentInc := true
  augBicubic := true
}

def autoAugment : TrainConfig := { plain with augment := true, useAutoAugment := true }

def fasterHead : TrainConfig := { plain with headLrMult := 10.0 }

def focal : TrainConfig := { plain with useFocal := true, focalGamma := 1.5 }

def inParts : TrainConfig := { both with gradAccumSteps := 2, batchSize := 16 }

def halfWidth : TrainConfig := { mixup with bf16 := true, bf16Conv := true }

/-- Touvron et al. 2021, as far as it needs no transformer. -/
def deit : TrainConfig := {
  learningRate := 5e-4
  batchSize := 64
  epochs := 300
  useAdam := true
  weightDecay := 0.05
  wdExcludeNormBias := true
  cosineDecay := true
  warmupEpochs := 5
  augment := true
  labelSmoothing := 0.1
  useMixup := true
  mixupAlpha := 0.8
  useCutmix := true
  cutmixAlpha := 1.0
  randomErasing := true
  randomErasingProb := 0.25
  erasingPixel := true
  repeatedAug := 3
  dropPath := 0.1
}

/-- Liu et al. 2022. -/
def convnext : TrainConfig := {
  deit with
  learningRate := 4e-3
  warmupEpochs := 20
  useEMA := true
  emaDecay := 0.9999
  repeatedAug := 1
}

/-- Wightman et al. 2021, procedure A2: LAMB, drop-path, three copies of each image. -/
def a2 : TrainConfig := {
  learningRate := 5e-3
  batchSize := 32
  epochs := 300
  optimizer := .lamb
  weightDecay := 0.02
  cosineDecay := true
  warmupEpochs := 5
  augment := true
  useMixup := true
  mixupAlpha := 0.1
  useCutmix := true
  cutmixAlpha := 1.0
  dropPath := 0.05
  repeatedAug := 3
}

/-- Procedure A3. -/
def a3 : TrainConfig := { a2 with epochs := 100, dropPath := 0.0, repeatedAug := 1, weightDecay := 0.02 }

/-- Tan and Le 2019: RMSProp, an exponential fall, dropout and drop-path over n. -/
def efficientnet : TrainConfig := {
  learningRate := 0.016
  batchSize := 32
  epochs := 80
  optimizer := .rmsprop
  momentum := 0.9
  rmspropEps := 1e-3
  weightDecay := 1e-5
  expLRDecayRate := 0.97
  expLRDecayEpochs := 2.4
  labelSmoothing := 0.1
  dropout := 0.2
  dropPath := 0.2
  dropPathOverN := true
  useEMA := true
  emaDecay := 0.9999
}

/-- Steiner et al. 2022, the light one. -/
def vitLight : TrainConfig := {
  deit with
  randomErasing := false
  erasingPixel := false
  repeatedAug := 1
  useCutmix := false
  mixupAlpha := 0.2
  gradClipNorm := 1.0
  minLR := 1e-5
}

end Modern
