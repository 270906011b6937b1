"""How far two tensors are apart, and how far a gradient is from a central difference."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from netc.proofs_oracle.draws import FloatArray

# A gradient that cancels to 0 (the bias before a batch norm) is rounding in both witnesses: errors are relative
# to the tensor's norm or to this, whichever is larger. Cases draw numbers of size 1.
SMALLEST = 1e-3
# The first step that agrees will do: the second has less rounding, the third may miss a kink that the first two
# cross. A wrong gradient agrees at none.
STEPS = (1e-6, 1e-5, 1e-7)
DIRECTIONS = 3


@dataclass(frozen=True, slots=True)
class Comparison:
    """One tensor: its relative error (the larger of 2-norm and maximum norm), or infinity and why."""

    tensor: str
    error: float
    problem: str = ""


def compare(tensor: str, ours: FloatArray, theirs: FloatArray) -> Comparison:
    """The distance of `ours` from `theirs`, relative to the size of `theirs`."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    if ours.shape != theirs.shape:
        return Comparison(tensor, math.inf, f"{tensor} wants shape {theirs.shape}, got {ours.shape}")
    if not np.isfinite(theirs).all():
        return Comparison(tensor, math.inf, f"{tensor}: the reference is not finite; change the case")
    if not np.isfinite(ours).all():
        return Comparison(tensor, math.inf, f"{tensor} is not finite where the reference is")
    return Comparison(tensor, max(_relative(ours, theirs, 2), _relative(ours, theirs, np.inf)))


def _relative(ours: FloatArray, theirs: FloatArray, order: float) -> float:
    distance = np.linalg.norm(np.ravel(ours - theirs), order) if theirs.size else 0.0
    size = np.linalg.norm(np.ravel(theirs), order) if theirs.size else 0.0
    return float(distance / max(size, SMALLEST))


def compare_all(names: Sequence[str], ours: Sequence[FloatArray], theirs: Sequence[FloatArray]) -> list[Comparison]:
    """One comparison for each name; a single failed one where the numbers of tensors differ."""
    if not len(names) == len(ours) == len(theirs):
        what = f"wants the {len(theirs)} tensors {', '.join(names)}, got {len(ours)}"
        return [Comparison("results", math.inf, what)]
    return [compare(n, a, b) for n, a, b in zip(names, ours, theirs, strict=True)]


def central_differences(
    value: Callable[[Mapping[str, FloatArray]], FloatArray],
    inputs: Mapping[str, FloatArray],
    gradients: Mapping[str, FloatArray],
    dy: FloatArray,
    *,
    rng: np.random.Generator,
    limit: float,
) -> list[Comparison]:
    """<dy, (f(t + e v) - f(t - e v)) / 2e> against <gradient, v>, for each tensor t of `gradients` and random v.

    `value` maps the inputs by name to y. The error is relative to the norm of the gradient. Where it is above
    `limit`, the other STEPS are tried.
    """
    found = []
    for name, gradient in gradients.items():
        for _ in range(DIRECTIONS):
            v = rng.standard_normal(inputs[name].shape)
            error = math.inf
            for step in STEPS:
                ends = [value({**inputs, name: inputs[name] + sign * step * v}) for sign in (1, -1)]
                with np.errstate(invalid="ignore"):  # infinite on both sides: the slope is NaN, and the result says so
                    slope = float(np.sum(dy * (ends[0] - ends[1]))) / (2 * step)
                error = min(error, _slope_error(slope, gradient, v))
                if error <= limit:
                    break
            found.append(Comparison(f"d{name}", error))
    return found


def _slope_error(slope: float, gradient: FloatArray, v: FloatArray) -> float:
    if gradient.shape != v.shape or not np.isfinite(gradient).all() or not math.isfinite(slope):
        return math.inf
    expected = float(np.sum(gradient * v))
    return abs(slope - expected) / max(abs(expected), float(np.linalg.norm(np.ravel(gradient))), SMALLEST)
