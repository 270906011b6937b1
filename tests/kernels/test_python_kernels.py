"""Kernels in Python: what is wrong gets one sentence and its line; a function under @kernel runs in place."""

import numpy as np
import pytest

from netc.kernels.ir import KernelError
from netc.kernels.launch import dims, scalars_of
from netc.kernels.lean import kernels_of as lean_kernels
from netc.kernels.python import kernels_of
from netc.kernels.words import Array, exp, float32, global_idx, int32, kernel
from netc.netspec.errors import UserError

LEAN = "kernelArgs A(N: Nat)\n  global[n: Array Int]\ndevice_kernel k : KernelM A Unit := do\n"
LEAN += "  let a ← getArgs\n  a.n.set 0 "
HEAD = "@kernel\ndef k(N: int32, alpha: float32, x: Array[float32], n: Array[int32], t: Shared[float32, 4]):\n"


@pytest.mark.parametrize(
    ("body", "line", "sentence"),
    [
        ("x[0] = j", 3, "j does not have a value on every path to here; there are N, alpha"),
        ("if N > 1:\n  v = x[0]\nx[1] = v", 5, "v does not have a value on every path to here"),
        ("x[0] = N", 3, "x, which holds it, wants float, got int32; convert it"),
        ("x[0] = N / 2", 3, "/ wants floats, got integers; // divides integers"),
        ("n[0] = x", 3, "wants a number, got the array x; read an element: x[i]"),
        ("N = 3", 3, "N is an argument and keeps its value; choose another name"),
        ("return", 3, "`return` ends one thread, which would miss the barriers"),
        ("for i in x:\n  pass", 3, "wants for NAME in range(..), got for i in x:"),
        ("for i in range(0, 4, 0):\n  pass", 3, "a range's step wants 1 or more, got 0"),
        ("print(3)", 3, "wants a statement, got print(3); there are barrier()"),
        ("x[0] = [1]", 3, "wants a number or a comparison, got [1]"),
        ("x[0] = thread.x", 3, "wants an index, got thread.x; did you mean thread_idx.x"),
        ("with x:\n  pass", 3, "`with` is not known in a kernel"),
        ("v = 1\nv = 2.5", 4, "v wants int32, got float; convert it"),
        ("a, b = 1, 2\na, b = b, a", 4, "an assignment of several values cannot read the names that it changes"),
        ("if N:\n  pass", 3, "wants a comparison, got a number"),
        ("x[0] = 1e300", 3, "at most 3.40282e+38, got 1e+300"),
        ("atomic_add(x, 0)", 3, "atomic_add wants 3 arguments, got 2"),
        ("for i in range(4):\n  i = 3", 3, "i counts this loop and is assigned elsewhere; choose another name"),
        ("for i in range(4):\n  for i in range(2):\n    pass", 4, "i counts this loop and is assigned elsewhere"),
        ("for i in range(4):\n  pass\nn[0] = i", 5, "i does not have a value on every path to here"),
    ],
)
def test_what_is_wrong_gets_one_sentence_and_its_line(body, line, sentence):
    with pytest.raises(KernelError) as caught:
        kernels_of(HEAD + "".join(f"  {text}\n" for text in body.split("\n")), "k.py")
    assert str(caught.value).startswith(f"k.py:{line}: ") and sentence in str(caught.value)


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("x", "x wants a type: float32"),
        ("x: list[int]", "x wants a type: float32"),
        ("x: Array[bool]", "got Array[bool]"),
        ("x: Array[()]", "x wants a type: float32"),
        ("x: Shared[float32, 0]", "got Shared[float32, 0]"),
        ("target: int32", "an argument wants a name of at most 40"),
        ("memset: int32", "an argument wants a name of at most 40"),
        ("x: int32 = 3", "a kernel's arguments want names and types only"),
        ("int: int32", "an argument wants a name of at most 40"),
    ],
)
def test_arguments_have_types(argument, sentence):
    text = f"@kernel\ndef k({argument}):\n  pass\n"
    with pytest.raises(KernelError) as caught:
        kernels_of(text, "k.py")
    assert sentence in str(caught.value)


def test_a_text_that_is_no_python():
    with pytest.raises(KernelError, match=r"k\.py:1: wants Python, got "):
        kernels_of("def (:", "k.py")


@pytest.mark.parametrize("count", [160, 900, 20_000])
def test_what_is_too_deep_is_refused(count):
    chain = " + ".join(["x[0]"] * count)
    for read, text in (
        (kernels_of, f"A = {' + '.join(['1'] * count)}\n{HEAD}  x[0] = {chain}\n"),
        (kernels_of, f"{HEAD}  x[0] = {chain}\n"),
        (lean_kernels, LEAN + f"({chain.replace('x[0]', 'a.N')})\n"),
    ):
        with pytest.raises(KernelError, match=r"wants expressions at most 150 deep|wants Python, got"):
            read(text, "k")


@kernel
def grown(N: int32, x: Array[float32]):
    """A doc line."""
    i = global_idx.x
    if 0 < i < N:
        x[i] += exp(0.0 * x[i]) if i > 1 else 10.0


@pytest.mark.parametrize("grid", [2.5, True, "4", (), (1, 1, 1, 1), np.float32(4), None])
def test_a_grid_is_whole_sizes(grid):
    with pytest.raises(UserError, match="`grid` wants one to three whole sizes of 1 or more, got "):
        dims(grid, "grid")
    assert dims(np.int64(4), "grid") == (4, 1, 1) == dims(np.array([4, 1]), "grid")


@kernel
def twice_counted(x: Array[float32]):
    for i in range(2):
        x[i] += 1.0
    for i in range(1, 4):
        x[i] *= 3.0


@pytest.mark.parametrize("target", ["simulate", "c"])
def test_loops_in_a_row_have_one_name(target, c_compiler):
    x = np.ones(4, np.float32)
    twice_counted.launch(1, 1, target=target, x=x)
    assert x.tolist() == [2, 6, 3, 3]


@pytest.mark.parametrize("given", [1e39, -(10**400), np.float64(1e300)])
def test_a_number_beyond_float32_is_refused(given):
    (read,) = kernels_of(HEAD + "  x[0] = alpha\n", "k.py")
    with pytest.raises(
        UserError, match=r"k wants float for alpha, got -?1.*; write one of at most 3.40282e\+38, or inf"
    ):
        scalars_of(read, {"N": 1, "alpha": given})
    assert scalars_of(read, {"N": 1, "alpha": -np.inf})["alpha"] == -np.inf


def test_a_function_runs_in_place():
    x = np.zeros(4, np.float32)
    grown.launch(1, 4, target="simulate", N=4, x=x)
    assert x.tolist() == [0, 10, 1, 1] and grown.kernel.doc == "A doc line."
    with pytest.raises(KernelError, match=r"test_python_kernels.py:\d+: outside: thread 4 of block 0 reads x\[4\]"):
        grown.launch(1, 8, target="simulate", N=8, x=x)
    with pytest.raises(UserError, match=r"grown wants an array of float .float32. for x, got float64"):
        grown.launch(1, 4, N=4, x=np.zeros(4))
    with pytest.raises(KernelError, match="dims wants @kernel above it in its file"):
        kernel(dims).launch(1, 4)
    with pytest.raises(UserError, match="exp can only be used in a function under @kernel"):
        exp(1.0)
