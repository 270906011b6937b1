"""The operations of a text, one row each: how it is read, and which of its attributes are judged.

Regions are read by regions.py, as the programs that they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from jaxlib.mlir.dialects import stablehlo

from netc.codegen.evaluator import INTEGER_DTYPES
from netc.codegen.ir import Value
from netc.netspec.types import TensorType
from netc.proofs_oracle.certificate.dual import CertifyError
from netc.proofs_oracle.certificate.foreign import Convolution, as_ints
from netc.proofs_oracle.certificate.indexing import Indexing
from netc.proofs_oracle.certificate.iree import IREE
from netc.proofs_oracle.certificate.literals import constant, iota
from netc.proofs_oracle.certificate.reader import FLOATS, Handler, Reader, Row, type_of
from netc.proofs_oracle.certificate.regions import REGIONS, ints


def _type(op: Any, index: int = 0) -> TensorType:
    return type_of(op.results[index].type)


def _simple(kind: str) -> Handler:
    return lambda r, op, args: [r.add(kind, *args, type=_type(op))]


def _numbers_only(kind: str) -> Handler:
    def handler(r: Reader, op: Any, args: list[Value]) -> list[Value]:
        if _type(op).dtype == "i1":
            raise CertifyError(f"{r.loc}: {op.name} of booleans has no rule")
        return [r.add(kind, *args, type=_type(op))]

    return handler


def _float_or(kind: str, integer: str, **attrs: Any) -> Handler:
    """One operation for floats, and one of NumPy's for integers."""

    def handler(r: Reader, op: Any, args: list[Value]) -> list[Value]:
        if args[0].type.dtype in FLOATS:
            return [r.add(kind, *args, type=_type(op), **attrs)]
        return [r.add("integer", *args, function=integer, type=_type(op))]

    return handler


def _integer(function: str) -> Handler:
    return lambda r, op, args: [r.add("integer", *args, function=function, type=_type(op))]


# -- choices ---------------------------------------------------------------------------------------------------------


def _compare(r: Reader, op: Any, args: list[Value]) -> list[Value]:
    direction = _word(op.attributes["comparison_direction"])
    how = _word(op.attributes["compare_type"]) if "compare_type" in op.attributes else "NOTYPE"
    dtype = args[0].type.dtype
    usual = "FLOAT" if dtype in FLOATS else "UNSIGNED" if dtype.startswith("u") or dtype == "i1" else "SIGNED"
    if how == "TOTALORDER" and usual == "FLOAT":
        return [r.add("total_compare", *args, direction=direction, type=_type(op))]
    if how not in (usual, "NOTYPE"):
        raise CertifyError(f"{r.loc}: a comparison of {dtype} as {how} has no rule; {dtype} is compared as {usual}")
    return [r.add("compare", *args, direction=direction, type=_type(op))]


def _word(attribute: Any) -> str:
    return str(attribute).rsplit(" ", 1)[-1].rstrip(">")


def _select(r: Reader, op: Any, args: list[Value]) -> list[Value]:
    condition, x, y = args
    if condition.shape != x.shape:
        condition = r.add("broadcast", condition, shape=x.shape, dims=(), type=TensorType(x.shape, "i1"))
    return [r.add("select", condition, x, y, type=_type(op))]


def _clamp(r: Reader, op: Any, args: list[Value]) -> list[Value]:
    low, x, high = (
        v if v.shape == args[1].shape else r.add("broadcast", v, shape=args[1].shape, dims=(), type=args[1].type)
        for v in args
    )  # fmt: skip
    return [r.add("min", r.add("max", x, low, type=x.type), high, type=x.type)]


def _abs(r: Reader, op: Any, args: list[Value]) -> list[Value]:
    return [r.add("max", args[0], r.add("neg", args[0], type=args[0].type), type=_type(op))]


# -- functions made of others ----------------------------------------------------------------------------------------


