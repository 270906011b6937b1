"""JAX and PyTorch as contestants of netc's benchmark: which nets they have, and one step of each."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from netc.netspec.check import CheckedNet
from netc.netspec.errors import NetcError, UserError
from netc.netspec.install import install_extra
from netc.netspec.layer import Composite
from netc.netspec.recipe import Recipe
from netc.runtime.measure.bench import RATE, Contestant, Job, Step

# nets whose peers in PyTorch are written out by hand: the class in torch_transformers.py and its sizes
TRANSFORMERS: dict[str, tuple[str, tuple[int, ...]]] = {
    "vit_tiny_patch4_32": ("ViT", (32, 4, 192, 3, 12, 10)),
    "tiny-gpt": ("GPT", (65, 64, 128, 4, 4)),
    "gpt2": ("GPT", (50_257, 1024, 768, 12, 12, True)),
}
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
    from netc.proofs_oracle.peers import torch_net

    if not by_hand(net) and (kinds := missing(net, torch_net.MODULES)):
        raise UserError(
            f"`against=torch` has no {', '.join(kinds)}, which {net.spec.name} holds; leave torch out, or use jax"
        )
    name = "torch.compile" if compiled else "torch eager"
    images = any(len(p.shape) == 4 for p in net.params)  # a net without kernels gains nothing from a layout
    layouts = LAYOUTS if images else LAYOUTS[:1]
    same_start = not by_hand(net)
    return [
        Contestant(name + said, partial(torch_step, compiled=compiled, last=last), same_start) for last, said in layouts
    ]


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
