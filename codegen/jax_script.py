"""A training as one JAX script: the same net, first state, batches, recipe and trace, and gradients by autodiff.

The script imports jax and numpy, and nothing of netc. It reads the images from a file beside it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from netc.codegen.jax_layers import forward_text
from netc.netspec.check import CheckedNet
from netc.netspec.errors import UserError
from netc.netspec.loss import CrossEntropy, Loss
from netc.netspec.recipe import Adam, Recipe, Schedule, Sgd
from netc.netspec.types import Constant, Initializer, Normal


@dataclass(frozen=True)
class Training:
    """What a script is written from. `header` is the trace's, without the fields that the script knows itself.

    `crop` and `flip` are the augmentation, `mean` and `std` the normalisation of each channel, `steps_per_epoch` full
    batches; `pixels_sha256` is the digest of the file of images.
    """

    net: CheckedNet
    recipe: Recipe
    schedule: Schedule
    seed: int
    crop: int
    flip: bool
    mean: tuple[float, ...]
    std: tuple[float, ...]
    header: Mapping[str, Any]


def jax_script(t: Training) -> str:
    """The script's text. Raises UserError naming a layer or a loss that has no form in it yet."""
    if t.net.signature.draws:
        raise UserError(f"{t.net.spec.name}: {_drawing(t.net)} draws random masks, which has no form in JAX text yet")
    functions, forward = forward_text(t.net)
    loss = t.recipe.loss
    if not isinstance(loss, CrossEntropy) or t.net.out.rank != 1:
        raise UserError(
            f"emit-jax wants the loss crossEntropy of an output [batch, classes], got {loss.kind} of {t.net.out};"
            " compare with --target xla"
        )
    s = t.schedule
    values = {
        "NET": t.net.spec.name, "SEED": t.seed, "BATCH": s.batch, "EPOCHS": s.epochs, "LR": s.lr, "WARMUP": s.warmup,
        "DECAY": s.decay, "FINAL": s.final, "CROP": t.crop, "FLIP": t.flip, "MEAN": t.mean, "STD": t.std,
        "HEADER": dict(t.header),
        "PARAMETERS": {p.name: (p.shape, *_drawn(p.init), _decays(t.recipe, p.decay)) for p in t.net.params},
        "STATISTICS": {n.name: (n.shape, n.init.value) for n in t.net.state},
    }  # fmt: skip
    constants = "\n".join(f"{NOTES.get(name, '')}{name} = {_literal(value)}" for name, value in values.items())
    replaced = {
        "<net>": t.net.spec.name,
        "<data>": str(t.header["data"]),
        "<constants>": constants,
        "<functions>": functions,
        "<forward>": forward.replace("\n", "\n    "),
        "<smoothing>": repr(loss.smoothing),
        "<weights>": repr(loss.weights),
        "<evaluation weights>": repr(_weights(loss.evaluated)),
        "<optimizer>": _optimizer(t.recipe),
        "<moments>": repr(_moments(t.recipe)),
    }
    text = TEMPLATE
    for mark, value in replaced.items():
        text = text.replace(mark, value)
    return text


def _weights(loss: Loss) -> tuple[float, ...]:
    assert isinstance(loss, CrossEntropy)
    return loss.weights


def _drawing(net: CheckedNet) -> str:
    leaf = [layer for layer in net.walk() if layer.signature.draws][-1]
    return f"layer {leaf.path} ({leaf.layer.label()})"


def _literal(value: Any, indent: str = "") -> str:
    """The value as Python text; a long mapping has a line for each entry."""
    text = repr(value)
    if len(text) < 100 or not isinstance(value, Mapping):
        return text
    inner = indent + "    "
    entries = "".join(f"{inner}{key!r}: {_literal(item, inner)},\n" for key, item in value.items())
    return "{\n" + entries + indent + "}"


def _drawn(init: Initializer) -> tuple[str, float]:
    if isinstance(init, Constant):
        return "constant", init.value
    return ("normal", init.std) if isinstance(init, Normal) else ("uniform", init.bound)


