"""A net and its twin side by side in float64: the same logits, gradients and running statistics."""

from dataclasses import fields, is_dataclass, replace

import numpy as np
import torch
from safetensors.torch import save_file

from netc.codegen.evaluator import run
from netc.codegen.program import build
from netc.netspec.check import check
from netc.netspec.layer import Layer
from netc.netspec.layers import Dropout, DropPath
from netc.netspec.recipe import SGD, Recipe
from netc.runtime.weights.layouts import SAME, layouts
from netc.runtime.weights.names import namings_of
from netc.runtime.weights.read import read_weights

torch.set_num_threads(1)  # threads that wait busily for each other cost minutes on a busy machine

# float64 through some fifty layers, whose norms amplify what a sum's order changes
TOLERANCE = 1e-9


def without_draws(value):
    """The same layers with every rate of dropping set to 0, since no two projects draw the same masks."""
    if isinstance(value, tuple):
        return tuple(without_draws(v) for v in value)
    if isinstance(value, Dropout | DropPath):
        return replace(value, rate=0.0)
    if not (is_dataclass(value) and isinstance(value, Layer)):
        return value
    changed = {f.name: without_draws(getattr(value, f.name)) for f in fields(value)}
    for name in changed.keys() & {"drop_path", "drop_path_first", "dropout", "attention_dropout"}:
        changed[name] = (0.0, 0.0) if isinstance(changed[name], tuple) else 0.0
    return replace(value, **changed)


def saved(twin, path):
    """The twin's state as a file."""
    save_file({name: t.contiguous() for name, t in twin.state_dict().items()}, path)
    return path


def close(got, want, what, least=0.0):
    """Equal but for rounding, relative to the size of the whole tensor, or to `least` where that is more."""
    assert got.shape == want.shape, what
    error = np.linalg.norm(got - want) / max(np.linalg.norm(want), least)
    assert error < TOLERANCE, f"{what}: relative error {error:.3g}"


def compare(spec, twin, path, batch=4, naming=0):
    """Import the twin's weights into the spec's net; then one evaluation and one step of plain gradient descent."""
    net = check(replace(spec, layers=without_draws(spec.layers)))
    weights = read_weights(net, saved(twin, path))
    rng = np.random.default_rng(4)
    x = rng.normal(size=(batch, *net.x.shape))
    y = rng.integers(0, net.out.shape[0], batch).astype(np.int32)
    program = build(net, Recipe(SGD(momentum=0.0), norms=False), batch)
    extra = {"step": np.int32(0), "key": np.zeros(2, np.uint32)}
    state = [weights.tensors[s.name] if s.name in weights.tensors else extra[s.name] for s in program.state]
    twin = twin.double()
    image, label = torch.tensor(x).permute(0, 3, 1, 2).contiguous(), torch.tensor(y).long()

    twin.eval()
    with torch.no_grad():
        want = twin(image).numpy()
    got = run(program.module, "predict", [*state[: len(program.kept)], x])[0]
    assert np.isfinite(want).all() and want.std() > 1e-3, "the twin's logits say nothing"
    close(got, want, "logits")

    # a step of rate 1 takes the gradient off each parameter
    results = run(program.module, "train_step", [*state, x, y, np.float64(1.0)])
    after = dict(zip((slot.name for slot in program.state), results, strict=False))
    twin.train()
    loss = torch.nn.functional.cross_entropy(twin(image), label)
    loss.backward()
    close(results[len(program.state)], np.asarray(loss.item()), "loss")
    wanted = dict(twin.named_buffers()) | {name: p.grad for name, p in twin.named_parameters()}
    size = np.sqrt(sum(float((p.grad**2).sum()) for p in twin.parameters()))
    sources, kernels = namings_of(spec.name)[naming].sources(net), layouts(net)
    for slot in program.kept:
        layout = kernels.get(slot.name, SAME)
        want = layout.inner(wanted[sources[slot.name]].numpy().reshape(layout.outer(slot.type.shape)))
        got = after[slot.name]
        if slot.role == "parameter":
            got = weights.tensors[slot.name].astype(np.float64) - got
        # the gradient of a bias before a norm is 0, and rounding is all there is of it
        close(got, want, slot.name, 1e-5 * size if slot.role == "parameter" else 0.0)
