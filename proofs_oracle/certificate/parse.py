"""From StableHLO text back to the IR, by jaxlib's own parser: what is certified is the text.

Calls are inlined; operations that the IR does not have become those of foreign.py or a few of ours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from jaxlib.mlir import ir as mlir
from jaxlib.mlir._mlir_libs import _jax_mlir_ext
from jaxlib.mlir.dialects import chlo, stablehlo

from netc.codegen.ir import Function, IrError, Op, Value
from netc.codegen.ops import OPS
from netc.netspec.errors import UserError
from netc.netspec.types import TensorType
from netc.proofs_oracle.certificate.dual import CertifyError
from netc.proofs_oracle.certificate.foreign import Convolution, Indexing, Window, as_ints

Handler = Callable[["_Reader", Any, list[Value]], list[Value]]


@cache
def _context() -> Any:
    registry = mlir.DialectRegistry()
    _jax_mlir_ext.register_dialects(registry)
    made = mlir.Context()
    made.append_dialect_registry(registry)
    made.load_all_available_dialects()
    stablehlo.register_dialect(made)
    chlo.register_dialect(made)
    return made


def parse(text: str, name: str | None = None) -> Function:
    """The function of that name, or `train_step`, or `main`, or the only one. Raises UserError or CertifyError."""
    try:
        module = mlir.Module.parse(text, _context())
    except mlir.MLIRError as error:
        raise UserError(f"wants StableHLO as text, got what MLIR refuses: {str(error).splitlines()[0]}") from error
    functions = {f.attributes["sym_name"].value: f for f in module.body.operations}
    chosen = name or next((n for n in ("train_step", "main") if n in functions), None)
    if chosen is None and len(functions) == 1:
        chosen = next(iter(functions))
    if chosen is None or chosen not in functions:
        raise UserError(f"--function wants one of {', '.join(functions)}, got {chosen!r}; name one")
    return _Reader(functions).function(chosen)


DTYPES = {"f32": "f32", "f64": "f64", "bf16": "bf16", "i1": "i1", "i32": "i32", "i64": "i64", "ui32": "ui32"}


def _type(t: Any) -> TensorType:
    tensor = mlir.RankedTensorType(t)
    dtype = DTYPES.get(str(tensor.element_type))
    if dtype is None:
        raise CertifyError(f"wants elements of {', '.join(DTYPES)}, got {tensor}; there is no rule for them")
    return TensorType(tuple(tensor.shape), dtype)  # type: ignore[arg-type]


class _Reader:
    def __init__(self, functions: Mapping[str, Any]) -> None:
        self.functions = functions
        self.ops: list[Op] = []
        self.makers: dict[Value, Op] = {}
        self.loc = ""

    def function(self, name: str) -> Function:
        f = self.functions[name]
        block = f.regions[0].blocks[0]
        params = [Value(_type(a.type)) for a in block.arguments]
        names = [_argument_name(a, i) for i, a in enumerate(block.arguments)]
        results = self.inline(name, params)
        return Function(
            name, tuple(params), tuple(names), tuple(self.ops), tuple(results),
            tuple(f"result{i}" for i in range(len(results))),
        )  # fmt: skip

    def inline(self, name: str, args: Sequence[Value]) -> list[Value]:
        block = self.functions[name].regions[0].blocks[0]
        env: dict[Any, Value] = dict(zip(block.arguments, args, strict=True))
        for each in block.operations:
            op = each.operation
            kind = op.name.split(".", 1)[1]
            operands = [env[v] for v in op.operands]
            if kind == "return":
                return operands
            self.loc = _name_of(op)
            handler = HANDLERS.get(kind)
            if handler is None:
                raise CertifyError(f"{self.loc}: {op.name} has no rule in the certificate; see docs/certificate.md")
            results = handler(self, op, operands)
            env.update(zip(op.results, results, strict=True))
            for ours, theirs in zip(results, op.results, strict=True):
                if ours.type != _type(theirs.type):
                    raise CertifyError(f"{self.loc}: {op.name} gives {_type(theirs.type)}, read as {ours.type}")
        raise CertifyError(f"{name} ends without a return")

    def add(self, kind: str, *operands: Value, type: TensorType | None = None, **attrs: Any) -> Value:  # noqa: A002
        """Append an operation; ours by its type rule, a foreign one with the type that the text gives."""
        if type is None:
            try:
                type = OPS[kind].rule(*(v.type for v in operands), **attrs)  # noqa: A001
            except IrError as error:
                raise CertifyError(f"{self.loc}: {kind} {error}") from error
        result = Value(type)
        self.makers[result] = Op(kind, operands, tuple(sorted(attrs.items())), result, self.loc)
        self.ops.append(self.makers[result])
        return result

    def filled(self, value: float, t: TensorType) -> Value:
        return self.add("constant", value=value, shape=t.shape, dtype=t.dtype)


def _argument_name(argument: Any, index: int) -> str:
    text = str(argument.location)
    return text[5:-2] if text.startswith('loc("') and ":" not in text else f"arg{index}"


def _name_of(op: Any) -> str:
    text = str(op.location)
    return text[5:].split('"', 1)[0] if text.startswith('loc("') and '":' not in text else text[:100]


def _ints(op: Any, name: str, rank: int = 0, default: int = 0) -> tuple[int, ...]:
    if name not in op.attributes:
        return (default,) * rank
    return as_ints(op.attributes[name])


def _simple(kind: str) -> Handler:
    return lambda r, op, args: [r.add(kind, *args)]


def _constant(r: _Reader, op: Any, args: list[Value]) -> list[Value]:
    attribute, t = op.attributes["value"], _type(op.results[0].type)
    if t.dtype == "bf16":
        raise CertifyError(f"{r.loc}: literals of bf16 have no rule in the certificate")
    numbers = np.array(attribute).reshape(-1)
    whole = t.dtype in ("i1", "i32", "i64", "ui32")
    if attribute.is_splat:
        numbers = numbers[:1]
    values = tuple(bool(v) if t.dtype == "i1" else int(v) if whole else float(v) for v in numbers)
    return [r.add("constant", value=values[0] if attribute.is_splat else values, shape=t.shape, dtype=t.dtype)]


def _iota(r: _Reader, op: Any, args: list[Value]) -> list[Value]:
    t = _type(op.results[0].type)
    return [r.add("iota", dim=op.attributes["iota_dimension"].value, shape=t.shape, dtype=t.dtype)]


def _compare(r: _Reader, op: Any, args: list[Value]) -> list[Value]:
    direction = str(op.attributes["comparison_direction"]).rsplit(" ", 1)[-1].rstrip(">")
    return [r.add("compare", *args, direction=direction)]


def _select(r: _Reader, op: Any, args: list[Value]) -> list[Value]:
    condition, x, y = args
    if condition.shape != x.shape:
        condition = r.add("broadcast", condition, shape=x.shape, dims=())
    return [r.add("select", condition, x, y)]


def _to_shape(kind: str) -> Handler:
    return lambda r, op, args: [r.add(kind, *args, shape=_type(op.results[0].type).shape)]


def _broadcast(r: _Reader, op: Any, args: list[Value]) -> list[Value]:
    (x,), dims = args, _ints(op, "broadcast_dimensions")
    order = sorted(range(len(dims)), key=lambda i: dims[i])
    if order != list(range(len(dims))):
        x, dims = r.add("transpose", x, perm=tuple(order)), tuple(sorted(dims))
    return [r.add("broadcast", x, shape=_type(op.results[0].type).shape, dims=dims)]


def _pad(r: _Reader, op: Any, args: list[Value]) -> list[Value]:
    low, high, interior = (_ints(op, n) for n in ("edge_padding_low", "edge_padding_high", "interior_padding"))
    return [r.add("pad", *args, low=low, high=high, interior=interior)]


def _slice(r: _Reader, op: Any, args: list[Value]) -> list[Value]:
    start, limit, stride = (_ints(op, n) for n in ("start_indices", "limit_indices", "strides"))
    return [r.add("slice", *args, start=start, limit=limit, stride=stride)]


def _body(op: Any) -> str:
    """The one operation of a reduction's body."""
    inside = [o.operation.name.split(".", 1)[1] for o in op.regions[0].blocks[0].operations]
    if len(inside) != 2:
        raise CertifyError(f"{_name_of(op)}: {op.name} wants a body of one operation, got {', '.join(inside)}")
    return str(inside[0])


