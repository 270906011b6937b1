"""A row of the table of other people's programs: a step as they write it, and what `netc certify` is asked of it."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Spec = jax.ShapeDtypeStruct


@dataclass(frozen=True)
class Program:
    """`step(*args)`; `args` are trees of specs.

    `claims`: pairs of paths, in the flat arguments and the flat results, as certify's words ask them. `right`: whether
    they are the derivatives of the loss. `ids`: integers are below it; `words`: what else certify is told. `text`: the
    program itself, where nothing is lowered.
    """

    step: Callable[..., Any]
    args: tuple[Any, ...]
    claims: tuple[str, ...]
    right: bool = True
    ids: int | None = None
    words: tuple[str, ...] = ()
    text: bytes | None = None
    name: str = ""
    family: str = ""

    def lowered(self) -> bytes:
        """What lies in the file: StableHLO as `jax.jit(step).lower(..).as_text()` writes it."""
        if self.text is not None:
            return self.text
        text: str = jax.jit(self.step, keep_unused=True).lower(*self.args).as_text()
        return text.encode()


@dataclass(frozen=True)
class Row:
    """A program that is made when it is called for; nothing is traced before."""

    name: str
    family: str
    make: Callable[[], Program]
    fixed: dict[str, Any]

    def __call__(self) -> Program:
        return replace(self.make(), name=self.name, family=self.family, **self.fixed)


ROWS: dict[str, Row] = {}


def row(family: str, **fixed: Any) -> Callable[[Callable[[], Program]], Callable[[], Program]]:
    """Registers a program under its function's name."""

    def registered(make: Callable[[], Program]) -> Callable[[], Program]:
        return add(family, make.__name__.strip("_"), make, **fixed)

    return registered


def add(family: str, name: str, make: Callable[[], Program], **fixed: Any) -> Callable[[], Program]:
    """One row of a table."""
    name = name.replace("_", "-")
    assert name not in ROWS, f"wants another name, got {name} twice"
    ROWS[name] = Row(name, family, make, fixed)
    return make


# -- specs -----------------------------------------------------------------------------------------------------------


def f(*shape: int, dtype: Any = jnp.float32) -> Spec:
    """Floats."""
    return Spec(shape, dtype)


def i(*shape: int, dtype: Any = jnp.int32) -> Spec:
    """Integers: ids, labels, steps."""
    return Spec(shape, dtype)


KEY = Spec((2,), jnp.uint32)
"""A key of jax.random."""


def mlp(*sizes: int) -> list[tuple[Spec, Spec]]:
    """Weights and biases of dense layers."""
    return [(f(m, n), f(n)) for m, n in pairwise(sizes)]


def dense(p: Any, x: Any) -> Any:
    """x W + b."""
    return x @ p[0] + p[1]


# -- forms of a step -------------------------------------------------------------------------------------------------


def graded(loss: Callable[..., Any], params: Any, *data: Any, aux: int = 0, **fixed: Any) -> Program:
    """`jax.value_and_grad(loss)`; with `aux` results of a loss beside it."""
    count = len(jax.tree.leaves(params))
    claims = tuple(f"{k}={1 + aux + k}" for k in range(count))
    return Program(jax.value_and_grad(loss, has_aux=aux > 0), (params, *data), claims, **fixed)


def stepped(step: Callable[..., Any], *args: Any, pairs: Sequence[tuple[int, int]], **fixed: Any) -> Program:
    """A step of another form; `pairs` are numbers of arguments and of their gradients among the results."""
    return Program(step, args, tuple(f"{a}={b}" for a, b in pairs), **fixed)


def altered(base: Program, change: Callable[[Any], Any]) -> Program:
    """The same step with its gradients changed afterwards: `change` takes the tree of `value_and_grad`'s gradients."""

    def step(*args: Any) -> Any:
        value, grads = base.step(*args)
        return value, change(grads)

    return replace(base, step=step, right=False)


# -- numbers, for the check of the table itself ----------------------------------------------------------------------


def drawn(program: Program, seed: int = 0) -> list[Any]:
    """Random arguments, flat, of the usual size."""
    rng = np.random.default_rng((zlib.crc32(program.name.encode()), seed))

    def one(s: Spec) -> Any:
        if jnp.issubdtype(s.dtype, jnp.integer):
            return jnp.asarray(rng.integers(0, program.ids or 3, s.shape), s.dtype)
        if jnp.issubdtype(s.dtype, jax.dtypes.prng_key):
            return jax.random.split(jax.random.key(0), s.shape)
        if s.dtype == jnp.bool_:
            return jnp.asarray(rng.integers(0, 2, s.shape), s.dtype)
        fan = s.shape[0] if len(s.shape) > 1 else 1
        return jnp.asarray(rng.standard_normal(s.shape) / fan**0.5 + (not s.shape), s.dtype)

    return [one(s) for s in jax.tree.leaves(program.args)]
