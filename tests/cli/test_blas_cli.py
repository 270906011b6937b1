"""`netc blas`: ls, emit, certify; each mistake is one sentence before anything is compiled."""

import json

import pytest

from netc.codegen.blas import ROUTINES
from tests.codegen.witness import parsed


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("blas")


def test_the_list_has_every_routine_as_json(netc):
    code, out, err = netc("blas", "ls", "--json")
    assert (code, err) == (0, "")
    rows = {row["routine"]: row for row in json.loads(out)}
    assert list(rows) == list(ROUTINES) and len(rows) == 19
    assert rows["syrk"]["sizes"] == ["n", "k"] and rows["trsm"]["options"] == ["side", "uplo", "transa", "diag"]
    assert [name for name, row in rows.items() if not row["pullback"]] == ["iamax"]


GEMM = ("gemm", "-m", "2", "-n", "3", "-k", "4")


def test_a_routine_is_text_for_a_target(netc, place):
    code, out, err = netc("blas", "emit", *GEMM, "--transa", "T", "--vjp")
    assert (code, err) == (0, "") and "%arg1: tensor<4x2xf32>" in out and "@gemm_vjp(" in out
    parsed(out)
    code, out, _ = netc("blas", "emit", "dtrsm", "-m", "3", "-n", "2")
    assert code == 0 and "stablehlo.triangular_solve" in out and "tensor<3x3xf64>" in out
    code, out, _ = netc("blas", "emit", "trsm", "-m", "3", "-n", "2", "--target", "cuda:sm_80")
    assert code == 0 and "triangular_solve" not in out
    code, out, err = netc("blas", "emit", *GEMM, "--target", "c", "-o", "gemm.c")
    assert code == 0 and out.startswith("gemm.c  gemm in ")
    text = (place / "gemm.c").read_text()
    assert "net_matmulf(" in text and text.startswith("/* gemm: a program, emitted by netc */")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("emit", "gem"), "ROUTINE wants a routine of BLAS, got 'gem'; did you mean gemv or gemm or ger?"),
        (("emit", "fft"), "got 'fft'; `netc blas ls` lists them"),
        (("emit", "zgemm"), "wants float32 or float64 numbers, got zgemm: the IR has no complex numbers"),
        (("emit", "herk"), "got herk: the IR has no complex numbers"),
        (("emit", *GEMM[:-2]), "gemm wants the sizes -m, -n, -k, got -m, -n; add -k"),
        (("emit", "axpy", "-n", "3", "-k", "2"), "axpy has no size -k; it has -n; leave -k out"),
        (("emit", "axpy", "-n", "3", "--side", "l"), "axpy has no --side; it has no options; leave --side out"),
        (("emit", *GEMM, "--uplo", "u"), "gemm has no --uplo; it has --transa, --transb; leave --uplo out"),
        (("emit", "trsm", "--uplo", "x"), "'x' is not one of 'u', 'l'"),
        (("emit", "gemm", "-k", "0"), "invalid value for '-k': 0"),
        (("emit", "iamax", "-n", "3", "--vjp"), "iamax gives an index, which has no derivative"),
        (("emit", "dgemm", *GEMM[1:], "--dtype", "f32"), "ROUTINE dgemm computes in f64, got --dtype f32"),
        (("emit", "dgemm", *GEMM[1:], "--target", "vulkan"), "--dtype f64 wants the target cpu[:NAME], xla, c, ref"),
        (("emit", *GEMM, "--target", "gpu"), "got 'gpu'; did you mean cuda:SM?"),
        (("certify", "gemm", "--target", "c"), "certify reads StableHLO"),
        (("certify", "-m", "3"), "-m applies to one routine, got none"),
        (("certify", "axpy", "-m", "3"), "axpy has no size -m"),
        (("certify", *GEMM, "-m", "20000", "-n", "20000"), "certificate of gemm wants operands of at most 16 MiB, got"),
    ],
)
def test_a_mistake_is_a_sentence(netc, words, sentence):
    code, out, err = netc("blas", *words)
    assert code == 2 and out == "" and sentence in err and err.count("\n") == 1, err


@pytest.mark.parametrize("routine", [r for r in ROUTINES.values() if r.level > 1], ids=lambda r: r.name)
def test_sizes_that_no_machine_holds_are_a_sentence(netc, routine):
    sizes = [word for letter in routine.sizes for word in (f"-{letter}", "2000000000")]
    code, out, err = netc("blas", "emit", routine.name, *sizes, "--target", "cpu")
    assert code == 2 and out == "" and err.count("\n") == 1, err
    assert f"{routine.name} wants operands of at most 1,024 GiB, got " in err and f"by -{routine.sizes[0]} 2000" in err


@pytest.mark.parametrize("routine", ["trmm", "symm", "trsm"])
def test_what_a_large_machine_holds_ends(netc, routine):
    code, out, err = netc("blas", "emit", routine, "-m", "100000", "-n", "90000", "--target", "cpu")
    assert (code, err) == (0, "") and out.count("\n") < 3000


def test_certificates_are_of_each_choice_of_letters(netc):
    code, out, err = netc("blas", "certify", "dsyrk", "-n", "2", "--trans", "t", "--target", "cpu", "--json")
    found = json.loads(out)
    assert (code, err) == (0, "") and [c["verdict"] for c in found] == ["holds", "holds"]
    assert [c["statements"][0]["of"] for c in found] == ["syrk uplo=u trans=t", "syrk uplo=l trans=t"]
    assert found[0]["statements"][0]["gradients"] == ["alpha", "a", "beta", "c"]
