"""Optimizers whose step of an element hangs on the whole tensor, in NumPy float64 from their papers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from netc.netspec.optimizers import Adafactor, Adam, Lamb, Muon, Shampoo
from netc.proofs_oracle.draws import FloatArray, Shape
from netc.proofs_oracle.references.optimizers import (
    OPTIMIZERS,
    Now,
    OptimizerCase,
    OptimizerReference,
    adam,
    adam_corrections,
    adam_form,
    correction,
    decoupled,
)

Old = Mapping[str, FloatArray]


def _lamb(o: Lamb, p: FloatArray, g: FloatArray, old: Old, at: Now) -> Any:
    """You et al. 2020, algorithm 2."""
    m = o.beta1 * old["m"] + (1 - o.beta1) * g
    v = o.beta2 * old["v"] + (1 - o.beta2) * g**2
    c1, c2 = adam_corrections(o, at.step)
    step = (m / c1) / (np.sqrt(v / c2) + o.epsilon) + at.decay * p
    long, step_long = np.sqrt(np.sum(p**2)), np.sqrt(np.sum(step**2))
    return p - at.lr * (long / step_long if long and step_long else 1.0) * step, {"m": m, "v": v}


def _lamb_form(o: Lamb) -> list[str]:
    decay = ["if PARAMETERS[name][3]:", f"    step = step + {o.weight_decay!r} * w"] if o.weight_decay else []
    return [
        f"kept['m'] = {o.beta1!r} * kept['m'] + {1 - o.beta1!r} * g",
        f"kept['v'] = {o.beta2!r} * kept['v'] + {1 - o.beta2!r} * g**2",
        f"root = jnp.sqrt(kept['v'] / {correction(o.beta2)})",
        f"step = kept['m'] / {correction(o.beta1)} / (root + {o.epsilon!r})",
        *decay,
        "long, step_long = jnp.sqrt(jnp.sum(w**2)), jnp.sqrt(jnp.sum(step**2))",
        "moved = (long > 0) & (step_long > 0)",
        "new = w - lr * jnp.where(moved, long / jnp.where(moved, step_long, 1.0), 1.0) * step",
    ]


OPTIMIZERS[Lamb] = OptimizerReference(
    _lamb,
    lambda o: ("m", "v"),
    (
        OptimizerCase("plain", Lamb(weight_decay=0.0)),
        OptimizerCase("decay", Lamb(weight_decay=0.1)),
        OptimizerCase("decay-on-all", Lamb(weight_decay=0.1), decay=(True, True, True)),
        OptimizerCase("other-betas", Lamb(0.5, 0.9, 1e-3)),
        OptimizerCase("zero-gradients", Lamb(weight_decay=0.0), gradients="zero"),
        OptimizerCase("rate-0", Lamb(), lr=0.0),
    ),
    adam_corrections,
    _lamb_form,
)


def orthogonal(x: FloatArray, iterations: int) -> FloatArray:
    """Jordan 2024: a quintic iteration on the singular values, of a matrix of any shape."""
    x = x / max(float(np.sqrt(np.sum(x**2))), 1e-7)
    for _ in range(iterations):
        gram = x @ x.T if x.shape[0] <= x.shape[1] else x.T @ x
        more = -4.7750 * gram + 2.0315 * gram @ gram
        x = 3.4445 * x + (more @ x if x.shape[0] <= x.shape[1] else x @ more)
    return x


def _muon(o: Muon, p: FloatArray, g: FloatArray, old: Old, at: Now) -> Any:
    """Jordan 2024, with the factor of Liu et al. 2025, eq. 4; AdamW for what is no matrix."""
    if not o.is_matrix(p.shape):
        return adam(Adam(o.beta1, o.beta2, o.epsilon), p, g, old, at)
    m = o.momentum * old["buffer"] + (1 - o.momentum) * g
    x = (o.momentum * m + (1 - o.momentum) * g).reshape(-1, p.shape[-1])
    step = 0.2 * np.sqrt(max(x.shape)) * orthogonal(x, o.iterations).reshape(p.shape)
    return p - at.lr * step - at.lr * at.decay * p, {"buffer": m}


def _muon_shape(o: Muon, moment: str, shape: Shape) -> Shape | None:
    return shape if (moment == "buffer") == o.is_matrix(shape) else None


def _muon_form(o: Muon) -> list[str]:
    rank = "== 2" if o.dense_only else ">= 2"
    return [
        f"if w.ndim {rank} and min(w.size // w.shape[-1], w.shape[-1]) > 1:",
        f"    kept['buffer'] = {o.momentum!r} * kept['buffer'] + {1 - o.momentum!r} * g",
        f"    x = ({o.momentum!r} * kept['buffer'] + {1 - o.momentum!r} * g).reshape(-1, w.shape[-1])",
        "    tall, long = x.shape[0] > x.shape[1], max(x.shape)",
        "    x = (x.T if tall else x) / jnp.maximum(jnp.sqrt(jnp.sum(x**2)), 1e-7)",
        f"    for _ in range({o.iterations}):",
        "        gram = x @ x.T",
        "        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x",
        "    new = w - lr * 0.2 * long**0.5 * (x.T if tall else x).reshape(w.shape)",
        *(f"    {line}" for line in decoupled(o)),
        "else:",
        *(f"    {line}" for line in adam_form(Adam(o.beta1, o.beta2, o.epsilon, o.weight_decay))),
    ]


OPTIMIZERS[Muon] = OptimizerReference(
    _muon,
    lambda o: ("m", "v", "buffer"),
    (
        OptimizerCase("plain", Muon(weight_decay=0.0)),
        OptimizerCase("decay", Muon(weight_decay=0.1), shapes=((4, 3), (3,), ()), decay=(True, False, True)),
        OptimizerCase("kernel", Muon(), shapes=((3, 3, 2, 5), (1, 1, 4), (5,))),
        OptimizerCase("kernel-dense-only", Muon(dense_only=True), shapes=((2, 2, 2, 3), (4, 2), (5,))),
        OptimizerCase("other", Muon(0.8, 0.7, 0.9, 1e-3, 2)),
        OptimizerCase("zero-gradients", Muon(), gradients="zero"),
    ),
    adam_corrections,
    _muon_form,
    _muon_shape,
)


def _rms(x: FloatArray) -> float:
    return float(np.sqrt(np.mean(x**2)))


def _adafactor(o: Adafactor, p: FloatArray, g: FloatArray, old: Old, at: Now) -> Any:
    """Shazeer and Stern 2018, algorithms 4 and 5."""
    beta, squares, axes = 1 - float(at.step) ** -o.fading, g**2 + o.epsilon, o.factored(p.shape)
    if axes is None:
        new = {"v": beta * old["v"] + (1 - beta) * squares}
        v = new["v"]
    else:
        new = {
            name: beta * old[name] + (1 - beta) * squares.mean(axis)
            for name, axis in zip(("rows", "columns"), axes, strict=True)
        }
        rows, columns = (np.expand_dims(new[n], axis) for n, axis in zip(("rows", "columns"), axes, strict=True))
        v = rows * columns / rows.mean(axes[1], keepdims=True)
    step = g / np.sqrt(v)
    step = step / max(1.0, _rms(step) / o.threshold)
    scale = 1.0 if o.absolute else max(_rms(p), 1e-3)
    return p - at.lr * scale * step - at.lr * at.decay * p, new


def _adafactor_shape(o: Adafactor, moment: str, shape: Shape) -> Shape | None:
    axes = o.factored(shape)
    if axes is None or moment == "v":
        return shape if moment == "v" and axes is None else None
    gone = axes[0] if moment == "rows" else axes[1]
    return tuple(n for i, n in enumerate(shape) if i != gone)


def _adafactor_form(o: Adafactor) -> list[str]:
    scale = "" if o.absolute else "jnp.maximum(jnp.sqrt(jnp.mean(w**2)), 1e-3) * "
    return [
        f"beta, squares = 1 - t ** -{o.fading!r}, g**2 + {o.epsilon!r}",
        "*_, second, longest = [-1, -1, *sorted(range(w.ndim), key=w.shape.__getitem__)]",
        f"if w.ndim > 1 and w.shape[second] >= {o.smallest!r}:",
        "    for kind, axis in (('rows', longest), ('columns', second)):  # in w's shape, alike along the axis",
        "        kept[kind] = beta * kept[kind] + (1 - beta) * jnp.mean(squares, axis, keepdims=True)",
        "    share = kept['rows'] / jnp.mean(kept['rows'], second, keepdims=True)",
        "    step = g / jnp.sqrt(share) / jnp.sqrt(kept['columns'])  # their product may be too small for float32",
        "else:",
        "    kept['v'] = beta * kept['v'] + (1 - beta) * squares",
        "    step = g / jnp.sqrt(kept['v'])",
        f"step = step / jnp.maximum(1.0, jnp.sqrt(jnp.mean(step**2)) / {o.threshold!r})",
        f"new = w - lr * {scale}step",
        *decoupled(o),
    ]


OPTIMIZERS[Adafactor] = OptimizerReference(
    _adafactor,
    lambda o: ("v", "rows", "columns"),
    (
        OptimizerCase("plain", Adafactor()),
        OptimizerCase("factored", Adafactor(smallest=2)),
        OptimizerCase("factored-kernel", Adafactor(smallest=2), shapes=((3, 2, 5, 4), (4, 3), (5,))),
        OptimizerCase(
            "factored-equal-axes-decay", Adafactor(smallest=2, weight_decay=0.1), shapes=((4, 4), (2, 3, 3), ())
        ),
        OptimizerCase("absolute", Adafactor(1e-6, 0.5, 0.3, 2, True)),
        OptimizerCase("zero-gradients", Adafactor(smallest=2), gradients="zero"),
    ),
    lambda o, steps: (float(steps),),
    _adafactor_form,
    _adafactor_shape,
)


def inverse_root(a: FloatArray, power: int) -> FloatArray:
    """a^(-1/power) of a symmetric positive definite matrix, by its eigenvalues."""
    values, vectors = np.linalg.eigh(a)
    return np.asarray(vectors * values ** (-1 / power) @ vectors.T)


def _shampoo(o: Shampoo, p: FloatArray, g: FloatArray, old: Old, at: Now) -> Any:
    """Gupta et al. 2018, algorithm 1, with averages as Anil et al. 2020, 3.4, and Muon's factor."""
    sides = o.sides(p.shape)
    if not any(sides):
        return adam(Adam(o.beta1, o.beta2, o.epsilon), p, g, old, at)
    matrix, new = g.reshape(-1, p.shape[-1]), {"m": o.beta1 * old["m"] + (1 - o.beta1) * g}
    c1, c2 = adam_corrections(o, at.step)
    step, power = (new["m"] / c1).reshape(matrix.shape), 4 if all(sides) else 2
    roots = {}
    for name, size, gram in (("left", sides[0], matrix @ matrix.T), ("right", sides[1], matrix.T @ matrix)):
        if size:
            new[name] = o.beta2 * old[name] + (1 - o.beta2) * gram
            moment = new[name] / c2
            trace = max(float(np.trace(moment)), 1e-30)
            roots[name] = inverse_root(moment + o.damping * trace * np.eye(size), power)
    step = roots.get("left", np.eye(len(step))) @ step @ roots.get("right", np.eye(step.shape[1]))
    step = 0.2 * np.sqrt(max(step.shape)) * step.reshape(p.shape)
    return p - at.lr * step - at.lr * at.decay * p, new


