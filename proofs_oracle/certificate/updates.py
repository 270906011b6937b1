"""The gradient in an update of an optimizer: in a moment that is linear in it, or in the step, undone.

Moments are 0, but Adafactor's. Where no moment is a multiple of the gradient, the step g / root is multiplied by its
root again, by operations that are appended to the function: `undone` gives it with a result more for each parameter.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from netc.codegen.builder import Builder
from netc.codegen.groups import trained_of
from netc.codegen.ir import Function, Value
from netc.codegen.program import Program
from netc.netspec.errors import UserError
from netc.netspec.optimizers import (
    OPTIMIZERS,
    SGD,
    Adadelta,
    Adafactor,
    Adagrad,
    Adam,
    Lamb,
    Lion,
    Muon,
    NAdam,
    Optimizer,
    RMSProp,
    ScheduleFree,
    Shampoo,
)
from netc.proofs_oracle.certificate.reading import read
from netc.proofs_oracle.certificate.run import Gradient

Places = Mapping[str, int]
Moments = Adam | NAdam | Lamb | Shampoo


@dataclass(frozen=True)
class Update:
    """The first update of a function: by which optimizer, of which parameters, and whether each decays.

    `of` and `results` are the places of its arguments and results; `rates`: the factors of those whose rate is not
    `lr` itself; `clipped`: all gradients may miss one factor.
    """

    optimizer: Optimizer
    decays: Mapping[str, bool]
    of: Places
    results: Places
    rates: Mapping[str, float]
    clipped: bool = False

    def gradients(self, exact: bool) -> tuple[Gradient, ...]:
        """How each is read. Raises UserError where it cannot be."""
        kind = type(self.optimizer)
        if kind not in READERS and kind not in STEPS:
            known = ", ".join(cls.kind for cls in (*READERS, *STEPS))
            raise UserError(
                f"certify wants an optimizer whose first update it can read, {known}, got {self.optimizer.kind}; the "
                "gradients are the same with `optimizer=sgd`"
            )
        found = tuple(self._read(k, name, exact) for k, name in enumerate(self.decays))
        if self.clipped and any(g.decay for g in found):
            raise UserError(
                "certify reads gradients that are clipped by their norm up to one factor, got a weight decay of "
                f"{self.optimizer.kind} beside them; the gradients are the same without `weight_decay`"
            )
        # clipped: all of them times one factor, which changes from point to point
        return tuple(replace(g, free=True) for g in found) if self.clipped else found

    def _read(self, k: int, name: str, exact: bool) -> Gradient:
        reader, decay = READERS.get(type(self.optimizer)), self.decays[name]
        if reader is None:
            return _undone(self, k, name, decay, exact)
        found = reader(self.optimizer, name, decay, self.of, self.results, exact)
        by_rate = found.over is not None and name in self.rates
        return replace(found, factor=found.factor / fraction(self.rates[name], exact)) if by_rate else found

    def undone(self, function: Function) -> Function:
        """The function with its steps undone, each a result more; itself where a moment is read."""
        undo = STEPS.get(type(self.optimizer))
        if undo is None:
            return function
        b = Builder(function.name)
        b.place("certificate")
        found = [self._step_undone(b, undo, function, name) for name in self.decays]
        names = (f"gradient/{name}" for name in self.decays)
        return replace(
            function, ops=(*function.ops, *b.ops), results=(*function.results, *found),
            result_names=(*function.result_names, *names),
        )  # fmt: skip

    def _step_undone(self, b: Builder, undo: Undo, function: Function, name: str) -> Value:
        p, new = function.params[self.of[name]], function.results[self.results[name]]
        lr = function.params[self.of["lr"]]
        rate = b.mul(lr, self.rates[name]) if name in self.rates else lr
        step = b.div(b.sub(p, new), b.broadcast(rate, p, ()))

        def now(moment: str) -> Value:
            """What is kept of the parameter, or of all of them, after the step."""
            own = f"{moment}/{name}"
            return function.results[self.results[own if own in self.results else moment]]

        def before(moment: str) -> Value:
            return function.params[self.of[f"{moment}/{name}"]]

        return undo(b, self.optimizer, Step(p, step, self.decays[name], now, before))

    def zero(self, moments: Sequence[str]) -> tuple[int, ...]:
        """The places of those moments that are 0 where a gradient is read."""
        return () if isinstance(self.optimizer, Adafactor) else tuple(self.of[name] for name in moments)

    @property
    def said(self) -> tuple[str, ...]:
        """A sentence on what was appended."""
        if type(self.optimizer) not in STEPS:
            return ()
        first = len(self.results)
        return (f"results from {first} on as {self.optimizer.kind}'s steps times their roots: (p - p_new) / lr root",)


def fraction(value: float, exact: bool) -> Fraction:
    """The number that a literal of float32 stands for."""
    return read(value, "f32", exact).fraction


# -- moments ---------------------------------------------------------------------------------------------------------


def _by_first_moment(o: Moments, name: str, decay: bool, of: Places, results: Places, exact: bool) -> Gradient:
    """m_new = (1 - beta1) g for m = 0; coupled decay adds to g."""
    coupled = fraction(o.weight_decay, exact) if decay and not o.decoupled else Fraction(0)
    return Gradient(of[name], results[f"m/{name}"], factor=1 / fraction(1 - o.beta1, exact), decay=coupled)


def _by_momentum(o: Lion, name: str, decay: bool, of: Places, results: Places, exact: bool) -> Gradient:
    """m_new = (1 - beta2) g for m = 0."""
    return Gradient(of[name], results[f"m/{name}"], factor=1 / fraction(1 - o.beta2, exact))


def _by_either(o: Muon, name: str, decay: bool, of: Places, results: Places, exact: bool) -> Gradient:
    """Of a matrix buffer_new = (1 - momentum) g for buffer = 0; of all else m, as AdamW's."""
    kept, beta = ("buffer", o.momentum) if f"buffer/{name}" in of else ("m", o.beta1)
    return Gradient(of[name], results[f"{kept}/{name}"], factor=1 / fraction(1 - beta, exact))


