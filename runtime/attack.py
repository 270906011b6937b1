"""How little must change in an image until a net errs: projected gradient ascent, and a bound that no attack passes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from netc.codegen.attribution import attack_module
from netc.netspec.check import CheckedNet
from netc.netspec.errors import UserError
from netc.netspec.layers import Dense, Dropout, Flatten
from netc.netspec.loss import Loss
from netc.runtime.backends.protocol import Array
from netc.runtime.cache.store import Cache
from netc.runtime.data.batches import Normalise, eval_batches
from netc.runtime.data.dataset import AnySplit
from netc.runtime.small_program import SmallProgram
from netc.runtime.target import Target

# activations whose slope is nowhere above 1 in absolute value
FLAT = frozenset({"identity", "relu", "relu6", "tanh", "sigmoid", "h-sigmoid"})


@dataclass(frozen=True)
class Attacked:
    """Of `count` images the parts that are right as they are, and right at every step of the attack."""

    count: int
    clean: float
    robust: float


def attack(
    net: CheckedNet,
    loss: Loss,
    weights: Mapping[str, Array],
    test: AnySplit,
    normalise: Normalise,
    target: Target,
    cache: Cache,
    *,
    radius: float,
    steps: int = 10,
    step_size: float | None = None,
    batch: int = 32,
    most: int | None = None,
    seed: int = 0,
) -> Attacked:
    """Accuracy within `radius` in the maximum norm of pixels from 0 to 1 (PGD, Madry et al. 2018).

    One step of the whole radius from the image itself is FGSM (Goodfellow et al. 2015); with more the attack begins at
    a random point of the ball, and a step has 2.5 radius / steps by default. Raises UserError.
    """
    if len(net.x.shape) != 3 or loss.metric != "class" or not normalise.mean:
        raise UserError(
            f"attack wants a classifier of images, got {net.spec.name}; give a run that was trained on images"
        )
    if not (math.isfinite(radius) and 0 < radius <= 1):
        raise UserError(f"`radius` wants a fraction of a pixel's range, 0 to 1, got {radius:g}; 8/255 is usual")
    if type(steps) is not int or steps < 1:
        raise UserError(f"`steps` wants a whole number of 1 or more, got {steps}; 1 is FGSM")
    if step_size is not None and not (math.isfinite(step_size) and step_size > 0):
        raise UserError(f"`step_size` wants a number above 0, got {step_size:g}; leave it out for 2.5 radius / steps")
    size = step_size if step_size is not None else radius if steps == 1 else 2.5 * radius / steps
    mean, std = np.array(normalise.mean), np.array(normalise.std)
    held = {name: weights[name] for name in net.shapes}  # a training's state has others, such as its step
    call = SmallProgram(attack_module(net, loss, batch), target, cache, held, f"{net.spec.name} attack")
    bounds = [np.asarray(v, np.float32) for v in (size / std, radius / std, -mean / std, (1 - mean) / std)]
    generator = np.random.Generator(np.random.Philox(seed))
    count = clean = robust = 0
    for part in eval_batches(test, batch=batch, normalise=normalise):
        near = part.x
        real = part.weight > 0
        if most is not None:
            real &= np.cumsum(real) <= most - count
        if not real.any():
            break
        x, still = near, real.copy()
        _, right = call(near, near, part.y, *bounds)
        clean += int((real & (right > 0)).sum())
        still &= right > 0
        if steps > 1:
            noise = generator.uniform(-1, 1, near.shape) * bounds[1]
            x = np.clip(near + noise, bounds[2], bounds[3]).astype(np.float32)
        for _ in range(steps):
            x, right = call(x, near, part.y, *bounds)
            still &= right > 0
        _, right = call(x, near, part.y, *bounds)
        still &= right > 0
        count += int(real.sum())
        robust += int(still.sum())
    if not count:
        raise UserError("attack wants test images, got none; give `data` with a test part")
    return Attacked(count, clean / count, robust / count)


def lipschitz_bound(net: CheckedNet, weights: Mapping[str, Array]) -> float:
    """A number L with |f(x) - f(x')| <= L |x - x'| for all x and x', Euclidean norms, f from input to logits.

    The product of bounds of the layers' spectral norms; an activation whose slope is at most 1 counts 1. Raises
    UserError for a net of other layers than dense ones.
    """
    bound = 1.0
    for layer, name in ((each.layer, each.path) for each in net.walk() if each.depth == 0):
        if isinstance(layer, Flatten | Dropout):
            continue  # in evaluation nothing is dropped
        if not isinstance(layer, Dense) or layer.activation not in FLAT:
            raise UserError(
                f"a Lipschitz bound wants dense layers whose activations have slopes of at most 1, got {layer.label()} "
                f"at {name}"
            )
        bound = bound * spectral_bound(weights[f"{name}.kernel"].astype(np.float64)) * (1 + 2.0**-50)
    return bound


def spectral_bound(w: npt.NDArray[np.float64], rounds: int = 12) -> float:
    """A number that is not below the largest singular value of w, whatever was rounded on the way.

    Of a symmetric M the spectral norm is at most sqrt(|M M|), and at most Frobenius' norm. So M_0 = w^T w is squared
    again and again (Delattre et al. 2023), each time scaled by a power of two, and the last one's Frobenius norm is
    taken. What float64 rounds in a product A B of inner size n is at most g |A| |B| in each element, whatever the order
    of its sum, with g = n u / (1 - n u) and u = 2^-53 (Higham 2002, section 3.5): so at most g |A|_F |B|_F in
    Frobenius' norm, which is added under each root. Twice g covers the rounding of the bound itself.
    """
    n, m = w.shape
    small = w if m <= n else w.T
    size = float(np.abs(small).max(initial=0.0))
    if size == 0.0 or not math.isfinite(size):
        return 0.0 if size == 0.0 else math.inf
    scale = 2.0 ** math.frexp(size)[1]
    a = small / scale
    frobenius = float(np.linalg.norm(a))
    g0, g = _gamma(len(a)), _gamma(a.shape[1])
    norms, exponents, matrix = [], [], a.T @ a
    for _ in range(rounds):
        norms.append(float(np.linalg.norm(matrix)) * (1 + g))
        exponents.append(math.frexp(float(np.abs(matrix).max()))[1])
        matrix = (matrix * 2.0 ** -exponents[-1]) @ (matrix * 2.0 ** -exponents[-1])
    bound = float(np.linalg.norm(matrix)) * (1 + g)
    for norm, exponent in zip(reversed(norms), reversed(exponents), strict=True):
        scaled = norm * 2.0**-exponent
        bound = math.sqrt(bound + g * scaled * scaled) * 2.0**exponent * (1 + 2.0**-50)
    return math.sqrt(bound + g0 * frobenius * frobenius * (1 + g0)) * scale * (1 + 2.0**-50)


def _gamma(n: int) -> float:
    """Twice g, for the rounding of norms and roots too."""
    u = n * 2.0**-53
    return 2 * (u / (1 - u) + 2.0**-50)
