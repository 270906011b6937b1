"""The texts that certificate_mutations.py edits: train steps of netc, and gradients that JAX derived, in float64."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from netc.proofs_oracle.certificate.run import Claim, Gradient


@dataclass(frozen=True)
class Subject:
    """A text, its claim, and below what its integers stay."""

    name: str
    text: str
    claim: Claim
    limit: int = 3


def f(*shape: int) -> Any:
    """A float64 argument."""
    return jax.ShapeDtypeStruct(shape, jnp.float64)


def i(*shape: int) -> Any:
    """An int32 argument."""
    return jax.ShapeDtypeStruct(shape, jnp.int32)


def _conv(x: Any, w: Any, stride: tuple[int, int] = (1, 1), padding: Any = "SAME", **more: Any) -> Any:
    return lax.conv_general_dilated(x, w, stride, padding, dimension_numbers=("NHWC", "HWIO", "NHWC"), **more)


def _cross_entropy(z: Any, labels: Any) -> Any:
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(z), labels[:, None], -1))


def _pool(x: Any, by: Any, init: float) -> Any:
    return lax.reduce_window(x, init, by, (1, 2, 3, 1), (1, 2, 1, 1), "SAME")


def _attention(w: Any, x: Any) -> Any:
    q, k, v = jnp.split(x @ w, 3, -1)
    scores = jnp.where(jnp.tril(jnp.ones((4, 4), bool)), jnp.einsum("btd,bsd->bts", q, k) / 2, -jnp.inf)
    return jnp.sum((jax.nn.softmax(scores) @ v) ** 2)


def _norm(w: Any, x: Any) -> Any:
    h = x * w
    mean = h.mean(-1, keepdims=True)
    return jnp.sum(((h - mean) * lax.rsqrt(((h - mean) ** 2).mean(-1, keepdims=True) + 1e-5)) ** 3)


def _scan(w: Any, x: Any) -> Any:
    def step(h: Any, v: Any) -> tuple[Any, Any]:
        h = jnp.tanh(h @ w + v)
        return h, h

    return jnp.sum(lax.scan(step, jnp.zeros(3), x)[1] ** 2)


def _grouped(w: Any, x: Any) -> Any:
    return jnp.sum(_conv(x, w, (2, 1), ((1, 2), (0, 1)), rhs_dilation=(1, 2), feature_group_count=2) ** 2)


JAX: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "dense relu": (lambda w, b, x: jnp.mean(jax.nn.relu(x @ w + b) ** 2), (f(3, 4), f(4), f(2, 3))),
    "cross entropy": (lambda w, x, y: _cross_entropy(x @ w, y), (f(4, 3), f(2, 4), i(2))),
    "convolution": (lambda w, x: jnp.sum(jnp.tanh(_conv(x, w, (2, 2)))), (f(3, 2, 2, 3), f(2, 5, 4, 2))),
    "grouped convolution": (_grouped, (f(2, 2, 1, 4), f(1, 5, 4, 2))),
    "transposed convolution": (
        lambda w, x: jnp.sum(_conv(x, w, padding=((2, 1), (1, 2)), lhs_dilation=(2, 2)) ** 2),
        (f(2, 3, 2, 2), f(1, 3, 2, 2)),
    ),
    "max pool": (lambda w, x: jnp.sum(_pool(x * w, lax.max, -jnp.inf) ** 2), (f(2), f(1, 4, 5, 2))),
    "min pool": (lambda w, x: jnp.sum(_pool(x * w, lax.min, jnp.inf) ** 2), (f(2), f(1, 4, 5, 2))),
    "sum pool": (lambda w, x: jnp.sum(_pool(x * w, lax.add, 0.0) ** 2), (f(2), f(1, 4, 5, 2))),
    "embedding": (lambda w, ids: jnp.sum(w[ids] ** 3), (f(5, 3), i(2, 2))),
    "one element an index": (lambda w, ids: jnp.sum(w[ids, ids + 1] ** 2), (f(4, 5), i(3))),
    "take along": (lambda w, ids: jnp.sum(jnp.take_along_axis(w, ids, 1) ** 2), (f(3, 4), i(3, 2))),
    "sort": (lambda w, v: jnp.sum(jnp.sort(w) * v), (f(2, 5), f(2, 5))),
    "top k": (lambda w, v: jnp.sum(lax.top_k(w, 2)[0] * v), (f(2, 5), f(2, 2))),
    "cumulative sum": (lambda w, v: jnp.sum(jnp.cumsum(w, 1) * v**2), (f(2, 4), f(2, 4))),
    "cumulative maximum": (lambda w, v: jnp.sum(lax.cummax(w, 1) * v), (f(2, 4), f(2, 4))),
    "scan": (_scan, (f(3, 3), f(4, 3))),
    "set at indices": (lambda w, v: jnp.sum(w.at[jnp.array([2, 0])].set(v) ** 2), (f(4, 2), f(2, 2))),
    "add at indices": (lambda w, v: jnp.sum(w.at[jnp.array([2, 2])].add(v) ** 2), (f(4, 2), f(2, 2))),
    "max at indices": (lambda w, v: jnp.sum(w.at[jnp.array([2, 0])].max(v) ** 2), (f(4, 2), f(2, 2))),
    "slices at an index": (
        lambda w, n: jnp.sum(lax.dynamic_slice(w, (n, jnp.int32(1)), (2, 2)) ** 2), (f(4, 3), i()),
    ),
    "update at an index": (
        lambda w, v, n: jnp.sum(lax.dynamic_update_slice(w, v, (n, jnp.int32(0))) ** 3), (f(4, 3), f(2, 2), i()),
    ),
    "clamp and where": (
        lambda w, x: jnp.sum(jnp.where(x > 0, jnp.clip(w * x, -0.5, 0.5), w**2)), (f(3, 2), f(3, 2)),
    ),
    "layer norm": (_norm, (f(4), f(3, 4))),
    "attention": (_attention, (f(3, 6), f(1, 4, 3))),
    "gelu": (lambda w, x: jnp.sum(jax.nn.gelu(x @ w, approximate=False)), (f(3, 2), f(2, 3))),
    "swish and tanh": (lambda w, x: jnp.sum(jnp.tanh(jax.nn.silu(x @ w))), (f(3, 2), f(2, 3))),
    "elu": (lambda w, x: jnp.sum(jax.nn.elu(x @ w)), (f(3, 2), f(2, 3))),
    "powers": (lambda w: jnp.sum(jnp.exp(w) ** 2.5 + jnp.power(w, 3.0) - w**-2), (f(4),)),
    "largest and product": (lambda w: jnp.max(w) * jnp.min(w[1:]) + jnp.prod(w[:3]), (f(5),)),
    "movement": (
        lambda w, v: jnp.sum(jnp.pad(w, ((1, 0), (0, 2))).T[::-1, ::2] * v), (f(3, 2), f(4, 2)),
    ),
    "concatenation": (lambda w, v: jnp.sum(jnp.concatenate([w, v * w, v[:1]], 0) ** 2), (f(2, 3), f(2, 3))),
    "branches": (
        lambda w, x: jnp.sum(lax.cond(x[0] > 0, lambda: jnp.sin(w), lambda: w**3) * x), (f(3), f(3)),
    ),
    "steps": (lambda w, x: jnp.sum((jnp.floor(x) + jnp.sign(x) + jnp.round(x)) * w + x % w), (f(3), f(3))),
}  # fmt: skip
"""A loss, and its arguments; floats before the last are differentiated."""


def _of_jax(name: str) -> Subject:
    function, args = JAX[name]
    wanted = tuple(n for n, a in enumerate(args) if a.dtype == jnp.float64)
    text = jax.jit(jax.value_and_grad(function, wanted)).lower(*args).as_text()
    return Subject(name, text, Claim(((0, None),), tuple(Gradient(n, k + 1) for k, n in enumerate(wanted))))


NETS = (
    "netc dense", "netc convolutions", "netc pooling", "netc norm", "netc gelu", "netc swish", "netc stride",
)  # fmt: skip


def _of_netc(name: str) -> Subject:
    from netc.codegen.program import build
    from netc.codegen.text import text_of
    from netc.netspec import layers
    from netc.netspec.check import check
    from netc.netspec.recipe import SGD, Adam, Recipe
    from netc.netspec.spec import NetSpec
    from netc.proofs_oracle.certificate.claims import claim_of_program
    from netc.runtime.prepare import emit_text
    from netc.runtime.target import parse_target

    image = (4, 4, 2)
    body, shape = {
        "netc dense": ((layers.Dense(3, activation="relu"), layers.Dense(3)), (4,)),
        "netc convolutions": ((layers.Conv2d(3, (3, 3)), layers.GlobalAvgPool(), layers.Dense(3)), image),
        "netc pooling": ((layers.MaxPool((3, 3), (2, 2)), layers.Flatten(), layers.Dense(3)), (5, 5, 2)),
        "netc norm": ((layers.Dense(4), layers.LayerNorm(), layers.Dense(3)), (4,)),
        "netc gelu": ((layers.Dense(3, activation="gelu"), layers.Dense(3)), (4,)),
        "netc swish": ((layers.Dense(3, activation="swish"), layers.Dense(3)), (4,)),
        "netc stride": ((layers.Conv2d(2, (3, 3), stride=(2, 2)), layers.Flatten(), layers.Dense(3)), image),
    }[name]
    optimizer = SGD() if NETS.index(name) % 2 == 0 else Adam()
    program = build(check(NetSpec("net", shape, body)), Recipe(optimizer=optimizer), 2)
    module = emit_text(program, parse_target("xla")).module.needed("train_step")
    text = text_of(module, "xla")  # the function alone, as main, as XLA runs it
    return Subject(name, _in_float64(text), claim_of_program(program, False), 3)


def _in_float64(text: str) -> str:
    for narrow, wide in (("FF800000", "FFF0000000000000"), ("7F800000", "7FF0000000000000")):
        text = text.replace(f"0x{narrow}", f"0x{wide}")
    return re.sub(r"\bf32\b|(?<=x)f32\b", "f64", text)


NAMES = (*JAX, *NETS)


def subject_of(name: str) -> Subject:
    """One of the 40."""
    return _of_jax(name) if name in JAX else _of_netc(name)