def _by_velocity_or_step(o: SGD, name: str, decay: bool, of: Places, results: Places, exact: bool) -> Gradient:
    """velocity_new = g for velocity = 0; without momentum g = (p - p_new) / lr. Decay adds to g."""
    rate = fraction(o.weight_decay, exact) if decay else Fraction(0)
    if o.momentum:
        return Gradient(of[name], results[f"velocity/{name}"], decay=rate)
    return Gradient(of[name], results[name], less=of[name], factor=Fraction(-1), over=of["lr"], decay=rate)


READERS: dict[type[Optimizer], Callable[..., Gradient]] = {
    Adam: _by_first_moment, SGD: _by_velocity_or_step, Lion: _by_momentum, NAdam: _by_first_moment,
    Lamb: _by_first_moment, Muon: _by_either, Shampoo: _by_first_moment,
}  # fmt: skip


# -- steps -----------------------------------------------------------------------------------------------------------

Kept = Callable[[str], Value]
Root = Callable[[Builder, Any, Kept, Kept], Value]


@dataclass(frozen=True)
class Step:
    """The update of one parameter p: (p - p_new) / lr, whether p decays, and what is kept after and before."""

    p: Value
    step: Value
    decay: bool
    now: Kept
    before: Kept


Undo = Callable[[Builder, Any, Step], Value]


def _undone(update: Update, k: int, name: str, decay: bool, exact: bool) -> Gradient:
    """g and its decay, whatever the step divides it by."""
    coupled = decay and not isinstance(update.optimizer, Adafactor | ScheduleFree)
    rate = fraction(update.optimizer.weight_decay, exact) if coupled else Fraction(0)
    return Gradient(update.of[name], len(update.results) + k, decay=rate)


def _by(root: Root) -> Undo:
    """The step times its root."""
    return lambda b, o, s: b.mul(s.step, root(b, o, s.now, s.before))


