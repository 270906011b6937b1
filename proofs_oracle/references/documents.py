"""Documents kept apart in JAX: their numbers, the places in them, and which keys a query sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp

from netc.netspec.documents import Documents
from netc.proofs_oracle.reference import DOCUMENTS

if TYPE_CHECKING:
    from jax import Array

    from netc.proofs_oracle.reference import Tensors


def numbered(documents: Documents, x: Array) -> dict[str, Array]:
    """The number of the document of each token of x [batch, T]; nothing where they are not kept apart."""
    if documents.end is None:
        return {}
    ends = (x == documents.end).astype(int)
    return {DOCUMENTS: jnp.cumsum(ends, axis=1) - ends}  # an end belongs to the document that it ends


def together(state: Tensors) -> Array:
    """Whether tokens t and s are of one document, [batch, T, T]."""
    number = state[DOCUMENTS]
    return number[:, :, None] == number[:, None, :]


def places(state: Tensors, length: int) -> Array:
    """The place of each token, [T], or in its own document, [batch, T]."""
    every = jnp.arange(length)
    return every - jnp.argmax(together(state), axis=2) if DOCUMENTS in state else every
