"""Steps that loop: a batch in parts whose gradients are added (accumulation), and several steps in one call."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from netc.codegen.builder import Builder
from netc.codegen.ir import Function, Value
from netc.codegen.slots import SCALAR, Slot
from netc.netspec.types import TensorType

INDEX = TensorType((), "i32")


@dataclass(frozen=True)
class Derived:
    """What a forward and backward pass gives: shares in the means of the batch, and the new statistics."""

    loss: Value
    correct: Value
    grads: Mapping[str, Value]
    state: Mapping[str, Value]
    choices: Value | None = None  # [experts of all layers]: the share of a layer's choices that fell on each


Derive = Callable[[Builder, dict[str, Value], Value, Value], Derived]


@dataclass(frozen=True)
class Accumulation:
    """A batch in `parts` equal parts, one after the other: the activations of one are held at a time.

    `constants` are what each part is given besides the state. `derive(b, held, x, y)` emits the two passes over one
    part, x of the type `x` and y of the type `y`, whose loss and gradients are shares in the mean over the whole
    batch. Batch-norm statistics run per part, as everywhere in the field: each part is normalised by its own mean and
    variance, and the running ones are updated at each. Where the net draws (dropout), each part draws with a key of its
    own: its number, counted through the whole run, stands for the step's. Parameters in `frozen` have no gradient. The
    choices among so many `experts` are told.
    """

    parts: int
    state: Sequence[Slot]
    draws: bool
    constants: Sequence[Slot]
    x: TensorType
    y: TensorType
    derive: Derive
    frozen: Collection[str] = ()
    experts: int = 0

    @property
    def _trained(self) -> list[Slot]:
        return [s for s in self._slots("parameter") if s.name not in self.frozen]

    def _slots(self, role: str) -> list[Slot]:
        return [s for s in self.state if s.role == role]

    @property
    def _constants(self) -> list[Slot]:
        held = [*self._slots("parameter"), *self._slots("teacher")]
        return [*held, *(self._slots("key") if self.draws else []), *self.constants]

    @property
    def _choices(self) -> list[TensorType]:
        return [TensorType((self.experts,))] if self.experts else []

    def micro_step(self) -> Function:
        """(loss, correct, statistics, gradients; x, y, number; parameters, key) -> the first four, this part added.

        `number` and `key` are there where the net draws. Behind `correct` are the choices where there are experts.
        """
        b = Builder("micro_step")
        loss, correct = b.parameter("loss", SCALAR), b.parameter("correct", SCALAR)
        choices = [b.parameter("choices", t) for t in self._choices]
        statistics = {s.name: b.parameter(s.name, s.type) for s in self._slots("statistic")}
        sums = {s.name: b.parameter(f"gradient/{s.name}", s.type) for s in self._trained}
        x, y = b.parameter("x", self.x), b.parameter("y", self.y)
        number = {"step": b.parameter("number", INDEX)} if self.draws else {}
        constants = {s.name: b.parameter(s.name, s.type) for s in self._constants}
        found = self.derive(b, {**statistics, **constants, **number}, x, y)
        with b.at("accumulate"):
            results = [("loss", b.add(loss, found.loss)), ("correct", b.add(correct, found.correct))]
            results += [("choices", b.add(c, found.choices)) for c in choices if found.choices]
            results += ({**statistics, **found.state}).items()
            results += [(f"gradient/{name}", b.add(total, found.grads[name])) for name, total in sums.items()]
        return replace(b.finish(results), private=True)

    def accumulate(self, b: Builder, micro: Function, held: Mapping[str, Value], x: Value, y: Value) -> Derived:
        """Loop `micro`, this accumulation's micro_step, over the parts of a batch x, y of the step's state `held`."""
        statistics, params = ([s.name for s in slots] for slots in (self._slots("statistic"), self._trained))
        with b.at("accumulate"):
            stacked = [b.reshape(v, (self.parts, *t.shape)) for v, t in ((x, self.x), (y, self.y))]
            if self.draws:
                first = b.broadcast(b.mul(held["step"], self.parts), TensorType((self.parts,), "i32"), ())
                stacked.append(b.add(first, b.iota(0, (self.parts,))))
            begun = [b.constant(0, t) for t in (SCALAR, SCALAR, *self._choices)]
            begun += [held[n] for n in statistics]
            zeros = [b.constant(0, held[n].type) for n in params]
            constants = [held[s.name] for s in self._constants]
            loss, correct, *rest = b.loop(micro, self.parts, [*begun, *zeros], stacked, constants)
        choices = rest.pop(0) if self._choices else None
        sums = 2 + len(self._choices)
        moves = [new is not given for given, new in zip(micro.params[sums:], micro.results[sums:], strict=False)]
        state = {n: v if m else held[n] for n, v, m in zip(statistics, rest, moves, strict=False)}
        return Derived(loss, correct, dict(zip(params, rest[len(statistics) :], strict=True)), state, choices)


def train_steps(step: Function, state: int, count: int) -> Function:
    """(state, xs [K, B, ..], ys [K, B, ..], lrs [K]) -> (state, each metric [K]): K = `count` calls of `step`.

    The first `state` arguments and results of `step` are the state.
    """
    b = Builder("train_steps")
    held = [b.parameter(n, v.type) for n, v in zip(step.names[:state], step.params[:state], strict=True)]
    given = zip(step.names[state:], step.params[state:], strict=True)
    stacked = [b.parameter(f"{n}s", TensorType((count, *v.shape), v.type.dtype)) for n, v in given]
    function = b.finish(list(zip(step.result_names, b.loop(step, count, held, stacked), strict=True)))
    return replace(function, donated=state)
