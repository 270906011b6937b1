"""Rows are added to the gradient that is there, and not to zeros that are then added to it."""

import numpy as np
import pytest

from netc.codegen.rewrite.iree import added_rows
from netc.codegen.verify import verify
from netc.netspec.types import TensorType
from tests.codegen.witness import by_evaluator, module_of

TABLE, IDS, ROWS = TensorType((8, 3)), TensorType((5,), "i32"), TensorType((5, 3))


def summed(*, first, zeros=True, again=False):
    """g + rows at ids, in either order; into zeros or into g itself; read again or not."""

    def make(b, g, ids, rows):
        added = b.op("add_rows", b.constant(0.0, TABLE) if zeros else g, ids, rows)
        total = b.add(added, g) if first else b.add(g, added)
        return b.mul(total, added) if again else total

    return module_of(make, TABLE, IDS, ROWS)


@pytest.mark.parametrize("first", [True, False])
def test_rows_go_into_the_gradient(first, monkeypatch):
    monkeypatch.setattr(added_rows, "LARGE", 1)
    before = summed(first=first)
    after = verify(added_rows.add_rows_in_place(before))
    last = after.function("f").ops[-1]
    assert last.kind == "add_rows" and "add" not in {op.kind for op in after.function("f").ops}
    rng = np.random.default_rng(0)
    args = [rng.integers(-8, 8, t.shape).astype(float) for t in (TABLE, ROWS)]  # exact in any order
    args.insert(1, np.array([0, 7, 0, 3, 9], np.int32))  # twice the same row, and one outside
    np.testing.assert_array_equal(by_evaluator(before, args)[0], by_evaluator(after, args)[0])


def test_other_sums_stay(monkeypatch):
    small = summed(first=True)
    assert added_rows.add_rows_in_place(small).function("f").ops == small.function("f").ops
    monkeypatch.setattr(added_rows, "LARGE", 1)
    for other in (summed(first=True, zeros=False), summed(first=True, again=True)):
        assert added_rows.add_rows_in_place(other).function("f").ops == other.function("f").ops
