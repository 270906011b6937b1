"""Reading kernels in Lean's syntax: what cLean writes is read, what is wrong gets one sentence and its place."""

import pytest

from netc.kernels.ir import Array, Barrier, For, If, Scalar
from netc.kernels.lean import kernels_of
from netc.netspec.lean.source import LeanError

ARGS = "kernelArgs Args(N: Nat, alpha: Float)\n  global[x y: Array Float]\n  shared[tile: Array Float]\n\n"
KERNEL = ARGS + "device_kernel k : KernelM Args Unit := do\n  let args ← getArgs\n"


def test_a_file_as_clean_writes_it():
    """Imports, namespaces, options, theorems and a launcher stand around the kernel and are passed over."""
    text = """
import CLean.GPU
open GpuDSL CLean.DeviceMacro

set_option maxHeartbeats 400000

namespace A.B
kernelArgs T(N: Nat)
  global[input output: Array Float]
  shared[tile: Array Float]

/-- Turns. -/
device_kernel transposeKernel : KernelM T Unit := do
  let args ← getArgs
  let N := args.N
  let input : GlobalArray Float := ⟨args.input⟩
  let output : GlobalArray Float := ⟨args.output⟩
  let tile : SharedArray Float := ⟨args.tile⟩
  let row ← globalIdxX
  let col ← globalIdxY
  -- into shared memory
  if row < N && col < N then do
    let val ← input.get (row * N + col)
    let two := 2
    tile.set (row * N + col) (val * two)

  barrier
  for stride in [1:8] do
    let idx := stride * 2
    if h : idx > 3 then
      output.set row 1.0
    else if idx ≤ 1 then
      pure ()
    else
      output.set row 0

def spec (config grid : Dim3) : KernelSpec := toSpec transposeKernelIR config grid

theorem safe : ∀ (c g : Dim3), KernelSafe (spec c g) := by
  intro c g; unfold KernelSafe; simp_all

#eval do IO.println (kernelToCuda transposeKernelIR)
end A.B
"""
    (kernel,) = kernels_of(text, "t.lean")
    assert (kernel.name, kernel.doc) == ("A.B.transposeKernel", "Turns.")
    assert kernel.scalars == (Scalar("N", "i32"),)
    assert kernel.arrays[2] == Array("tile", "f32", shared=True) and kernel.written == ("output",)
    assert [type(s) for s in kernel.body][-3:] == [If, Barrier, For]


def body(text):
    return KERNEL + "".join(f"  {line}\n" for line in text.split("\n"))


@pytest.mark.parametrize(
    ("text", "place", "sentence"),
    [
        (body("let v ← args.x.get j"), "7:22", "no name j is known here; there are args.N, args.alpha"),
        (body("args.x.set 0 args.N"), "7:3", "x, which holds it, wants float, got int32; convert it"),
        (body("args.x.set args.alpha 1.0"), "7:3", "an index of x wants int32, got float"),
        (body("if args.N then\n  barrier"), "7:6", "wants a comparison, got a number; write x != 0"),
        (body("let v := args.N + args.alpha"), "7:19", "+ wants two values of one type, got int32 and float"),
        (body("let v := args.x"), None, None),
        (body("let v := 1 + args.x"), "7:16", "wants a number, got the array args.x; read an element"),
        (body("args.z.set 0 1.0"), "7:3", "wants an array, got args.z; did you mean args.x or args.y?"),
        (body("let v := 1\nv := 2"), "8:3", "v must be declared by `let mut` before it changes"),
        (body("barier"), "7:3", "wants a statement, got barier; did you mean barrier?"),
        (body("return\nbarrier"), "7:3", "`return` must be the last word"),
        (body("for i in [3] do\n  barrier"), "7:12", "wants a range, such as [0:n], got a list"),
        (body("for i in [0:4:0] do\n  barrier"), "7:12", "a range's step wants 1 or more, got 0"),
        (body("let x : SharedArray Float := ⟨args.x⟩"), "7:7", "x is declared as GlobalArray Float, got SharedArray"),
        (body("let i ← globalIdx"), "7:11", "wants an action after ←, got globalIdx; did you mean globalIdxX or"),
        (body("let i := globalIdxX"), "7:12", "globalIdxX is an action; write let i ← globalIdxX"),
        (body("args.x.atomicMax 0 1.0"), "7:3", "atomic max wants an array of int32, got one of float"),
        (body("args.x.set 0 (expp 1.0)"), "7:17", "wants a function, got expp; did you mean exp"),
        (body("if args.N > 1 then\nbarrier"), "8:3", "wants a statement, indented, got barrier"),
        (body("barrier\n   barrier"), "8:6", "wants an operator or a statement in column 3"),
        (
            body("if args.N > 0 then\n  barrier" + "\nelse if args.N > 1 then\n  barrier" * 50),
            "86:5",
            "wants blocks nested at most 40",
        ),
        (ARGS.replace("Float]", "Real]", 1), "2:", "wants a type, got Real"),
        (ARGS.replace("x y", "x int"), "2:12", "an argument wants a name of at most 40 letters"),
        (ARGS.replace("x y", "x x"), "1:12", "the argument x is declared twice; rename one"),
        (
            KERNEL.replace("KernelM Args", "KernelM Arg"),
            "5:15",
            "no kernelArgs Arg is defined before this; did you mean Args?",
        ),
        (ARGS.replace("Array Float]\n\n", "Vector Float 0]\n\n"), "3:", "a Vector's size wants a number of 1 or more"),
        (ARGS + "device_kernel k : Nat := 3", "5:15", "wants the type KernelM ARGUMENTS Unit, got Nat"),
    ],
)
def test_what_is_wrong_gets_one_sentence_and_its_place(text, place, sentence):
    if sentence is None:
        kernels_of(text, "k.lean")
        return
    with pytest.raises(LeanError) as caught:
        kernels_of(text, "k.lean")
    assert str(caught.value).startswith(f"k.lean:{place}") and sentence in str(caught.value)
