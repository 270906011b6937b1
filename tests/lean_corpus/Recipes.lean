import LeanMlir

/-! # Specs with the recipes that train them -/

namespace Recipes

def plain : TrainConfig where
  learningRate := 0.1
  batchSize := 128
  epochs := 12

def withMomentum : TrainConfig := { plain with momentum := 0.9, seed := 7 }

/-- AdamW with everything that netc knows. -/
def full : TrainConfig := {
  learningRate := 3e-4
  batchSize := 64
  epochs := 10 * 3
  useAdam := true
  weightDecay := 1.0 / 10000
  cosineDecay := true
  warmupEpochs := 5
  augment := true
  labelSmoothing := 0.1
  gradAccumSteps := 2
}

def digits : NetSpec where
  name := "digits MLP"
  imageH := 8
  imageW := 8
  layers := [.dense 64 32 .relu, .dense 32 10 .identity]

def digitsCnn : NetSpec where
  name := "digits CNN"
  imageH := 8
  imageW := 8
  layers := [
    .convBn 1 8 3 1 .same,
    .maxPool 2 2,
    .convBn 8 16 3 1 .same,
    .maxPool 2 2,
    .flatten,
    .dense 64 10 .identity
  ]

def digitsDepthwise : NetSpec where
  name := "digits, separable"
  imageH := 8
  imageW := 8
  convPadStyle := .xlaSame
  layers := [
    .convBn 1 8 3 2 .same,
    .separableConv 8 16 1,
    .globalAvgPool,
    .dense 16 10 .identity
  ]

end Recipes

open Recipes in
def main : IO Unit := digits.train full "data"
