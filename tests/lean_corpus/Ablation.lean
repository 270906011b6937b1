import LeanMlir

/-! # Many nets from few lines: what an ablation study looks like -/

section Widths

variable (w : Nat)

/-- A tower of `n` equal layers. -/
def tower (w n : Nat) : List Layer :=
  List.replicate n (.dense w w .relu)

def mlp (w : Nat) (n : Nat := 2) (act : Activation := .relu) : NetSpec where
  name := s!"mlp-{w}x{n}"
  layers := [.dense 784 w act] ++ tower w n ++ [.dense w 10 .identity]

def mlp64 : NetSpec := mlp 64
def mlp256deep : NetSpec := mlp 256 (n := 8)
def mlpGelu : NetSpec := { mlp 128 (act := .gelu) with name := "mlp-128 \"gelu\"" }

end Widths

/-- `if`, `match` and arithmetic on the way. -/
def pyramid (deep : Bool) : NetSpec :=
  let widths := if deep then [512, 256, 128, 64] else [256, 64]
  let pairs := (784 :: widths).zip widths
  { name := if deep then "pyramid (deep)" else "pyramid"
    layers := (pairs.map fun (i, o) => .dense i o .relu) ++ [.dense (widths.getLast!) 10 .identity] }

def pyramidShallow := pyramid false
def pyramidDeep : NetSpec := pyramid (deep := true)

/-- Channels that double, by recursion on the number of stages. -/
def doubling (c : Nat) : Nat → List Layer
  | 0 => []
  | n + 1 => [Layer.convBn c (2 * c) 3 2 .same] ++ doubling (2 * c) n

def chain4 : NetSpec where
  name := "doubling"
  imageH := 32
  imageW := 32
  layers := [.convBn 3 8 3 1 .same] ++ doubling 8 4 ++ [.globalAvgPool, .dense 128 10 .identity]

/-- The same with the function inside. -/
def chain3 : NetSpec where
  name := "doubling, inside"
  imageH := 32
  imageW := 32
  layers :=
    let first := 8
    let rec go (c : Nat) : Nat → List Layer
      | 0 => [.globalAvgPool, .dense c 10 .identity]
      | n + 1 => .convBn c (2 * c) 3 2 .same :: go (2 * c) n
    let stages := 3
    .convBn 3 first 3 1 .same :: go first stages

/-- The style of those who pipe. -/
def piped : NetSpec where
  name := "piped"
  imageH := 16
  imageW := 16
  layers := List.range 3
    |>.map (fun i => (4 * (i + 1), 4 * (i + 2)))
    |>.map (fun (a, b) => [Layer.conv2d a b 3 .same .relu, .maxPool 2 2])
    |>.flatten
    |> (fun body => .conv2d 3 4 1 .same .identity :: body)
    |> (· ++ [.flatten, .dense 64 10 .identity])

/-- Both ends of a range, joined the older way. -/
def joined : NetSpec where
  name := "joined"
  layers := List.join [
    [.dense 784 32 .relu],
    (List.range' 1 3).map (fun _ => .dense 32 32 .swish),
    [.dense 32 10 .identity],
  ]

namespace Größe

/-- Unicode in names, and names in guillemets. -/
def α := 48
def «hidden units» : Nat := α * 2
def β₁ (n : ℕ) : Nat := n + «hidden units»

def réseau : NetSpec where
  name := "Größe α·β₁"
  layers := [.dense 784 α .relu, .dense α (β₁ 4) .relu, .dense 100 10 .identity]

end Größe