def _decays(recipe: Recipe, decay: bool) -> bool:
    return bool(recipe.optimizer.weight_decay) and (decay or recipe.decay_all)


def _moments(recipe: Recipe) -> tuple[str, ...]:
    if isinstance(recipe.optimizer, Adam):
        return ("m", "v")
    return ("velocity",) if recipe.optimizer.momentum else ()


def _correction(beta: float) -> str:
    """1 - beta^t. In float32 that difference loses four of seven digits for beta = 0.999 and t = 1."""
    return f"-jnp.expm1(t * {math.log(beta)!r})" if beta else "1"


def _optimizer(recipe: Recipe) -> str:
    o = recipe.optimizer
    coupled = isinstance(o, Sgd) or not o.decoupled
    lines = ["if PARAMETERS[name][3]:", f"    g = g + {o.weight_decay!r} * w"] if o.weight_decay and coupled else []
    if isinstance(o, Adam):
        lines += [
            f"kept['m'] = {o.beta1!r} * kept['m'] + {1 - o.beta1!r} * g",
            f"kept['v'] = {o.beta2!r} * kept['v'] + {1 - o.beta2!r} * g**2",
            f"m = kept['m'] / {_correction(o.beta1)}",
            f"v = kept['v'] / {_correction(o.beta2)}",
            f"new = w - lr * m / (jnp.sqrt(v) + {o.epsilon!r})",
        ]
        if o.weight_decay and not coupled:
            lines += ["if PARAMETERS[name][3]:", f"    new = new - lr * {o.weight_decay!r} * w"]
    elif o.momentum:
        lines.append(f"kept['velocity'] = {o.momentum!r} * kept['velocity'] + g")
        ahead = f"(g + {o.momentum!r} * kept['velocity'])" if o.nesterov else "kept['velocity']"
        lines.append(f"new = w - lr * {ahead}")
    else:
        lines.append("new = w - lr * g")
    return "\n    ".join(lines)


NOTES = {"PARAMETERS": "# shape, how it is drawn, the deviation, bound or value, whether weight decay touches it\n"}

