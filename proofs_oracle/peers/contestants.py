"""JAX and PyTorch as contestants of netc's benchmark: which nets they have, and one step of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from netc.netspec.check import CheckedNet
from netc.netspec.errors import NetcError, UserError
from netc.netspec.install import install_extra
from netc.netspec.layer import Composite
from netc.netspec.loss import CrossEntropy
from netc.runtime.measure.bench import RATE, Contestant, Job, Step

# nets whose peers are written out by hand: the class in *_transformers.py and its sizes
TRANSFORMERS: dict[str, tuple[str, tuple[int, ...]]] = {
    "vit_tiny_patch4_32": ("ViT", (32, 4, 192, 3, 12, 10)),
    "tiny-gpt": ("GPT", (65, 64, 128, 4, 4)),
}
Made = tuple[Step, dict[str, Any]]
# --against's words; torch eager and compiled are taken in both layouts of images, for either may be the better
WORDS = ("jax", "torch", "torch.compile")
LAYOUTS = ((False, ""), (True, ", channels last"))
REFERENCE = "JAX jit, the oracle's layers"


def contestants(words: Sequence[str], net: CheckedNet) -> tuple[Contestant, ...]:
    """The peers that the words name, for a net. Raises UserError for a word, library or layer that there is not."""
    found: list[Contestant] = []
    for word in words:
        if word not in WORDS:
            raise UserError(f"`against` wants {', '.join(WORDS)}, got {word!r}")
        library = word.partition(".")[0]
        if find_spec(library) is None:
            raise UserError(f"`against={word}` wants {library}, got none; {install_extra('bench')}")
        found += _jax(net) if library == "jax" else _torch(net, compiled=word == "torch.compile")
    return tuple(found)


def _jax(net: CheckedNet) -> list[Contestant]:
    from netc.proofs_oracle.peers import jax_net

    if by_hand(net):
        return [Contestant("JAX jit", jax_by_hand, twin=False)]
    if not missing(net, jax_net.LAYERS):
        return [Contestant("JAX jit", jax_step)]
    return [Contestant(REFERENCE, reference_step)]


def _torch(net: CheckedNet, compiled: bool) -> list[Contestant]:
    from netc.proofs_oracle.peers import torch_net

    if not by_hand(net) and (kinds := missing(net, torch_net.MODULES)):
        raise UserError(
            f"`against=torch` has no {', '.join(kinds)}, which {net.spec.name} holds; leave torch out, or use jax"
        )
    name = "torch.compile" if compiled else "torch eager"
    images = any(len(p.shape) == 4 for p in net.params)  # a net without kernels gains nothing from a layout
    layouts = LAYOUTS if images else LAYOUTS[:1]
    twin = not by_hand(net)
    return [Contestant(name + said, partial(torch_step, compiled=compiled, last=last), twin) for last, said in layouts]


def by_hand(net: CheckedNet) -> bool:
    """Whether the net is one that was written out by hand, and not changed since."""
    return net.spec.name in TRANSFORMERS


def missing(net: CheckedNet, table: dict[Any, Any]) -> list[str]:
    """The kinds of layers that a peer's table does not have."""
    leaves = {type(part.layer) for part in net.walk() if not isinstance(part.layer, Composite)}
    return sorted(leaf.kind for leaf in leaves - table.keys())


def _same_net(count: int, net: CheckedNet) -> None:
    if count != net.count:
        raise NetcError(
            f"the peer of {net.spec.name} has {count:,} parameters, netc's {net.count:,}; it is another net: "
            "leave `input` and `classes` as the zoo has them, or leave the peer out"
        )