REDUCTIONS = {
    "add": "reduce_sum", "maximum": "reduce_max", "minimum": "reduce_min", "and": "reduce_and", "or": "reduce_or",
}  # fmt: skip
WINDOWS = {"add": "add", "maximum": "max", "minimum": "min"}


def _neutral(r: _Reader, init: Value, body: str) -> None:
    """A reduction must start from its neutral element, since the rules leave it out."""
    made = r.makers.get(init)
    while made is not None and made.kind in ("broadcast", "reshape", "convert"):
        made = r.makers.get(made.operands[0])
    value = made.attr("value") if made is not None and made.kind == "constant" else None
    whole = init.type.dtype not in ("f32", "f64", "bf16")
    wanted = {"add": 0, "maximum": -math.inf, "minimum": math.inf, "and": True, "or": False}[body]
    if value != wanted and not (whole and body in ("maximum", "minimum")):
        raise CertifyError(f"{r.loc}: a reduction by {body} wants to start from {wanted}, got {value}; no rule")


def _reduce(r: _Reader, op: Any, args: list[Value]) -> list[Value]:
    body = _body(op)
    if len(args) != 2 or body not in REDUCTIONS:
        raise CertifyError(f"{r.loc}: a reduction by {body} of {len(args) // 2} tensors has no rule")
    _neutral(r, args[1], body)
    dims = tuple(sorted(_ints(op, "dimensions")))
    kind = REDUCTIONS[body]
    return [r.add(kind, *args, dims=dims, type=None if kind in OPS else _type(op.results[0].type))]


