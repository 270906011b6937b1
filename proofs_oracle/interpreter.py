"""StableHLO's own reference interpreter, for small programs that JAX made: XLA takes longer to compile them.

A case of the oracle is called once or twice. The interpreter takes 5 to 50 ms of the processor for a call, XLA's
compiler 20 to 400 for the same program. Both are other people's, and neither knows netc.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxlib.mlir import ir, passmanager
from jaxlib.mlir.dialects import stablehlo

# The interpreter ends the process on an operation that it does not know: these it knows. It also does where integers
# are divided by zero, so that their division is left to XLA.
_NAMES = (
    "abs add and atan2 bitcast_convert broadcast_in_dim cbrt ceil clamp compare concatenate constant convert "
    "convolution cosine divide dot_general dynamic_slice dynamic_update_slice exponential exponential_minus_one "
    "floor gather iota is_finite log log_plus_one logistic maximum minimum multiply negate not "
    "optimization_barrier or pad power reduce reduce_window remainder reshape return reverse round_nearest_afz "
    "round_nearest_even rsqrt scatter select select_and_scatter shift_left shift_right_arithmetic "
    "shift_right_logical sign sine slice sort sqrt subtract tan tanh transpose while xor"
)
KNOWN = {("stablehlo", name) for name in _NAMES.split()} | {("func", name) for name in ("func", "return", "call")}
LARGEST = 400_000  # multiplications and elements of results: a tenth of a second
TURNS = 16  # how often a loop may go round; not read
Arrays = Sequence[np.ndarray[Any, Any]]
_DIVIDED = re.compile(r"\.(?:divide|remainder) .*xu?i\d+>|\.(?:divide|remainder) .*tensor<u?i\d+>")
TYPES = ("f32", "f64", "i1", "i8", "i16", "i32", "i64", "ui8", "ui16", "ui32", "ui64")
_TENSOR = re.compile(r"tensor<((?:\d+x)*)[a-z]\w*>")


def interpreted(module: ir.Module) -> Callable[[Arrays], list[np.ndarray[Any, Any]]] | None:
    """The function `main` of a module, on arrays; None where it is large or has an operation of another kind.

    The module is changed: CHLO's functions become StableHLO's operations.
    """
    if not hasattr(stablehlo, "eval_module"):  # an older jaxlib
        return None
    with module.context:
        if any(dialect == "chlo" for dialect, _ in _operations(module)):
            stablehlo.register_stablehlo_passes()
            function = module.body.operations[0].operation.name
            pipeline = f"builtin.module({function}(chlo-legalize-to-stablehlo))"
            passmanager.PassManager.parse(pipeline).run(module.operation)
        ops = _operations(module)
        turns = TURNS if any(name == "while" for _, name in ops) else 1
        lines = str(module).splitlines()
        if not ops <= KNOWN or any(map(_DIVIDED.search, lines)) or turns * sum(map(_work, lines)) > LARGEST:
            return None
        main = next(op for op in module.body.operations if op.name.value == "main")
        types = [ir.RankedTensorType(argument.type) for argument in main.arguments]
        if any(str(t.element_type) not in TYPES for t in types):
            return None

    def call(args: Arrays) -> list[np.ndarray[Any, Any]]:
        with module.context, ir.Location.unknown():
            attributes = [
                ir.DenseElementsAttr.get(np.array(a, order="C"), type=t.element_type, shape=t.shape)
                for a, t in zip(args, types, strict=True)
            ]
            return [np.array(result) for result in stablehlo.eval_module(module, attributes)]

    return call


def _operations(module: ir.Module) -> set[tuple[str, str]]:
    """The dialect and name of each operation in a module."""
    found: set[tuple[str, str]] = set()

    def look(op: ir.Operation) -> ir.WalkResult:
        dialect, _, name = op.name.partition(".")
        found.add((dialect, name))
        return ir.WalkResult.ADVANCE

    for function in module.body.operations:
        function.operation.walk(look)
    return found


def _work(line: str) -> int:
    """The multiplications of a product, of other operations the elements of the largest tensor."""
    sizes = [math.prod(map(int, found.split("x")[:-1])) for found in _TENSOR.findall(line)]
    product = ".dot_general" in line or ".convolution" in line
    return math.isqrt(math.prod(sizes[-3:])) if product else max(sizes, default=0)
