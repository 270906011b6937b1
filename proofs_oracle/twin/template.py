"""The script around the net. Marks in angle brackets are filled in by script.py."""

TEMPLATE = '''"""<net> on <data> in plain JAX: an independent twin of a training by netc, written by `netc emit-jax`.

    python FILE.py [--<examples> FILE.npz] [--out trace.jsonl] [--steps N]

Same net, first state, batches and recipe; the gradients are `jax.value_and_grad`'s. The first parameters are drawn here
by Threefry-2x32, as netc draws them. <begins>Compare: netc trace diff RUN trace.jsonl --mode cross-compiler
Needs jax and numpy only.
"""

import argparse
import hashlib
import json
import math
<zlib>from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.random import threefry_2x32

jax.config.update("jax_default_matmul_precision", "highest")

<constants>


def words(key, stream, count):
    """Threefry-2x32 at the counters (0, stream), (1, stream), ..: two vectors of `count` words."""
    counter = jnp.concatenate([jnp.arange(count, dtype=jnp.uint32), jnp.full(count, stream, jnp.uint32)])
    return jnp.split(threefry_2x32(key, counter), 2)


# -- the net: p are the parameters, stats the running statistics, both by name --------------------------------------

<functions>

def forward(p, stats, x, training<key argument>):
    """<x> -> <logits>, and the statistics moved on."""
    new = dict(stats)
    <forward>
    return x, new

<losses>

# -- training ----------------------------------------------------------------------------------------------------


def initial_state(seed):
    """The parameters as netc draws them: one long vector for each kind of draw, of which each takes its part."""
    key = jnp.array([seed >> 32 & 0xFFFFFFFF, seed & 0xFFFFFFFF], jnp.uint32)

    def normal(count):  # the sum of eight 16-bit uniforms less its mean
        fields = [f for i in (1, 2) for word in words(key, i, count) for f in (word & 0xFFFF, word >> 16)]
        return sum(f.astype(jnp.int32) for f in fields).astype(jnp.float32) - 8 * 65535 / 2

    def uniform(count):  # in [-1/2, 1/2)
        return (words(key, 0, count)[0] >> 8).astype(jnp.float32) * 2.0**-24 - 0.5

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
<first slow><first averages><seed key>    }
<begun><step key function>

def updated(name, w, g, kept, t, lr):
    """One parameter after step t, from 1, and its moments."""
    <optimizer>
    return new, kept


@partial(jax.jit, donate_argnums=0)
def train_step(state, x, y, lr):
    """state, images [B, ..], labels [B], learning rate -> state, (loss, gradient norm, parameter norm)."""
    params, t = state["params"], state["step"] + 1

<point><derivative><clip>    new, moments = {}, {moment: {} for moment in state["moments"]}
    for name, w in <held>.items():
        kept = {moment: state["moments"][moment][name] for moment in moments}
        new[name], kept = <unless frozen>updated(name, w, <used>[name], kept, t, <rate>)
        for moment in moments:
            moments[moment][name] = kept[moment]

<slow><averages>    def norm(tree):
        return jnp.sqrt(sum(jnp.sum(v**2) for v in tree.values()))

    after = {"params": new, "statistics": statistics, "moments": moments, "step": t<kept slow><kept averages><kept key>}
    return after, (loss, norm(grads), norm(<held>))


@jax.jit
def eval_step(state, x, y, weight):
    """Sums over a batch: loss, correct answers."""
<asked>    logits, _ = forward(state["params"], state["statistics"], <evaluated>, False)
    return jnp.sum(<evaluation> * weight), jnp.sum((<right>) * weight)


def learning_rate(step, per_epoch):
    """A linear warm-up, then the schedule <decay>."""
    total, warm = EPOCHS * per_epoch, round(WARMUP * per_epoch)
    if step < warm:
        return LR * (step + 1) / warm
    if total <= warm:
        return LR
    t, floor = (step - warm) / (total - warm), LR * FINAL
    return floor + (LR - floor) * (<factor>)


# -- data ----------------------------------------------------------------------------------------------------------


def generator(epoch, upper):
    """NumPy's Philox with the key (seed, epoch): counter words (.., .., 0, 0) order an epoch, (step, 1) augment."""
    key, counter = np.array((SEED, epoch), np.uint64), np.array((0, 0, *upper), np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


<reading>

def batches(split, epoch):
    """The full batches of an epoch, in its order."""
    order = generator(epoch, (0, 0)).permutation(count(split))
    for step in range(count(split) // BATCH):
        yield examples(split, order[step * BATCH : (step + 1) * BATCH], generator(epoch, (step, 1)))


def evaluated(state, split):
    """The mean loss and the share of right answers; the last batch is filled up with what has no weight."""
    loss = right = 0.0
    for start in range(0, count(split), BATCH):
        x, y = examples(split, np.arange(start, min(start + BATCH, count(split))))
        weight = np.zeros(BATCH, np.float32)
        weight[: len(x)] = 1
        x, y = (np.pad(v, ((0, BATCH - len(v)), *((0, 0),) * (v.ndim - 1))) for v in (x, y))
        sums = eval_step(state, x, y, weight)
        loss, right = loss + float(sums[0]), right + float(sums[1])
    return loss / count(split), right / count(split)


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
    parser.add_argument("--<examples>", type=Path, default=Path(__file__).with_suffix(".npz"))
<weights option>    parser.add_argument("--out", type=Path, default=Path("trace.jsonl"))
    parser.add_argument("--steps", type=int, help="stop after so many")
    options = parser.parse_args()
    splits = load(options.<examples>)
    versions = {"jax": jax.__version__, "jaxlib": jax.lib.__version__, "numpy": np.__version__}
    script = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    header = {"kind": "header", **HEADER, "module_sha256": script, "target": "jax", "versions": versions}
    per_epoch = count(splits["train"]) // BATCH
    state, step = <first state>, 0
    with options.out.open("x") as trace:

        def record(**fields):
            trace.write(json.dumps(fields, allow_nan=False) + "\\n")
            trace.flush()

        record(**header)
        for epoch in range(EPOCHS):
            for x, y in batches(splits["train"], epoch):
                if step == options.steps:
                    return
                lr = np.float32(learning_rate(step, per_epoch))
                state, (loss, grad_norm, param_norm) = train_step(state, x, y, lr)
                norms = {"grad_norm": number(grad_norm), "param_norm": number(param_norm)}
                record(kind="step", step=step, epoch=epoch, loss=number(loss), lr=number(lr), **norms)
                step += 1
            loss, accuracy = evaluated(state, splits["test"])
            told = {"loss": number(loss), "accuracy": number(accuracy), "count": count(splits["test"])}
<told averages>            record(kind="eval", step=step - 1, epoch=epoch, **told)
            print(f"epoch {epoch + 1}: test loss {loss:.4f}<said accuracy>")


if __name__ == "__main__":
    main()
'''