def _rmsprop(b: Builder, o: RMSProp, now: Kept, before: Kept) -> Value:
    """(p - p_new) / lr = g / (sqrt(v_new) + epsilon), also where a buffer, which was 0, has it."""
    squares = now("v")
    if o.initial:
        left = b.mul(b.sub(1.0, now("correction1")), o.initial)
        squares = b.add(squares, b.broadcast(left, squares, ()))
    if o.centered:
        squares = b.maximum(b.sub(squares, b.mul(now("q"), now("q"))), 0.0)
    return b.unary("sqrt", b.add(squares, o.epsilon)) if o.inside else b.add(b.unary("sqrt", squares), o.epsilon)


def _adagrad(b: Builder, o: Adagrad, now: Kept, before: Kept) -> Value:
    """(p - p_new) / lr = g / (sqrt(s_new + initial) + epsilon)."""
    whole = b.add(now("squares"), o.initial) if o.initial else now("squares")
    return b.add(b.unary("sqrt", whole), o.epsilon)


def _adadelta(b: Builder, o: Adadelta, now: Kept, before: Kept) -> Value:
    """(p - p_new) / lr = g sqrt(w + epsilon) / sqrt(v_new + epsilon)."""
    above, below = (b.unary("sqrt", b.add(x, o.epsilon)) for x in (now("v"), before("w")))
    return b.div(above, below)


def _adafactor(b: Builder, o: Adafactor, s: Step) -> Value:
    """(p - p_new) / lr = g r c, with roots r of the second moments and one number c = size / max(1, rms(g r) / h).

    Then w = step / r = g c, and the second moments hold the sum of g²: so c² = sum(w²) / sum(g²), and the sum under
    rms(g r) is sum(step²) / c². Moments of 0 would not do: rms(g r) is 1 then, where max has its corner.
    """
    step = b.sub(s.step, b.mul(s.p, o.weight_decay)) if s.decay and o.weight_decay else s.step
    forget = b.unary("exp", b.mul(b.unary("log", s.now("correction1")), -o.fading))

    def added(moment: str) -> Value:
        """What the average took in: g² of each element, or its means along an axis."""
        new, old = s.now(moment), s.before(moment)
        rate = b.broadcast(forget, new, ())
        return b.sub(b.div(b.sub(new, b.mul(old, b.sub(1.0, rate))), rate), o.epsilon)

    axes = o.factored(s.p.shape)
    if axes is None:
        w, squares = b.div(step, b.unary("rsqrt", s.now("v"))), _sum(b, added("v"))
    else:
        longest, other = axes
        rows, place = s.now("rows"), other - (longest < other)
        mean = b.mul(b.sum(rows, (place,)), 1 / rows.shape[place])
        mean = b.broadcast(mean, rows, _all_but(place, rows))
        w = b.div(step, b.broadcast(b.unary("rsqrt", b.div(rows, mean)), step, _all_but(longest, step)))
        w = b.div(w, b.broadcast(b.unary("rsqrt", s.now("columns")), step, _all_but(other, step)))
        squares = b.mul(_sum(b, added("rows")), float(s.p.shape[longest]))
    under = b.mul(_sum(b, b.mul(step, step)), b.div(squares, _sum(b, b.mul(w, w))))
    over = b.maximum(b.mul(_rms(b, under, s.p), 1 / o.threshold), 1.0)
    if not o.absolute:
        over = b.div(over, b.maximum(_rms(b, _sum(b, b.mul(s.p, s.p)), s.p), SMALLEST_SIZE))
    return b.mul(w, b.broadcast(over, w, ()))


SMALLEST_SIZE = 1e-3  # of a parameter, below which its step is no smaller


def _sum(b: Builder, x: Value) -> Value:
    return b.sum(x, tuple(range(len(x.shape))))


def _rms(b: Builder, squares: Value, p: Value) -> Value:
    """Of the elements of p, from the sum of their squares."""
    return b.mul(b.unary("sqrt", squares), 1 / math.sqrt(max(p.type.size, 1)))


def _all_but(axis: int, x: Value) -> tuple[int, ...]:
    return tuple(i for i in range(len(x.shape)) if i != axis)


