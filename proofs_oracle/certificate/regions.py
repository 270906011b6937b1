"""The operations of a text that have regions: reductions, windows, scatters, sorts, loops, branches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxlib.mlir.dialects import stablehlo

from netc.codegen.evaluator import INTEGER_DTYPES
from netc.codegen.ir import Function, Value
from netc.netspec.types import TensorType
from netc.proofs_oracle.certificate import bodies
from netc.proofs_oracle.certificate.dual import CertifyError
from netc.proofs_oracle.certificate.foreign import Window, as_ints
from netc.proofs_oracle.certificate.indexing import Indexing
from netc.proofs_oracle.certificate.reader import Reader, Row, type_of

ROUNDS = 10_000  # of one loop


def ints(op: Any, name: str, rank: int = 0, default: int = 0) -> tuple[int, ...]:
    """The numbers of an attribute; `rank` times the default where the text leaves it out."""
    if name not in op.attributes:
        return (default,) * rank
    return as_ints(op.attributes[name])


def _type(op: Any, index: int = 0) -> TensorType:
    return type_of(op.results[index].type)


def _same_elements(r: Reader, body: Function, x: Value) -> None:
    """A body of wider integers than its operands would wrap elsewhere."""
    own = body.params[0].type.dtype
    if own != x.type.dtype and (own in INTEGER_DTYPES or x.type.dtype in INTEGER_DTYPES):
        raise CertifyError(f"{r.loc}: a body on {own} for elements of {x.type.dtype} has no rule")


def _combined(r: Reader, op: Any, x: Value, index: int = 0) -> str:
    """The operation by which a region combines two elements."""
    body = r.region(op, index)
    _same_elements(r, body, x)
    return bodies.wanted(bodies.combining(body), body, f"{r.loc}: {op.name}")


def _starting(r: Reader, kind: str, init: Value, result: Value) -> Value:
    """The result with its initial value: nothing to do for the neutral one; what is idempotent takes it once more."""
    value = r.single(init)
    neutral = bodies.neutral(kind, init.type.dtype)
    if value is not None and value == neutral:
        return result
    if kind in ("max", "min", "and", "or"):
        return r.add(
            kind, result, r.add("broadcast", init, shape=result.shape, dims=(), type=result.type), type=result.type
        )
    raise CertifyError(f"{r.loc}: a reduction by {kind} wants to start from {neutral}, got {value}; no rule")


REDUCTIONS = {"add": "reduce_sum", "max": "reduce_max", "min": "reduce_min"}


def _reduce(r: Reader, op: Any, args: list[Value]) -> list[Value]:
    dims = tuple(sorted(ints(op, "dimensions")))
    if len(args) > 2:
        return _reduce_several(r, op, args, dims)
    return [_reduced(r, args[0], args[1], _combined(r, op, args[0]), dims, _type(op))]


def _reduced(r: Reader, x: Value, init: Value, kind: str, dims: tuple[int, ...], t: TensorType) -> Value:
    if kind in REDUCTIONS:
        made = r.add(REDUCTIONS[kind], x, init, dims=dims, type=t)
    else:
        made = r.add("reduce", x, by=kind, dims=dims, type=t)
    return _starting(r, kind, init, made)


def _reduce_several(r: Reader, op: Any, args: list[Value], dims: tuple[int, ...]) -> list[Value]:
    """Several tensors at once, as an argmax: the body must not care about order, and that is proven."""
    body, count = r.region(op, 0), len(args) // 2
    alone = [bodies.combining(part) for part in bodies.parts(body)]
    if all(alone) and len(alone) == count:
        for x, own in zip(args[:count], bodies.parts(body), strict=True):
            _same_elements(r, own, x)
        return [
            _reduced(r, x, init, str(kind), dims, _type(op, i))
            for i, (x, init, kind) in enumerate(zip(args[:count], args[count:], alone, strict=True))
        ]
    if not bodies.order_free(body):
        raise CertifyError(
            f"{r.loc}: {op.name} of {count} tensors by {bodies.read_as(body)} has no rule: it is not proven that order "
            "does not matter"
        )
    return [r.add("fold", *args, body=body, dims=dims, which=i, type=_type(op, i)) for i in range(count)]


def _padding(op: Any, rank: int) -> Any:
    """[rank, 2]: low and high."""
    given = "padding" in op.attributes
    return np.array(op.attributes["padding"]).reshape(rank, 2) if given else np.zeros((rank, 2), int)


def _window(op: Any, rank: int) -> Window:
    padding = _padding(op, rank)
    return Window(
        ints(op, "window_dimensions", rank, 1), ints(op, "window_strides", rank, 1), as_ints(padding[:, 0]),
        as_ints(padding[:, 1]), ints(op, "window_dilations", rank, 1), ints(op, "base_dilations", rank, 1),
    )  # fmt: skip


def _reduce_window(r: Reader, op: Any, args: list[Value]) -> list[Value]:
    if len(args) != 2:
        raise CertifyError(f"{r.loc}: a window over {len(args) // 2} tensors has no rule")
    x, init = args
    kind = _combined(r, op, x)
    if kind not in ("add", "mul", "max", "min"):
        raise CertifyError(f"{r.loc}: a window by {kind} has no rule")
    made = r.add("reduce_window", x, init, window=_window(op, len(x.shape)), by=kind, type=_type(op))
    return [_starting(r, kind, init, made)]


def _select_and_scatter(r: Reader, op: Any, args: list[Value]) -> list[Value]:
    select = r.region(op, 0)
    direction = bodies.comparing(select)
    if direction not in ("GE", "GT", "LE", "LT"):
        raise CertifyError(
            f"{r.loc}: {op.name} wants to select by one comparison of its two arguments, got {bodies.read_as(select)}"
            f"{' ' + direction if direction else ''}; no rule"
        )
    added = _combined(r, op, args[0], 1)
    if added != "add" or r.single(args[2]) != 0:
        raise CertifyError(f"{r.loc}: {op.name} wants to add from 0, got {added} from {r.single(args[2])}; no rule")
    window = _window(op, len(args[0].shape))
    return [r.add("select_and_scatter", *args, window=window, direction=direction, type=_type(op))]


def _scatter(r: Reader, op: Any, args: list[Value]) -> list[Value]:
    if len(args) != 3:
        raise CertifyError(f"{r.loc}: a scatter into {len(args) // 2} tensors has no rule")
    body = r.region(op, 0)
    _same_elements(r, body, args[0])
    kind = "set" if bodies.replacing(body) else bodies.wanted(bodies.combining(body), body, f"{r.loc}: {op.name}")
    if kind not in ("set", "add", "mul", "max", "min"):
        raise CertifyError(f"{r.loc}: a scatter by {kind} has no rule")
    n = stablehlo.ScatterDimensionNumbers(op.attributes["scatter_dimension_numbers"])
    window, inserted = as_ints(n.update_window_dims), as_ints(n.inserted_window_dims)
    batch = as_ints(n.input_batching_dims)
    sizes, windows = [], iter(args[2].shape[a] for a in window)
    for d in range(len(args[0].shape)):
        sizes.append(1 if d in inserted or d in batch else next(windows))
    numbers = Indexing(
        window, inserted, batch, as_ints(n.scatter_indices_batching_dims), as_ints(n.scattered_dims_to_operand_dims),
        n.index_vector_dim, tuple(sizes), sorted=_flag(op, "indices_are_sorted"), unique=_flag(op, "unique_indices"),
    )  # fmt: skip
    return [r.add("scatter", *args, numbers=numbers, by=kind, type=_type(op))]


def _flag(op: Any, name: str) -> bool:
    return name in op.attributes and bool(op.attributes[name].value)


SORTING = (
    "constant", "compare", "total_compare", "select", "and", "or", "xor", "not", "neg", "max", "min", "is_finite",
)  # fmt: skip


def _sort(r: Reader, op: Any, args: list[Value]) -> list[Value]:
    body = r.region(op, 0)
    strange = [o.kind for o in bodies.needed(body) if o.kind not in SORTING]
    if strange:
        raise CertifyError(f"{r.loc}: a sort that compares by {', '.join(strange)} has no rule")
    rank = len(args[0].shape)
    dim = int(op.attributes["dimension"].value) if "dimension" in op.attributes else rank - 1
    stable = _flag(op, "is_stable")
    return [
        r.add("sort", *args, body=body, dim=dim % rank, stable=stable, which=i, type=_type(op, i))
        for i in range(len(args))
    ]  # fmt: skip


# -- loops and branches ----------------------------------------------------------------------------------------------


def _while(r: Reader, op: Any, args: list[Value]) -> list[Value]:
    """Written out, round by round, as long as the condition is known to hold."""
    carried, outer, here = list(args), r.env, r.loc
    for _ in range(ROUNDS):
        (more,) = r.block(op.regions[0].blocks[0], carried, outer)
        going = r.single(more)
        if going is None or more in r.rounded:
            why = r.unread.get(more)
            raise CertifyError(
                why or f"{here}: a loop whose iterations the text does not fix has no rule; use integer literals"
            )
        if not going:
            return carried
        carried = r.block(op.regions[1].blocks[0], carried, outer)
    raise CertifyError(f"{here}: wants loops of at most {ROUNDS:,} iterations, got more")


def _case(r: Reader, op: Any, args: list[Value]) -> list[Value]:
    return _branches(r, op, args[0], len(op.regions))


def _if(r: Reader, op: Any, args: list[Value]) -> list[Value]:
    return _branches(r, op, args[0], 2)


def _branches(r: Reader, op: Any, index: Value, count: int) -> list[Value]:
    """Region `index`, the last where there is none of that number; for `if` the first where the condition holds."""
    outer, truth = r.env, index.type.dtype == "i1"
    taken = r.single(index)
    if taken is not None:
        own = (0 if taken else 1) if truth else int(taken) if 0 <= taken < count else count - 1
        return r.block(op.regions[own].blocks[0], [], outer)
    given = [r.block(region.blocks[0], [], outer) for region in op.regions]
    results: list[Value] = given[-1]
    for i in reversed(range(count - 1)):
        hit = index
        if not truth:
            hit = r.add("compare", index, r.filled(i, index.type), direction="EQ", type=TensorType((), "i1"))
        results = [_chosen(r, hit, x, y) for x, y in zip(given[i], results, strict=True)]
    return results


def _chosen(r: Reader, hit: Value, x: Value, y: Value) -> Value:
    for v in (x, y):
        if v in r.unread:
            return v
    if x is y:
        return x
    spread = hit if not x.shape else r.add("broadcast", hit, shape=x.shape, dims=(), type=TensorType(x.shape, "i1"))
    return r.add("select", spread, x, y, type=x.type)


WINDOW: Sequence[str] = ("window_dimensions", "window_strides", "base_dilations", "window_dilations", "padding")
INDEXED: Sequence[str] = ("scatter_dimension_numbers", "indices_are_sorted", "unique_indices")


def _all_reduce(r: Reader, op: Any, args: list[Value]) -> list[Value]:
    """A sum over all replicas, which replicas.py writes out."""
    groups = np.array(op.attributes["replica_groups"])
    kind = bodies.wanted(bodies.combining(body := r.region(op, 0)), body, f"{r.loc}: {op.name}")
    if kind != "add" or len(args) != 1 or not np.array_equal(groups, np.arange(groups.size).reshape(1, -1)):
        raise CertifyError(
            f"{r.loc}: wants a sum of one tensor over all replicas, got {kind} over {groups.tolist()}; no rule"
        )
    _same_elements(r, body, args[0])
    return [r.add("all_reduce", *args, replicas=int(groups.size), type=_type(op))]


REGIONS: dict[str, Row] = {
    "all_reduce": Row(_all_reduce, ("replica_groups",), ("channel_handle",), regions=1),
    "reduce": Row(_reduce, ("dimensions",), regions=1),
    "reduce_window": Row(_reduce_window, tuple(WINDOW), regions=1),
    "select_and_scatter": Row(_select_and_scatter, ("window_dimensions", "window_strides", "padding"), regions=2),
    "scatter": Row(_scatter, tuple(INDEXED), regions=1),
    "sort": Row(_sort, ("dimension", "is_stable"), regions=1),
    "while": Row(_while, regions=2, passes=True),
    "case": Row(_case, regions=-1),
    "if": Row(_if, regions=2),
}
