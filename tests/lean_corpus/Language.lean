import LeanMlir

/-! # Nets on token ids

`lmHead` of the original has its own table and a bias; a head that is the embedding's own table is netc's `tiedHead`. -/

def vocab : Nat := 65
def context := 64

def tinyGpt : NetSpec where
  name := "tiny GPT"
  imageH := 1
  imageW := 1
  layers := [
    .tokenPositionEmbed vocab context 128,
    .transformerEncoder 128 4 512 4 (causalMask := true) (keepSequence := true),
    .lmHead 128 vocab context
  ]

/-- The same with rotary positions, attention in tiles, and no table of positions. -/
def ropeGpt : NetSpec := { tinyGpt with
  name := "tiny GPT, rotary",
  layers := [
    .tokenPositionEmbed vocab context 128 (idsInput := true) (gather := true) (posEmb := false),
    .transformerEncoder 128 4 512 4 true true true true,
    .lmHead 128 vocab context
  ] }

/-- Radford et al. 2019, with a head of its own. -/
def gpt2Untied : NetSpec where
  name := "GPT-2 small, untied"
  layers :=
    [.tokenPositionEmbed 50257 1024 768]
      ++ [.transformerEncoder 768 12 3072 12 (causalMask := true) (keepSequence := true)]
      ++ [.lmHead 768 50257 1024]

/-- GPT-2 as published: its head is the embedding's table. -/
def gpt2 : NetSpec where
  name := "GPT-2 small"
  input := [1024]
  inputDtype := "i32"
  layers := [
    .tiedHead
      (embed := .tokenPositionEmbed 50257 1024 768)
      (body := .chain (layers := [
        .transformerEncoder (heads := 12) (mlp := 3072) (blocks := 12) (causal := true) (activation := "gelu-tanh"),
        .layerNorm (epsilon := 1e-5)]))
  ]

/-- Gu and Dao 2023: blocks of a selective scan. -/
def tinyMamba : NetSpec where
  name := "tiny Mamba"
  layers := [
    .tokenPositionEmbed vocab context 128 (posEmb := false),
    .mambaBlock 128 16 2 4,
    .lmHead 128 vocab context
  ]

/-- Samples of a sound as ids of 256 levels; two rounds of dilations 1 .. 512. -/
def waveNet : NetSpec where
  name := "WaveNet"
  layers := [
    .tokenPositionEmbed 256 1024 32 (posEmb := false),
    .waveNetBlock 32 128 10,
    .dense 128 128 .relu,
    .lmHead 128 256 1024
  ]

/-- Carion et al. 2020 on tokens that a backbone left: 100 queries, 91 classes. -/
def detrTail : NetSpec where
  name := "DETR's transformer"
  imageH := 25
  imageW := 25
  layers := [
    .transformerEncoder 256 8 2048 6 (keepSequence := true),
    .transformerDecoder 256 8 2048 6 100,
    .detrHeads 256 91
  ]
