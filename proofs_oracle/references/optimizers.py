"""Optimizers in NumPy float64, one step of a list of tensors at a time, from their papers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from netc.netspec.recipe import SGD, Adam, Optimizer
from netc.proofs_oracle.draws import FloatArray, Shape
from netc.proofs_oracle.reference import OracleError


@dataclass(frozen=True)
class Kept:
    """What an optimizer keeps after `steps` steps: for each moment by name, a tensor for each parameter or None."""

    moments: Mapping[str, tuple[FloatArray | None, ...]]
    steps: int = 0


@dataclass(frozen=True, slots=True)
class OptimizerCase:
    """An optimizer over `steps` steps of random gradients on tensors of these shapes; `decay` as for each of them."""

    name: str
    optimizer: Optimizer
    shapes: tuple[tuple[int, ...], ...] = ((3, 4), (4,), ())
    decay: tuple[bool, ...] = (True, False, False)
    steps: int = 20
    lr: float = 0.05
    gradients: str = "normal"  # or "zero", or "tiny": below epsilon


@dataclass(frozen=True, slots=True)
class Now:
    """The learning rate, this parameter's weight decay, and the number of the step from 1."""

    lr: float
    decay: float
    step: int


@dataclass(frozen=True)
class OptimizerReference:
    """One update: `update(optimizer, p, g, moments, Now)` gives the new p and its new moments, by the paper.

    `moments(optimizer)` names what is kept for each parameter; `corrections(optimizer, steps)` are the scalars that are
    kept once, after so many steps; where they hang on the rate, `with_rate(optimizer, steps, lr)` of steps at one rate.
    `point(optimizer, p, moments)` is where the gradient is taken, if not at p. `shape` is that of a moment for a
    parameter of a shape, or None.

    `form`: the lines of a JAX script that do the same, if there are any: from w, g, lr, t and the moments `kept` by
    name to `new`; weight decay is for the parameters with PARAMETERS[name][3]. The script keeps all moments in the
    parameter's shape, and `script_moments` besides; `script_point` is where its gradient is taken, of w and `kept`.
    """

    update: Callable[[Any, FloatArray, FloatArray, Mapping[str, FloatArray], Now], Any]
    moments: Callable[[Any], tuple[str, ...]]
    cases: tuple[OptimizerCase, ...]
    corrections: Callable[[Any, int], tuple[float, ...]] = lambda optimizer, steps: ()
    form: Callable[[Any], list[str]] | None = None
    shape: Callable[[Any, str, Shape], Shape | None] = lambda optimizer, moment, shape: shape
    with_rate: Callable[[Any, int, float], tuple[float, ...]] | None = None
    point: Callable[[Any, FloatArray, Mapping[str, FloatArray]], FloatArray] | None = None
    script_moments: tuple[str, ...] = ()
    script_point: Callable[[Any], str] | None = None


def reference_of(optimizer: Optimizer) -> OptimizerReference:
    """The reference of an optimizer; raises OracleError where there is none."""
    found = OPTIMIZERS.get(type(optimizer))
    if found is None:
        raise OracleError(
            f"the oracle wants a reference for {optimizer.kind}, got those for "
            f"{', '.join(cls.kind for cls in OPTIMIZERS)}; write it in proofs_oracle/references/optimizers.py"
        )
    return found


def moment_names(optimizer: Optimizer) -> tuple[str, ...]:
    """The moments that an optimizer keeps; plain SGD keeps none."""
    return reference_of(optimizer).moments(optimizer)


def start(optimizer: Optimizer, params: tuple[FloatArray, ...]) -> Kept:
    """Before the first step all moments are 0 (Kingma and Ba 2015, algorithm 1)."""
    shape = reference_of(optimizer).shape
    kept = {name: [shape(optimizer, name, p.shape) for p in params] for name in moment_names(optimizer)}
    return Kept({name: tuple(None if s is None else np.zeros(s) for s in shapes) for name, shapes in kept.items()})


def corrections(optimizer: Optimizer, steps: int, lr: float) -> tuple[float, ...]:
    """Adam's 1 - beta1^t and 1 - beta2^t; none for SGD. `lr` is the rate of all steps."""
    reference = reference_of(optimizer)
    if reference.with_rate is not None:
        return reference.with_rate(optimizer, steps, lr)
    return reference.corrections(optimizer, steps)


def points(optimizer: Optimizer, params: tuple[FloatArray, ...], kept: Kept) -> tuple[FloatArray, ...]:
    """Where the gradients of the parameters are taken."""
    point = reference_of(optimizer).point
    if point is None:
        return params
    own = ({n: t for n, tensors in kept.moments.items() if (t := tensors[i]) is not None} for i in range(len(params)))
    return tuple(point(optimizer, p, moments) for p, moments in zip(params, own, strict=True))


def adam_corrections(o: Any, steps: int) -> tuple[float, ...]:
    """1 - beta1^t and 1 - beta2^t."""
    return 1 - o.beta1**steps, 1 - o.beta2**steps


def adam(o: Adam, p: FloatArray, g: FloatArray, old: Mapping[str, FloatArray], at: Now) -> Any:
    """Kingma and Ba 2015, algorithm 1; decay as in Loshchilov and Hutter 2019, algorithm 2, line 12 or line 6."""
    if not o.decoupled:
        g = g + at.decay * p
    m = o.beta1 * old["m"] + (1 - o.beta1) * g
    v = o.beta2 * old["v"] + (1 - o.beta2) * g**2
    c1, c2 = adam_corrections(o, at.step)
    new = p - at.lr * (m / c1) / (np.sqrt(v / c2) + o.epsilon)
    if o.decoupled:
        new = new - at.lr * at.decay * p
    return new, {"m": m, "v": v}


