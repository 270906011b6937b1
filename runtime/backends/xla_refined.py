"""A text of any batch at one batch, by jaxlib's refinement of shapes: what jax.export does with what it exported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from netc.codegen.ops.table import mlir_type
from netc.codegen.rewrite.xla.entries import ENTRY
from netc.netspec.types import TensorType

WHOLE = "any_batch"


def refined(text: str, arguments: Sequence[TensorType]) -> Any:
    """The module, serialised, whose `main` takes arguments of these types and calls what is in the text.

    Each argument is converted to the type of any batch, and the refinement drops that again.
    """
    from jaxlib import _jax
    from jaxlib.mlir import ir
    from jaxlib.mlir._mlir_libs import _jax_mlir_ext
    from jaxlib.mlir.dialects import chlo, func, stablehlo

    registry = ir.DialectRegistry()
    _jax_mlir_ext.register_dialects(registry)
    with ir.Context() as context, ir.Location.unknown():
        context.append_dialect_registry(registry)
        context.load_all_available_dialects()
        stablehlo.register_dialect(context)
        chlo.register_dialect(context)
        module = ir.Module.parse(text)
        whole = next(op for op in module.body if op.name.value == ENTRY)
        whole.attributes["sym_name"] = ir.StringAttr.get(WHOLE)
        whole.attributes["sym_visibility"] = ir.StringAttr.get("private")
        types = [ir.Type.parse(mlir_type(t)) for t in arguments]
        with ir.InsertionPoint(module.body):
            entry = func.FuncOp(ENTRY, ir.FunctionType.get(types, whole.type.results), visibility="public")
        with ir.InsertionPoint(entry.add_entry_block()):
            given = [
                value if value.type == t else stablehlo.convert(t, value)
                for value, t in zip(entry.arguments, whole.type.inputs, strict=True)
            ]
            func.ReturnOp(func.CallOp(whole, given).results)
        module.operation.verify()
        return _jax.mlir.refine_polymorphic_shapes(
            str(module).encode(), enable_shape_assertions=True, validate_static_shapes=True
        )
