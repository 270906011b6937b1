"""How a case's numbers are drawn: at random, on ties, on kinks, in the far tails."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from netc.netspec.layer import signature_of
from netc.netspec.types import Signature
from netc.proofs_oracle.reference import KEY, Case

FloatArray = npt.NDArray[np.float64]
Shape = tuple[int, ...]
Sampler = Callable[[np.random.Generator, Shape], FloatArray]

# every kink of netspec's activations, and both sides of each
KINKS = (-4.0, -3.0, -1.0, 0.0, 0.0, 1.0, 3.0, 4.0, 6.0, 7.0)
TAILS = (-1e4, -800.0, -40.0, -8.0, 8.0, 40.0, 800.0, 1e4)  # exp overflows, tanh and erf are flat


@dataclass(frozen=True, slots=True)
class Draw:
    """How inputs and parameters are drawn; where not `smooth`, a central difference means nothing."""

    x: Sampler
    params: Sampler
    smooth: bool
    meaning: str


def _normal(rng: np.random.Generator, shape: Shape) -> FloatArray:
    return rng.standard_normal(shape)


def _integers(low: int, high: int) -> Sampler:
    return lambda rng, shape: rng.integers(low, high + 1, shape).astype(np.float64)


def _of(values: tuple[float, ...]) -> Sampler:
    return lambda rng, shape: rng.choice(np.asarray(values), shape)


def _one_value(rng: np.random.Generator, shape: Shape) -> FloatArray:
    return np.full(shape, rng.standard_normal())


DRAWS: dict[str, Draw] = {
    "normal": Draw(_normal, _normal, True, "standard normal"),
    "ties": Draw(_integers(-1, 1), _normal, False, "x in {-1, 0, 1}: most windows have several maxima"),
    "negative-ties": Draw(_integers(-9, -8), _normal, False, "x in {-9, -8}: padding with 0 would win every maximum"),
    "kinks": Draw(_of(KINKS), _integers(-2, 2), False, "integers: sums are exact and land on 0, 3 and 6"),
    "kinked": Draw(_normal, _normal, False, "standard normal, through kinks that a difference would cross"),
    "tails": Draw(_of(TAILS), _normal, True, "x up to 1e4 in size, away from every kink"),
    "constant": Draw(_one_value, _normal, True, "all of x is one number: the variance is 0"),
}


@dataclass(frozen=True)
class Inputs:
    """The numbers of one case: tensors in signature order, x [batch, *example] and dy [batch, *out], float64.

    x is int32 for token ids; a layer that draws finds its key among the states, the last.
    """

    params: dict[str, FloatArray]
    state: dict[str, Any]
    x: Any
    dy: FloatArray


def generator(seed: int, label: str) -> np.random.Generator:
    """A generator for this label (such as `conv2d/groups`): a new case does not change what the others draw."""
    return np.random.default_rng((seed, zlib.crc32(label.encode())))


def draw_inputs(
    rng: np.random.Generator, draw: Draw, signature: Signature, shape: Shape, batch: int, *, ids: int, key: bool
) -> Inputs:
    """Parameters, states (positive, as running variances must be), x (integers below `ids`, if any), a normal dy."""
    params = {p.name: draw.params(rng, p.shape) for p in signature.params}
    state: dict[str, Any] = {s.name: rng.uniform(0.5, 2.0, s.shape) for s in signature.state}
    x = rng.integers(0, ids, (batch, *shape)).astype(np.int32) if ids else draw.x(rng, (batch, *shape))
    dy = rng.standard_normal((batch, *signature.out.shape))
    if key:
        state[KEY] = rng.integers(0, 1 << 32, 2, np.uint32)
    return Inputs(params, state, x, dy)


def draw_case(rng: np.random.Generator, case: Case) -> Inputs:
    """The numbers of a case, by its own draw; the key where it draws in training."""
    signature = signature_of(case.layer, case.x)
    key = signature.draws and case.training
    return draw_inputs(rng, DRAWS[case.draw], signature, case.shape, case.batch, ids=case.ids, key=key)
