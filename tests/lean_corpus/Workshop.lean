/-
Copyright: written for netc's tests.
A file as people have them: specs between proofs, programs, notation and tests.
-/
import Mathlib.Data.Real.Basic
import LeanMlir.Spec
import «Strange-Package».Module

open Lean Elab Command
open scoped BigOperators

set_option maxHeartbeats 400000 in
/-- A lemma that has nothing to do with nets. -/
theorem add_comm' (a b : ℕ) : a + b = b + a := by
  induction a with
  | zero => simp
  | succ n ih =>
    calc n + 1 + b = n + b + 1 := by ring
      _ = b + n + 1 := by rw [ih]
      _ = b + (n + 1) := by rfl

/-- A string that looks like a spec is no spec. -/
def decoy : String := "
def fromString : NetSpec where
  name := \"never\"
  layers := [.dense 1 1 .relu]
"

-- def commentedOut : NetSpec where name := "never", layers := []

inductive Shape : Type
  | scalar
  | vector (n : Nat)
  | image (h w c : Nat)
  deriving DecidableEq, Repr

structure Options where
  /-- documentation of a field -/
  width : Nat := 32
  depth : Nat := 2
  label : String := "small"
deriving Repr, Inhabited

class HasCount (α : Type u) where
  count : α → Nat

instance : HasCount NetSpec where
  count s := s.layers.length

notation:65 a " ⊕⊕ " b => a ++ b
infixl:70 " ⋆ " => fun x y => x * y + 1
macro "net!" n:str : term => `({ name := $n, layers := [] : NetSpec })
syntax (name := layerSyntax) "layer " term : term
macro_rules
  | `(layer $t) => `([$t])

elab "#count " id:ident : command => do
  logInfo m!"{id}: def y : NetSpec where"

attribute [simp] add_comm'

def defaults : Options := {}
def wide : Options := { width := 96, label := "wide" }

def ofOptions (o : Options) : NetSpec where
  name := s!"options-{o.label}"
  layers := [.dense 784 o.width .relu] ++ List.replicate o.depth (.dense o.width o.width .relu)
    ++ [.dense o.width 10 .identity]

@[simp, reducible] def small : NetSpec := ofOptions defaults

/-- The other constructor of options: anonymous. -/
noncomputable def large : NetSpec := ofOptions ⟨128, 3, "large"⟩

private protected def hidden : NetSpec := ofOptions wide

mutual
  def isEven : Nat → Bool
    | 0 => true
    | n + 1 => isOdd n
  def isOdd : Nat → Bool
    | 0 => false
    | n + 1 => isEven n
end

partial def loop (n : Nat) : IO Unit := do
  if n > 3 then
    return ()
  IO.println s!"def inner{n} : NetSpec where"
  loop (n + 1)

unsafe def risky : Nat := unsafeCast 3

opaque secret : Nat

axiom choice' {α : Type} : Nonempty α → α

/-- One that netc cannot read: it asks the machine. The others still load. -/
def fromDisk : NetSpec := unsafeIO (NetSpec.load "net.json")

/-- And one whose layers do not fit together. -/
def misfit : NetSpec where
  name := "misfit"
  layers := [.dense 784 32 .relu, .dense 64 10 .identity]

example : isEven 4 = true := by decide

theorem specs_small : small.layers.length = 4 := by
  simp only [small, ofOptions, defaults]
  have h : 1 + 2 + 1 = 4 := by norm_num
  exact h

#check @add_comm'
#eval small.layers.length
#guard_msgs in #eval IO.println "def z : NetSpec where"
#print axioms specs_small

initialize counter : IO.Ref Nat ← IO.mkRef 0

def main (args : List String) : IO UInt32 := do
  let mut total := 0
  for s in [small, large] do
    total := total + s.layers.length
    IO.println s!"{s.name}: {s.layers.length} layers {if total > 3 then "many" else "few"}"
  match args with
  | ["--help"] =>
    IO.println "usage: workshop [--help]"
    return 0
  | _ =>
    try
      loop 0
    catch e =>
      IO.eprintln s!"failed: {e}"
      return 1
  return 0
where
  /-- A helper after the `where`; its name is a spec's elsewhere. -/
  helper (n : Nat) : Nat := n + 1
