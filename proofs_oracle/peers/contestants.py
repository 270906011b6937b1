"""JAX and PyTorch as contestants of netc's benchmarks: which nets they have, one step of each, and its gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from netc.netspec.check import CheckedNet
from netc.netspec.errors import UserError
from netc.netspec.install import install_extra
from netc.netspec.layer import Composite, Layer, expanded
from netc.netspec.recipe import Recipe
from netc.netspec.types import TensorType
from netc.runtime.backends.protocol import Array
from netc.runtime.measure.bench import RATE, Contestant, Job, Step

Made = tuple[Step, dict[str, Any]]
# --against's words; torch eager and compiled are taken in both layouts of images, for either may be the better
WORDS = ("jax", "torch", "torch.compile")
LAYOUTS = ((False, ""), (True, ", channels last"))


def contestants(words: Sequence[str], net: CheckedNet) -> tuple[Contestant, ...]:
    """The peers that the words name, for a net. Raises UserError for a word, library or layer that there is not."""
    found: list[Contestant] = []
    for word in words:
        if word not in WORDS:
            raise UserError(f"`against` wants {', '.join(WORDS)}, got {word!r}")
        library = word.partition(".")[0]
        if find_spec(library) is None:
            raise UserError(f"`against={word}` wants {library}, got none; {install_extra('bench')}")
        found += [Contestant("JAX jit", jax_step)] if library == "jax" else _torch(net, word == "torch.compile")
    return tuple(found)


def _torch(net: CheckedNet, compiled: bool) -> list[Contestant]:
    import torch

    from netc.proofs_oracle.peers import torch_net

    if kinds := missing(net, torch_net.MODULES):
        raise UserError(
            f"`against=torch` has no {', '.join(kinds)}, which {net.spec.name} holds; leave torch out, or use jax"
        )
    with torch.device("meta"):  # without memory: what it refuses is said before anything is compiled
        torch_net.torch_net(net.spec)
    name = "torch.compile" if compiled else "torch eager"
    # a net without kernels gains nothing from a layout
    images = net.x.rank == 3 and any(len(p.shape) == 4 for p in net.params)
    layouts = LAYOUTS if images else LAYOUTS[:1]
    return [Contestant(name + said, partial(torch_step, compiled=compiled, last=last)) for last, said in layouts]


def missing(net: CheckedNet, table: dict[Any, Any]) -> list[str]:
    """The kinds of layers that a peer's table does not have."""
    held = {type(_meant(part.layer, part.x)) for part in net.walk()}
    return sorted(layer.kind for layer in held - table.keys())


def _meant(layer: Layer, x: TensorType) -> Layer:
    """What a composite is an expression of; another layer is itself."""
    while isinstance(layer, Composite):
        layer = expanded(layer, x)
    return layer


def jax_step(job: Job) -> Made:
    """JAX: the step of the script that `netc emit-jax` writes, under jit with donated state."""
    import jax
    import jax.numpy as jnp

    from netc.proofs_oracle.twin.agreement import executed, script_of

    script = executed(script_of(job.net, Recipe(), job.batch, seed=0))

    def train(state: Any, x: Any, y: Any) -> Any:
        state, (loss, *_) = script["train_step"].__wrapped__(state, x, y, RATE)  # without norms, as netc's program
        return state, loss

    run, start = jax.jit(train, donate_argnums=0), job.start()
    state = script["initial_state"](0)
    given = {part: {n: jnp.asarray(start[n]) for n in state[part]} for part in ("params", "statistics")}
    held = [{**state, **given}]
    xd, yd = (jnp.asarray(a) for a in job.data())

    def step() -> float:
        held[0], loss = run(held[0], xd, yd)
        return float(loss)

    return step, {}


def torch_gradients(job: Job, *, wide: bool) -> dict[str, Array]:
    """The gradient of every parameter by netc's name, PyTorch eager in float32, or in float64 where `wide`."""
    import torch

    from netc.proofs_oracle.peers import torch_net

    torch.set_num_threads(job.threads)
    module, data, labels = in_torch(job)
    if wide:
        module, data = module.double(), data.double() if data.is_floating_point() else data
    _cross_entropy(module(data), labels).backward()
    return torch_net.gradients(job.net, module)


def jax_gradients(job: Job) -> Callable[[Job], dict[str, Array]]:
    """What gives the gradient of every parameter by netc's name, of jobs of this one's net and batch.

    By `jax.grad` of the script of `netc emit-jax` in float32, compiled once.
    """
    import jax

    from netc.proofs_oracle.twin.agreement import executed, script_of

    script = executed(script_of(job.net, Recipe(), job.batch, seed=0))

    def loss(params: Any, stats: Any, x: Any, y: Any) -> Any:
        logits, _ = script["forward"](params, stats, x, True)
        return script["cross_entropy"](logits, y).mean()

    gradient = jax.jit(jax.grad(loss))

    def gradients(job: Job) -> dict[str, Array]:
        start = job.start()
        held = ({p.name: start[p.name] for p in parts} for parts in (job.net.params, job.net.state))
        return dict(gradient(*held, *job.data()))

    return gradients


def in_torch(job: Job) -> tuple[Any, Any, Any]:
    """The job's net with its parameters, its batch with images in NCHW, and its labels."""
    import torch

    from netc.proofs_oracle.peers import torch_net

    x, y = job.data()
    data = torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2)) if x.ndim == 4 else x).to(job.device)
    module = torch_net.torch_net(job.net.spec)
    torch_net.load(job.net, module, job.start())
    return module.to(job.device), data, torch.from_numpy(y.astype(np.int64)).to(job.device)


def _cross_entropy(logits: Any, labels: Any) -> Any:
    """The mean over examples, and places: tokens have their classes last, pixels in front of height and width."""
    from torch.nn import functional

    if logits.dim() == 3:
        logits, labels = logits.flatten(0, 1), labels.flatten()
    return functional.cross_entropy(logits, labels)


def torch_step(job: Job, compiled: bool, last: bool) -> Made:
    """PyTorch eager or torch.compile, its images in NCHW or channels last; in bf16 by autocast."""
    import torch

    torch.set_num_threads(job.threads)
    module, data, labels = in_torch(job)
    if last:
        module, data = module.to(memory_format=torch.channels_last), data.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(module.parameters(), lr=RATE)
    forward = torch.compile(module) if compiled else module

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(data.device.type, dtype=torch.bfloat16, enabled=job.precision == "bf16"):
            logits = forward(data)
            loss = _cross_entropy(logits, labels)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step, {}
