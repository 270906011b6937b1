"""The first witness: JAX's own derivative of a reference, in float64 on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from netc.netspec.layer import Layer, signature_of
from netc.netspec.types import TensorType
from netc.proofs_oracle.draws import FloatArray
from netc.proofs_oracle.interpreter import interpreted
from netc.proofs_oracle.reference import KEY, STREAM
from netc.proofs_oracle.references import apply

Call = Callable[[Sequence[FloatArray]], list[FloatArray]]

# Every case is compiled for one call: what XLA could gain by optimising is less than it takes (here 4 s for 1), and so
# is what its threads gain that each compile a part (a tenth).
QUICK: dict[str, int | bool] = {
    "xla_backend_optimization_level": 0,
    "xla_cpu_use_fusion_emitters": False,
    "xla_cpu_parallel_codegen_split_count": 1,
}


@contextmanager
def float64() -> Iterator[None]:
    """JAX in 64-bit mode on the CPU; both as they were before on leaving."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    try:
        with jax.default_device(jax.devices("cpu")[0]):
            yield
    finally:
        jax.config.update("jax_enable_x64", before)


@lru_cache(maxsize=1)
def _known_options() -> dict[str, int | bool]:
    """Those of QUICK that this jaxlib has; their names are not stable from one to the next."""
    known = {}
    for name, value in QUICK.items():
        with suppress(jax.errors.JaxRuntimeError):
            jax.jit(lambda x: x, compiler_options={name: value})(0.0)
            known[name] = value
    return known


# A call by the interpreter takes a tenth of a compile: who calls more often than this, has it compiled.
INTERPRETED = 6


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` in float64, its results (any tree of them) as NumPy arrays.

    It is lowered by JAX once for each set of shapes. StableHLO's interpreter makes the first calls of a small program,
    XLA all others.
    """
    jitted = jax.jit(function, compiler_options=_known_options(), keep_unused=True)
    lowered: dict[Any, _Lowered] = {}

    def call(*args: Any) -> Any:
        with float64():
            leaves, tree = jax.tree.flatten(args)
            key = tree, *((np.shape(a), getattr(a, "dtype", type(a))) for a in leaves)
            if key not in lowered:
                lowered[key] = _Lowered(jitted.lower(*args))
            return lowered[key](args, leaves)

    return call


class _Lowered:
    """A program that JAX lowered for arguments of one set of shapes."""

    def __init__(self, program: Any) -> None:
        self._program = program
        self._interpreted = interpreted(program.compiler_ir("stablehlo"))
        self._compiled: Any = None
        self._calls = 0

    def __call__(self, args: Any, leaves: Sequence[Any]) -> Any:
        self._calls += 1
        if self._interpreted and self._calls <= INTERPRETED and all(np.size(a) for a in leaves):
            return jax.tree.unflatten(self._program.out_tree, self._interpreted(leaves))
        self._compiled = self._compiled or self._program.compile()
        return jax.tree.map(np.asarray, self._compiled(*args))


# A program holds about 16 memory maps and 60 kB until it is dropped, and a process may have 65,530 maps. The few that
# are kept serve whoever judges one layer twice in a row.
@lru_cache(maxsize=32)
def layer_vjp(layer: Layer, x: TensorType, batch: int, training: bool) -> Call:
    """(params.., states.., x, dy) -> (y, dx, dparams.., new states..) of the reference, in signature order.

    Where the layer draws, its key follows the states. dx is 0 for a layer of token ids. The same convention as
    codegen's `vjp`. x is [batch, *example], dy [batch, *out].
    """
    signature = signature_of(layer, x)
    params = [p.name for p in signature.params]
    states = [s.name for s in signature.state]
    held_names = [*states, KEY] if signature.draws and training else states

    def vjp(args: Sequence[Any]) -> list[Any]:
        held = dict(zip(params, args, strict=False))
        running = dict(zip(held_names, args[len(params) : -2], strict=True))
        if KEY in running:
            running[STREAM] = 0

        def forward(p: dict[str, Any], x: Any) -> Any:
            return apply(layer, p, running, x, training)

        y, pull, new = jax.vjp(forward, held, args[-2], has_aux=True)
        dparams, dx = pull(args[-1])
        if jnp.issubdtype(args[-2].dtype, jnp.integer):  # JAX's own zero of an integer has no numbers
            dx = jnp.zeros(args[-2].shape)
        return [y, dx, *(dparams[n] for n in params), *(new.get(n, running[n]) for n in states)]

    call = compiled(vjp)
    return lambda args: call(list(args))
