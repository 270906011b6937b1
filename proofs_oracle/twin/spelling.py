"""What the texts of all families share: the names of tensors, parts and variables, and the activations."""

from __future__ import annotations

import json

from netc.proofs_oracle.twin.source import source_of
from netc.proofs_oracle.twin.writer import Writer

RELU6 = '''
def relu6(x):
    """jax.nn.relu6 with the derivative 0 at both kinks, where JAX's own is one half."""
    return jnp.where(x <= 0, 0.0, jnp.where(x < 6, x, 6.0))
'''

ACTIVATIONS: dict[str, str] = {
    "identity": "{x}",
    "relu": "jax.nn.relu({x})",
    "relu2": "jnp.square(jax.nn.relu({x}))",
    "relu6": "relu6({x})",
    "leaky-relu": "jnp.where({x} > 0, {x}, {slope!r} * {x})",
    "sigmoid": "jax.nn.sigmoid({x})",
    "tanh": "jnp.tanh({x})",
    "swish": "jax.nn.silu({x})",
    "h-sigmoid": "relu6({x} + 3) / 6",
    "h-swish": "{x} * relu6({x} + 3) / 6",
    "gelu": "jax.nn.gelu({x}, approximate=False)",
    "gelu-tanh": "jax.nn.gelu({x}, approximate=True)",
}


def quoted(path: str) -> str:
    """A path as Python text. A brace has another spelling in it: `{}` stands for what a leaf reads."""
    return json.dumps(path, ensure_ascii=False).replace("{", "\\x7b")


def tensor(path: str, name: str) -> str:
    """The parameter of that name in the layer at `path`."""
    return f"p[{quoted(f'{path}.{name}')}]"


def inside(path: str, part: str) -> str:
    """The path of a part."""
    return f"{path}.{part}" if path else part


def below(target: str, word: str) -> str:
    """A variable for a part of what becomes `target`: y for x, y2 inside of that."""
    depth = 1 if target == "x" else int(target.lstrip("abcdefghijklmnopqrstuvwxyz_") or 1) + 1
    return word + (str(depth) if depth > 1 else "")


def branches(target: str, count: int) -> list[str]:
    """A variable for each of `count` branches: branch_a_, branch_b_, .."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    tall = [(letters[i // 26 - 1] if i >= 26 else "") + letters[i % 26] for i in range(count)]
    return [below(target, f"branch_{letter}_") for letter in tall]


def activated(w: Writer, function: str, slope: float = 0.01) -> list[str]:
    """The line of an activation, or none for the identity."""
    if function == "identity":
        return []
    if function not in ACTIVATIONS:  # then the reference's own text
        name = f"activation_{function.replace('-', '_')}"
        w.more[name] = source_of(function, name)
        w.used.add(name)
        return [f"{name}({{}}, {slope!r})"]
    text = ACTIVATIONS[function].format(x="{}", slope=slope)
    if "relu6(" in text:
        w.used.add("relu6")
    return [text]
