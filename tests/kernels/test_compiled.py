"""A kernel as C: what simulation names C refuses too, in one process and without harm."""

import subprocess

import numpy as np
import pytest

from netc.kernels.c_text import c_text
from netc.kernels.compiled import Compiled
from netc.kernels.gpu_text import cuda_text
from netc.kernels.launch import launch_of, memory_of, scalars_of
from netc.kernels.lean import kernels_of
from netc.kernels.python import kernels_of as kernels_of_python
from netc.kernels.run import run_once
from tests.kernels.cases import CASES, NAMES

TEXT = """
kernelArgs Args(N: Nat, to: Nat)
  global[x: Array Float] global[n: Array Int] global[wide: Array Float64] global[small: Array UInt8]
  shared[tile: Array Float]

device_kernel faulty : KernelM Args Unit := do
  let args ← getArgs
  let i ← globalIdxX
  if args.N > 0 then
    args.x.set (i - args.N + 1) 1.0
  if i % 8 < args.to then
    barrier
  while args.to > 8 do
    barrier

device_kernel numbers : KernelM Args Unit := do
  let args ← getArgs
  let i ← globalIdxX
  let v ← args.x.get i
  let w := Float64.ofNat i
  args.n.set i (v * 1000000000.0).toNat
  args.small.set i ((v * 100.0).toUInt8 + (i * 70).toUInt8)
  args.wide.set i ((w - 3.5).abs.sqrt + Float64.ofNat (i / 3 - 7 % (i - 2)))
  args.x.set i (max v (0.1 - v) + (if v > 0.5 ∧ ¬(i = 2) then Float.floor v else -v))

device_kernel atomics : KernelM Args Unit := do
  let args ← getArgs
  let i ← globalIdxX
  if threadIdx.x == 0 then
    args.tile.set 0 0.0
  barrier
  args.n.atomicMax 0 (i * 7 % 5)
  args.n.atomicMin 1 (0 - i)
  args.n.atomicAdd 2 i
  args.x.atomicAdd 0 0.5
  args.wide.atomicAdd 4 0.25
  args.tile.atomicAdd 0 1.0
  barrier
  if i == 0 then
    args.x.set 7 (← args.tile.get 0)
"""


def given(size=8):
    x = np.array([0.3, -0.5, np.nan, 1.5, 2.5, -3e9, 7e8, 0.1], np.float32)
    return {"x": np.resize(x, size), "n": np.zeros(size, np.int32), "wide": np.zeros(size),
            "small": np.zeros(size, np.uint8)}  # fmt: skip


@pytest.mark.parametrize(
    ("numbers", "kind", "line", "sentence"),
    [
        ({"N": 1, "to": 8}, "", 0, ""),
        ({"N": 2, "to": 8}, "outside", 10, "thread 0 of block 0 uses x[-1], outside its elements"),
        ({"N": 0, "to": 5}, "divergence", 11, "thread 5 of block 0 goes another way than thread 0 of block 0"),
    ],
)
def test_faults_are_named(numbers, kind, line, sentence, c_compiler):
    faulty, _, _ = kernels_of(TEXT, "f.lean")
    found = run_once(faulty, (1, 8), numbers, given(), target="c")
    assert [(f.kind, f.line) for f in found.faults] == ([(kind, line)] if kind else [])
    assert all(sentence in f.sentence for f in found.faults)


def test_every_type_and_operator_has_the_bits_of_the_simulation(c_compiler):
    _, numbers, _ = kernels_of(TEXT, "f.lean")
    simulated, compiled = (
        run_once(numbers, (1, 8), {"N": 8, "to": 8}, given(), target=target) for target in ("simulate", "c")
    )
    assert not simulated.faults
    for name, array in simulated.results.items():
        assert array.tobytes() == compiled.results[name].tobytes(), name
    assert simulated.results["n"].tolist()[:4] == [300000000, -500000000, 0, 1500000000]
    assert simulated.results["small"].tolist() == [30, 70, 140, 104, 18, 94, 163, 244]


