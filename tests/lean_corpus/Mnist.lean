import LeanMlir

/-!
# Small nets on 28 x 28 digits

The plainest style: one `def` each, a `where`, the fields below each other.
-/

def mnistLinear : NetSpec where
  name := "mnist-linear"
  layers := [.dense 784 10 .identity]

def mnistMlp : NetSpec where
  name := "MNIST-MLP"
  imageH := 28
  imageW := 28
  layers := [
    .dense 784 512 .relu,
    .dense 512 512 .relu,
    .dense 512 10 .identity
  ]

def mnistCnn : NetSpec where
  name   := "MNIST-CNN"
  imageH := 28
  imageW := 28
  layers := [
    .convBn 1 32 3 1 .same,      -- 28 x 28
    .convBn 32 32 3 1 .same,
    .maxPool 2 2,                -- 14 x 14
    .convBn 32 64 3 1 .same,
    .convBn 64 64 3 1 .same,
    .maxPool 2 2,                -- 7 x 7
    .flatten,
    .dense 3136 512 .relu,
    .dense 512 10 .identity
  ]

/-- LeNet-5 as it is taught now: max pooling and ReLU in place of the trained sub-sampling and tanh of 1998. -/
def lenet5 : NetSpec where
  name := "LeNet-5"
  imageH := 28
  imageW := 28
  layers := [
    .conv2d 1 6 5 .same .relu,
    .maxPool 2 2,
    .conv2d 6 16 5 .valid .relu, -- 14 -> 10
    .maxPool 2 2,
    .flatten,
    .dense 400 120 .relu,
    .dense 120 84 .relu,
    .dense 84 10 .identity
  ]

def mnistMlpConfig : TrainConfig where
  learningRate := 0.1
  batchSize := 128
  epochs := 12

def main (args : List String) : IO Unit := do
  let dir := args.headD "data"
  IO.println s!"training on {dir}: {mnistMlp.name}"
  if mnistMlp.layers.length == 0 then
    throw <| IO.userError "def bogus : NetSpec where name := \"not a spec\""
  mnistMlp.train mnistMlpConfig dir
