"""What a row of the op table holds, and the type rules that rows share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from netc.codegen.ir import IrError
from netc.netspec.types import DType, TensorType

if TYPE_CHECKING:
    from netc.codegen.ir import Function, Op

# What a text is written in: StableHLO alone, with operations that only IREE knows, or with marks that only XLA reads;
# or C.
Dialect = Literal["stablehlo", "iree", "xla", "c"]
TypeRule = Callable[..., TensorType]
Spelling = Callable[["Op", Sequence[str]], str]
Statement = Callable[["Op", Sequence[str], str, str], list[str]]
AnyBatch = Callable[["Op", Sequence[str], str, Dialect], list[str]]
Meaning = Callable[..., Any]
Cost = Callable[["Op"], int]


@dataclass(frozen=True, slots=True)
class MultiResult:
    """What a row has besides where its op makes several values, and perhaps calls a function of the module.

    `further(operand types.., **attrs)` gives the types of the results after the first. `statement(op, operand names,
    stem, location)` is the text, in lines, of which result n is named `stem`_n; the stem is `name` and a number. `iree`
    is the statement for IREE, where it is another one.
    `fits(op, callee)` raises IrError where the op and the function that its attribute `callee` names misfit; None for
    an op that calls none. The row's spelling is None, and its meaning gets `call(name, arguments) -> results` after
    `op` and gives the list of all results.
    """

    further: Callable[..., tuple[TensorType, ...]]
    statement: Statement
    fits: Callable[[Op, Function], None] | None
    name: str = "loop"
    iree: Statement | None = None

    def stated(self, dialect: Dialect) -> Statement:
        """The statement in a dialect."""
        return self.iree if dialect == "iree" and self.iree is not None else self.statement


@dataclass(frozen=True, slots=True)
class OpDef:
    """One row: the type rule, the StableHLO spelling, the meaning over an arithmetic, the cost in flops.

    `rule(operand types.., **attrs)` gives the result type or raises IrError. `spelling(op, operand names)` is the text
    after `%n = `; None for an op that a pass must replace first. `iree` is the spelling for IREE, where it is another
    one. `any_batch(op, operand names, name, dialect)` are the lines that make `name` where a shape in the op is that of
    any batch; None for a row that states no shape. `meaning(A, op, operands..)` computes the result in the arithmetic
    A. `flops(op)` counts additions and multiplications.
    """

    kind: str
    rule: TypeRule
    spelling: Spelling | None
    meaning: Meaning
    flops: Cost
    multi: MultiResult | None = None
    iree: Spelling | None = None
    any_batch: AnyBatch | None = None

    def spelled(self, dialect: Dialect) -> Spelling | None:
        """The spelling in a dialect."""
        return self.iree if dialect == "iree" and self.iree is not None else self.spelling


def extreme(A: Any, direction: str, x: Any, y: Any) -> Any:
    """The larger (GE) or smaller (LE) of each pair; a NaN in either is the answer, as StableHLO has it."""
    return A.select(A.compare("NE", x, x), x, A.select(A.compare(direction, x, y), x, y))


def no_flops(op: Op) -> int:
    """Movement of data is counted in bytes only."""
    return 0


def one_each(op: Op) -> int:
    """One flop for each element of the result."""
    return op.result.type.size


def want(condition: bool, wanted: object, got: object) -> None:
    """Raise IrError unless the condition holds."""
    if not condition:
        raise IrError(f"wants {wanted}, got {got}")


def same_types(*types: TensorType) -> TensorType:
    """All operands have one type, which is the result's."""
    first = types[0]
    for t in types:
        if t != first:
            raise IrError(f"wants operands of one type {first}, got {', '.join(map(str, types))}")
    return first


def summed(dtype: DType) -> DType:
    """The element type of sums of products: products of bf16 numbers are added in float32, and given as float32."""
    return "f32" if dtype == "bf16" else dtype


def ints(values: Sequence[int] | Sequence[str]) -> str:
    """`[1, 2]`."""
    return "[" + ", ".join(map(str, values)) + "]"


@lru_cache(maxsize=1 << 12)
def mlir_type(t: TensorType) -> str:
    """`tensor<32x10xf32>`, and `tensor<?x10xf32>` where a size is a multiple of the batch."""
    return "tensor<" + "x".join((*("?" if n < 0 else str(n) for n in t.shape), t.dtype)) + ">"


def arrow(op: Op) -> str:
    """`(tensor<..>, tensor<..>) -> tensor<..>`."""
    operands = ", ".join(mlir_type(v.type) for v in op.operands)
    return f"({operands}) -> {mlir_type(op.result.type)}"