def _erfc(r: Reader, op: Any, args: list[Value]) -> list[Value]:
    t = _type(op)
    return [r.add("sub", r.filled(1.0, t), r.add("erf", args[0], type=t), type=t)]


def _expm1(r: Reader, op: Any, args: list[Value]) -> list[Value]:
    t = _type(op)
    return [r.add("sub", r.add("exp", args[0], type=t), r.filled(1.0, t), type=t)]


def _power(r: Reader, op: Any, args: list[Value]) -> list[Value]:
    """By a number that the text fixes, or else as exp(y log x)."""
    (x, y), t = args, _type(op)
    if t.dtype in INTEGER_DTYPES:
        return [r.add("integer", x, y, function="power", type=t)]
    exponent = r.single(y)
    if exponent is not None and np.isfinite(exponent):
        return [r.add("fixed_power", x, exponent=float(exponent), dtype=t.dtype, type=t)]
    logarithm = r.add("log", x, type=t)
    return [r.add("exp", r.add("mul", y, logarithm, type=t), type=t)]


def _cbrt(r: Reader, op: Any, args: list[Value]) -> list[Value]:
    return [r.add("root", args[0], power=Fraction(1, 3), odd=True, type=_type(op))]


# -- movement --------------------------------------------------------------------------------------------------------


def _to_shape(r: Reader, op: Any, args: list[Value]) -> list[Value]:
    return [r.add("reshape", *args, shape=_type(op).shape, type=_type(op))]


def _broadcast(r: Reader, op: Any, args: list[Value]) -> list[Value]:
    (x,), dims = args, ints(op, "broadcast_dimensions")
    order = sorted(range(len(dims)), key=lambda i: dims[i])
    if order != list(range(len(dims))):
        x, dims = r.add("transpose", x, perm=tuple(order)), tuple(sorted(dims))
    return [r.add("broadcast", x, shape=_type(op).shape, dims=dims, type=_type(op))]


def _pad(r: Reader, op: Any, args: list[Value]) -> list[Value]:
    low, high, interior = (ints(op, n) for n in ("edge_padding_low", "edge_padding_high", "interior_padding"))
    return [r.add("pad", *args, low=low, high=high, interior=interior, type=_type(op))]


def _slice(r: Reader, op: Any, args: list[Value]) -> list[Value]:
    start, limit, stride = (ints(op, n) for n in ("start_indices", "limit_indices", "strides"))
    return [r.add("slice", *args, start=start, limit=limit, stride=stride, type=_type(op))]


def _convert(r: Reader, op: Any, args: list[Value]) -> list[Value]:
    return [r.add("convert", *args, dtype=_type(op).dtype, type=_type(op))]


def _rounded(r: Reader, op: Any, args: list[Value]) -> list[Value]:
    return [r.add("rounded", *args, type=_type(op))]


def _bitcast(r: Reader, op: Any, args: list[Value]) -> list[Value]:
    (x,), t = args, _type(op)
    if x.type.dtype in (*FLOATS, "i1") or t.dtype not in (*INTEGER_DTYPES, "f32") or t.dtype == "i1":
        raise CertifyError(f"{r.loc}: the bits of {x.type} as {t} have no rule; only those of integers do")
    return [r.add("bits_as", x, dtype=t.dtype, type=t)]


# -- products, convolutions, indices ---------------------------------------------------------------------------------


def _dot(r: Reader, op: Any, args: list[Value]) -> list[Value]:
    n = stablehlo.DotDimensionNumbers(op.attributes["dot_dimension_numbers"])
    contract = (as_ints(n.lhs_contracting_dimensions), as_ints(n.rhs_contracting_dimensions))
    batch = (as_ints(n.lhs_batching_dimensions), as_ints(n.rhs_batching_dimensions))
    if args[0].type.dtype not in FLOATS:
        return [r.add("integer_dot", *args, contract=contract, batch=batch, type=_type(op))]
    return [r.add("dot", *args, contract=contract, batch=batch, type=_type(op))]


