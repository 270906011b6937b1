"""From one module at two batches to the module of any batch: what differs in proportion to the batch is its multiple.

Two emissions that differ in anything else have no common form: another operation, another form of a convolution, a
number that is no size. The result is right for all batches as far as its type rules are, which `verify` checks for
sizes that are symbols, and a third emission must be the same operation for operation (`same_text`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from netc.codegen.ir import Function, IrError, Module, Op, Value
from netc.codegen.ops.movement import PerBatch
from netc.codegen.symbolic.sizes import SIZED
from netc.codegen.verify import verify
from netc.netspec.types import TensorType


class BatchMisfitError(Exception):
    """Two emissions that have no common form for any batch: where, and what differs."""

    def __init__(self, place: str, what: str) -> None:
        super().__init__(f"{place}: {what}")
        self.place, self.what = place, what


def abstracted(modules: Mapping[int, Module]) -> Module:
    """The module of any batch whose forms at two batches these are. Raises BatchMisfitError."""
    (first, small), (second, large) = modules.items()
    if [f.name for f in small] != [f.name for f in large]:
        raise BatchMisfitError(small.name, "it has other functions at another batch")
    both = zip(small, large, strict=True)
    module = replace(small, functions=tuple(_Pair(first, second).function(f, g) for f, g in both))
    try:
        return verify(module)
    except IrError as error:
        raise BatchMisfitError(small.name, str(error)) from error


def _of(op: Op) -> tuple[Value, ...]:
    return (*op.operands, *op.results)


class _Pair:
    """Two batches, and what is known of the values of a function at both."""

    def __init__(self, small: int, large: int) -> None:
        self.small, self.large = small, large
        self.value: dict[Value, Value] = {}
        self.partner: dict[Value, Value] = {}
        self.place = ""

    def function(self, f: Function, g: Function) -> Function:
        self.place = f.name
        params = self._values(f.params, g.params)
        ops = tuple(self._ops(f, g))
        return replace(f, params=params, ops=ops, results=self._all_known(f.results, g.results))

    def _ops(self, f: Function, g: Function) -> Iterator[Op]:
        for op, other in zip(f.ops, g.ops, strict=False):
            self.place = op.loc
            if op.kind == "loop" and any(v.shape != w.shape for v, w in zip(_of(op), _of(other), strict=False)):
                self._refuse("it is a loop whose sizes depend on the batch")
            if op.kind != other.kind or len(op.operands) != len(other.operands):
                self._refuse(f"it is {op} at batch {self.small} and {other} at {self.large}")
            operands = self._all_known(op.operands, other.operands)
            attrs = tuple(self._attrs(op, other))
            result, *extra = self._values(op.results, other.results)
            yield Op(op.kind, operands, attrs, result, op.loc, tuple(extra))
        if len(f.ops) != len(g.ops):
            self._refuse(f"it has {len(f.ops)} operations at batch {self.small} and {len(g.ops)} at {self.large}")

    def _all_known(self, vs: tuple[Value, ...], ws: tuple[Value, ...]) -> tuple[Value, ...]:
        return tuple(self._known(v, w) for v, w in zip(vs, ws, strict=True))

    def _known(self, v: Value, w: Value) -> Value:
        if self.partner.get(v) is not w:
            self._refuse(f"it reads other values at batch {self.large} than at {self.small}")
        return self.value[v]

    def _values(self, vs: tuple[Value, ...], ws: tuple[Value, ...]) -> tuple[Value, ...]:
        for v, w in zip(vs, ws, strict=True):
            if v.type.dtype != w.type.dtype or len(v.shape) != len(w.shape):
                self._refuse(f"it makes {v.type} at batch {self.small} and {w.type} at {self.large}")
            self.value[v], self.partner[v] = Value(TensorType(self._sizes(v.shape, w.shape), v.type.dtype)), w
        return tuple(self.value[v] for v in vs)

    def _sizes(self, small: tuple[int, ...], large: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(self._size(n, m) for n, m in zip(small, large, strict=True))

    def _size(self, n: int, m: int) -> int:
        if n == m:
            return n
        if n % self.small or n * self.large != m * self.small:
            self._refuse(f"a size of it is {n} at batch {self.small} and {m} at {self.large}, no multiple of the batch")
        return -(n // self.small)

    def _attrs(self, op: Op, other: Op) -> Iterator[tuple[str, Any]]:
        for (name, given), (same, found) in zip(op.attrs, other.attrs, strict=True):
            if repr(given) == repr(found):
                yield name, given
            elif name in SIZED:
                yield name, self._sizes(given, found)
            elif op.kind == "constant" and name == same == "value" and isinstance(given, float):
                yield name, self._share(given, found)
            else:
                self._refuse(f"its {name} is {given} at batch {self.small} and {found} at {self.large}")

    def _share(self, given: float, found: float) -> PerBatch:
        """A number that is one by the batch, as a mean's 1/B is."""
        counts = round(1 / (given * self.small)) if given else 0
        for share in (PerBatch(1.0, counts), PerBatch(given * self.small), PerBatch(found * self.large)):
            if share.times and (share.at(self.small), share.at(self.large)) == (given, found):
                return share
        raise self._misfit(f"its number is {given!r} at batch {self.small} and {found!r} at {self.large}")

    def _refuse(self, what: str) -> None:
        raise self._misfit(what)

    def _misfit(self, what: str) -> BatchMisfitError:
        return BatchMisfitError(self.place, what)
