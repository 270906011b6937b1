import LeanMlir

/-! # Files whose numbers do not follow from one another

They are shown and counted as they are written, and not trained. -/

namespace Odd

/-- The classifier states the paper's 6 x 6, which `same` padding does not give. -/
def classifier : NetSpec where
  name := "classifier"
  imageH := 30
  imageW := 30
  layers := [
    .convBn 3 8 5 2 .same,
    .maxPool 2 2,
    .flatten,
    .dense (6 * 6 * 8) 40 .relu,
    .dense 40 10 .identity
  ]

/-- Sixteen patches are stated, 64 arrive. -/
def patches : NetSpec where
  name := "patches"
  imageH := 32
  imageW := 32
  layers := [ .convBn 3 8 3 2 .same, .patchEmbed 8 16 2 16, .transformerEncoder 16 2 32 1, .dense 16 10 .identity ]

/-- Steps up of other widths than the steps down. -/
def widths : NetSpec where
  name := "widths"
  imageH := 16
  imageW := 16
  layers := [ .unetDown 3 8, .unetDown 8 16, .unetUp 16 8, .unetUp 8 3, .conv2d 3 3 1 .same .identity ]

/-- A decoder alone: nothing went down before it came up. -/
def decoder : NetSpec where
  name := "decoder"
  imageH := 4
  imageW := 4
  layers := [ .conv2d 4 16 1 .same .identity, .unetUp 16 8, .convBn 8 8 3 1 .same, .unetUp 8 4, .conv2d 4 3 3 .same .identity ]

/-- The queries of this decoder come from elsewhere. -/
def listener : NetSpec where
  name := "listener"
  imageH := 9
  imageW := 1
  layers := [ .dense 70 16 .identity, .transformerDecoder 16 2 32 2 0 ]

/-- The same between a step down and a step up. -/
def painter : NetSpec where
  name := "painter"
  imageH := 8
  imageW := 8
  layers := [
    .conv2d 4 8 3 .same .identity, .unetDown 8 16, .transformerDecoder 16 2 32 1 0, .unetUp 16 16,
    .conv2d 16 4 3 .same .identity
  ]

/-- A head for pixels whose channels do not divide by them. -/
def pixels : NetSpec where
  name := "pixels"
  imageH := 5
  imageW := 5
  layers := [ .dense 32 48 .identity, .dense 48 6 .identity ]

/-- 40 octaves are more than float32 has. -/
def octaves : NetSpec where
  name := "octaves"
  imageH := 1
  imageW := 1
  layers := [ .positionalEncoding 2 40, .dense 160 8 .identity ]

def channels : NetSpec where
  name := "channels"
  imageH := 8
  imageW := 8
  layers := [ .conv2d 3 8 3 .same .relu, .conv2d 16 4 3 .same .relu, .globalAvgPool, .dense 4 2 .identity ]

end Odd
