"""Simulation: right results where a kernel is right, and where it is not, the line and the two threads."""

import numpy as np
import pytest

from netc.kernels.launch import launch_of, memory_of, scalars_of
from netc.kernels.lean import kernels_of
from netc.kernels.simulate import simulate
from netc.kernels.watch import Watch

HEAD = """
kernelArgs Args(N: Nat)
  global[x out: Array Float] global[n: Array Int]
  shared[tile: Array Float]

device_kernel k : KernelM Args Unit := do
  let args ← getArgs
  let x : GlobalArray Float := ⟨args.x⟩
  let out : GlobalArray Float := ⟨args.out⟩
  let n : GlobalArray Int := ⟨args.n⟩
  let tile : SharedArray Float := ⟨args.tile⟩
  let i ← globalIdxX
  let t ← threadIdxX
"""
FIRST = HEAD.count("\n") + 1  # the line of the body's first statement


def faults(body, grid=2, block=8, size=16):
    """(kind, line from the body's first, sentence) of each fault, and the arrays after it."""
    lines = "".join(f"  {line}\n" for line in body.strip("\n").split("\n"))
    (kernel,) = kernels_of(HEAD + lines, "k.lean")
    given = {"x": np.arange(size, dtype=np.float32), "out": np.zeros(size, np.float32), "n": np.zeros(4, np.int32)}
    found = simulate(kernel, launch_of(kernel, grid, block), scalars_of(kernel, {"N": size}), memory_of(kernel, given))
    return [(f.kind, f.line - FIRST + 1, f.sentence) for f in found], given


def test_threads_see_what_was_written_before_a_barrier():
    found, given = faults("""
let v ← x.get i
tile.set t v
barrier
let w ← tile.get (7 - t)
out.set i w""")
    assert not found
    assert given["out"].tolist() == [7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8]


@pytest.mark.parametrize(
    ("body", "kind", "line", "sentence"),
    [
        # a neighbour's element, no barrier
        ("let v ← x.get i\ntile.set t v\nlet w ← tile.get (7 - t)\nout.set i w", "race", 3,
         "thread 0 of block 0 reads tile[7], and thread 7 of block 0 writes it at line 15, with nothing between; put a "
         "barrier between"),
        # read, then written by another, one barrier too late
        ("let v ← x.get i\nlet w ← x.get ((i + 1) % 16)\nout.set i (v + w)\nbarrier\nout.set ((i + 1) % 16) v", "race",
         5, "thread 7 of block 0 writes out[8], and thread 0 of block 1 writes it at line 16, with nothing between; "
         "blocks are not ordered: use an atomic operation or another launch"),
        ("out.set 3 1.0", "race", 1, "thread 1 of block 0 writes out[3], and thread 0 of block 0 writes it at line 14"),
        ("let v ← out.get ((i + 1) % 16)\nout.set i v", "race", 2,
         "thread 0 of block 0 writes out[0], and thread 7 of block 1 reads it"),
        ("n.atomicAdd 0 1\nlet v ← n.get 0\nn.set 1 v", "race", 2,
         "thread 0 of block 0 reads n[0], and thread 7 of block 1 changes it"),
        ("let v ← x.get (i + 1)\nout.set i v", "outside", 1, "thread 7 of block 1 reads x[16], outside its"),
        ("out.set (i - 1) 1.0", "outside", 1, "thread 0 of block 0 writes out[-1], outside its 16 elements"),
        ("let v ← tile.get t\nout.set i v", "unset", 1,
         "thread 0 of block 0 reads tile[0] of shared memory, which no thread of the block has written"),
        ("tile.atomicAdd 3 1.0", "unset", 1, "thread 0 of block 0 changes tile[3] of shared memory, which no thread"),
        ("if t < 4 then\n  barrier\nout.set i 1.0", "divergence", 2,
         "thread 0 of block 0 waits at this barrier, which thread 4 of block 0 does not meet"),
        ("for j in [0:t] do\n  barrier", "divergence", 2,
         "thread 1 of block 0 waits at this barrier, which thread 0 of block 0 does not meet"),
        ("let mut j := 1\nwhile j > 0 do\n  j := 1", "endless", 2, "has gone round this loop"),
        ("for j in [0:4:args.N - 16] do\n  out.set i 1.0", "endless", 1, "step wants 1 or more, got 0"),
    ],
)  # fmt: skip
def test_planted_faults_are_named(body, kind, line, sentence, monkeypatch):
    monkeypatch.setattr("netc.kernels.simulate.MOST_TURNS", 100)
    found, _ = faults(body)
    assert [(k, n) for k, n, _ in found][:1] == [(kind, line)]
    assert sentence in found[0][2]


@pytest.mark.parametrize(
    "body",
    [
        "n.atomicAdd (i % 4) 1",
        "n.atomicMax 0 (i + 1)\nn.atomicMax 0 3",
        "let v ← x.get 3\nout.set i v",  # many read one element
        "tile.set t 1.0\nbarrier\nlet v ← tile.get 0\nbarrier\ntile.set t v",  # a barrier on both sides
        "out.set i 1.0\nlet v ← out.get i\nout.set i (v + v)",  # a thread's own
        "if args.N > 3 then\n  barrier",  # all threads agree
        "for j in [0:args.N:4] do\n  tile.set t 1.0\n  barrier",
        "if i < args.N && i > 0 then\n  out.set (i - 1) 1.0",
        "while false do\n  barrier",
    ],
)
def test_what_is_right_has_no_fault(body):
    assert faults(body)[0] == []


def test_a_side_that_does_not_count_is_not_computed():
    found, given = faults("let v := 2.0 * (← x.get i) + (if i > 3 then 1.0 else 0.5)\nout.set i v")
    assert not found and given["out"][3:5].tolist() == [6.5, 9]
    found, _ = faults("if i < 20 && i > 20 / (i - i) then\n  out.set i 1.0")
    assert not found


def test_integers_divide_as_lean_and_c_do():
    found, given = faults("""
if i == 0 then
  n.set 0 ((-7) / (2 + i))
  n.set 1 ((i - 7) % 2)
  n.set 2 ((i + 7) / i)
  n.set 3 ((i + 7) % i)""")
    assert not found and given["n"].tolist() == [-3, -1, 0, 7]


def test_a_race_between_threads_that_do_not_go_together_is_seen(monkeypatch):
    monkeypatch.setattr("netc.kernels.simulate.TOGETHER", 8)
    found, _ = faults("out.set t 1.0")
    assert found[0][:2] == ("race", 1) and "thread 0 of block 1" in found[0][2] and "thread 0 of block 0" in found[0][2]


def test_blocks_go_together_only_as_far_as_their_shared_memory_does(monkeypatch):
    """48 kB in each of 65,536 blocks were 3 GB, and who touched them 60 GB."""
    held = []
    monkeypatch.setattr("netc.kernels.simulate.Watch", lambda size, threads: held.append(size) or Watch(size, threads))
    monkeypatch.setattr("netc.kernels.simulate.HELD", 64)
    found, given = faults("tile.set t 1.0\nlet v ← tile.get t\nout.set i v", grid=20, block=8, size=160)
    assert not found and given["out"].all() and max(held[3:]) <= 64
