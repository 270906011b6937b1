"""The check of the table itself: a row's gradients beside central differences of its loss."""

from __future__ import annotations

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from foreign.row import Program, drawn

# of the row's largest slope: a right gradient is nearer, a wrong one farther. Few bits inside a row want long steps
LIMITS = {jnp.float64: 1e-3, jnp.float32: 5e-2, jnp.bfloat16: 1e-1}
STEPS = {jnp.float64: 1e-4, jnp.float32: 3e-3, jnp.bfloat16: 1e-1}
DRAWS = 5  # points at which a wrong gradient may show itself: one where its unit is off says nothing


def differs(program: Program) -> str | None:
    """A sentence if the row says that its gradients are right and they are not, or the other way round."""
    if program.text is not None or not program.claims:
        return None  # by hand, or written from a row that is compared itself, or an update: it shows no gradient
    few = re.search(rb"x(bf16|f16)>", program.lowered())
    width = jnp.bfloat16 if few else jnp.float64
    try:
        worst = _over_draws(program, width)
    except TypeError:  # some of optax mixes widths where the parameters are float64
        width = jnp.float32
        worst = _over_draws(program, width)
    if (worst < LIMITS[width]) == program.right:
        return None
    return f"{program.name}: says {'right' if program.right else 'wrong'}, and is off by {worst:.1e}"


def _over_draws(program: Program, width: Any) -> float:
    worst = 0.0
    for seed in range(1 if program.right else DRAWS):
        worst = max(worst, _worst(program, width, seed))
        if worst > LIMITS[width]:
            break
    return worst


def _worst(program: Program, width: Any, seed: int) -> float:
    """The largest difference of a claim along a random direction, as a part of the row's largest slope."""
    worst, largest, step = 0.0, 1e-6, STEPS[width]
    with jax.enable_x64(width == jnp.float64):
        tree = jax.tree.structure(program.args)
        flat = [
            v.astype(width) if v.dtype == jnp.float32 and width != jnp.bfloat16 else v for v in drawn(program, seed)
        ]
        run = jax.jit(lambda *flat: jax.tree.leaves(program.step(*jax.tree.unflatten(tree, flat))))
        results = run(*flat)
        rng = np.random.default_rng(0)
        for claim in program.claims:
            argument, result = map(int, claim.split("="))
            direction = jnp.asarray(rng.standard_normal(flat[argument].shape), flat[argument].dtype)
            ahead, behind = (run(*_moved(flat, argument, s * step * direction))[0] for s in (1, -1))
            slope, claimed = float(ahead - behind) / (2 * step), float(jnp.vdot(results[result], direction))
            worst, largest = max(worst, abs(slope - claimed)), max(largest, abs(slope), abs(claimed))
    return worst / largest


def _moved(flat: list[Any], at: int, by: Any) -> list[Any]:
    return [v + by if k == at else v for k, v in enumerate(flat)]
