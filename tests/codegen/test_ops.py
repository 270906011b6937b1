"""The op table: each row's type rule, its spelling in StableHLO, and its meaning against XLA's."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from netc.codegen.builder import Builder
from netc.codegen.evaluator import run
from netc.codegen.ir import IrError
from netc.codegen.ops import OPS
from netc.codegen.render import render
from netc.netspec.types import TensorType
from tests.codegen.witness import DTYPES, by_xla, one_op, parsed

NAN, INF = math.nan, math.inf
# Additions, products and comparisons are exact to the bit. Divisions and roots: XLA may use a reciprocal, 1 ulp each.
# Transcendentals: XLA's polynomials are good to some ulps of 2^-24 = 6e-8; logistic and erf chain several of them.
EXACT, ROUNDED, POLYNOMIAL = 0.0, 2.4e-7, 2e-6


def t(*shape, dtype="f32"):
    return TensorType(shape, dtype)


@dataclass(frozen=True)
class Case:
    """One use of an op: operand types, attributes, and operands where random ones will not do."""

    kind: str
    types: tuple[TensorType, ...]
    attrs: dict[str, Any] = field(default_factory=dict)
    args: tuple[Any, ...] | None = None
    tolerance: float = EXACT

    def operands(self):
        if self.args is not None:
            return [np.array(a, DTYPES[x.dtype]).reshape(x.shape) for a, x in zip(self.args, self.types, strict=True)]
        rng = np.random.default_rng(7)
        made = {
            "f32": lambda s: rng.normal(size=s).astype(np.float32),
            "ui32": lambda s: rng.integers(0, 1 << 32, s, np.uint32),
        }
        return [made[x.dtype](x.shape) for x in self.types]


SMOOTH = ("exp", "sin", "cos", "tanh", "logistic", "erf")
KINKS = ((0.0, -0.0, 1.0, -1.0, INF, -INF, 1e-30, 3.0, 2.5), (-0.0, 0.0, 1.0, 1.0, INF, INF, -1e-30, -INF, 2.5))
WILD = (0.0, -0.0, 1.0, -1.0, 0.5, 20.0, -20.0, 1e-20, INF, -INF, NAN, 87.0)
POSITIVE = (0.0, 1e-30, 1e-3, 0.5, 1.0, 2.0, 1e10, 3e38, INF, 7.0, -1.0, NAN)
ABOVE_MINUS_1 = (0.0, -0.0, 1e-30, 1e-7, -1e-4, -0.5, 1.0, 7.0, 3e38, INF, -1.0, NAN)
WORDS = (0, 1, 31, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xDEADBEEF, 12345)
SIGNED = (0, 1, -1, 2**31 - 1, -(2**31), 12345, -54321, 7)
F9, F12, U8, I8 = t(9), t(12), t(8, dtype="ui32"), t(8, dtype="i32")
BITS = t(4, dtype="i1")
SHIFTS = (0, 1, 31, 32, 33, 8, 16, 5)
IDS = (2, 0, 2, -1, 3, 2, 2**31 - 1)  # with rows more than once and outside a table of 3
CONV = {"padding": ((1, 2), (0, 1)), "dilation": (1, 2)}
ODD = {"padding": ((-1, 2), (1, 0)), "dilation": (1, 1), "stride": (1, 1)}
SEEN = {"padding": ((0, 0), (0, 1)), "dilation": (1, 1), "stride": (3, 2), "kernel": (2, 3)}  # not every row is seen
POOLS = {"kernel": (3, 2), "stride": (2, 2), "padding": ((1, 1), (0, 0))}
LOWER = {"left_side": True, "lower": True, "unit_diagonal": False, "transpose_a": False}
UPPER = {"left_side": False, "lower": False, "unit_diagonal": True, "transpose_a": True}
TIES = np.random.default_rng(3).integers(0, 3, 180)  # many windows have more than one maximum

CASES = [
    *(Case(kind, (F9, F9), args=KINKS) for kind in ("add", "sub", "mul", "max", "min")),
    *(Case(kind, (t(3), t(3)), args=((NAN, 1.0, NAN), (1.0, NAN, NAN))) for kind in ("add", "max", "min")),
    *(Case(kind, (t(3, 5), t(3, 5))) for kind in ("add", "sub", "mul", "max", "min")),
    *(Case(kind, (U8, U8), args=(WORDS, WORDS[::-1])) for kind in ("add", "sub", "mul", "max", "min")),
    *(Case(kind, (I8, I8), args=(SIGNED, SIGNED[::-1])) for kind in ("add", "sub", "mul", "max", "min")),
    *(Case(kind, (BITS, BITS), args=((0, 0, 1, 1), (0, 1, 0, 1))) for kind in ("and", "or", "xor", "max", "min")),
    *(Case(kind, (U8, U8), args=(WORDS, WORDS[::-1])) for kind in ("and", "or", "xor")),
    *(Case(kind, (U8, U8), args=(WORDS, SHIFTS)) for kind in ("shl", "shr")),
    *(Case(kind, (I8, I8), args=(SIGNED, SHIFTS)) for kind in ("shl", "shr")),
    *(Case("not", (x,), args=(a,)) for x, a in ((U8, WORDS), (I8, SIGNED), (BITS, (0, 1, 0, 1)))),
    Case("div", (t(3, 5), t(3, 5)), tolerance=ROUNDED),
    Case("div", (F9, F9), args=KINKS, tolerance=ROUNDED),
    Case("neg", (F12,), args=(WILD,)),
    Case("neg", (I8,), args=(SIGNED,)),
    *(Case(kind, (F12,), args=(WILD,), tolerance=POLYNOMIAL) for kind in SMOOTH),
    *(Case(kind, (t(2, 50),), tolerance=POLYNOMIAL) for kind in SMOOTH),
    Case("log", (F12,), args=(POSITIVE,), tolerance=POLYNOMIAL),
    Case("log1p", (F12,), args=(ABOVE_MINUS_1,), tolerance=POLYNOMIAL),
    Case("sqrt", (F12,), args=(POSITIVE,), tolerance=ROUNDED),
    Case("rsqrt", (F12,), args=(POSITIVE,), tolerance=ROUNDED),
    *(Case("compare", (F9, F9), {"direction": d}, KINKS) for d in ("EQ", "NE", "GE", "GT", "LE", "LT")),
    *(Case("compare", (U8, U8), {"direction": d}, (WORDS, WORDS[::-1])) for d in ("GE", "LT")),
    *(Case("compare", (I8, I8), {"direction": d}, (SIGNED, SIGNED[::-1])) for d in ("GE", "LT")),
    *(Case("compare", (BITS, BITS), {"direction": d}, ((0, 0, 1, 1), (0, 1, 0, 1))) for d in ("EQ", "LT")),
    Case("compare", (t(2), t(2)), {"direction": "NE"}, ((NAN, 1.0), (NAN, NAN))),
    Case("select", (BITS, t(4), t(4)), args=((1, 0, 1, 0), (NAN, 1, -0.0, INF), (1, NAN, 0, -INF))),
    Case("convert", (I8,), {"dtype": "f32"}, (SIGNED,)),
    Case("convert", (U8,), {"dtype": "i32"}, (WORDS,)),
    Case("convert", (BITS,), {"dtype": "f32"}, ((0, 1, 1, 0),)),
    Case("convert", (t(6),), {"dtype": "i32"}, ((0.5, -0.5, 1.5, -1.5, 2.5, 1e6),)),
    Case("convert", (t(4),), {"dtype": "i1"}, ((0.0, -0.0, 0.5, NAN),)),
    Case("barrier", (t(2, 3),)),
    *(Case("constant", (), {"value": v, "shape": (2, 3), "dtype": "f32"}) for v in (0.1, -0.0, INF, -INF, NAN, 1e-40)),
    Case("constant", (), {"value": tuple(i / 3 for i in range(12)), "shape": (2, 3, 2), "dtype": "f32"}),
    Case("constant", (), {"value": -(2**31), "shape": (2,), "dtype": "i32"}),
    Case("constant", (), {"value": 2**32 - 1, "shape": (), "dtype": "ui32"}),
    Case("constant", (), {"value": True, "shape": (2,), "dtype": "i1"}),
    *(Case("iota", (), {"dim": d, "shape": (2, 3, 4), "dtype": k}) for d, k in ((0, "i32"), (1, "ui32"), (2, "f32"))),
    Case("reshape", (t(2, 6),), {"shape": (3, 1, 4)}),
    Case("transpose", (t(2, 3, 4),), {"perm": (2, 0, 1)}),
    Case("broadcast", (t(3),), {"shape": (2, 3, 4), "dims": (1,)}),
    Case("broadcast", (t(1, 4),), {"shape": (2, 3, 4), "dims": (0, 2)}),
    Case("broadcast", (t(),), {"shape": (2, 3), "dims": ()}),
    Case("slice", (t(7, 5),), {"start": (1, 0), "limit": (7, 4), "stride": (2, 3)}),
    Case("slice", (t(7,),), {"start": (2,), "limit": (2,), "stride": (1,)}),
    Case("pad", (t(2, 3), t()), {"low": (1, -1), "high": (0, 2), "interior": (2, 0)}),
    Case("pad", (t(4,), t()), {"low": (-3,), "high": (3,), "interior": (1,)}),
    Case("pad", (t(3,), t()), {"low": (-2,), "high": (-1,), "interior": (1,)}),
    Case("pad", (t(2,), t()), {"low": (-3,), "high": (2,), "interior": (0,)}),
    Case("concatenate", (t(2, 3), t(2, 1), t(2, 2)), {"dim": 1}),
    Case("concatenate", (t(2, 3),), {"dim": 0}),
    Case("reverse", (t(3, 2, 4),), {"dims": (0, 2)}),
    # sums of small integers are exact in any order
    Case("reduce_sum", (t(4, 3, 2), t()), {"dims": (0, 2)}, (range(24), 0.0)),
    Case("reduce_sum", (t(4, 3, dtype="i32"), t(dtype="i32")), {"dims": (1,)}, (range(12), 0)),
    Case("reduce_sum", (t(4,), t()), {"dims": (0,)}, ((1.0, INF, 1.0, 2.0), 0.0)),
    Case("reduce_max", (t(4, 3, 2), t()), {"dims": (1,)}, (np.random.default_rng(1).normal(size=24), -INF)),
    Case("reduce_max", (t(3,), t()), {"dims": (0,)}, ((-INF, NAN, 1.0), -INF)),
    Case("reduce_min", (t(4, 3), t()), {"dims": (0,)}, (np.random.default_rng(1).normal(size=12), INF)),
    Case("reduce_min", (t(4, 2, dtype="i32"), t(dtype="i32")), {"dims": (1,)}, (SIGNED, 2**31 - 1)),
    Case("reduce_min", (U8, t(dtype="ui32")), {"dims": (0,)}, (WORDS, 2**32 - 1)),
    Case("dot", (t(3, 4), t(4, 2)), {"contract": ((1,), (0,)), "batch": ((), ())}, (range(12), range(8))),
    Case("dot", (t(5, 3, 4), t(4, 5, 2)), {"contract": ((2,), (0,)), "batch": ((0,), (1,))}, (range(60), range(40))),
    Case("dot", (t(3, 4, 2), t(4, 3)), {"contract": ((1, 0), (0, 1)), "batch": ((), ())}, (range(24), range(12))),
    Case("triangular_solve", (t(2, 2), t(2, 3)), LOWER, ((2, NAN, 4, 8), range(6))),  # the other triangle is not read
    Case("triangular_solve", (t(2, 2, 2), t(2, 1, 2)), UPPER, ((NAN, 3, NAN, NAN, NAN, 5, NAN, NAN), range(4))),
    Case("conv", (t(2, 5, 6, 3), t(2, 3, 3, 4)), {**CONV, "stride": (2, 1), "groups": 1}, (range(180), range(72))),
    Case("conv", (t(1, 5, 6, 4), t(2, 3, 2, 6)), {**CONV, "stride": (1, 2), "groups": 2}, (range(120), range(72))),
    Case("conv", (t(1, 5, 6, 3), t(2, 3, 4, 3)), {**CONV, "stride": (1, 1), "groups": 1, "swap": True},
         (range(90), range(72))),
    Case("conv", (t(1, 3, 4, 2), t(2, 3, 5, 2)), {**ODD, "groups": 1, "swap": True, "spread": (2, 3)},
         (range(24), range(60))),
    Case("conv", (t(1, 3, 4, 4), t(2, 2, 2, 6)), {**ODD, "groups": 2, "spread": (2, 1)}, (range(48), range(48))),
    Case("conv_kernel_grad", (t(2, 5, 6, 3), t(2, 4, 3, 4)), {**CONV, "kernel": (2, 3), "stride": (2, 1), "groups": 1},
         (range(180), range(96))),
    Case("conv_kernel_grad", (t(1, 6, 6, 4), t(1, 2, 3, 6)), {**SEEN, "groups": 2}, (range(144), range(36))),
    Case("conv_kernel_grad", (t(2, 6, 6, 3), t(2, 2, 3, 3)), {**SEEN, "groups": 3}, (range(216), range(36))),
    Case("window_max", (t(2, 5, 6, 3), t()), POOLS, (TIES, -INF)),
    Case("window_sum", (t(2, 5, 6, 3), t()), POOLS, (TIES, 0.0)),
    Case("scatter_to_max", (t(2, 5, 6, 3), t(2, 3, 3, 3), t()), POOLS, (TIES, range(54), 0.0)),
    *(
        Case("update", (t(2, 4, 3), t(2, 1, 3), *(t(dtype="i32"),) * 3), {}, (range(24), range(24, 30), 0, at, 0))
        for at in (0, 2, -1, 9)
    ),
    Case("update", (t(5), t(5), t(dtype="i32")), {}, (range(5), range(5, 10), 3)),
    Case("take", (t(3, 2), t(7, dtype="i32")), {}, (range(6), IDS)),
    Case("take", (t(4, 3), t(2, 3, dtype="i32")), {}, (range(12), (0, 3, 1, -5, 9, 2))),
    Case("add_rows", (t(3, 2), t(7, dtype="i32"), t(7, 2)), {}, (range(6), IDS, range(14))),
    Case("add_rows", (t(4, 1), t(2, 3, dtype="i32"), t(2, 3, 1)), {}, (range(4), (3, 3, 1, -5, 9, 3), range(6))),
]  # fmt: skip

NO_SPELLING = {
    "conv_input_grad", "max_pool", "max_pool_grad", "sum_pool", "sum_pool_grad",
    "take_grad", "linear_scan", "loop", "joint_barrier", "call",
}  # fmt: skip


TOGETHER = {"all_reduce", "replica_id"}  # of several devices: tests/codegen/distribute, tests/runtime/test_replicas.py


def test_every_row_has_a_case():
    assert {c.kind for c in CASES} | NO_SPELLING | TOGETHER == set(OPS)
    assert {k for k, row in OPS.items() if row.spelling is None} == NO_SPELLING
    assert all(row.kind == kind for kind, row in OPS.items())


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.kind}-{'-'.join(map(str, c.types))}")
def test_the_meaning_is_xlas(case):
    module, args = one_op(case.kind, case.types, **case.attrs), case.operands()
    parsed(render(module))
    (ours,), (theirs,) = run(module, "f", args, "f32"), by_xla(module, "f", args)
    assert ours.shape == theirs.shape == module.functions[0].results[0].shape
    assert ours.dtype == theirs.dtype
    if case.tolerance == EXACT:
        np.testing.assert_array_equal(ours, theirs)
    else:
        np.testing.assert_allclose(ours, theirs, rtol=case.tolerance, atol=1e-38)  # atol: XLA flushes denormals


SAME, RANK2, PAD = (t(2, 3), t(3, 2)), t(2, 3), {"low": (0, 0), "high": (0, 0), "interior": (0, 0)}
WINDOW = {"stride": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1), "groups": 1}
POOL = {"kernel": (2, 2), "stride": (2, 2), "padding": ((0, 0), (0, 0))}
IMAGE, KERNEL = t(1, 4, 4, 2), t(3, 3, 2, 5)
LOOP = {"callee": "g", "trips": 3, "carried": 0, "outputs": 0, "stacked": 1, "reverse": False, "apart": True}
WRONG = [
    ("loop", (t(dtype="i32"), t(2, 3)), LOOP, "wants stacked tensors of 3 rows, got f32[2, 3]"),
    *(
        (kind, SAME, {}, "wants operands of one type f32[2, 3], got f32[2, 3], f32[3, 2]")
        for kind in ("add", "sub", "mul", "max", "min", "div")
    ),
    *((kind, (I8, U8), {}, "wants operands of one type") for kind in ("add", "and", "or", "xor", "shl", "shr")),
    *((kind, (I8,), {}, "wants a float operand") for kind in (*SMOOTH, "log", "log1p", "sqrt", "rsqrt")),
    *((kind, (F9, F9), {}, "wants an integer operand") for kind in ("and", "or", "xor", "shl", "shr")),
    ("div", (I8, I8), {}, "wants a float operand"),
    ("not", (F9,), {}, "wants an integer operand"),
    ("sub", (BITS, BITS), {}, "wants"),  # StableHLO has no difference of truth values
    ("neg", (BITS,), {}, "wants"),
    ("compare", (F9, F9), {"direction": "eq"}, "wants a direction, got eq"),
    ("compare", SAME, {"direction": "EQ"}, "wants operands of one type"),
    ("select", (t(4), t(4), t(4)), {}, "wants a condition i1[4], got f32[4]"),
    ("select", (BITS, t(4), U8), {}, "wants operands of one type"),
    ("constant", (), {"value": (1.0, 2.0), "shape": (3,), "dtype": "f32"}, "wants 3 elements, got 2"),
    ("iota", (), {"dim": 2, "shape": (3, 4), "dtype": "i32"}, "wants an axis below 2, got 2"),
    ("reshape", (RANK2,), {"shape": (5,)}, "wants 6 elements, got (5,)"),
    ("reshape", (RANK2,), {"shape": (-2, -3)}, "wants"),
    ("transpose", (RANK2,), {"perm": (0, 0)}, "wants a permutation of 2 axes, got (0, 0)"),
    ("broadcast", (RANK2,), {"shape": (4, 3), "dims": (0, 1)}, "wants axis 0 of size 1 or that of (4, 3)"),
    ("broadcast", (RANK2,), {"shape": (2, 3), "dims": (1, 0)}, "wants 2 increasing axes, got (1, 0)"),
    ("broadcast", (t(3),), {"shape": (2, 3), "dims": (-1,)}, "wants"),
    ("slice", (RANK2,), {"start": (0, 0), "limit": (2, 4), "stride": (1, 1)}, "wants bounds inside"),
    ("slice", (RANK2,), {"start": (0,), "limit": (2,), "stride": (1,)}, "wants bounds for 2 axes"),
    ("slice", (RANK2,), {"start": (0, 0), "limit": (2, 2), "stride": (0, 1)}, "wants bounds inside"),
    ("pad", (RANK2, t(1)), PAD, "wants a scalar f32 to pad with, got f32[1]"),
    ("pad", (RANK2, t()), {**PAD, "low": (-3, 0)}, "wants sizes of at least 0"),
    ("pad", (RANK2, t()), {**PAD, "interior": (-1, 0)}, "wants sizes of at least 0"),
    ("concatenate", (), {"dim": 0}, "wants at least one operand"),
    ("concatenate", SAME, {"dim": 0}, "wants operands that agree on all axes but 0"),
    ("concatenate", (RANK2, RANK2), {"dim": 2}, "wants"),
    ("reverse", (RANK2,), {"dims": (2,)}, "wants axes below 2, got (2,)"),
    ("reverse", (RANK2,), {"dims": (-1,)}, "wants"),
    ("reduce_sum", (RANK2, t(dtype="i32")), {"dims": (0,)}, "wants a scalar of the element type to start from"),
    ("reduce_max", (RANK2, t()), {"dims": (1, 0)}, "wants increasing axes of the operand, got (1, 0)"),
    ("reduce_min", (RANK2, t()), {"dims": (-1,)}, "wants increasing axes of the operand, got (-1,)"),
    ("dot", SAME, {"contract": ((0,), (0,)), "batch": ((), ())}, "wants axes of equal sizes to join"),
    ("dot", (t(2, dtype="i32"), t(2)), {"contract": ((0,), (0,)), "batch": ((), ())}, "operands of one element type"),
    ("dot", SAME, {"contract": ((2,), (0,)), "batch": ((), ())}, "wants"),
    ("conv", (IMAGE, t(3, 3, 3, 5)), WINDOW, "wants 3 channels"),
    ("conv", (IMAGE, t(3, 3, 1, 5)), {**WINDOW, "groups": 2}, "wants a multiple of 2 features"),
    ("conv", (t(4, 4, 2), KERNEL), WINDOW, "wants an image and a kernel of 4 axes"),
    ("conv", (IMAGE, t(6, 6, 2, 5)), WINDOW, "wants"),  # the window does not fit
    ("conv", (IMAGE, t(3, 3, 2, 5, dtype="i32")), WINDOW, "wants"),
    ("conv_input_grad", (t(1, 3, 2, 5), KERNEL), {**WINDOW, "size": (4, 4)}, "wants dy of y's shape"),
    ("conv_kernel_grad", (IMAGE, t(1, 3, 2, 5)), {**WINDOW, "kernel": (3, 3)}, "wants dy of y's shape"),
    ("max_pool", (t(4, 4, 2),), POOL, "wants an image of 4 axes"),
    ("max_pool", (t(1, 1, 1, 2),), POOL, "wants"),  # the window does not fit
    ("max_pool_grad", (IMAGE, t(1, 2, 2, 2), t(1, 2, 1, 2)), POOL, "wants y and dy of the pool's type"),
    ("sum_pool", (t(4, 4, 2),), POOL, "wants an image of 4 axes"),
    ("sum_pool_grad", (t(1, 2, 1, 2),), {**POOL, "size": (4, 4)}, "wants dy of the pool's type"),
    ("update", (RANK2, t(2, 2), t(), t()), {}, "wants a part of f32[2, 3], got f32[2, 2]"),
    ("update", (RANK2, t(1, 3), t(dtype="i32")), {}, "wants 2 starts i32[], got i32[]"),
    ("take", (t(3), I8), {}, "wants a table of floats [rows, D], got f32[3]"),
    ("take", (t(3, 2), t(8)), {}, "wants indices of i32, got f32[8]"),
    ("take_grad", (I8, t(7, 2)), {"rows": 3}, "wants dy of the type that take gives"),
    ("take_grad", (I8, t(8, 2)), {"rows": 0}, "wants at least one row"),
    ("add_rows", (t(3, 2), I8, t(8, 3)), {}, "wants rows of the type that take gives"),
    ("triangular_solve", (t(3, 3), t(2, 3)), LOWER, "wants 3 rows of b, got f32[2, 3]"),
    ("triangular_solve", (t(3, 3), t(3, 2)), UPPER, "wants 3 columns of b, got f32[3, 2]"),
    ("triangular_solve", (t(2, 3), t(3, 2)), LOWER, "wants a [.., n, n] and b [.., n, r] or [.., r, n]"),
    ("triangular_solve", (t(4, 3, 3), t(2, 3, 3)), LOWER, "wants a [.., n, n] and b [.., n, r] or [.., r, n]"),
    ("triangular_solve", (I8, I8), LOWER, "wants operands of f32 or f64"),
    ("linear_scan", (t(3, 2), t(2, 3)), {"axis": 0, "reverse": False}, "wants operands of one type"),
    ("linear_scan", (t(3, 2), t(3, 2)), {"axis": 2, "reverse": False}, "wants an axis of f32[3, 2] with elements"),
    ("linear_scan", (I8, I8), {"axis": 0, "reverse": True}, "wants float operands"),
    *(
        (kind, (IMAGE, t(dtype="i32")), POOL, "wants a scalar of the element type to start from, got i32[]")
        for kind in ("window_max", "window_sum")
    ),
    ("scatter_to_max", (IMAGE, t(1, 2, 1, 2), t()), POOL, "wants dy of the pool's type f32[1, 2, 2, 2]"),
    ("joint_barrier", (F9,), {}, "wants at least two operands, got 1"),
    ("all_reduce", (U8,), {"replicas": 2, "channel": 0}, "wants an operand of f32, f64, i32, got ui32[8]"),
    ("all_reduce", (F9,), {"replicas": 1, "channel": 0}, "wants two replicas or more"),
]


@pytest.mark.parametrize(
    ("kind", "types", "attrs", "sentence"), WRONG, ids=[f"{w[0]}-{'-'.join(map(str, w[1]))}-{w[3]}" for w in WRONG]
)
def test_a_wrong_operand_is_a_sentence(kind, types, attrs, sentence):
    b = Builder("f")
    with b.at("here", "vjp"), pytest.raises(IrError) as caught:
        b.op(kind, *(b.parameter(f"a{i}", x) for i, x in enumerate(types)), **attrs)
    assert str(caught.value).startswith(f"here (vjp): {kind} ")
    assert sentence in str(caught.value)


def test_every_row_refuses_something():
    anything = {"barrier", "convert", "call", "replica_id"}  # any tensor will do, or none
    assert {w[0] for w in WRONG} == set(OPS) - anything


def test_costs_are_counts():
    for case in CASES:
        (op,) = one_op(case.kind, case.types, **case.attrs).functions[0].ops
        assert OPS[case.kind].flops(op) >= 0, case


def test_costs_by_hand():
    def flops(kind, *types, **attrs):
        (op,) = one_op(kind, types, **attrs).functions[0].ops
        return OPS[kind].flops(op)

    assert flops("add", t(3, 5), t(3, 5)) == 15
    assert flops("dot", t(3, 4), t(4, 2), contract=((1,), (0,)), batch=((), ())) == 2 * 3 * 4 * 2
    assert flops("reduce_sum", t(3, 4), t(), dims=(0,)) == 12
    products = 2 * (2 * 2 * 5) * (3 * 3 * 2)  # outputs, taps and channels of each
    assert flops("conv", IMAGE, KERNEL, **WINDOW) == products
    assert flops("conv_input_grad", t(1, 2, 2, 5), KERNEL, size=(4, 4), **WINDOW) == products
    assert flops("conv_kernel_grad", IMAGE, t(1, 2, 2, 5), kernel=(3, 3), **WINDOW) == products
    assert flops("conv", IMAGE, t(3, 3, 1, 6), **{**WINDOW, "groups": 2}) == 2 * (2 * 2 * 6) * (3 * 3 * 1)
    assert flops("max_pool", IMAGE, **POOL) == 2 * 2 * 2 * 4
    assert flops("window_max", IMAGE, t(), **POOL) == 2 * 2 * 2 * 4
    assert flops("scatter_to_max", IMAGE, t(1, 2, 2, 2), t(), **POOL) == 2 * 2 * 2 * 4
    assert flops("sum_pool_grad", t(1, 2, 2, 2), size=(4, 4), **POOL) == 2 * 2 * 2 * 4
    assert flops("transpose", t(3, 4), perm=(1, 0)) == 0


def test_a_word_that_is_no_operation_is_a_sentence():
    b = Builder("f")
    x = b.parameter("x", TensorType((2,)))
    with pytest.raises(IrError, match=r"f: tan is no operation of the table; there are tanh"):
        b.unary("tan", x)
    with pytest.raises(IrError, match=r"f: abs is no operation of the table; there are add, .*, transpose"):
        b.unary("abs", x)
