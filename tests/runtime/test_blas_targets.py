"""The routines of BLAS by XLA, as C, as C on OpenBLAS, and by IREE, beside the evaluator: one module of all of them."""

from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest

from netc.codegen.blas import ROUTINES
from netc.codegen.evaluator import run
from netc.codegen.ir import Module
from netc.codegen.rewrite.lower import lower
from netc.codegen.text import text_of
from netc.runtime.backends import load
from netc.runtime.backends.protocol import Source
from netc.runtime.cache.store import Cache
from netc.runtime.session import DTYPES
from netc.runtime.small_program import SmallProgram
from netc.runtime.target import parse_target
from tests.codegen.blas.cases import letters_of, module, operands


def pullbacks(names, which=0, dtypes=MappingProxyType({})):
    """Of each its function with the gradients, or without where it has none; and arguments."""
    functions, args = [], {}
    for name in names:
        routine = ROUTINES[name]
        letters = letters_of(routine)[which]
        dtype = dtypes.get(name, "f32")
        made = module(routine, letters, dtype, pullback=routine.differentiable).functions[-1]
        given = operands(routine, letters, DTYPES[dtype])
        cotangents = made.params[len(given) :]
        args[made.name] = [*given, *(np.ones(v.shape, DTYPES[dtype]) for v in cotangents)]
        functions.append(made)
    return Module("routines", tuple(functions)), args


def agree(found, args, word):
    target = parse_target(word)
    lowered = lower(found, target.profile)
    loaded = load(Source(lowered, text_of(lowered, target.profile)), target)
    for f in found:
        near(found, f, args, [loaded.get(x) for x in loaded.call(f.name, [loaded.put(a) for a in args[f.name]])])


def near(found, f, args, theirs, tolerance=2e-5):
    for name, got, wanted in zip(f.result_names, theirs, run(found, f.name, args[f.name], "f64"), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance, err_msg=f"{f.name} {name}")


def test_every_routine_by_xla():
    agree(*pullbacks(ROUTINES), "xla")


def test_every_routine_as_c(c_compiler):
    agree(*pullbacks(ROUTINES, -1), "c")


def test_products_and_solves_as_c_on_blas(c_compiler, monkeypatch, openblas):
    monkeypatch.setenv("CFLAGS", "-O1 -DNETC_BLAS")
    monkeypatch.setenv("LDLIBS", openblas)
    functions, args = [], {}
    for which in (0, 5, 10, 15):  # sides, triangles and transposes by turns
        found, given = pullbacks(["trsm"], which)
        functions.append(replace(found.functions[0], name=f"trsm{which}"))
        args[f"trsm{which}"] = given["trsm_vjp"]
    agree(Module("routines", tuple(functions)), args, "c")


def test_solves_and_a_product_by_iree(artefacts, monkeypatch):
    """In one module, trsv's numbers float64."""
    pytest.importorskip("iree.compiler")
    monkeypatch.setenv("NETC_CACHE_DIR", str(artefacts))
    found, args = pullbacks(["trsv", "trsm", "gemm"], dtypes={"trsv": "f64"})
    for f in found:
        program = SmallProgram(found, parse_target("cpu"), Cache(), {}, "routines", function=f.name)
        near(found, f, args, program(*args[f.name]), 1e-13 if f.name == "trsv_vjp" else 2e-5)