def _dot(r: _Reader, op: Any, args: list[Value]) -> list[Value]:
    n = stablehlo.DotDimensionNumbers(op.attributes["dot_dimension_numbers"])
    contract = (as_ints(n.lhs_contracting_dimensions), as_ints(n.rhs_contracting_dimensions))
    batch = (as_ints(n.lhs_batching_dimensions), as_ints(n.rhs_batching_dimensions))
    return [r.add("dot", *args, contract=contract, batch=batch)]


def _convolution(r: _Reader, op: Any, args: list[Value]) -> list[Value]:
    n = stablehlo.ConvDimensionNumbers(op.attributes["dimension_numbers"])
    spatial = as_ints(n.kernel_spatial_dimensions)
    rank = len(spatial)
    padding = _padding(op, rank)
    turned = tuple(bool(v) for v in _ints(op, "window_reversal", rank))
    numbers = Convolution(
        (n.input_batch_dimension, n.input_feature_dimension, as_ints(n.input_spatial_dimensions)),
        (n.kernel_input_feature_dimension, n.kernel_output_feature_dimension, spatial),
        (n.output_batch_dimension, n.output_feature_dimension, as_ints(n.output_spatial_dimensions)),
        _ints(op, "window_strides", rank, 1), as_ints(padding[:, 0]), as_ints(padding[:, 1]),
        _ints(op, "lhs_dilation", rank, 1), _ints(op, "rhs_dilation", rank, 1), turned,
        op.attributes["feature_group_count"].value, op.attributes["batch_group_count"].value,
    )  # fmt: skip
    return [r.add("convolution", *args, numbers=numbers, type=_type(op.results[0].type))]


def _padding(op: Any, rank: int) -> Any:
    """[rank, 2]: low and high."""
    given = "padding" in op.attributes
    return np.array(op.attributes["padding"]).reshape(rank, 2) if given else np.zeros((rank, 2), int)


def _window(op: Any, rank: int) -> Window:
    padding = _padding(op, rank)
    if set(_ints(op, "base_dilations", rank, 1)) > {1}:
        raise CertifyError(f"{_name_of(op)}: {op.name} with base dilation has no rule")
    return Window(
        _ints(op, "window_dimensions", rank, 1), _ints(op, "window_strides", rank, 1), as_ints(padding[:, 0]),
        as_ints(padding[:, 1]), _ints(op, "window_dilations", rank, 1),
    )  # fmt: skip


def _reduce_window(r: _Reader, op: Any, args: list[Value]) -> list[Value]:
    body = _body(op)
    if len(args) != 2 or body not in WINDOWS:
        raise CertifyError(f"{r.loc}: a window by {body} of {len(args) // 2} tensors has no rule")
    _neutral(r, args[1], body)
    window = _window(op, len(args[0].shape))
    return [r.add("reduce_window", *args, window=window, by=WINDOWS[body], type=_type(op.results[0].type))]


def _select_and_scatter(r: _Reader, op: Any, args: list[Value]) -> list[Value]:
    direction = str(op.regions[0].blocks[0].operations[0].attributes["comparison_direction"])
    added = op.regions[1].blocks[0].operations[0].operation.name.split(".", 1)[1]
    if "GE" not in direction or added != "add":
        raise CertifyError(f"{r.loc}: select_and_scatter by {direction} and {added} has no rule; only GE and add")
    _neutral(r, args[2], "add")
    return [r.add("select_and_scatter", *args, window=_window(op, len(args[0].shape)), type=_type(op.results[0].type))]