def _short_dot(r: Reader, op: Any, args: list[Value]) -> list[Value]:
    """The last axis with the first."""
    contract = ((len(args[0].shape) - 1,), (0,))
    kind = "dot" if args[0].type.dtype in FLOATS else "integer_dot"
    return [r.add(kind, *args, contract=contract, batch=((), ()), type=_type(op))]


def _triangular_solve(r: Reader, op: Any, args: list[Value]) -> list[Value]:
    """By the meaning of netc's own operation, which has the same attributes; an adjoint of reals is a transpose."""
    turned = _word(op.attributes["transpose_a"])
    if turned not in ("NO_TRANSPOSE", "TRANSPOSE", "ADJOINT") or args[0].type.dtype not in FLOATS:
        raise CertifyError(f"{r.loc}: a triangular solve by {turned} of {args[0].type} has no rule")
    marks = {name: bool(op.attributes[name].value) for name in ("left_side", "lower", "unit_diagonal")}
    return [r.add("triangular_solve", *args, **marks, transpose_a=turned != "NO_TRANSPOSE", type=_type(op))]


def _prefixed(r: Reader, op: Any, args: list[Value]) -> list[Value]:
    """New axes before those of the operand."""
    t = _type(op)
    dims = tuple(range(len(t.shape) - len(args[0].shape), len(t.shape)))
    return [r.add("broadcast", *args, shape=t.shape, dims=dims, type=t)]


def _convolution(r: Reader, op: Any, args: list[Value]) -> list[Value]:
    n = stablehlo.ConvDimensionNumbers(op.attributes["dimension_numbers"])
    spatial = as_ints(n.kernel_spatial_dimensions)
    rank = len(spatial)
    given = "padding" in op.attributes
    padding = np.array(op.attributes["padding"]).reshape(rank, 2) if given else np.zeros((rank, 2), int)
    turned = tuple(bool(v) for v in ints(op, "window_reversal", rank))
    if args[0].type.dtype not in FLOATS:
        raise CertifyError(f"{r.loc}: wants a convolution of floats, got {args[0].type}; no rule")
    numbers = Convolution(
        (n.input_batch_dimension, n.input_feature_dimension, as_ints(n.input_spatial_dimensions)),
        (n.kernel_input_feature_dimension, n.kernel_output_feature_dimension, spatial),
        (n.output_batch_dimension, n.output_feature_dimension, as_ints(n.output_spatial_dimensions)),
        ints(op, "window_strides", rank, 1), as_ints(padding[:, 0]), as_ints(padding[:, 1]),
        ints(op, "lhs_dilation", rank, 1), ints(op, "rhs_dilation", rank, 1), turned,
        op.attributes["feature_group_count"].value, op.attributes["batch_group_count"].value,
    )  # fmt: skip
    return [r.add("convolution", *args, numbers=numbers, type=_type(op))]


def _gather(r: Reader, op: Any, args: list[Value]) -> list[Value]:
    n = stablehlo.GatherDimensionNumbers(op.attributes["dimension_numbers"])
    numbers = Indexing(
        as_ints(n.offset_dims), as_ints(n.collapsed_slice_dims), as_ints(n.operand_batching_dims),
        as_ints(n.start_indices_batching_dims), as_ints(n.start_index_map), n.index_vector_dim,
        ints(op, "slice_sizes"), sorted=_flag(op, "indices_are_sorted"),
    )  # fmt: skip
    if any(numbers.sizes[d] != 1 for d in (*numbers.collapsed, *numbers.operand_batch)):
        raise CertifyError(
            f"{r.loc}: wants slices of size 1 along axes that are left out, got {numbers.sizes}; no rule"
        )
    return [r.add("gather", *args, numbers=numbers, type=_type(op))]


def _flag(op: Any, name: str) -> bool:
    return name in op.attributes and bool(op.attributes[name].value)