def _adam(loss_fn: Callable[..., Any], params: Any, state: Any, job: Job) -> Made:
    """jit of value_and_grad and Adam, with donated state, as JAX's users write it."""
    import jax
    import jax.numpy as jnp

    _same_net(sum(v.size for v in jax.tree.leaves(params)), job.net)

    def train(p: Any, s: Any, m: Any, v: Any, t: Any, x: Any, y: Any) -> Any:
        (loss, s), g = loss_fn(p, s, x, y, t)
        t = t + 1
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
        c1, c2 = 1 - 0.9**t, 1 - 0.999**t
        p = jax.tree.map(lambda p, m, v: p - RATE * (m / c1) / (jnp.sqrt(v / c2) + 1e-8), p, m, v)
        return p, s, m, v, t, loss

    run = jax.jit(train, donate_argnums=(0, 1, 2, 3, 4))
    zeros = jax.tree.map(jnp.zeros_like, params)
    held = [params, state, zeros, jax.tree.map(jnp.zeros_like, params), jnp.float32(0)]
    xd, yd = (jnp.asarray(a) for a in job.data())

    def step() -> float:
        *held[:], loss = run(*held, xd, yd)
        return float(loss)

    return step, {}


def _tensors(job: Job) -> tuple[dict[str, Any], dict[str, Any]]:
    import jax.numpy as jnp

    start = {name: jnp.asarray(array) for name, array in job.start().items()}
    statistics = {s.name for s in job.net.state}
    return {n: a for n, a in start.items() if n not in statistics}, {n: start[n] for n in statistics}


def _cross_entropy(logits: Any, y: Any) -> Any:
    import jax
    import jax.numpy as jnp

    return -jnp.take_along_axis(jax.nn.log_softmax(logits), y[..., None], axis=-1).mean()


def jax_step(job: Job) -> Made:
    """JAX: lax convolutions, value_and_grad, Adam, jit with donated state."""
    import jax
    import jax.numpy as jnp

    from netc.proofs_oracle.peers import jax_net

    def loss(p: Any, s: Any, x: Any, y: Any, t: Any) -> Any:
        key = jax.random.fold_in(jax.random.key(0), t.astype(jnp.uint32))
        logits, new = jax_net.apply(job.net.spec.body, p, {**s, jax_net.KEY: key}, x)
        return _cross_entropy(logits, y), s | new

    return _adam(jax.value_and_grad(loss, has_aux=True), *_tensors(job), job)


def jax_by_hand(job: Job) -> Made:
    """JAX: a transformer as somebody would write it, from parameters of its own."""
    import jax

    from netc.proofs_oracle.peers import jax_transformers

    kind, sizes = TRANSFORMERS[job.net.spec.name]
    twin = getattr(jax_transformers, kind)(*sizes)

    def loss(p: Any, s: Any, x: Any, y: Any, t: Any) -> Any:
        return _cross_entropy(twin.apply(p, x), y), s

    return _adam(jax.value_and_grad(loss, has_aux=True), twin.init(np.random.default_rng(0)), {}, job)


def reference_step(job: Job) -> Made:
    """JAX: the oracle's references, written from the equations; nobody made them fast."""
    import jax.numpy as jnp

    from netc.proofs_oracle.references.step import loss_and_gradients

    gradient = loss_and_gradients(job.net.spec, CrossEntropy())

    def loss(p: Any, s: Any, x: Any, y: Any, t: Any) -> Any:
        (value, (_, new)), g = gradient(p, s, x, y, jnp.zeros(2, jnp.uint32), t.astype(jnp.int32))
        return (value, {**s, **new}), g

    return _adam(loss, *_tensors(job), job)


def torch_step(job: Job, compiled: bool, last: bool) -> Made:
    """PyTorch eager or torch.compile, its images in NCHW or channels last; in bf16 by autocast."""
    import torch

    from netc.proofs_oracle.peers import torch_net, torch_transformers

    torch.set_num_threads(job.threads)
    x, y = job.data()
    data = torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2)) if x.ndim == 4 else x)
    labels = torch.from_numpy(y.astype(np.int64))
    if by_hand(job.net):
        kind, sizes = TRANSFORMERS[job.net.spec.name]
        module = getattr(torch_transformers, kind)(*sizes)
    else:
        module = torch_net.torch_net(job.net.spec)
        torch_net.load(job.net, module, job.start())
    _same_net(sum(p.numel() for p in module.parameters()), job.net)
    if last:
        module, data = module.to(memory_format=torch.channels_last), data.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(module.parameters(), lr=RATE)
    forward = torch.compile(module) if compiled else module

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=job.precision == "bf16"):
            logits = forward(data)
            loss = torch.nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), labels.reshape(-1))
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step, {}
