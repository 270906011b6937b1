"""A drawn mask goes through a root where it is broadcast, and XLA then draws it once, outside of the loops it is in."""

import re

import numpy as np
import pytest

from netc.codegen.builder import Builder
from netc.codegen.evaluator import run
from netc.codegen.ir import Module
from netc.codegen.program import build
from netc.codegen.random import kept
from netc.codegen.rewrite.lower import lower
from netc.codegen.rewrite.xla.held_masks import hold_masks
from netc.codegen.text import text_of
from netc.codegen.verify import verify
from netc.netspec import layers as nn
from netc.netspec.check import check
from netc.netspec.recipe import Recipe
from netc.netspec.spec import NetSpec
from netc.netspec.types import TensorType
from netc.runtime.backends import load
from netc.runtime.backends.protocol import Source
from netc.runtime.target import parse_target

BATCH, ROWS, WIDTH = 4, 6, 8
BODY = nn.Chain((nn.LayerNorm(name="norm"), nn.Dense(WIDTH, name="dense"), nn.DropPath(0.5, name="drop")))
NET = NetSpec(
    "dropped", (ROWS, WIDTH), (nn.Residual(BODY, name="block"), nn.Flatten(name="flat"), nn.Dense(3, name="head"))
)


def masked(axes):
    """x, or 0 where a mask over its first axes says so."""
    b = Builder("f")
    x = b.parameter("x", TensorType((BATCH, ROWS)))
    key = b.parameter("key", TensorType((2,), "ui32"))
    mask = b.broadcast(kept(b, key, 3, x.shape[:axes], 0.5), x, tuple(range(axes)))
    return Module("m", (b.finish([("y", b.select(mask, x, 0.0))]),))


@pytest.mark.parametrize(("axes", "roots"), [(1, 1), (2, 0)], ids=["of each example", "of each element"])
def test_a_mask_that_falls_on_many_elements_goes_through_a_root_and_is_the_same(axes, roots):
    module = masked(axes)
    held = verify(hold_masks(module))
    assert [op.kind for op in held.function("f").ops].count("sqrt") == roots
    x, key = np.arange(1, BATCH * ROWS + 1, dtype=np.float32).reshape(BATCH, ROWS), np.array([7, 9], np.uint32)
    (want,), (got,) = (run(m, "f", [x, key]) for m in (module, held))
    assert (want == 0).any() and (want != 0).any()
    assert np.array_equal(got, want)


def test_a_comparison_of_numbers_that_are_not_drawn_is_left_alone():
    b = Builder("f")
    x, key = b.parameter("x", TensorType((BATCH, ROWS))), b.parameter("bound", TensorType((BATCH,)))
    mask = b.broadcast(b.compare("GT", key, 0.5), x, (0,))
    module = Module("m", (b.finish([("y", b.select(mask, x, 0.0))]),))
    assert hold_masks(module).functions == module.functions


@pytest.fixture(scope="module")
def step():
    """`step(name)`: XLA's own text of the net's step without that pass, and the step's results, as bytes."""
    pytest.importorskip("jaxlib")
    program, target = build(check(NET), Recipe(), BATCH), parse_target("xla")
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((BATCH, ROWS, WIDTH)).astype(np.float32), rng.integers(0, 3, BATCH).astype(np.int32)

    def without(name):
        module = lower(program.module, "xla", without=[name])
        loaded = load(Source(module, text_of(module, "xla")), target)
        state = loaded.call("init", [loaded.put(np.array([0, 1], np.uint32))])
        results = loaded.call("train_step", [*state, *map(loaded.put, (x, y, np.float32(0.1)))])
        return loaded.compiled_text("train_step"), [loaded.get(v).tobytes() for v in results]

    return without


def drawn_in_wide_loops(text):
    """The fused computations of an HLO text that draw and make a tensor with more elements than the batch."""
    parts = re.split(r"\n(?=%\S+ \()", text)
    roots = {part: re.search(r"ROOT \S+ = \w+\[([\d,]*)\]", part) for part in parts if " xor(" in part}
    sizes = [np.prod([int(n) for n in found[1].split(",") if n]) for found in roots.values() if found]
    return [size for size in sizes if size > BATCH]


def test_xla_draws_a_mask_outside_of_the_loops_that_it_is_in(step):
    (plain, want), (held, got) = step("hold_masks"), step("")
    assert drawn_in_wide_loops(plain), "XLA draws it outside by itself: the pass may go"
    assert not drawn_in_wide_loops(held)
    assert got == want