def _dynamic_slice(r: Reader, op: Any, args: list[Value]) -> list[Value]:
    return [r.add("dynamic_slice", *args, sizes=ints(op, "slice_sizes"), type=_type(op))]


def _top_k(r: Reader, op: Any, args: list[Value]) -> list[Value]:
    if args[0].type.dtype not in FLOATS or op.attributes["k"].value > args[0].shape[-1]:
        raise CertifyError(f"{r.loc}: {op.name} of {args[0].type} has no rule")
    k = op.attributes["k"].value
    return [r.add("top_k", *args, k=k, which=i, type=_type(op, i)) for i in range(2)]


def _bits(r: Reader, op: Any, args: list[Value]) -> list[Value]:
    return [r.add("random_bits", *args, which=i, type=_type(op, i)) for i in range(2)]


# -- hints and calls -------------------------------------------------------------------------------------------------


def _handed_on(r: Reader, op: Any, args: list[Value]) -> list[Value]:
    return args


def _call(r: Reader, op: Any, args: list[Value]) -> list[Value]:
    return r.call(op.attributes["callee"].value, args)


def _composite(r: Reader, op: Any, args: list[Value]) -> list[Value]:
    return r.call(op.attributes["decomposition"].value, args)


CUSTOM: Mapping[str, str] = {"mhlo.erf": "erf", "mhlo.tan": "tan", "mhlo.asin": "asin", "mhlo.sinh": "sinh"}
"""Calls that stand for a function of one number, as jax.export writes them."""
PLACING = ("Sharding", "annotate_device_placement", "LayoutConstraint")
"""Calls that say where a tensor is, and give it back."""


def _custom_call(r: Reader, op: Any, args: list[Value]) -> list[Value]:
    target = str(op.attributes["call_target_name"].value)
    if target in PLACING and len(args) == 1 and len(op.results) == 1:
        return args
    if target not in CUSTOM or len(args) != 1:
        raise CertifyError(f"{r.loc}: the custom call {target} has no rule: nothing says what it gives")
    return [r.add(CUSTOM[target], *args, type=_type(op))]


# -- the table -------------------------------------------------------------------------------------------------------