def _shampoo_shape(o: Shampoo, moment: str, shape: Shape) -> Shape | None:
    left, right = o.sides(shape)
    if moment in ("left", "right"):
        size = left if moment == "left" else right
        return (size, size) if size else None
    return shape if moment == "m" or not (left or right) else None


def _shampoo_form(o: Shampoo) -> list[str]:
    return [
        "shape = (w.size // w.shape[-1], w.shape[-1]) if w.ndim > 1 else (1, 1)",
        f"sides = [n if min(shape) > 1 and n <= {o.largest!r} else 0 for n in shape]",
        "if any(sides):",
        f"    kept['m'] = {o.beta1!r} * kept['m'] + {1 - o.beta1!r} * g",
        f"    step, power = (kept['m'] / {correction(o.beta1)}).reshape(shape), 2 * sum(map(bool, sides))",
        "    for kind, size, x in (('left', sides[0], g.reshape(shape)), ('right', sides[1], g.reshape(shape).T)):",
        "        if not size:",
        "            continue",
        "        old = kept[kind] if kept[kind].shape == (size, size) else jnp.zeros((size, size))",
        f"        kept[kind] = {o.beta2!r} * old + {1 - o.beta2!r} * x @ x.T",
        f"        moment = kept[kind] / {correction(o.beta2)}",
        "        trace = jnp.maximum(jnp.trace(moment), 1e-30)",
        f"        scale = (1 + power) / 2 / (1 + size * {o.damping!r})",
        f"        m = (moment / trace + {o.damping!r} * jnp.eye(size)) * scale",
        "        root = jnp.eye(size) * scale ** (1 / power)",
        f"        for _ in range({o.root_iterations!r}):  # of Newton, for the inverse root",
        "            nearer = ((power + 1) * jnp.eye(size) - m) / power",
        "            root, m = root @ nearer, jnp.linalg.matrix_power(nearer, power) @ m",
        "        root = root * trace ** (-1 / power)",
        "        step = root @ step if kind == 'left' else step @ root",
        "    new = w - lr * 0.2 * max(shape)**0.5 * step.reshape(w.shape)",
        *(f"    {line}" for line in decoupled(o)),
        "else:",
        *(f"    {line}" for line in adam_form(Adam(o.beta1, o.beta2, o.epsilon, o.weight_decay))),
    ]


# Newton's roots have converged to float64's last digits after enough iterations where a matrix is not too near to one
# of lower rank, which those of the first steps are: hence the damping.
_DAMPED = Shampoo(damping=1e-3, root_iterations=40)
OPTIMIZERS[Shampoo] = OptimizerReference(
    _shampoo,
    lambda o: ("m", "v", "left", "right"),
    (
        OptimizerCase("plain", replace(_DAMPED, weight_decay=0.0)),
        OptimizerCase("decay", replace(_DAMPED, weight_decay=0.1), ((4, 3), (3,), ()), (True, False, True)),
        OptimizerCase("kernel", _DAMPED, shapes=((3, 3, 2, 5), (1, 1, 4), (5,))),
        OptimizerCase("one-side", replace(_DAMPED, largest=4), shapes=((3, 5), (5, 2), (6, 5))),
        OptimizerCase("other", Shampoo(0.5, 0.9, 1e-3, 1e-2, 30)),
        OptimizerCase("zero-gradients", _DAMPED, gradients="zero"),
    ),
    adam_corrections,
    _shampoo_form,
    _shampoo_shape,
)
