"""Optimizers that treat each element by itself, in NumPy float64 from their papers: all but Adam and SGD."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from netc.netspec.optimizers import Adadelta, Adagrad, Lion, NAdam, RMSProp, ScheduleFree
from netc.proofs_oracle.draws import FloatArray
from netc.proofs_oracle.references.optimizers import (
    OPTIMIZERS,
    Now,
    OptimizerCase,
    OptimizerReference,
    adam_corrections,
    correction,
    coupled,
    decoupled,
)

Old = Mapping[str, FloatArray]


def _lion(o: Lion, p: FloatArray, g: FloatArray, old: Old, at: Now) -> Any:
    """Chen et al. 2023, algorithm 2."""
    sign = np.sign(o.beta1 * old["m"] + (1 - o.beta1) * g)
    return p - at.lr * (sign + at.decay * p), {"m": o.beta2 * old["m"] + (1 - o.beta2) * g}


def _lion_form(o: Lion) -> list[str]:
    return [
        f"new = w - lr * jnp.sign({o.beta1!r} * kept['m'] + {1 - o.beta1!r} * g)",
        *decoupled(o),
        f"kept['m'] = {o.beta2!r} * kept['m'] + {1 - o.beta2!r} * g",
    ]


def _nadam(o: NAdam, p: FloatArray, g: FloatArray, old: Old, at: Now) -> Any:
    """Dozat 2016, algorithm 8 with a constant momentum."""
    if not o.decoupled:
        g = g + at.decay * p
    m = o.beta1 * old["m"] + (1 - o.beta1) * g
    v = o.beta2 * old["v"] + (1 - o.beta2) * g**2
    look = o.beta1 * m / (1 - o.beta1 ** (at.step + 1)) + (1 - o.beta1) * g / (1 - o.beta1**at.step)
    new = p - at.lr * look / (np.sqrt(v / (1 - o.beta2**at.step)) + o.epsilon)
    if o.decoupled:
        new = new - at.lr * at.decay * p
    return new, {"m": m, "v": v}


def _nadam_form(o: NAdam) -> list[str]:
    now, ahead = correction(o.beta1), correction(o.beta1, "(t + 1)")
    lines = [
        f"kept['m'] = {o.beta1!r} * kept['m'] + {1 - o.beta1!r} * g",
        f"kept['v'] = {o.beta2!r} * kept['v'] + {1 - o.beta2!r} * g**2",
        f"look = {o.beta1!r} * kept['m'] / {ahead} + {1 - o.beta1!r} * g / {now}",
        f"new = w - lr * look / (jnp.sqrt(kept['v'] / {correction(o.beta2)}) + {o.epsilon!r})",
    ]
    return [*lines, *decoupled(o)] if o.decoupled else [*coupled(o), *lines]


def _rmsprop(o: RMSProp, p: FloatArray, g: FloatArray, old: Old, at: Now) -> Any:
    """Tieleman and Hinton 2012, lecture 6e; centered: Graves 2013, eq. 38 to 45."""
    g = g + at.decay * p
    new = {"v": o.alpha * old["v"] + (1 - o.alpha) * g**2}
    squares = new["v"] + o.initial * o.alpha**at.step
    if o.centered:
        new["q"] = o.alpha * old["q"] + (1 - o.alpha) * g
        squares = np.maximum(squares - new["q"] ** 2, 0)
    step = at.lr * g / np.sqrt(squares + o.epsilon) if o.inside else g / (np.sqrt(squares) + o.epsilon)
    if o.momentum:
        step = new["buffer"] = o.momentum * old["buffer"] + step
    return p - (step if o.inside else at.lr * step), new


def _rmsprop_moments(o: RMSProp) -> tuple[str, ...]:
    return tuple(n for n, kept in (("v", True), ("q", o.centered), ("buffer", o.momentum)) if kept)


def _rmsprop_form(o: RMSProp) -> list[str]:
    begun = f" + {o.initial!r} * {o.alpha!r} ** t" if o.initial else ""
    lines = [f"kept['v'] = {o.alpha!r} * kept['v'] + {1 - o.alpha!r} * g**2", f"squares = kept['v']{begun}"]
    if o.centered:
        lines += [
            f"kept['q'] = {o.alpha!r} * kept['q'] + {1 - o.alpha!r} * g",
            "squares = jnp.maximum(squares - kept['q'] ** 2, 0)",
        ]
    root = f"jnp.sqrt(squares + {o.epsilon!r})" if o.inside else f"(jnp.sqrt(squares) + {o.epsilon!r})"
    lines.append(f"step = {'lr * ' if o.inside else ''}g / {root}")
    if o.momentum:
        lines.append(f"step = kept['buffer'] = {o.momentum!r} * kept['buffer'] + step")
    return [*coupled(o), *lines, f"new = w - {'' if o.inside else 'lr * '}step"]


def _adagrad(o: Adagrad, p: FloatArray, g: FloatArray, old: Old, at: Now) -> Any:
    """Duchi et al. 2011, figure 1, with a diagonal."""
    g = g + at.decay * p
    squares = old["squares"] + g**2
    return p - at.lr * g / (np.sqrt(o.initial + squares) + o.epsilon), {"squares": squares}


def _adagrad_form(o: Adagrad) -> list[str]:
    begun = f"{o.initial!r} + " if o.initial else ""
    return [
        *coupled(o),
        "kept['squares'] = kept['squares'] + g**2",
        f"new = w - lr * g / (jnp.sqrt({begun}kept['squares']) + {o.epsilon!r})",
    ]


def _adadelta(o: Adadelta, p: FloatArray, g: FloatArray, old: Old, at: Now) -> Any:
    """Zeiler 2012, algorithm 1, whose rate is 1."""
    g = g + at.decay * p
    v = o.rho * old["v"] + (1 - o.rho) * g**2
    step = np.sqrt(old["w"] + o.epsilon) / np.sqrt(v + o.epsilon) * g
    return p - at.lr * step, {"v": v, "w": o.rho * old["w"] + (1 - o.rho) * step**2}


def _adadelta_form(o: Adadelta) -> list[str]:
    return [
        *coupled(o),
        f"kept['v'] = {o.rho!r} * kept['v'] + {1 - o.rho!r} * g**2",
        f"step = jnp.sqrt(kept['w'] + {o.epsilon!r}) / jnp.sqrt(kept['v'] + {o.epsilon!r}) * g",
        f"kept['w'] = {o.rho!r} * kept['w'] + {1 - o.rho!r} * step**2",
        "new = w - lr * step",
    ]


OPTIMIZERS[Lion] = OptimizerReference(
    _lion,
    lambda o: ("m",),
    (
        OptimizerCase("plain", Lion()),
        OptimizerCase("decay", Lion(weight_decay=0.1)),
        OptimizerCase("decay-on-all", Lion(weight_decay=0.1), decay=(True, True, True)),
        OptimizerCase("other-betas", Lion(0.5, 0.9)),
        OptimizerCase("betas-0", Lion(0.0, 0.0)),
        OptimizerCase("zero-gradients", Lion(weight_decay=0.01), gradients="zero"),
        OptimizerCase("one-parameter", Lion(), shapes=((1,),), decay=(True,)),
    ),
    form=_lion_form,
)
OPTIMIZERS[NAdam] = OptimizerReference(
    _nadam,
    lambda o: ("m", "v"),
    (
        OptimizerCase("plain", NAdam()),
        OptimizerCase("decoupled-decay", NAdam(weight_decay=0.1)),
        OptimizerCase("l2", NAdam(weight_decay=0.1, decoupled=False)),
        OptimizerCase("other-betas", NAdam(0.5, 0.9, 1e-3)),
        OptimizerCase("betas-0", NAdam(0.0, 0.0)),
        OptimizerCase("zero-gradients", NAdam(weight_decay=0.01), gradients="zero"),
        OptimizerCase("gradients-below-epsilon", NAdam(), gradients="tiny"),
    ),
    adam_corrections,
    _nadam_form,
)
OPTIMIZERS[RMSProp] = OptimizerReference(
    _rmsprop,
    _rmsprop_moments,
    (
        OptimizerCase("plain", RMSProp()),
        OptimizerCase("momentum-decay", RMSProp(momentum=0.9, weight_decay=0.1)),
        OptimizerCase("centered", RMSProp(0.9, centered=True)),
        OptimizerCase("centered-momentum", RMSProp(0.5, 1e-3, 0.5, centered=True)),
        OptimizerCase("tensorflow", RMSProp(0.9, 1e-3, 0.9, initial=1.0, inside=True)),
        OptimizerCase(
            "tensorflow-decay-on-all", RMSProp(initial=0.5, inside=True, weight_decay=0.1), decay=(True,) * 3
        ),
        OptimizerCase("zero-gradients", RMSProp(centered=True, weight_decay=0.01), gradients="zero"),
    ),
    lambda o, steps: (1 - o.alpha**steps,),
    _rmsprop_form,
)
OPTIMIZERS[Adagrad] = OptimizerReference(
    _adagrad,
    lambda o: ("squares",),
    (
        OptimizerCase("plain", Adagrad()),
        OptimizerCase("decay", Adagrad(1e-3, 0.1, 0.1)),
        OptimizerCase("zero-gradients", Adagrad(weight_decay=0.01), gradients="zero"),
        OptimizerCase("gradients-below-epsilon", Adagrad(), gradients="tiny"),
    ),
    form=_adagrad_form,
)
OPTIMIZERS[Adadelta] = OptimizerReference(
    _adadelta,
    lambda o: ("v", "w"),
    (
        OptimizerCase("plain", Adadelta()),
        OptimizerCase("decay", Adadelta(0.5, 1e-3, 0.1), lr=1.0),
        OptimizerCase("zero-gradients", Adadelta(weight_decay=0.01), gradients="zero"),
    ),
    form=_adadelta_form,
)


def _schedule_free(o: ScheduleFree, p: FloatArray, g: FloatArray, old: Old, at: Now) -> Any:
    """Defazio et al. 2024, algorithm 1, without warm-up: p is its x, and d = z - x is kept; at one rate c is 1 / t."""
    v = o.beta2 * old["v"] + (1 - o.beta2) * g**2
    x, z, y = p, p + old["ahead"], _schedule_free_point(o, p, old)
    z = z - at.lr * (g / (np.sqrt(v / (1 - o.beta2**at.step)) + o.epsilon) + at.decay * y)
    x = (1 - 1 / at.step) * x + z / at.step
    return x, {"v": v, "ahead": z - x}


def _schedule_free_point(o: ScheduleFree, p: FloatArray, old: Old) -> FloatArray:
    """Defazio et al. 2024, line 3."""
    return np.asarray((1 - o.beta1) * (p + old["ahead"]) + o.beta1 * p)


def _schedule_free_form(o: ScheduleFree) -> list[str]:
    decay = ["if PARAMETERS[name][3]:", f"    step = step + {o.weight_decay!r} * y"] if o.weight_decay else []
    return [
        "z = w + kept['ahead']",
        f"y = {1 - o.beta1!r} * z + {o.beta1!r} * w",
        f"kept['v'] = {o.beta2!r} * kept['v'] + {1 - o.beta2!r} * g**2",
        f"step = g / (jnp.sqrt(kept['v'] / {correction(o.beta2)}) + {o.epsilon!r})",
        *decay,
        "z = z - lr * step",
        "most = jnp.maximum(kept['rate'], lr)",
        "kept['weights'] = kept['weights'] * (kept['rate'] / jnp.maximum(most, 1e-37))**2 + 1",
        "kept['rate'] = most",
        "new = w + (z - w) / kept['weights']",
        "kept['ahead'] = z - new",
    ]


OPTIMIZERS[ScheduleFree] = OptimizerReference(
    _schedule_free,
    lambda o: ("v", "ahead"),
    (
        OptimizerCase("plain", ScheduleFree()),
        OptimizerCase("decay", ScheduleFree(weight_decay=0.1)),
        OptimizerCase("decay-on-all", ScheduleFree(weight_decay=0.1), decay=(True, True, True)),
        OptimizerCase("other", ScheduleFree(0.5, 0.9, 1e-3)),
        OptimizerCase("beta1-0", ScheduleFree(0.0)),
        OptimizerCase("zero-gradients", ScheduleFree(weight_decay=0.01), gradients="zero"),
    ),
    form=_schedule_free_form,
    with_rate=lambda o, steps, lr: (float(steps), 1 - o.beta2**steps, lr if steps else 0.0),
    point=_schedule_free_point,
    script_moments=("rate", "weights"),
    script_point=lambda o: f"w + {1 - o.beta1!r} * kept['ahead']",
)
