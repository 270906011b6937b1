"""A step that others wrote, as a function to prove: its loss, and the gradients that its results are or are made of.

What the loss needs is the forward pass, and all the rest the backward pass, so no name in the text is asked. Operations
that the IR does not have become those of rows.py; what is left and has no meaning is named by the exporter.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from netc.codegen.builder import Builder
from netc.codegen.ir import Function, Value
from netc.netspec.errors import UserError
from netc.proofs.export import reached
from netc.proofs.foreign.rows import ROWS
from netc.proofs.foreign.text import Text

PRODUCTS = ("dot", "conv", "conv_input_grad", "conv_kernel_grad")


@dataclass(frozen=True)
class Claimed:
    """The gradient of an argument, by their numbers: a result, or in `update` what the new argument is made of."""

    argument: int
    result: int
    update: bool = False


@dataclass(frozen=True)
class Step:
    """What is proven of a text.

    The function's results are the loss, a gradient for each of `trained`, and what else the text makes of some of them:
    `updates` has their names. `layers`: of each value the part of the net that it belongs to; `said`: what is assumed
    of the text besides. `source`: the text, with those of its values as results that the function's are to be.
    """

    function: Function
    trained: tuple[str, ...]
    updates: tuple[str, ...]
    layers: Mapping[Value, str]
    said: tuple[str, ...]
    source: Function


def step_of(function: Function, loss: int, claims: Sequence[Claimed], zero: Collection[int] = ()) -> Step:
    """The loss and gradients of a text; arguments in `zero` are states of the optimizer.

    Raises UserError for results that no gradient is read from, and UnreadError for an operation without a meaning.
    """
    reading = _Updates(function, frozenset(function.params[i] for i in zero))
    gradients = [reading.gradient(c) for c in claims]
    new = [c for c in claims if c.update]
    found = [function.results[loss], *gradients, *(function.results[c.result] for c in new)]
    needed = {op.result for op in reached(_with(function, found[:1]))}
    text = Text(Builder("gradients"), ROWS)
    for name, value in zip(function.names, function.params, strict=True):
        text.of[value] = text.b.parameter(name, value.type)
    for op in reached(_with(function, found)):
        line = op.loc.removesuffix(" (vjp)")
        text.read(op, line if op.result in needed else f"{line} (vjp)")
    made = text.b.finish([(f"result{i}", text.of[v]) for i, v in enumerate(found)])
    trained, updates = (tuple(function.names[c.argument] for c in some) for some in (claims, new))
    return Step(made, trained, updates, _layers(made), tuple(text.said), _with(function, found))


def _with(function: Function, results: Sequence[Value]) -> Function:
    return Function(
        function.name, function.params, function.names, function.ops, tuple(results), ("",) * len(results)
    )  # fmt: skip


class _Updates:
    """Gradients in what an optimizer makes of them."""

    def __init__(self, function: Function, zero: frozenset[Value]) -> None:
        self.function, self.zero = function, zero
        self.makers = {op.result: op for op in function.ops}

    def gradient(self, c: Claimed) -> Value:
        """The result itself, g of p - rate * g, or g of a state's new value b * state + rate * g."""
        result = self.function.results[c.result]
        if not c.update:
            inner = self._without_states(result)
            return result if inner is result else self._unscaled(inner)
        op, p = self.makers.get(result), self.function.params[c.argument]
        if op is not None and op.kind == "sub" and op.operands[0] is p:
            step = self._unscaled(op.operands[1])
            return self._unscaled(self._without_states(step))
        where = op.loc if op else "its argument itself"
        raise UserError(
            "prove wants gradients among the results, or updates p - rate * gradient with a rate that is one number, "
            f"got result {c.result} made otherwise ({where}); let the step return its gradients too"
        )

    def _unscaled(self, v: Value) -> Value:
        """x of rate * x."""
        op = self.makers.get(v)
        if op is not None and op.kind == "mul" and sum(map(self._rate, op.operands)) == 1:
            return next(x for x in op.operands if not self._rate(x))
        return v

    def _without_states(self, v: Value) -> Value:
        """x of state + x, or of b * state + x."""
        op = self.makers.get(v)
        if op is not None and op.kind == "add":
            states = [x for x in op.operands if self._unscaled(x) in self.zero]
            if len(states) == 1:
                return next(x for x in op.operands if x is not states[0])
        return v

    def _rate(self, v: Value) -> bool:
        """Whether a tensor is one number of the text, or an argument that is one, repeated."""
        op = self.makers.get(v)
        if op is None:
            return not v.shape
        if op.kind == "constant":
            return not isinstance(op.attr("value"), tuple)
        return op.kind in ("broadcast", "convert", "reshape") and self._rate(op.operands[0])


def _layers(function: Function) -> Mapping[Value, str]:
    """Parts of the net: a new one at each product. An operation of the backward pass is of the first that it reads."""
    number: dict[Value, int] = {}
    count = 0
    for op in function.ops:
        if not op.loc.endswith(" (vjp)"):
            count += op.kind in PRODUCTS
            number[op.result] = count
    for op in function.ops:
        if op.result not in number:
            number[op.result] = min((number[v] for v in op.operands if v in number), default=count)
    return {v: f"part {n}" for v, n in number.items()}
