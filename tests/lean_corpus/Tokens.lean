import LeanMlir

/-! # Sequences, and images that become sequences

A first `.dense` before layers of tokens is the table of an embedding, for token ids; where a row of places is all that the
input has, it works place by place. Pixels and patches become tokens where a layer takes tokens, and an image again where
the next one takes an image. -/

namespace Tokens

def vocab : Nat := 300

/-- An encoder over words: ids, table, blocks, pooler on the first token. -/
def reader : NetSpec where
  name := "reader"
  imageH := 20
  imageW := 1
  layers := [
    .dense vocab 48 .identity,
    .transformerEncoder 48 4 192 3,
    .dense 48 48 .identity
  ]

/-- A decoder over words, whose table goes through a ReLU and a second dense layer before the blocks. -/
def writer : NetSpec where
  name := "writer"
  imageH := 12
  imageW := 1
  layers := [
    .dense vocab 24 .relu,
    .dense 24 32 .identity,
    .transformerEncoder 32 2 128 2 (causalMask := true),
    .dense 32 vocab .identity
  ]

/-- Features of 50 places, each by itself: 50 does not divide 96. -/
def projector : NetSpec where
  name := "projector"
  imageH := 50
  imageW := 1
  layers := [ .dense 96 128 .gelu, .dense 128 128 .identity ]

/-- One second of sound: channels at each of its places, a stack of dilated convolutions, channels again. -/
def sound : NetSpec where
  name := "sound"
  imageH := 40
  imageW := 1
  layers := [
    .conv2d 16 8 1 .same .identity,
    .waveNetBlock 8 12 3,
    .conv2d 12 10 1 .same .relu,
    .waveNetBlock 10 14 2,
    .conv2d 14 16 1 .same .identity
  ]

/-- Convolutions and attention by turns over a line of places. -/
def turns : NetSpec where
  name := "turns"
  imageH := 18
  imageW := 1
  layers := [
    .separableConv 24 24 1,
    .transformerEncoder 24 2 96 1,
    .separableConv 24 24 1, .separableConv 24 24 1,
    .transformerEncoder 24 2 96 1
  ]

/-- A pyramid of encoders: the class token is left behind where the patches are merged. -/
def pyramid : NetSpec where
  name := "pyramid"
  imageH := 16
  imageW := 24
  layers := [
    .patchEmbed 3 16 2 (8 * 12),
    .transformerEncoder 16 1 64 1,
    .patchMerging 16 32,
    .transformerEncoder 32 2 128 2,
    .patchMerging 32 40,
    .transformerEncoder 40 4 160 1,
    .dense 40 10 .identity
  ]

/-- An encoder of patches, a projection of every token, an encoder of the projected. -/
def sighted : NetSpec where
  name := "sighted"
  imageH := 12
  imageW := 12
  layers := [
    .patchEmbed 3 16 4 9,
    .transformerEncoder 16 2 64 1,
    .dense 16 24 .identity,
    .transformerEncoder 24 2 96 1
  ]

/-- A U-Net whose way down is a residual net: each step up takes the newest layer of twice its size. -/
def residualUnet : NetSpec where
  name := "residual U-Net"
  imageH := 32
  imageW := 32
  layers := [
    .convBn 4 8 3 2 .same,
    .maxPool 2 2,
    .residualBlock 8 8 1 1,
    .residualBlock 8 16 2 2,
    .residualBlock 16 32 1 2,
    .unetUp 32 16,
    .unetUp 16 8,
    .unetUp 8 8,
    .bilinearUpsample 2,
    .conv2d 8 3 1 .same .identity
  ]

/-- The one pixel that comes out of an encoding is a vector. -/
def moment : NetSpec where
  name := "moment"
  imageH := 1
  imageW := 1
  layers := [ .positionalEncoding 1 8, .dense 16 32 .identity, .dense 32 32 .identity ]

end Tokens
