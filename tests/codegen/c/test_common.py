"""Nests that a long program has many times are one function; others stay where they are. The numbers are the same."""

import numpy as np

from netc.codegen.builder import Builder
from netc.codegen.c.common import OFTEN
from netc.codegen.c.source import c_source
from netc.codegen.evaluator import run
from netc.codegen.ir import Module
from netc.netspec.types import TensorType
from netc.runtime.backends.c import load_c
from netc.runtime.backends.protocol import Source

NAMES = ["a", "a_rather_long_name_for_a_vector", "total", "x1", "result"]


def module(count):
    """So many layers by names of any length, each a loop, a sum in shares over rows, and a number."""
    b = Builder("predict")
    rate = b.parameter("rate", TensorType(()))
    results = []
    for name in NAMES[:count]:
        x = b.parameter(name, TensorType((4096, 20)))
        with b.at(name):
            scaled = b.maximum(b.sub(b.mul(x, 0.5), b.broadcast(rate, x, ())), 0.0)
            results += [(f"{name}_rows", b.sum(b.mul(x, x), (0,))), (f"{name}_scaled", scaled)]
            results += [(f"{name}_all", b.unary("sqrt", b.add(b.sum(scaled, (0, 1)), rate)))]
    return Module("layers", (b.finish(results),))


def test_equal_nests_are_one_function(c_compiler, monkeypatch):
    made = module(5)
    assert "net_nest" not in c_source(made).text
    c_source.cache_clear()
    monkeypatch.setattr("netc.codegen.c.common.SHORT", 1)
    text = c_source(made).text
    body = text[text.index("static void net_predict_in") :]
    assert text.count("/* a, and 4 more */") == 2 and body.count("= net_nest") == 5 and "for (" not in body
    assert "net_nest" not in c_source(module(OFTEN - 1)).text
    rng = np.random.default_rng(0)
    given = [rng.normal(size=p.shape).astype(np.float32) for p in made.functions[0].params]
    monkeypatch.setenv("CFLAGS", "-O1")
    wanted = run(made, "predict", given, "f64")
    for ours, right in zip(load_c(Source(made, text)).call("predict", given), wanted, strict=True):
        np.testing.assert_allclose(ours, right, rtol=1e-5)
