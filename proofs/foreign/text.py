"""What is read of a text so far, and how a row of a table makes operations of the IR of one of the text."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from netc.codegen.builder import Builder
from netc.codegen.ir import IrError, Op, Value
from netc.codegen.ops import OPS
from netc.netspec.types import TensorType
from netc.proofs.axes import UnreadError


class Text:
    """What is read of a text so far: each of its values as one of the function that is proven.

    `said`: what is assumed of indices, a sentence each; `gathered`: values that are read at indices;
    `hot`: [label = k] of labels, along an axis.
    """

    def __init__(self, b: Builder, rows: Mapping[str, Row]) -> None:
        self.b, self.rows = b, rows
        self.of: dict[Value, Value] = {}
        self.makers: dict[Value, Op] = {}
        self.said: dict[str, None] = {}
        self.gathered: set[Value] = set()
        self.hot: dict[tuple[Value, TensorType, int], Value] = {}
        self.loc = ""

    def read(self, op: Op, loc: str) -> None:
        """One operation. Raises UnreadError with its line."""
        self.loc = loc
        self.b.place(loc)
        operands = [self.of[v] for v in op.operands]
        try:
            if op.kind in self.rows:
                found = self.rows[op.kind](self, op, operands)
            elif op.kind in OPS:
                (found,) = self.b.again(op.kind, tuple(operands), dict(op.attrs))
            else:
                raise UnreadError(loc, op.kind)
        except IrError as error:
            raise UnreadError(loc, str(error).removeprefix(f"{loc}: ")) from error
        self.of[op.result] = found

    def maker(self, v: Value, *kinds: str) -> Op | None:
        """The operation that makes a value, if it is of these kinds."""
        self.makers.update((op.result, op) for op in self.b.ops[len(self.makers) :])
        op = self.makers.get(v)
        return op if op is not None and op.kind in kinds else None

    def number(self, v: Value) -> float | None:
        """The one number that a value is filled with, if it is a literal."""
        while (op := self.maker(v, "broadcast", "reshape")) is not None:
            v = op.operands[0]
        op = self.maker(v, "constant")
        value = None if op is None else op.attr("value")
        return None if value is None or isinstance(value, tuple) else float(value)

    def refuse(self, op: Op, why: str) -> UnreadError:
        """The error for an operation that cannot be read."""
        return UnreadError(self.loc, f"{op.kind} {why}")

    def transposed(self, v: Value, perm: tuple[int, ...]) -> Value:
        """With axis perm[i] at i."""
        return v if perm == tuple(range(len(perm))) else self.b.transpose(v, perm)


Row = Callable[[Text, Op, list[Value]], Value]
