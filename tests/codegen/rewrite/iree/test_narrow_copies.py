"""The bf16 copy of what a convolution's dispatch also stores as float32 stands behind a barrier, for GPU targets."""

import numpy as np
import pytest

from netc.codegen.builder import Builder
from netc.codegen.evaluator import run
from netc.codegen.ir import Module
from netc.codegen.program import build
from netc.codegen.rewrite.iree.narrow_copies import part_narrow_copies
from netc.codegen.rewrite.lower import lower
from netc.codegen.verify import verify
from netc.netspec.check import check
from netc.netspec.layers import Conv2d, Dense, Flatten
from netc.netspec.recipe import Recipe
from netc.netspec.spec import NetSpec
from netc.netspec.types import TensorType

IMAGE = TensorType((2, 4, 4, 8))
WINDOW = {"stride": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 1}


def convolution(b, x, name, dtype="bf16"):
    return b.op("conv", x, b.parameter(name, TensorType((3, 3, 8, 8), dtype)), **WINDOW)


def twice(b, y):
    a = b.maximum(y, 0.0)
    return [("a", a), ("copy", b.convert(a, "bf16"))]


def alone(b, y):
    return [("copy", b.convert(b.maximum(y, 0.0), "bf16"))]


def beside_a_sum(b, y):
    a = b.maximum(b.add(y, b.parameter("skip", IMAGE)), 0.0)
    return [("sum", b.sum(a, (0, 1, 2))), ("copy", b.convert(a, "bf16"))]


def after_its_own_sum(b, y):
    a = b.sub(y, b.broadcast(b.sum(y, (0, 1, 2)), y, (3,)))
    return [("a", a), ("copy", b.convert(a, "bf16"))]


def of_two_convolutions(b, y):
    """The second reads the first's copy, and adds the first to its result."""
    z = b.add(convolution(b, b.convert(y, "bf16"), "v"), y)
    return [("z", z), ("copy", b.convert(z, "bf16"))]


def beside_a_later_convolution(b, y):
    """The first's result waits for what the second makes of it, and is in no dispatch of the first."""
    mean = b.sum(convolution(b, b.convert(y, "bf16"), "v"), (0, 1, 2))
    a = b.add(y, b.broadcast(mean, y, (3,)))
    return [("a", a), ("copy", b.convert(a, "bf16"))]


@pytest.mark.parametrize(
    ("rest", "dtype", "makers"),
    [
        (twice, "bf16", ["barrier"]),
        (beside_a_sum, "bf16", ["barrier"]),
        (of_two_convolutions, "bf16", ["barrier", "barrier"]),
        (beside_a_later_convolution, "bf16", ["barrier", "add"]),
        (alone, "bf16", ["max"]),
        (after_its_own_sum, "bf16", ["sub"]),
        (twice, "f32", ["max"]),
    ],
)
def test_which_copies_are_parted(rest, dtype, makers):
    b = Builder("f")
    y = convolution(b, b.parameter("x", TensorType(IMAGE.shape, dtype)), "w", dtype)
    made = Module("m", (b.finish(rest(b, y)),))
    parted = verify(part_narrow_copies(made))
    ops = parted.function("f").ops
    made_by = {op.result: op.kind for op in ops}
    copies = [op for op in ops if op.kind == "convert" and op.result.type.dtype == "bf16"]
    assert [made_by[op.operands[0]] for op in copies] == makers
    args = [np.random.default_rng(0).integers(-3, 4, p.shape).astype(float) for p in made.function("f").params]
    for a, w in zip(run(parted, "f", args), run(made, "f", args), strict=True):
        np.testing.assert_array_equal(a, w)


def test_lowering_parts_them_for_gpus_alone():
    """relu's result goes to the next convolution as bf16, and to its own pullback as float32."""
    spec = NetSpec("n", (4, 4, 8), (Conv2d(8, activation="relu"), Conv2d(8, activation="relu"), Flatten(), Dense(3)))
    module = build(check(spec), Recipe(precision="bf16", norms=False), 2).module
    barriers = {}
    for family in ("gpu", "cpu"):
        kinds = [op.kind for op in lower(module, family).function("train_step").ops]
        barriers[family] = kinds.count("barrier")
    assert barriers["gpu"] > barriers["cpu"]
