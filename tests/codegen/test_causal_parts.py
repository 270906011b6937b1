"""Causal attention in parts: the numbers of the whole by five eighths of its scores; judged by JAX and certified."""

import numpy as np
import pytest

from netc.codegen import evaluator
from netc.codegen.builder import Builder
from netc.codegen.ir import Module
from netc.codegen.layers import attention
from netc.codegen.layers.softmax_attention import Attention, causal_attention, dense_attention
from netc.codegen.program import build
from netc.netspec import layers as nn
from netc.netspec.check import check
from netc.netspec.layers import SelfAttention
from netc.netspec.recipe import SGD, Recipe
from netc.netspec.spec import NetSpec
from netc.netspec.types import TensorType
from netc.proofs_oracle.certificate.certify import certify_program
from netc.proofs_oracle.certificate.statement import Settings
from netc.proofs_oracle.oracle import run_case
from netc.proofs_oracle.references import REFERENCES
from netc.runtime.target import parse_target

N, HEADS, WIDTH = 2, 2, 3


def pulled(how, tokens, rate=0.0, window=0, documents=False):
    """(o, dq, dk, dv) of attention and its pullback, in float64."""
    b = Builder("predict")
    q, k, v, do = (b.parameter(n, TensorType((N, HEADS, tokens, WIDTH))) for n in ("q", "k", "v", "do"))
    begins = b.parameter("begins", TensorType((N, tokens), "i32"))
    key = b.parameter("key", TensorType((2,), "ui32"))
    asked = Attention(tokens, True, rate, key, 3, window, begins if documents else None)
    o, pull = how(b, q, k, v, asked)
    function = b.finish(list(zip(("o", "dq", "dk", "dv"), (o, *pull(do)[0]), strict=True)))
    rng = np.random.default_rng(0)
    places = np.arange(tokens)
    begun = np.stack([np.where(places >= tokens // n, tokens // n, 0) for n in (2, 3)]).astype(np.int32)
    args = [*(rng.standard_normal((N, HEADS, tokens, WIDTH)) for _ in range(4)), begun, np.array([5, 7], np.uint32)]
    return evaluator.run(Module("attention", (function,)), "predict", args, "f64")


@pytest.mark.parametrize("tokens", [1, 3, 13, 16])
@pytest.mark.parametrize("asked", [{}, {"window": 3}, {"window": 1}, {"rate": 0.3}, {"documents": True, "window": 4}])
def test_parts_give_what_the_whole_gives(tokens, asked):
    made, wanted = (pulled(how, tokens, **asked) for how in (causal_attention, dense_attention))
    for part, whole in zip(made, wanted, strict=True):
        np.testing.assert_allclose(part, whole, rtol=1e-12, atol=1e-14)


def scores(layer, tokens):
    """How many scores a step of a net of that attention holds in its products."""
    net = check(NetSpec("long", (tokens, 12), (layer, nn.SelectToken(), nn.Dense(2))))
    ops = build(net, Recipe(), 1).module.function("predict").ops
    return sum(op.result.type.size for op in ops if op.kind == "dot" and op.attr("batch") == ((0, 1), (0, 1)))


def test_a_long_sequence_is_taken_in_parts():
    tokens, width, heads = attention.LONG, 2, 2
    outputs = heads * tokens * width
    assert scores(SelfAttention(heads, causal=True), tokens) - outputs == heads * tokens**2 * 5 // 8
    assert scores(SelfAttention(heads, causal=True), tokens - 1) - outputs > heads * (tokens - 2) ** 2
    assert scores(SelfAttention(heads), tokens) - outputs == heads * tokens**2
    # with a window of a quarter no part has more than two quarters of the keys
    windowed = SelfAttention(heads, causal=True, window=tokens // 4)
    assert scores(windowed, tokens) - outputs == heads * tokens**2 * 7 // 16


@pytest.fixture
def short(monkeypatch):
    """Any sequence counts as a long one."""
    monkeypatch.setattr(attention, "LONG", 1)


def test_parts_agree_with_jax(short):
    reference = REFERENCES["selfAttention"]
    causal = [case for case in reference.cases if getattr(case.layer, "causal", False) and not case.layer.tile]
    assert len(causal) > 6
    for case in causal:
        result = run_case(reference, case, seed=0)
        assert result.passed, result.verdict()


def test_parts_are_certified(short):
    net = check(NetSpec("parts", (5, 4), (nn.MultiHeadAttention(2, causal=True), nn.Flatten(), nn.Dense(2))))
    found = certify_program(build(net, Recipe(SGD(0.9)), 2), parse_target("xla"), Settings(primes=2))
    assert found.holds, found