def test_blocks_on_several_processors_agree(c_compiler):
    """More threads than a single processor gets: shared memory is a block's own, and atomic operations meet."""
    *_, atomics = kernels_of(TEXT, "f.lean")
    simulated, compiled = (
        run_once(atomics, (64, 128), {"N": 8, "to": 8}, given(), target=target) for target in ("simulate", "c")
    )
    assert not simulated.faults
    for name, array in simulated.results.items():
        assert array.tobytes() == compiled.results[name].tobytes(), name
    assert simulated.results["n"][2] == sum(range(64 * 128)) and simulated.results["x"][7] == 128


OWN_WORDS = """
@kernel
def own_words(turns: int32, i: Array[int32], line: Array[int32], most: Array[int32]):
    team_ = global_idx.x
    k = 0
    while k < turns:
        k += 1
    i[team_] = k + line[team_]
    atomic_max(most, 0, team_)
    for j in range(0, 4, line[team_]):
        line[team_] = 2
        atomic_add(most, 1, 1)
"""


def test_names_and_steps_of_a_kernel_are_its_own(c_compiler):
    """Names that the text around them might take, and a step that is read once though the loop changes it."""
    (kernel,) = kernels_of_python(OWN_WORDS, "w\udcff*.py")
    text = c_text(kernel)
    assert text.encode().count(b"#pragma omp critical(netc_most)") == 2 and "omp atomic" not in text
    for target in ("simulate", "c"):
        arrays = {n: np.ones(4, np.int32) for n in ("i", "line", "most")}
        done = run_once(kernel, (1, 4), {"turns": 5}, arrays, target=target)
        assert not done.faults
        assert [done.results[n].tolist() for n in arrays] == [[6] * 4, [2] * 4, [3, 17, 1, 1]]
    assert "netc_step_j = line[team_]; j < 4; j += netc_step_j)" in cuda_text(kernel, ())


def test_a_kernel_is_compiled_once_for_its_text_and_flags(c_compiler, monkeypatch):
    *_, atomics = kernels_of(TEXT, "f.lean")
    Compiled(atomics)

    def refuse(command, longest):
        raise AssertionError(f"compiles again by {command}")

    monkeypatch.setattr("netc.runtime.c_compiler.ran", refuse)
    Compiled(atomics)
    with pytest.raises(AssertionError, match=r"compiles again by .*NETC_UNCHECKED"):
        Compiled(atomics, unchecked=True)
    monkeypatch.setenv("CFLAGS", "-O2")
    with pytest.raises(AssertionError, match=r"compiles again by .*-O2"):
        Compiled(atomics)


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_no_compiler_warns(compiler, tmp_path):
    """Of one file with every kernel, since starting a compiler is what takes the time."""
    texts = [c_text(c.kernel) for c in CASES] + [c_text(k) for k in kernels_of(TEXT, "f.lean")]
    flags = ["-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Wno-unknown-pragmas", "-Wno-unused-parameter"]
    flags += ["-Werror", "-fsyntax-only"]
    files = []
    for n, text in enumerate(texts):
        files.append(tmp_path / f"{n}.c")
        files[-1].write_text(text)
    try:
        done = subprocess.run([compiler, *flags, *files], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip(f"no {compiler}")
    assert done.returncode == 0, done.stderr[:2000]


def test_a_kernel_is_called_in_place_and_kept(c_compiler):
    case = CASES[NAMES.index("saxpy")]
    kernel = case.kernel
    call, memory = Compiled(kernel), memory_of(kernel, {n: a.copy() for n, a in case.arrays.items()})
    launch, scalars = launch_of(kernel, case.grid, case.block), scalars_of(kernel, case.numbers)
    for _ in range(2):
        assert call(launch, scalars, memory) == ()
    np.testing.assert_array_equal(memory["result"], case.wanted["result"])
