"""The other witnesses: jaxlib's MLIR parser and verifier, and XLA. Helpers, not tests."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from jaxlib.mlir import ir
from jaxlib.mlir._mlir_libs import _jax_mlir_ext
from jaxlib.mlir.dialects import chlo, stablehlo

from netc.codegen.builder import Builder
from netc.codegen.evaluator import run
from netc.codegen.ir import Module, Value
from netc.codegen.text import text_of
from netc.netspec.types import TensorType
from netc.runtime.backends.protocol import Source
from netc.runtime.backends.xla import XlaLoaded

Array = np.ndarray[Any, Any]
DTYPES = {"f32": np.float32, "f64": np.float64, "i32": np.int32, "i64": np.int64, "ui32": np.uint32, "i1": np.bool_}


@cache
def context() -> ir.Context:
    """An MLIR context that knows func, StableHLO and CHLO."""
    registry = ir.DialectRegistry()
    _jax_mlir_ext.register_dialects(registry)
    made = ir.Context()
    made.append_dialect_registry(registry)
    made.load_all_available_dialects()
    stablehlo.register_dialect(made)
    chlo.register_dialect(made)
    made.allow_unregistered_dialects = True  # IREE's
    return made


def parsed(text: str) -> ir.Module:
    """The module, accepted by the parser and by the verifier."""
    module = ir.Module.parse(text, context())
    assert module.operation.verify()
    return module


def by_xla(module: Module, name: str, args: Sequence[Array]) -> list[Array]:
    """The results of a lowered function, computed by XLA on the default device."""
    loaded = XlaLoaded(Source(module, text_of(module, "xla")))
    return [loaded.get(r) for r in loaded.call(name, [loaded.put(a) for a in args])]


def one_op(kind: str, types: Sequence[TensorType], **attrs: Any) -> Module:
    """A module whose function `f` is one op on its arguments."""
    b = Builder("f")
    operands = [b.parameter(f"a{i}", t) for i, t in enumerate(types)]
    return Module("one", (b.finish([("r", b.op(kind, *operands, **attrs))]),))


def by_evaluator(module: Module, args: Sequence[Array], dtype: Any = "f64", name: str = "f") -> list[Array]:
    """The results of a function in the evaluator."""
    return run(module, name, args, dtype)


def module_of(make: Any, *types: TensorType) -> Module:
    """A module whose function `f` is what `make(builder, *values)` gives: a value or several."""
    b = Builder("f")
    made = make(b, *[b.parameter(f"a{i}", t) for i, t in enumerate(types)])
    results: list[Value] = [made] if isinstance(made, Value) else list(made)
    return Module("made", (b.finish([(f"r{i}", v) for i, v in enumerate(results)]),))


def halves(rng: np.random.Generator, shape: Sequence[int]) -> Array:
    """Half-integers from -2 to 2: sums and products of a few thousand of them are exact in float32 and float64."""
    return rng.integers(-4, 5, tuple(shape)) / 2