def _schedule_free(b: Builder, o: ScheduleFree, s: Step) -> Value:
    """(p - p_new) / (c lr) = g / (sqrt(v_new / c2) + epsilon) + weight_decay p, where z was p."""
    step = b.mul(s.step, b.broadcast(s.now("correction1"), s.p, ()))  # 1 / c
    step = b.sub(step, b.mul(s.p, o.weight_decay)) if s.decay and o.weight_decay else step
    squares = b.div(s.now("v"), b.broadcast(s.now("correction2"), s.p, ()))
    return b.mul(step, b.add(b.unary("sqrt", squares), o.epsilon))


STEPS: dict[type[Optimizer], Undo] = {
    RMSProp: _by(_rmsprop), Adagrad: _by(_adagrad), Adadelta: _by(_adadelta), Adafactor: _adafactor,
    ScheduleFree: _schedule_free,
}  # fmt: skip
"""The gradient of a step that no moment has a multiple of."""


def update_of(program: Program) -> Update:
    """Of a program's `train_step`. Raises UserError where each gradient is bounded in its own way."""
    step, clipping = program.module.function("train_step"), program.recipe.clipping
    if on := [f"`{name}`" for name in ("clip_value", "agc") if getattr(clipping, name)]:
        raise UserError(OWN_WAY.format(on[0]))
    net, groups, wrapping = program.net, program.recipe.groups, program.recipe.wrapping
    _refuse_wrapped(program.recipe.optimizer, wrapping.sam, wrapping.lookahead, groups.thaw)
    decays = {p.name: p.decay or program.recipe.decay_all for p in trained_of(net, groups)}
    of, results = places(step.names), places(step.result_names)
    return Update(program.recipe.optimizer, decays, of, results, groups.factors(net), bool(clipping.clip_norm))


def update_of_manifest(
    manifest: Mapping[str, Any], arguments: Sequence[str], returned: Sequence[str], parameters: Sequence[str]
) -> Update | None:
    """Of a function with these arguments and results, by our manifest's optimizer; None where it says none."""
    said, of, results = manifest.get("optimizer"), places(arguments), places(returned)
    if not isinstance(said, Mapping) or "lr" not in of or not all(n in results for n in parameters):
        return None
    kinds = {row.cls.kind: row.cls for row in OPTIMIZERS.values()}
    options = {k: v for k, v in said.items() if k not in ("kind", *BESIDE, *CLIPPING, *WRAPPING)}
    if (kind := kinds.get(said.get("kind", ""))) is None:
        raise UserError(f"`manifest` wants an optimizer of {', '.join(sorted(kinds))}, got {said.get('kind')!r}")
    try:
        optimizer = kind(**options)
    except TypeError as error:
        raise UserError(f"`manifest` wants the options of {kind.kind}, got {', '.join(options)}") from error
    if on := [f"`{option}`" for option in CLIPPING[1:] if said.get(option)]:
        raise UserError(OWN_WAY.format(on[0]))
    _refuse_wrapped(optimizer, *map(said.get, WRAPPING))
    decaying, frozen, rates = (said.get(key, ()) for key in BESIDE)
    decays = {n: n in decaying for n in parameters if n not in frozen}
    return Update(optimizer, decays, of, results, dict(rates), bool(said.get(CLIPPING[0])))


def _refuse_wrapped(optimizer: Optimizer, sam: Any, lookahead: Any, thaw: Any) -> None:
    """Raise UserError where the first update has another gradient, or the step that is read is not its own alone."""
    stepwise = type(optimizer) in STEPS or (isinstance(optimizer, SGD) and not optimizer.momentum)
    if sam or thaw or (lookahead and stepwise):
        word, why = ("sam", "is that at other weights") if sam else ("lookahead", "moves the weights as well")
        if thaw:
            word, why = "thaw", "waits for its step"
        raise UserError(
            f"certify reads the gradient of the loss in the first update, which with `{word}` {why}; the gradients are "
            f"the same without `{word}`"
        )


WRAPPING = ("sam", "lookahead", "thaw")
BESIDE = ("decays", "frozen", "rates")  # of parameters, beside the options
CLIPPING = ("clip_norm", "clip_value", "agc")
OWN_WAY = (
    "certify reads gradients in the first update, where {} bounds each in its own way; the gradients are the same "
    "without it"
)


def places(names: Sequence[str]) -> dict[str, int]:
    """The index of each name."""
    return {name: index for index, name in enumerate(names)}
