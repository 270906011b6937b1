"""The processes of generative models in JAX: what a net sees, is to answer, and the weight of each answer in the loss.

Of the same words of Threefry as netc's; the evaluation's are those of a fixed key, its times van der Corput's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import jax.numpy as jnp
from jax.scipy.special import ndtri

from netc.netspec.process import BranchingFlow, Ddpm, Flow, Generation
from netc.netspec.types import TensorType
from netc.proofs_oracle.references import losses
from netc.proofs_oracle.references.branching import branching
from netc.proofs_oracle.references.mixing import gaussian, stream, words

if TYPE_CHECKING:
    from jax import Array

    from netc.netspec.loss import Loss

FIXED = (0x6E657463, 0x6576616C)  # "netc", "eval"


class Question(NamedTuple):
    """What the net sees, its target, the weight of each example [B], or of each token [B, T].

    `reading` makes of the net's answer what the target is compared with.
    """

    x: Array
    target: Array
    weight: Array
    reading: Callable[[Array], Array] = lambda z: z


def question(
    generation: Generation, net: tuple[TensorType, TensorType], key: Array | None, x: Array, label: Array
) -> Question:
    """The question of examples x [B, ..], for a net of the types (input, output); without a key of an evaluation."""
    process = generation.chosen
    assert process is not None
    drawn = jnp.asarray(FIXED, jnp.uint32) if key is None else key
    count, training = len(x), key is not None
    bits = (count - 1).bit_length()
    spread = sum((((jnp.arange(count) >> i) & 1) * 0.5 ** (i + 1) for i in range(bits)), jnp.zeros(count))
    spread = spread + 0.5 ** (bits + 1)
    (word, _) = words(drawn, stream("(process)", "time"), count)
    if isinstance(process, BranchingFlow):
        uniform = ((word >> 9) + 0.5) / 2**23 if training else spread
        return Question(*branching(process, drawn, x, uniform), jnp.ones(count))
    if process.kind == "masked":
        return _masked(drawn, x, word, spread, net[1].shape[-1], training=training)
    # the classes, some of them none
    hidden = words(drawn, stream("(process)", "label"), count)[0] >> 8 < round(generation.label_drop * 2**24)
    label = jnp.where(hidden & training, generation.label_count, label)
    noise = gaussian(drawn, x.shape, *(stream("(process)", f"noise{i}") for i in (0, 1)))

    def along(v: Array) -> Array:
        return v[:, None, None, None]

    if isinstance(process, Flow):
        uniform = ((word >> 9) + 0.5) / 2**23 if training else spread
        if process.times == "logit-normal":
            drawn_normal = gaussian(drawn, (count,), *(stream("(process)", "time", f"normal{i}") for i in (0, 1)))
            uniform = 1 / (1 + jnp.exp(-(drawn_normal if training else ndtri(spread))))
        time, target = uniform, noise - x
        mixed = (1 - along(time)) * x + along(time) * noise
    else:
        assert isinstance(process, Ddpm)
        steps = process.noise_steps
        n = jnp.floor((word >> 8).astype(jnp.float64) * (steps / 2**24) if training else spread * steps).astype(
            jnp.int32
        )
        kept = jnp.cumprod(1 - _betas(process))[n]
        a, s = along(jnp.sqrt(kept)), along(jnp.sqrt(1 - kept))
        time, mixed = (n + 1).astype(jnp.float64) / steps, a * x + s * noise
        target = {"epsilon": noise, "x0": x, "v": a * noise - s * x}[process.predicts]
    reading = Question._field_defaults["reading"]
    if isinstance(process, Flow) and process.flow_predicts == "x":
        # Li and He 2025: of a predicted image the velocity is judged, and times near the data are taken as 0.05
        late = along(jnp.clip(time, 0.05))

        def reading(z: Array) -> Array:
            return (mixed - z) / late

        target = reading(x)
    planes = [time, label.astype(jnp.float64)][: net[0].shape[-1] - net[1].shape[-1]]
    seen = [jnp.broadcast_to(along(p), (*x.shape[:3], 1)) for p in planes]
    return Question(jnp.concatenate([mixed, *seen], -1), target, jnp.ones(count), reading)


def answered(loss: Loss, z: Array, asked: Question) -> Array:
    """The loss of each example, [B]: the mean over what is answered, each with its weight."""
    places = asked.weight.shape
    z, target = (v.reshape(-1, *v.shape[len(places) :]) for v in (asked.reading(z), asked.target))
    each = losses.each(loss, z, target).reshape(places) * asked.weight
    return jnp.mean(each.reshape(len(each), -1), axis=1)


def _betas(ddpm: Ddpm) -> Array:
    steps = ddpm.noise_steps
    if ddpm.noise_schedule == "linear":  # Ho et al. 2020: 1e-4 to 0.02 where there are 1000
        return jnp.linspace(1e-4, 0.02, steps) * (1000 / steps)
    f = jnp.cos((jnp.arange(steps + 1.0) / steps + 0.008) / 1.008 * math.pi / 2) ** 2  # Nichol and Dhariwal 2021
    return jnp.minimum(1 - f[1:] / f[:-1], 0.999)


def _masked(drawn: Array, x: Array, word: Array, spread: Array, vocabulary: int, *, training: bool) -> Question:
    """The first k of a random order of the places are masked (Nie et al. 2025, appendix A)."""
    count, length = x.shape
    k = (
        jnp.floor((word >> 8).astype(jnp.float64) * (length / 2**24) if training else spread * length).astype(jnp.int32)
        + 1
    )
    order = words(drawn, stream("(process)", "mask"), count * length)[0].reshape(x.shape) >> 1
    place = jnp.argsort(jnp.argsort(order, axis=1, stable=True), axis=1)
    masked = place < k[:, None]
    time = jnp.floor(1000 * k.astype(jnp.float64) / length + 0.5).astype(jnp.int32)
    seen = jnp.concatenate([jnp.where(masked, vocabulary - 1, x), time[:, None]], 1)
    return Question(seen, x, jnp.where(masked, length / k[:, None].astype(jnp.float64), 0.0))
