"""Texts for XLA keep barriers that it does not need: what each row says that a text without it would change."""

import numpy as np
import pytest

from netc.codegen.program import build
from netc.codegen.rewrite.lower import lower
from netc.codegen.rewrite.xla.fences import KEPT
from netc.codegen.text import text_of
from netc.netspec.check import check
from netc.netspec.layers import ConvBn, Dense, GlobalAvgPool
from netc.netspec.recipe import Recipe
from netc.netspec.spec import NetSpec
from netc.runtime.backends import load
from netc.runtime.backends.protocol import Source
from netc.runtime.target import parse_target

pytest.importorskip("jaxlib")
STEPS = 6  # a sum in another order shows sooner or later

NET = NetSpec(
    "fenced",
    (4, 4, 3),
    (
        *(ConvBn(4, 3, activation="relu", name=f"c{i}") for i in range(6)),
        GlobalAvgPool(),
        Dense(16, activation="gelu-tanh", name="d"),
        Dense(5, name="e"),
    ),
)


@pytest.fixture(scope="module")
def step():
    """`step(name)`: the text of the net without that pass, and what computes a few steps by it, bit for bit."""
    program, target = build(check(NET), Recipe(precision="bf16"), 8), parse_target("xla")
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((8, 4, 4, 3)).astype(np.float32), rng.integers(0, 5, 8).astype(np.int32)

    def without(name):
        module = lower(program.module, "xla", without=[name])
        text = text_of(module, "xla")

        def results():
            loaded = load(Source(module, text), target)
            state = loaded.call("init", [loaded.put(np.array([0, 1], np.uint32))])
            held, found = len(state), []
            for _ in range(STEPS):
                results = loaded.call("train_step", [*state, *map(loaded.put, (x, y, np.float32(0.1)))])
                state, found = results[:held], found + results[held:]
            return tuple(loaded.get(v).tobytes() for v in (*state, *found))

        return text, results

    return without


@pytest.fixture(scope="module")
def whole(step):
    text, results = step("")
    return text, results()


@pytest.mark.parametrize("fence", KEPT, ids=lambda fence: fence.name)
def test_what_a_text_without_it_changes(fence, step, whole):
    text, results = step(fence.name)
    assert text != whole[0], f"no text has {fence.name}: give the net what it is for"
    if fence.changes == "digest":
        assert results() == whole[1], f"XLA is another: say so in the row of {fence.name}"
    # in which order XLA adds is a matter of the processor's vectors: bits that change on one may not on another