ACCURACY = ("result_accuracy",)  # how a function is rounded
SIMPLE: Mapping[str, str] = {
    "add": "add", "multiply": "mul", "maximum": "max", "minimum": "min", "and": "and", "or": "or", "xor": "xor",
    "not": "not", "shift_left": "shl", "shift_right_logical": "shr",
}  # fmt: skip
FUNCTIONS: Mapping[str, str] = {
    "exponential": "exp", "log": "log", "log_plus_one": "log1p", "sqrt": "sqrt", "rsqrt": "rsqrt", "sine": "sin",
    "cosine": "cos", "tanh": "tanh", "logistic": "logistic", "tan": "tan",
}  # fmt: skip
CHLO: Sequence[str] = (
    "erf", "erf_inv", "tan", "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh", "lgamma", "digamma",
)  # fmt: skip
STABLEHLO: dict[str, Row] = {
    **{name: Row(_simple(kind)) for name, kind in SIMPLE.items()},
    **{name: Row(_simple(kind), idle=ACCURACY) for name, kind in FUNCTIONS.items()},
    "subtract": Row(_numbers_only("sub")),
    "negate": Row(_numbers_only("neg")),
    "divide": Row(_float_or("div", "divide")),
    "remainder": Row(_float_or("remainder", "remainder")),
    "sign": Row(_float_or("step", "sign", function="sign")),
    "floor": Row(_float_or("step", "", function="floor")),
    "ceil": Row(_float_or("step", "", function="ceil")),
    "round_nearest_even": Row(_float_or("step", "", function="even")),
    "round_nearest_afz": Row(_float_or("step", "", function="away")),
    "is_finite": Row(_simple("is_finite")),
    "atan2": Row(_simple("atan2"), idle=ACCURACY),
    "power": Row(_power),
    "cbrt": Row(_cbrt, idle=ACCURACY),
    "exponential_minus_one": Row(_expm1, idle=ACCURACY),
    "abs": Row(_abs),
    "clamp": Row(_clamp),
    "shift_right_arithmetic": Row(_integer("sar")),
    "popcnt": Row(_integer("popcnt")),
    "count_leading_zeros": Row(_integer("clz")),
    "constant": Row(constant, ("value",)),
    "iota": Row(iota, ("iota_dimension",)),
    "compare": Row(_compare, ("comparison_direction", "compare_type")),
    "select": Row(_select),
    "convert": Row(_convert),
    "reduce_precision": Row(_rounded, idle=("exponent_bits", "mantissa_bits")),
    "bitcast_convert": Row(_bitcast),
    "reshape": Row(_to_shape),
    "broadcast_in_dim": Row(_broadcast, ("broadcast_dimensions",)),
    "pad": Row(_pad, ("edge_padding_low", "edge_padding_high", "interior_padding")),
    "slice": Row(_slice, ("start_indices", "limit_indices", "strides")),
    "transpose": Row(
        lambda r, op, args: [r.add("transpose", *args, perm=ints(op, "permutation"), type=_type(op))],
        ("permutation",),
    ),
    "concatenate": Row(
        lambda r, op, args: [r.add("concatenate", *args, dim=op.attributes["dimension"].value, type=_type(op))],
        ("dimension",),
    ),
    "reverse": Row(
        lambda r, op, args: [r.add("reverse", *args, dims=ints(op, "dimensions"), type=_type(op))],
        ("dimensions",),
    ),
    "dot_general": Row(_dot, ("dot_dimension_numbers",), ("precision_config", "algorithm")),
    "dot": Row(_short_dot, idle=("precision_config",)),
    "triangular_solve": Row(_triangular_solve, ("left_side", "lower", "unit_diagonal", "transpose_a")),
    "broadcast": Row(_prefixed, ("broadcast_sizes",)),
    "convolution": Row(
        _convolution,
        (
            "dimension_numbers", "window_strides", "padding", "lhs_dilation", "rhs_dilation", "window_reversal",
            "feature_group_count", "batch_group_count",
        ),
        ("precision_config",),
    ),
    "gather": Row(_gather, ("dimension_numbers", "slice_sizes", "indices_are_sorted")),
    "dynamic_slice": Row(_dynamic_slice, ("slice_sizes",)),
    "dynamic_update_slice": Row(_simple("dynamic_update_slice")),
    "rng_bit_generator": Row(_bits, idle=("rng_algorithm",)),
    "optimization_barrier": Row(_handed_on, passes=True),
    "replica_id": Row(_simple("replica_id")),
    "composite": Row(_composite, ("decomposition",), ("name", "composite_attributes", "version"), passes=True),
    "custom_call": Row(
        _custom_call, ("call_target_name",),
        (
            "api_version", "has_side_effect", "backend_config", "mhlo.backend_config", "mhlo.attributes",
            "mhlo.version", "operand_layouts", "result_layouts", "output_operand_aliases",
        ),
    ),
    **REGIONS,
}  # fmt: skip
ROWS: Mapping[str, Mapping[str, Row]] = {
    "stablehlo": STABLEHLO,
    "chlo": {
        **{name: Row(_simple(name)) for name in CHLO},
        "erfc": Row(_erfc),
        "square": Row(lambda r, op, args: [r.add("mul", args[0], args[0], type=_type(op))]),
        "top_k": Row(_top_k, ("k",)),
    },
    **IREE,
    "sdy": {
        "sharding_constraint": Row(_handed_on, idle=("sharding",), passes=True),
    },
    "func": {
        "call": Row(_call, ("callee",), ("no_inline",), passes=True),
    },
}
"""Each operation by its dialect and name.

`idle` are roundings (precision, accuracy, bits of a mantissa), placement, names and versions.
"""