def _gather(r: _Reader, op: Any, args: list[Value]) -> list[Value]:
    n = stablehlo.GatherDimensionNumbers(op.attributes["dimension_numbers"])
    numbers = Indexing(
        as_ints(n.offset_dims), as_ints(n.collapsed_slice_dims), as_ints(n.operand_batching_dims),
        as_ints(n.start_indices_batching_dims), as_ints(n.start_index_map), n.index_vector_dim,
        _ints(op, "slice_sizes"),
    )  # fmt: skip
    return [r.add("gather", *args, numbers=numbers, type=_type(op.results[0].type))]


def _scatter(r: _Reader, op: Any, args: list[Value]) -> list[Value]:
    if len(args) != 3 or _body(op) != "add":
        raise CertifyError(f"{r.loc}: a scatter by {_body(op)} has no rule; only add")
    n = stablehlo.ScatterDimensionNumbers(op.attributes["scatter_dimension_numbers"])
    window, inserted = as_ints(n.update_window_dims), as_ints(n.inserted_window_dims)
    batch = as_ints(n.input_batching_dims)
    sizes, windows = [], iter(args[2].shape[a] for a in window)
    for d in range(len(args[0].shape)):
        sizes.append(1 if d in inserted or d in batch else next(windows))
    numbers = Indexing(
        window, inserted, batch, as_ints(n.scatter_indices_batching_dims), as_ints(n.scattered_dims_to_operand_dims),
        n.index_vector_dim, tuple(sizes),
    )  # fmt: skip
    return [r.add("scatter", *args, numbers=numbers, type=_type(op.results[0].type))]


def _call(r: _Reader, op: Any, args: list[Value]) -> list[Value]:
    return r.inline(op.attributes["callee"].value, args)


def _erfc(r: _Reader, op: Any, args: list[Value]) -> list[Value]:
    return [r.add("sub", r.filled(1.0, args[0].type), r.add("erf", args[0]))]


def _abs(r: _Reader, op: Any, args: list[Value]) -> list[Value]:
    return [r.add("max", args[0], r.add("neg", args[0]))]


def _clamp(r: _Reader, op: Any, args: list[Value]) -> list[Value]:
    low, x, high = (
        v if v.shape == args[1].shape else r.add("broadcast", v, shape=args[1].shape, dims=()) for v in args
    )  # fmt: skip
    return [r.add("min", r.add("max", x, low), high)]


SIMPLE = {
    "add": "add", "subtract": "sub", "multiply": "mul", "divide": "div", "maximum": "max", "minimum": "min",
    "negate": "neg", "exponential": "exp", "log": "log", "log_plus_one": "log1p", "sqrt": "sqrt", "rsqrt": "rsqrt",
    "sine": "sin", "cosine": "cos", "tanh": "tanh", "logistic": "logistic", "and": "and", "or": "or", "xor": "xor",
    "not": "not", "shift_left": "shl", "shift_right_logical": "shr", "erf": "erf",
}  # fmt: skip
HANDLERS: dict[str, Handler] = {
    **{theirs: _simple(kind) for theirs, kind in SIMPLE.items()},
    "constant": _constant, "iota": _iota, "compare": _compare, "select": _select,
    "convert": lambda r, op, args: [r.add("convert", *args, dtype=_type(op.results[0].type).dtype)],
    "reshape": _to_shape("reshape"), "broadcast_in_dim": _broadcast, "pad": _pad, "slice": _slice,
    "transpose": lambda r, op, args: [r.add("transpose", *args, perm=_ints(op, "permutation"))],
    "concatenate": lambda r, op, args: [r.add("concatenate", *args, dim=op.attributes["dimension"].value)],
    "reverse": lambda r, op, args: [r.add("reverse", *args, dims=_ints(op, "dimensions"))],
    "optimization_barrier": lambda r, op, args: args,
    "reduce": _reduce, "dot_general": _dot, "convolution": _convolution, "reduce_window": _reduce_window,
    "select_and_scatter": _select_and_scatter, "gather": _gather, "scatter": _scatter,
    "call": _call, "erfc": _erfc, "abs": _abs, "clamp": _clamp,
    "square": lambda r, op, args: [r.add("mul", args[0], args[0])],
}  # fmt: skip
"""Each operation of the text by its name without the dialect."""
