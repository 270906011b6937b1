"""Normalisations."""

from __future__ import annotations

from netc.netspec.layer import Layer
from netc.netspec.layers import BatchNorm, GroupNorm, InstanceNorm, LayerNorm, LayerScale, RMSNorm
from netc.netspec.types import TensorType
from netc.proofs_oracle.twin.spelling import quoted, tensor
from netc.proofs_oracle.twin.writer import LeafText, Writer

FUNCTIONS: dict[str, str] = {
    "batch_norm": '''
def batch_norm(x, p, stats, new, name, training, epsilon, momentum):
    """Normalises each channel by the batch's statistics, or by the running ones; `new` gets the latter moved on."""
    axes = tuple(range(x.ndim - 1))
    mean, var = stats[f"{name}.mean"], stats[f"{name}.var"]
    if training:
        count = x.size // x.shape[-1]
        running, (mean, var) = (mean, var), (jnp.mean(x, axes), jnp.var(x, axes))
        unbiased = var * (count / max(count - 1, 1))
        new[f"{name}.mean"] = (1 - momentum) * running[0] + momentum * mean
        new[f"{name}.var"] = (1 - momentum) * running[1] + momentum * unbiased
    return p[f"{name}.scale"] * (x - mean) * lax.rsqrt(var + epsilon) + p[f"{name}.bias"]
''',
    "layer_norm": '''
def layer_norm(x, epsilon):
    """Each place's features to mean 0 and variance 1."""
    x = x - x.mean(-1, keepdims=True)  # once: XLA takes 1.4 times as long for a GPT's step that centres x in var, too
    return x * lax.rsqrt((x**2).mean(-1, keepdims=True) + epsilon)
''',
    "rms_norm": '''
def rms_norm(x, epsilon):
    """Each place's features to mean square 1."""
    return x * lax.rsqrt((x**2).mean(-1, keepdims=True) + epsilon)
''',
    "group_norm": '''
def group_norm(x, groups, epsilon):
    """Each example's groups of channels to mean 0 and variance 1, over all its places."""
    g = x.reshape(*x.shape[:-1], groups, -1)
    axes = (*range(1, g.ndim - 2), g.ndim - 1)
    return ((g - g.mean(axes, keepdims=True)) * lax.rsqrt(g.var(axes, keepdims=True) + epsilon)).reshape(x.shape)
''',
}


def _affine(normed: str, path: str, scale: bool, bias: bool) -> list[str]:
    scaled = f" * {tensor(path, 'scale')}" if scale else ""
    return [normed + scaled + (f" + {tensor(path, 'bias')}" if bias else "")]


def _batch_norm(w: Writer, layer: BatchNorm, path: str, x: TensorType) -> list[str]:
    return [w.call("batch_norm", "{}", "p", "stats", "new", quoted(path), "training", layer.epsilon, layer.momentum)]


def _layer_norm(w: Writer, layer: LayerNorm, path: str, x: TensorType) -> list[str]:
    return _affine(w.call("layer_norm", "{}", layer.epsilon), path, layer.scale, layer.bias)


def _rms_norm(w: Writer, layer: RMSNorm, path: str, x: TensorType) -> list[str]:
    return _affine(w.call("rms_norm", "{}", layer.epsilon), path, layer.scale, False)


def _group_norm(w: Writer, layer: GroupNorm, path: str, x: TensorType) -> list[str]:
    return _affine(w.call("group_norm", "{}", layer.groups, layer.epsilon), path, layer.affine, layer.affine)


def _instance_norm(w: Writer, layer: InstanceNorm, path: str, x: TensorType) -> list[str]:
    return _affine(w.call("group_norm", "{}", x.shape[-1], layer.epsilon), path, layer.affine, layer.affine)


LEAVES: dict[type[Layer], LeafText] = {
    BatchNorm: _batch_norm,
    LayerNorm: _layer_norm,
    RMSNorm: _rms_norm,
    GroupNorm: _group_norm,
    InstanceNorm: _instance_norm,
    LayerScale: lambda w, layer, path, x: [f"{{}} * {tensor(path, 'gamma')}"],
}