TEMPLATE = '''"""<net> on <data> in plain JAX: an independent twin of a training by netc, written by `netc emit-jax`.

    python FILE.py [--images FILE.npz] [--out trace.jsonl] [--steps N]

Same net, first state, batches and recipe; the gradients are `jax.value_and_grad`'s. The first parameters are drawn here
by Threefry-2x32, as netc draws them. Compare: netc trace diff RUN trace.jsonl --mode cross-compiler
Needs jax and numpy only.
"""

import argparse
import hashlib
import json
import math
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.random import threefry_2x32

jax.config.update("jax_default_matmul_precision", "highest")

<constants>


# -- the net: p are the parameters, stats the running statistics, both by name --------------------------------------

<functions>

def forward(p, stats, x, training):
    """x [B, ..] -> logits [B, classes], and the statistics moved on."""
    new = dict(stats)
    <forward>
    return x, new


def cross_entropy(logits, labels, smoothing=0.0, weights=()):
    """One number for each example, [B]."""
    classes = logits.shape[-1]
    q = (1 - smoothing) * jax.nn.one_hot(labels, classes) + smoothing / classes
    if weights:
        q = q * jnp.array(weights, jnp.float32)
    return -jnp.sum(q * jax.nn.log_softmax(logits), -1)


# -- training ----------------------------------------------------------------------------------------------------


def initial_state(seed):
    """The parameters as netc draws them: one long vector for each kind of draw, of which each takes its part."""
    key = jnp.array([seed >> 32 & 0xFFFFFFFF, seed & 0xFFFFFFFF], jnp.uint32)

    def words(stream, count):
        counter = jnp.concatenate([jnp.arange(count, dtype=jnp.uint32), jnp.full(count, stream, jnp.uint32)])
        return jnp.split(threefry_2x32(key, counter), 2)

    def normal(count):  # the sum of eight 16-bit uniforms less its mean
        fields = [f for i in (1, 2) for word in words(i, count) for f in (word & 0xFFFF, word >> 16)]
        return sum(f.astype(jnp.int32) for f in fields).astype(jnp.float32) - 8 * 65535 / 2

    def uniform(count):  # in [-1/2, 1/2)
        return (words(0, count)[0] >> 8).astype(jnp.float32) * 2.0**-24 - 0.5

    spread = math.sqrt(8 * (2**32 - 1) / 12)  # of the sum of eight
    factors = {"normal": lambda deviation: deviation / spread, "uniform": lambda bound: 2 * bound}

    params = {}
    for kind, draw in {"normal": normal, "uniform": uniform}.items():
        chosen = {name: row for name, row in PARAMETERS.items() if row[1] == kind}
        count = sum(math.prod(shape) for shape, *_ in chosen.values())
        if not count:
            continue
        drawn, start = draw(count), 0
        for name, (shape, _, scale, _) in chosen.items():
            size = math.prod(shape)
            params[name] = drawn[start : start + size].reshape(shape) * np.float32(factors[kind](scale))
            start += size
    for name, (shape, kind, value, _) in PARAMETERS.items():
        if kind == "constant":
            params[name] = jnp.full(shape, value, jnp.float32)
    params = {name: params[name] for name in PARAMETERS}
    return {
        "params": params,
        "statistics": {name: jnp.full(shape, value, jnp.float32) for name, (shape, value) in STATISTICS.items()},
        "moments": {moment: jax.tree.map(jnp.zeros_like, params) for moment in <moments>},
        "step": jnp.zeros((), jnp.int32),
    }


def updated(name, w, g, kept, t, lr):
    """One parameter after step t, from 1, and its moments."""
    <optimizer>
    return new, kept


@partial(jax.jit, donate_argnums=0)
def train_step(state, x, y, lr):
    """state, images [B, ..], labels [B], learning rate -> state, (loss, gradient norm, parameter norm)."""
    params, t = state["params"], state["step"] + 1

    def objective(p):
        logits, statistics = forward(p, state["statistics"], x, True)
        return cross_entropy(logits, y, <smoothing>, <weights>).mean(), statistics

    (loss, statistics), grads = jax.value_and_grad(objective, has_aux=True)(params)
    new, moments = {}, {moment: {} for moment in state["moments"]}
    for name, w in params.items():
        kept = {moment: state["moments"][moment][name] for moment in moments}
        new[name], kept = updated(name, w, grads[name], kept, t, lr)
        for moment in moments:
            moments[moment][name] = kept[moment]

    def norm(tree):
        return jnp.sqrt(sum(jnp.sum(v**2) for v in tree.values()))

    after = {"params": new, "statistics": statistics, "moments": moments, "step": t}
    return after, (loss, norm(grads), norm(params))


@jax.jit
def eval_step(state, x, y, weight):
    """Sums over a batch: loss, correct answers."""
    logits, _ = forward(state["params"], state["statistics"], x, False)
    losses = cross_entropy(logits, y, weights=<evaluation weights>)
    return jnp.sum(losses * weight), jnp.sum((logits.argmax(-1) == y) * weight)


def learning_rate(step, per_epoch):
    """A linear warm-up, then half a cosine or a constant."""
    total, warm = EPOCHS * per_epoch, round(WARMUP * per_epoch)
    if step < warm:
        return LR * (step + 1) / warm
    if DECAY == "constant" or total <= warm:
        return LR
    floor = LR * FINAL
    return floor + (LR - floor) * 0.5 * (1 + math.cos(math.pi * (step - warm) / (total - warm)))


# -- data ----------------------------------------------------------------------------------------------------------


def generator(epoch, upper):
    """NumPy's Philox with the key (seed, epoch): counter words (.., .., 0, 0) order an epoch, (step, 1) augment."""
    key, counter = np.array((SEED, epoch), np.uint64), np.array((0, 0, *upper), np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


def augmented(pixels, draw):
    """A window out of a black frame, then perhaps a mirror image."""
    count, height, width, _ = pixels.shape
    if CROP:
        tops, lefts = draw.integers(0, 2 * CROP + 1, (2, count))
        frame = np.pad(pixels, ((0, 0), (CROP, CROP), (CROP, CROP), (0, 0)))
        pixels = np.stack([f[t : t + height, l : l + width] for f, t, l in zip(frame, tops, lefts)])
    if FLIP:
        mirrored = draw.integers(0, 2, count).astype(bool)
        pixels = np.where(mirrored[:, None, None, None], pixels[:, :, ::-1], pixels)
    return pixels


def normalised(pixels):
    """uint8 -> float32 of mean 0 and deviation 1 for each channel: pixel * scale + shift."""
    std = np.array(STD)
    return pixels.astype(np.float32) * (1 / (255 * std)).astype(np.float32) + (-np.array(MEAN) / std).astype(np.float32)


def batches(pixels, labels, epoch):
    """The full batches of an epoch, in its order."""
    order = generator(epoch, (0, 0)).permutation(len(pixels))
    for step in range(len(pixels) // BATCH):
        chosen = order[step * BATCH : (step + 1) * BATCH]
        yield normalised(augmented(pixels[chosen], generator(epoch, (step, 1)))), labels[chosen]


def evaluated(state, pixels, labels):
    """The mean loss and the share of right answers; the last batch is filled up with what has no weight."""
    loss = right = 0.0
    for start in range(0, len(pixels), BATCH):
        x, y = normalised(pixels[start : start + BATCH]), labels[start : start + BATCH]
        weight = np.zeros(BATCH, np.float32)
        weight[: len(x)] = 1
        more = BATCH - len(x)
        x = np.concatenate([x, np.zeros((more, *x.shape[1:]), x.dtype)])
        y = np.concatenate([y, np.zeros(more, y.dtype)])
        sums = eval_step(state, x, y, weight)
        loss, right = loss + float(sums[0]), right + float(sums[1])
    return loss / len(pixels), right / len(pixels)


# -- the trace -------------------------------------------------------------------------------------------------------


def number(value):
    """A float32 as its shortest decimal; JSON has no spelling for one that is not finite."""
    value = np.float32(value)
    if not np.isfinite(value):
        return "NaN" if np.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    shortest = float(np.format_float_scientific(value, unique=True, trim="-"))
    return shortest if np.float32(shortest) == value else float(f"{value:.9g}")


def main():
    """Train, and write a line for each step and evaluation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, default=Path(__file__).with_suffix(".npz"))
    parser.add_argument("--out", type=Path, default=Path("trace.jsonl"))
    parser.add_argument("--steps", type=int, help="stop after so many")
    options = parser.parse_args()
    with np.load(options.images, allow_pickle=False) as images:
        if str(images["data_sha256"]) != HEADER["data_sha256"]:
            raise SystemExit(f"{options.images} holds other data than the script was written for")
        train = images["train_pixels"], images["train_labels"]
        test = images["test_pixels"], images["test_labels"]
    versions = {"jax": jax.__version__, "jaxlib": jax.lib.__version__, "numpy": np.__version__}
    script = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    header = {"kind": "header", **HEADER, "module_sha256": script, "target": "jax", "versions": versions}
    per_epoch = len(train[0]) // BATCH
    state, step = initial_state(SEED), 0
    with options.out.open("x") as trace:

        def record(**fields):
            trace.write(json.dumps(fields, allow_nan=False) + "\\n")
            trace.flush()

        record(**header)
        for epoch in range(EPOCHS):
            for x, y in batches(*train, epoch):
                if step == options.steps:
                    return
                lr = np.float32(learning_rate(step, per_epoch))
                state, (loss, grad_norm, param_norm) = train_step(state, x, y, lr)
                norms = {"grad_norm": number(grad_norm), "param_norm": number(param_norm)}
                record(kind="step", step=step, epoch=epoch, loss=number(loss), lr=number(lr), **norms)
                step += 1
            loss, accuracy = evaluated(state, *test)
            told = {"loss": number(loss), "accuracy": number(accuracy), "count": len(test[0])}
            record(kind="eval", step=step - 1, epoch=epoch, **told)
            print(f"epoch {epoch + 1}: test loss {loss:.4f}, accuracy {accuracy:.2%}")


if __name__ == "__main__":
    main()
'''
