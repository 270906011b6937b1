/-! The zoo's resnet34, name for name: what it emits is that module, byte for byte. -/

def resnet34 : NetSpec where
  name := "resnet34"
  imageH := 224
  imageW := 224
  layers := [
    .convBn 3 64 7 2 .same (name := "stem"),
    .maxPool 3 2 (name := "pool"),
    .residualBlock 64 64 3 1 (name := "stage1"),
    .residualBlock 64 128 4 2 (name := "stage2"),
    .residualBlock 128 256 6 2 (name := "stage3"),
    .residualBlock 256 512 3 2 (name := "stage4"),
    .globalAvgPool,
    .dense 512 1000 .identity (name := "head")
  ]