def _sgd(o: SGD, p: FloatArray, g: FloatArray, old: Mapping[str, FloatArray], at: Now) -> Any:
    """Sutskever et al. 2013, eq. 1 to 4, in the form of torch.optim.SGD: the rate outside the velocity."""
    g = g + at.decay * p
    if not o.momentum:
        return p - at.lr * g, {}
    u = o.momentum * old["velocity"] + g
    return p - at.lr * (g + o.momentum * u if o.nesterov else u), {"velocity": u}


def step(
    optimizer: Optimizer,
    params: tuple[FloatArray, ...],
    gradients: tuple[FloatArray, ...],
    kept: Kept,
    *,
    lr: float,
    decay: tuple[bool, ...],
    factors: tuple[float, ...] = (),
) -> tuple[tuple[FloatArray, ...], Kept]:
    """One update: the new parameters and what is kept. Weight decay applies to parameters whose `decay` is True.

    `factors` of the rate, one for each parameter, are 1 where they are not given.
    """
    update, steps = reference_of(optimizer).update, kept.steps + 1
    new_params, moments = [], []
    for i, (p, g) in enumerate(zip(params, gradients, strict=True)):
        old = {name: t for name, tensors in kept.moments.items() if (t := tensors[i]) is not None}
        new, after = update(
            optimizer,
            p,
            g,
            old,
            Now(lr * (factors[i] if factors else 1), optimizer.weight_decay if decay[i] else 0.0, steps),
        )
        new_params.append(new)
        moments.append(after)
    names = kept.moments.keys()
    return tuple(new_params), replace(kept, moments={n: tuple(m.get(n) for m in moments) for n in names}, steps=steps)


def correction(beta: float, t: str = "t") -> str:
    """1 - beta^t. In float32 that difference loses four of seven digits for beta = 0.999 and t = 1."""
    return f"-jnp.expm1({t} * {math.log(beta)!r})" if beta else "1"


def coupled(o: Any) -> list[str]:
    """Lines that add the decay to the gradient."""
    return ["if PARAMETERS[name][3]:", f"    g = g + {o.weight_decay!r} * w"] if o.weight_decay else []


def decoupled(o: Any) -> list[str]:
    """Lines that take the decay from the new parameter."""
    return ["if PARAMETERS[name][3]:", f"    new = new - lr * {o.weight_decay!r} * w"] if o.weight_decay else []


def adam_form(o: Adam) -> list[str]:
    """Lines of Adam and AdamW."""
    lines = [
        f"kept['m'] = {o.beta1!r} * kept['m'] + {1 - o.beta1!r} * g",
        f"kept['v'] = {o.beta2!r} * kept['v'] + {1 - o.beta2!r} * g**2",
        f"m = kept['m'] / {correction(o.beta1)}",
        f"v = kept['v'] / {correction(o.beta2)}",
        f"new = w - lr * m / (jnp.sqrt(v) + {o.epsilon!r})",
    ]
    return [*lines, *decoupled(o)] if o.decoupled else [*coupled(o), *lines]


def _sgd_form(o: SGD) -> list[str]:
    if not o.momentum:
        return [*coupled(o), "new = w - lr * g"]
    ahead = f"(g + {o.momentum!r} * kept['velocity'])" if o.nesterov else "kept['velocity']"
    return [*coupled(o), f"kept['velocity'] = {o.momentum!r} * kept['velocity'] + g", f"new = w - lr * {ahead}"]


ADAM_CASES = (
    OptimizerCase("plain", Adam()),
    OptimizerCase("decoupled-decay", Adam(weight_decay=0.1)),
    OptimizerCase("decoupled-decay-on-all", Adam(weight_decay=0.1), decay=(True, True, True)),
    OptimizerCase("l2", Adam(weight_decay=0.1, decoupled=False)),
    OptimizerCase("other-betas", Adam(0.5, 0.9, 1e-3)),
    OptimizerCase("betas-0", Adam(0.0, 0.0)),
    OptimizerCase("zero-gradients", Adam(weight_decay=0.01), gradients="zero"),
    OptimizerCase("gradients-below-epsilon", Adam(), gradients="tiny"),
    OptimizerCase("one-parameter", Adam(), shapes=((1,),), decay=(True,)),
    OptimizerCase("rate-0", Adam(weight_decay=0.1), lr=0.0),
)
SGD_CASES = (
    OptimizerCase("momentum", SGD()),
    OptimizerCase("plain", SGD(0.0)),
    OptimizerCase("plain-decay", SGD(0.0, weight_decay=0.1)),
    OptimizerCase("nesterov", SGD(nesterov=True)),
    OptimizerCase("momentum-decay", SGD(weight_decay=0.1)),
    OptimizerCase("nesterov-decay", SGD(0.5, nesterov=True, weight_decay=0.1)),
    OptimizerCase("nesterov-decay-on-all", SGD(nesterov=True, weight_decay=0.1), decay=(True, True, True)),
    OptimizerCase("zero-gradients", SGD(weight_decay=0.01), gradients="zero"),
    OptimizerCase("one-parameter", SGD(), shapes=((1,),), decay=(True,)),
)
OPTIMIZERS: dict[type[Optimizer], OptimizerReference] = {
    Adam: OptimizerReference(adam, lambda o: ("m", "v"), ADAM_CASES, adam_corrections, adam_form),
    SGD: OptimizerReference(_sgd, lambda o: ("velocity",) if o.momentum else (), SGD_CASES, form=_sgd_form),
}
