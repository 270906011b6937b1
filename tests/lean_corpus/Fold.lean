import LeanMlir.Bestiary

/-! # Pieces of AlphaFold 2 (Jumper et al. 2021): counted, not emitted -/

namespace AlphaFold

def msaChannels := 256
def pairChannels := 128

/-- The forty-eight blocks of the trunk on 5120 MSA positions of 32 x 16. -/
def evoformer : NetSpec where
  name := "Evoformer"
  imageH := 32
  imageW := 16
  layers := [.evoformerBlock msaChannels pairChannels 48]

def structureModule : NetSpec where
  name := "structure module"
  input := [64, 384]
  layers := [.structureModule 384 pairChannels 8]

/-- The trunk and the module that reads its first row, with the affine map between. -/
def alphaFold : NetSpec where
  name := "AlphaFold 2, trunk and structure"
  imageH := 32
  imageW := 16
  layers := [
    .evoformerBlock msaChannels pairChannels 48,
    .structureModule 384 pairChannels 8
  ]

end AlphaFold

/-! # Fields of light (Mildenhall et al. 2020) -/

namespace Field

/-- A sine and a cosine of each coordinate for each frequency: 60 of a place at ten, 24 of a direction at four. -/
def encoded (levels : Nat) : Nat := 3 * 2 * levels

def nerf : NetSpec where
  name := "NeRF"
  input := [3]
  layers := [
    .positionalEncoding 3 10,
    .nerfMLP (encoded 10) (encoded 4) 256
  ]

/-- The eight layers alone, without the skip, as dense layers: trainable. -/
def plainField : NetSpec where
  name := "NeRF without a skip"
  input := [3]
  layers :=
    [.positionalEncoding 3 10, .dense (encoded 10) 256 .relu]
      ++ List.replicate 7 (.dense 256 256 .relu)
      ++ [.dense 256 4 .identity]

end Field
