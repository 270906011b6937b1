"""The check of the table itself: a row's gradients beside central differences of its loss."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from foreign.row import Program, drawn

# relative: a right gradient is nearer than the first, a wrong one farther than the second
LIMITS = {jnp.float64: (1e-4, 1e-3), jnp.float32: (3e-2, 1e-1)}
STEPS = {jnp.float64: 1e-5, jnp.float32: 3e-3}


def differs(program: Program) -> str | None:
    """A sentence if the row says that its gradients are right and they are not, or the other way round."""
    if program.text is not None:
        return None  # written from a row that is compared itself, or by hand: tests compare those
    try:
        near, far, worst = (*LIMITS[jnp.float64], _worst(program, jnp.float64))
    except TypeError:  # some of optax mixes widths where the parameters are float64
        near, far, worst = (*LIMITS[jnp.float32], _worst(program, jnp.float32))
    if program.right and not worst < near:
        return f"{program.name}: says right, and is off by {worst:.1e}"
    if not program.right and not worst > far:
        return f"{program.name}: says wrong, and is off by {worst:.1e} only"
    return None


def _worst(program: Program, width: Any) -> float:
    """The largest relative difference of a claim along a random direction."""
    worst, step = 0.0, STEPS[width]
    with jax.enable_x64(width == jnp.float64):
        tree = jax.tree.structure(program.args)
        flat = [v.astype(width) if v.dtype == jnp.float32 else v for v in drawn(program)]
        run = jax.jit(lambda *flat: jax.tree.leaves(program.step(*jax.tree.unflatten(tree, flat))))
        results = run(*flat)
        rng = np.random.default_rng(0)
        for claim in program.claims:
            argument, result = map(int, claim.split("="))
            direction = jnp.asarray(rng.standard_normal(flat[argument].shape), flat[argument].dtype)
            ahead, behind = (run(*_moved(flat, argument, s * step * direction))[0] for s in (1, -1))
            slope, claimed = float(ahead - behind) / (2 * step), float(jnp.vdot(results[result], direction))
            worst = max(worst, abs(slope - claimed) / max(abs(slope), abs(claimed), 1e-3))
    return worst


def _moved(flat: list[Any], at: int, by: Any) -> list[Any]:
    return [v + by if k == at else v for k, v in enumerate(flat)]
