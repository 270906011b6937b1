"""Regions as the programs that they are: what combines two values in a reduction, a scatter, a comparison.

A body is one operation of its two arguments only if it is exactly that: nothing captured, each argument once, the
result returned. A body of choices alone is proven associative and commutative by trying all orders of its operands:
what it computes hangs on nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from netc.codegen.evaluator import INTEGER_DTYPES, FloatArithmetic
from netc.codegen.ir import Function, Op, Value
from netc.codegen.ops import OPS
from netc.proofs_oracle.certificate.dual import CertifyError
from netc.proofs_oracle.certificate.foreign import FOREIGN
from netc.proofs_oracle.certificate.residues import Array

COMBINES = ("add", "mul", "max", "min", "and", "or", "xor")
"""Operations that are associative and commutative, as a body of one operation names them."""
CHOICES = ("compare", "select", "and", "or", "xor", "not", "max", "min")
ORDERS = 1 << 18  # the largest number of cases of a proof by trying


def needed(body: Function) -> list[Op]:
    """The operations that the results hang on, in order."""
    alive, kept = set(body.results), []
    for op in reversed(body.ops):
        if op.result in alive:
            kept.append(op)
            alive.update(op.operands)
    return kept[::-1]


def combining(body: Function) -> str | None:
    """The one operation that the body is, with its two arguments in either order; None if it is not exactly that."""
    ops = needed(body)
    if len(body.results) != 1 or len(body.params) != 2 or len(ops) != 1 or body.results[0] is not ops[0].result:
        return None
    op = ops[0]
    return op.kind if op.kind in COMBINES and _each_once(op, body) else None


def parts(body: Function) -> list[Function]:
    """For each result, the body of that result and of the two arguments at its place."""
    count = len(body.params) // 2
    return [
        replace(body, params=(body.params[i], body.params[count + i]), results=(v,))
        for i, v in enumerate(body.results[:count])
    ]


def replacing(body: Function) -> bool:
    """Whether the body gives its second argument: a scatter's update."""
    return len(body.results) == 1 and len(body.params) == 2 and body.results[0] is body.params[1]


def comparing(body: Function) -> str | None:
    """The direction of the comparison `first ? second` that the body is; None if it is not exactly one."""
    ops = needed(body)
    if len(body.results) != 1 or len(ops) != 1 or body.results[0] is not ops[0].result or ops[0].kind != "compare":
        return None
    if not _each_once(ops[0], body):
        return None
    direction = str(ops[0].attr("direction"))
    turned = {"GE": "LE", "GT": "LT", "LE": "GE", "LT": "GT"}
    if ops[0].operands[0] is body.params[0]:
        return direction
    return turned.get(direction, direction)


def _each_once(op: Op, body: Function) -> bool:
    return len(op.operands) == 2 and set(op.operands) == set(body.params)


def apply(body: Function, A: Any, operands: Sequence[Any]) -> list[Any]:
    """The body's results on tensors of one shape, or on scalars beside them; every operation is of single elements."""
    env: dict[Value, Any] = dict(zip(body.params, operands, strict=True))
    for op in needed(body):
        meaning = FOREIGN[op.kind] if op.kind in FOREIGN else OPS[op.kind].meaning
        env[op.result] = meaning(A, op, *(env[v] for v in op.operands))
    return [env[v] for v in body.results]


def order_free(body: Function) -> bool:
    """Whether a body of choices alone is associative, commutative and idempotent; False where that is not proven.

    It compares its operands and returns some of them, so what it does hangs on their order alone. Three elements with
    n operands of one sort have at most 3 n different numbers: all are tried. NaN is left out; `fold` refuses it.
    """
    count = len(body.params) // 2
    sorts = [v.type.dtype in INTEGER_DTYPES for v in body.params[:count]]
    if (
        len(body.params) != 2 * count
        or len(body.results) != count
        or any(op.kind not in CHOICES for op in needed(body))
    ):
        return False
    if any(v.type.dtype == "i1" for v in body.params):
        return False
    ranges = [range(3 * sorts.count(sort)) for sort in sorts]
    cases = np.prod([float(len(r)) for r in ranges]) ** 3
    if cases > ORDERS:
        return False
    A = FloatArithmetic("f64")
    types = [A.dtype(v.type.dtype) for v in body.params[:count]]
    table = np.array(list(product(*ranges, *ranges, *ranges))).T

    def element(i: int) -> list[Array]:
        return [table[i * count + j].astype(types[j]) for j in range(count)]

    def together(x: Sequence[Array], y: Sequence[Array]) -> list[Array]:
        return apply(body, A, [*x, *y])

    a, b, c = (element(i) for i in range(3))
    return (
        _same(together(a, b), together(b, a))
        and _same(together(together(a, b), c), together(a, together(b, c)))
        and _same(together(a, a), a)
    )


def _same(x: Sequence[Array], y: Sequence[Array]) -> bool:
    return all(np.array_equal(np.broadcast_to(v, w.shape), w) for v, w in zip(x, y, strict=True))


def read_as(body: Function) -> str:
    """How a message shows a body."""
    ops = ", ".join(op.kind for op in needed(body)) or "nothing"
    return f"a body of {ops}"


NEUTRAL: Mapping[str, float] = {"add": 0, "mul": 1, "max": -np.inf, "min": np.inf, "and": 1, "or": 0, "xor": 0}


def neutral(kind: str, dtype: str) -> float | int | bool:
    """What leaves every element of that type as it is. Raises CertifyError."""
    if dtype == "i1":
        return bool({"max": 0, "min": 1, "add": 0, "mul": 1}.get(kind, NEUTRAL[kind]))
    if dtype not in INTEGER_DTYPES:
        return NEUTRAL[kind]
    info = np.iinfo(INTEGER_DTYPES[dtype])
    whole = {"max": int(info.min), "min": int(info.max), "and": -1 if info.min else int(info.max)}
    return whole[kind] if kind in whole else int(NEUTRAL[kind])


def wanted(kind: str | None, body: Function, name: str) -> str:
    """The kind. Raises CertifyError if the body is none of those that have a rule."""
    if kind is None:
        raise CertifyError(f"{name} wants a body of one operation on its two arguments, got {read_as(body)}; no rule")
    return kind
