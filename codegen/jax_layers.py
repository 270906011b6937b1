"""How a net is said in JAX, as text: one row for each kind of layer. No JAX is imported; `netc emit-jax` writes it.

The rows are written from the layers' equations and not from the rules of codegen/layers: the script is a twin whose
gradients come from JAX. A kind without a row is an error that names the layer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from netc.netspec.check import CheckedNet
from netc.netspec.errors import UserError
from netc.netspec.layer import Combinator, Composite, Layer, expanded, part_names, signature_of
from netc.netspec.layers import (
    Activation,
    AvgPool,
    BatchNorm,
    Chain,
    Concat,
    Conv2d,
    Dense,
    Flatten,
    Gate,
    GlobalAvgPool,
    Identity,
    LayerNorm,
    MaxPool,
    Repeat,
    Residual,
)
from netc.netspec.layers.window import pair
from netc.netspec.types import TensorType

FUNCTIONS: dict[str, str] = {
    "conv2d": '''
def conv2d(x, kernel, stride, padding, dilation=(1, 1), groups=1):
    """x [B, H, W, C], kernel [kh, kw, C / groups, features]."""
    return lax.conv_general_dilated(
        x, kernel, stride, padding, rhs_dilation=dilation, feature_group_count=groups,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
''',
    "max_pool": '''
def max_pool(x, size, stride, padding):
    """The maximum of each window; autodiff gives the cotangent to the first one."""
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, *size, 1), (1, *stride, 1), ((0, 0), *padding, (0, 0)))
''',
    "avg_pool": '''
def avg_pool(x, size, stride, padding, count_padding):
    """The mean of each window, over the pixels inside the image or, with count_padding, over all of it."""
    def total(v):
        return lax.reduce_window(v, 0.0, lax.add, (1, *size, 1), (1, *stride, 1), ((0, 0), *padding, (0, 0)))
    return total(x) / (size[0] * size[1] if count_padding else total(jnp.ones_like(x)))
''',
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
    return (x - x.mean(-1, keepdims=True)) * lax.rsqrt(x.var(-1, keepdims=True) + epsilon)
''',
}
"""The functions that rows may call, by the name by which they do."""

ACTIVATIONS: dict[str, str] = {
    "identity": "{x}",
    "relu": "jax.nn.relu({x})",
    "relu6": "jax.nn.relu6({x})",
    "leaky-relu": "jnp.where({x} > 0, {x}, {slope!r} * {x})",
    "sigmoid": "jax.nn.sigmoid({x})",
    "tanh": "jnp.tanh({x})",
    "swish": "jax.nn.silu({x})",
    "h-sigmoid": "jax.nn.relu6({x} + 3) / 6",
    "h-swish": "{x} * jax.nn.relu6({x} + 3) / 6",
    "gelu": "jax.nn.gelu({x}, approximate=False)",
    "gelu-tanh": "jax.nn.gelu({x}, approximate=True)",
}


@dataclass
class Writer:
    """Collects the lines of the forward pass. `used` are the names in `FUNCTIONS` that they call."""

    net: str
    lines: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)

    def assign(self, target: str, expression: str) -> str:
        """Append `target = expression` and return the target."""
        if expression != target:
            self.lines.append(f"{target} = {expression}")
        return target

    def call(self, function: str, *arguments: object) -> str:
        """A call of one of `FUNCTIONS`."""
        self.used.add(function)
        return f"{function}({', '.join(map(str, arguments))})"

    def write(self, layer: Layer, path: str, x: TensorType, source: str, target: str) -> str:
        """Write a layer at `path` that reads the variable `source`; returns the variable of its output.

        That is `target`, or `source` where nothing is computed. Raises UserError for a kind without a row.
        """
        if isinstance(layer, Composite):
            return self.write(expanded(layer, x), path, x, source, target)
        if type(layer) in PARTS:
            assert isinstance(layer, Combinator)
            return PARTS[type(layer)](self, layer, path, x, source, target)
        row = ROWS.get(type(layer))
        if row is None:
            known = ", ".join(sorted(cls.kind for cls in (*ROWS, *PARTS)))
            raise UserError(
                f"{self.net}: layer {path} ({layer.label()}) has no form in JAX text yet, which are for {known};"
                " choose another net, or compare with --target xla"
            )
        expressions = row(self, layer, path, x, source)
        for expression in expressions:
            source = self.assign(target, expression.replace("{}", source))
        return source


# A row gives the expressions of a leaf, one a line; `{}` in each stands for what the line before gave.
Row = Callable[[Writer, Any, str, TensorType, str], list[str]]
Part = Callable[[Writer, Any, str, TensorType, str, str], str]


def _tensor(path: str, name: str) -> str:
    return f'p["{path}.{name}"]'


def _activated(function: str, slope: float = 0.01) -> list[str]:
    return [] if function == "identity" else [ACTIVATIONS[function].format(x="{}", slope=slope)]


def _conv2d(w: Writer, layer: Conv2d, path: str, x: TensorType, source: str) -> list[str]:
    arguments: list[object] = [pair(layer.stride), layer.window(x)[1]]
    if pair(layer.dilation) != (1, 1) or layer.groups != 1:
        arguments += [pair(layer.dilation), layer.groups]
    bias = f" + {_tensor(path, 'bias')}" if layer.bias else ""
    return [w.call("conv2d", "{}", _tensor(path, "kernel"), *arguments) + bias, *_activated(layer.activation)]


def _dense(w: Writer, layer: Dense, path: str, x: TensorType, source: str) -> list[str]:
    bias = f" + {_tensor(path, 'bias')}" if layer.bias else ""
    return [f"{{}} @ {_tensor(path, 'kernel')}{bias}", *_activated(layer.activation)]


def _batch_norm(w: Writer, layer: BatchNorm, path: str, x: TensorType, source: str) -> list[str]:
    return [w.call("batch_norm", "{}", "p", "stats", "new", f'"{path}"', "training", layer.epsilon, layer.momentum)]


def _layer_norm(w: Writer, layer: LayerNorm, path: str, x: TensorType, source: str) -> list[str]:
    scale = f" * {_tensor(path, 'scale')}" if layer.scale else ""
    bias = f" + {_tensor(path, 'bias')}" if layer.bias else ""
    return [w.call("layer_norm", "{}", layer.epsilon) + scale + bias]


def _max_pool(w: Writer, layer: MaxPool, path: str, x: TensorType, source: str) -> list[str]:
    return [w.call("max_pool", "{}", pair(layer.size), layer.step, layer.window(x)[1])]


def _avg_pool(w: Writer, layer: AvgPool, path: str, x: TensorType, source: str) -> list[str]:
    return [w.call("avg_pool", "{}", pair(layer.size), layer.step, layer.window(x)[1], layer.count_padding)]


def _global_avg_pool(w: Writer, layer: GlobalAvgPool, path: str, x: TensorType, source: str) -> list[str]:
    return [f"{{}}.mean({tuple(range(1, x.rank))})"]


ROWS: dict[type[Layer], Row] = {
    Conv2d: _conv2d,
    Dense: _dense,
    BatchNorm: _batch_norm,
    LayerNorm: _layer_norm,
    Activation: lambda w, layer, path, x, source: _activated(layer.function, layer.slope),
    MaxPool: _max_pool,
    AvgPool: _avg_pool,
    GlobalAvgPool: _global_avg_pool,
    Flatten: lambda w, layer, path, x, source: ["{}.reshape({}.shape[0], -1)"],
    Identity: lambda w, layer, path, x, source: [],
}


def _inside(path: str, part: str) -> str:
    return f"{path}.{part}" if path else part


def _chain(w: Writer, layer: Chain, path: str, x: TensorType, source: str, target: str) -> str:
    for name, part in zip(part_names(layer.layers), layer.layers, strict=True):
        source = w.write(part, _inside(path, name), x, source, target)
        x = signature_of(part, x).out
    return source


def _repeat(w: Writer, layer: Repeat, path: str, x: TensorType, source: str, target: str) -> str:
    for index in range(layer.times):
        source = w.write(layer.body, _inside(path, f"block{index}"), x, source, target)
        x = signature_of(layer.body, x).out
    return source


def _below(target: str, word: str) -> str:
    """A variable for a part of what becomes `target`: y for x, y2 inside of that."""
    depth = 1 if target == "x" else int(target.lstrip("abcdefghijklmnopqrstuvwxyz_") or 1) + 1
    return word + (str(depth) if depth > 1 else "")


def _residual(w: Writer, layer: Residual, path: str, x: TensorType, source: str, target: str) -> str:
    body = w.write(layer.body, _inside(path, "body"), x, source, _below(target, "y"))
    around = w.write(layer.shortcut, _inside(path, "shortcut"), x, source, _below(target, "skip"))
    return w.assign(target, f"{body} + {around}")


def _gate(w: Writer, layer: Gate, path: str, x: TensorType, source: str, target: str) -> str:
    gate = w.write(layer.body, _inside(path, "body"), x, source, _below(target, "gate"))
    middle = "" if signature_of(layer.body, x).out == x else f"[:, {'None, ' * (x.rank - 1)}:]"
    return w.assign(target, f"{source} * {gate}{middle}")


def _concat(w: Writer, layer: Concat, path: str, x: TensorType, source: str, target: str) -> str:
    outs = []
    for index, (name, part) in enumerate(zip(part_names(layer.branches), layer.branches, strict=True)):
        branch = w.write(
            part, _inside(path, name), x, source, _below(target, f"branch_{'abcdefghijklmnopqrstuvwxyz'[index]}_")
        )
        outs.append(branch)
    return w.assign(target, f"jnp.concatenate([{', '.join(outs)}], -1)")


PARTS: dict[type[Layer], Part] = {Chain: _chain, Repeat: _repeat, Residual: _residual, Gate: _gate, Concat: _concat}


def forward_text(net: CheckedNet) -> tuple[str, str]:
    """The functions that the forward pass calls, and its lines, which read x, p, stats, training and write x and new.

    Raises UserError naming the first layer that has no row.
    """
    writer = Writer(net.spec.name)
    out = writer.write(net.spec.body, "", net.x, "x", "x")
    assert out == "x"
    return "\n".join(text for name, text in FUNCTIONS.items() if name in writer.used), "\n".join(writer.lines)
