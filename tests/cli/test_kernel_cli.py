"""`netc kernel`: run, ls, emit; each mistake is one sentence before anything runs."""

import json

import numpy as np
import pytest

from tests.kernels.cases import EXAMPLES

SAXPY = str(EXAMPLES / "saxpy.lean")
GIVEN = ("--set", "N=3", "--set", "alpha=2.5", "--array", "y=[1, 1, 1]", "--array", "result=zeros:1x3")
MANY = "kernelArgs A(N: Nat)\n  global[x: Array Int]\n" + "".join(
    f"device_kernel {name} : KernelM A Unit := do\n  let a ← getArgs\n  a.x.set 0 a.N\n" for name in ("one", "two")
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kernels")
    np.save(folder / "x.npy", np.array([1, 2, 3], np.float32))
    np.save(folder / "double.npy", np.ones(3))
    (folder / "many.lean").write_text(MANY)
    (folder / "none.lean").write_text("def a := 1\n")
    return folder


def test_a_kernel_runs_and_its_results_are_written(netc, place, c_compiler):
    code, out, err = netc("kernel", "run", SAXPY, *GIVEN, "--block", "4", "--array", "x=x.npy", "-o", "out")
    assert (code, err) == (0, "")
    assert "saxpy: 1 block of 4 threads, simulated: no race" in out and "result  float32 [1, 3]  3.5, 6, 8.5" in out
    assert np.load(place / "out" / "result.npy").tolist() == [[3.5, 6, 8.5]]
    code, out, err = netc(
        "kernel", "run", f"{SAXPY}:saxpy", *GIVEN, "--array", "x=x.npy", "--target", "c", "--json", "-o", "o"
    )
    assert err.startswith("written to ") and code == 0 and json.loads(out)["results"] == {"result": [[3.5, 6, 8.5]]}, (
        err
    )


def test_faults_are_lines_and_nothing_is_written(netc, place):
    words = ["kernel", "run", SAXPY, *GIVEN, "--set", "alpha=1", "--array", "x=[1, 2]", "-o", "none"]
    words.remove("alpha=2.5")
    del words[words.index("--set", 5)]
    code, out, err = netc(*words)
    assert code == 1 and out == "" and not (place / "none").exists()
    assert err == (
        f"netc: {SAXPY}:13: outside: thread 2 of block 0 reads x[2], outside its 2 elements\n"
    )  # fmt: skip
    code, out, err = netc(*words, "--json")
    assert code == 1 and [f["line"] for f in json.loads(out)["faults"]] == [13] and json.loads(out)["results"] == {}


def test_kernels_are_listed(netc, place):
    code, out, err = netc("kernel", "ls", "many.lean")
    assert (code, err) == (0, "") and out.splitlines() == ["one  N: int32, x: int32[]", "two  N: int32, x: int32[]"]
    code, out, _ = netc("kernel", "ls", str(EXAMPLES / "histogram.lean"), "--json")
    assert code == 0 and json.loads(out)[0]["shared"] == {"own": {"type": "int32", "size": 256}}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((SAXPY, "--set", "alpha=2.5"), "saxpy wants N, got no value; add --set N=.."),
        ((SAXPY, *GIVEN), "saxpy wants x, got no array; add --array x=.."),
        ((SAXPY, *GIVEN, "--array", "x=double.npy"), "--array x wants float (float32), got float64 in double.npy"),
        ((SAXPY, *GIVEN, "--array", "x=gone.npy"), "gone.npy"),
        ((SAXPY, *GIVEN, "--array", "x=[1, \"a\"]"), "--array x wants a list of float, got"),
        ((SAXPY, *GIVEN, "--array", "z=[1]"), "saxpy takes no z; there are"),
        ((SAXPY, "--set", "N=1.5", "--set", "alpha=1"), "saxpy wants int32 for N, got 1.5; write a whole number"),
        ((SAXPY, "--set", "N"), "--set wants NAME=VALUE, got 'N'"),
        ((SAXPY, *GIVEN, "--array", "x=x.npy", "--block", "2048"), "--block wants at most 1024 threads"),
        ((SAXPY, *GIVEN, "--array", "x=x.npy", "--grid", "0"), "--grid wants one to three whole sizes of 1 or more"),
        ((SAXPY, *GIVEN, "--array", "x=x.npy", "--target", "cc"), "--target wants a way to run a kernel, got cc; did"),
        ((SAXPY, *GIVEN, "--array", "x=x.npy", "--shared", "t=4"), "--shared wants a shared array of saxpy, got t"),
        (("many.lean",), "many.lean holds one, two; name one: many.lean:one"),
        (("many.lean:tow",), "many.lean holds no kernel tow; did you mean two?"),
        (("none.lean",), "none.lean holds no kernel"),
        (("x.npy",), "KERNEL wants FILE.lean"),
    ],
)  # fmt: skip
def test_mistakes_are_one_sentence(netc, words, sentence):
    code, out, err = netc("kernel", "run", *words)
    assert code == 2 and out == "" and sentence in err and err.count("\n") == 1, err


def test_a_kernel_is_written_in_other_languages(netc, place, monkeypatch):
    code, out, err = netc("kernel", "emit", SAXPY)
    assert (code, err) == (0, "") and "void saxpy(const int32_t grid[3]" in out
    code, out, err = netc("kernel", "emit", str(EXAMPLES / "scan.lean"), "--opencl", "--block", "64")
    assert (code, err) == (0, "") and "__local int tree[64];" in out
    code, out, err = netc("kernel", "emit", str(EXAMPLES / "scan.lean"), "--opencl", "--shared", "tree=4x16")
    assert "__local int tree[64];" in out, err
    monkeypatch.setattr("shutil.which", lambda name: None)
    code, out, err = netc("kernel", "emit", SAXPY, "--cuda", "--check", "-o", "saxpy.cu")
    assert (code, err) == (0, "") and "__global__ void saxpy" in (place / "saxpy.cu").read_text()
    assert out == "saxpy.cu  saxpy in 14 lines\nnot checked: no nvcc is on PATH; install NVIDIA's CUDA toolkit\n"
    code, out, err = netc("kernel", "emit", SAXPY, "--check")
    assert code == 2 and err == "netc: --check wants --cuda, which nvcc reads, got --c; leave one out\n"
