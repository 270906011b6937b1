"""A net with its weights as an ONNX model: its `predict`, operation by operation through the rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from netc.codegen.evaluator import FloatArithmetic
from netc.codegen.ir import Function, Op, Value
from netc.codegen.ops import OPS
from netc.netspec.errors import UserError
from netc.netspec.install import install_extra
from netc.runtime.backends.protocol import Array
from netc.runtime.export.onnx_graph import DTYPES, MOST_FOLDED, Graph, Held
from netc.runtime.export.onnx_rows import ROWS
from netc.runtime.files import whole

OPSET = 18  # the first whose ReduceMax and ReduceMin take their axes as ReduceSum does
IR_VERSION = 8  # what came with it, so that older runtimes read the file too
LARGEST = (1 << 31) - 1  # bytes of a protocol buffer


def need_onnx() -> None:
    """Raise UserError where the onnx package is missing."""
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise UserError(f"`onnx` wants the package onnx, got none; {install_extra('onnx')}") from error


def graph_of(function: Function, weights: Mapping[str, Array]) -> tuple[Graph, Held]:
    """The graph of a function whose arguments are the weights, by name, and one more; and its result.

    What depends on weights alone is computed here. Raises UserError for an operation that ONNX does not have.
    """
    if missing := next((op for op in function.ops if op.kind not in ROWS), None):
        raise Graph().refused(missing)
    graph, A = Graph(), FloatArithmetic("f32")
    held: dict[Value, Held] = {}
    for v, name in zip(function.params, function.names, strict=True):
        given = weights.get(name)
        held[v] = Held(name, v.shape) if given is None else graph.known(np.asarray(given, np.float32), name)
    for op in function.ops:
        args = [held[v] for v in op.operands]
        held[op.result] = _folded(op, args, A) or ROWS[op.kind](graph, op, args)
    return graph, graph.plain(graph.whole(held[function.results[0]], function.results[0].shape))


def _folded(op: Op, args: list[Held], A: FloatArithmetic) -> Held | None:
    """The result of an operation on known small tensors; a broadcast stays a broadcast."""
    if not args or op.kind == "broadcast" or op.result.type.size > MOST_FOLDED:
        return None
    values = [
        np.broadcast_to(x.value, v.shape)
        for x, v in zip(args, op.operands, strict=True)
        if x.value is not None and not x.first and v.type.size <= MOST_FOLDED
    ]
    if len(values) != len(args):
        return None
    with np.errstate(all="ignore"):
        result = np.asarray(OPS[op.kind].meaning(A, op, *values))
    return Held("", result.shape, False, result.astype(DTYPES[op.result.type.dtype]))


def model_of(function: Function, weights: Mapping[str, Array], metadata: Mapping[str, str]) -> bytes:
    """The model as the bytes of its file, checked by the onnx package. Raises UserError, as `graph_of` does."""
    need_onnx()
    import onnx
    from onnx import helper

    graph, result = graph_of(function, weights)
    ends = {n: v for v, n in zip(function.params, function.names, strict=True) if n not in weights}
    nodes = [helper.make_node(kind, inputs, [name], **attrs) for kind, inputs, name, attrs in graph.nodes]
    (name,), (out,) = function.result_names, function.results
    nodes.append(helper.make_node("Identity", [graph.named(result)], [name]))

    def described(label: str, v: Value) -> Any:
        return helper.make_tensor_value_info(label, graph.element_type(v.type.dtype), v.shape)

    numbers = [onnx.numpy_helper.from_array(value, label) for label, value in graph.numbers.items()]
    made = helper.make_graph(
        nodes, function.name, [described(n, v) for n, v in ends.items()], [described(name, out)], numbers
    )
    model = helper.make_model(
        made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="netc",
    )  # fmt: skip
    helper.set_model_props(model, dict(metadata))
    if model.ByteSize() > LARGEST:
        raise UserError(f"`onnx` wants a model of at most 2 GiB, got {model.ByteSize():,} bytes; export `safetensors`")
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString()
    return content


def write_model(path: Path, content: bytes) -> None:
    """Write the file: whole, or as it was before."""
    with whole(path) as file:
        file.write(content)
