"""The barriers that texts for XLA keep: a row for each pass, with what would change without it.

XLA needs none of them (IREE does: ../iree/workarounds.py). A text without them would be another one, which a run that
an earlier version wrote does not go on with bit for bit. tests/runtime/test_xla_fences.py holds each row to its word.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from netc.codegen.ir import Module
from netc.codegen.rewrite.iree import fences


@dataclass(frozen=True, slots=True)
class KeptFence:
    """One row. `changes`: what another text without it would change of a step: its numbers' bits, or its digest only.

    Where it is the digest, XLA computes the same bits with it and without, and the pass may go with the next change of
    all texts.
    """

    name: str
    change: Callable[[Module], Module]
    changes: Literal["bits", "digest"]
    why: str


KEPT: tuple[KeptFence, ...] = (
    KeptFence(
        "fence_rounded_operands", fences.fence_rounded_operands, "digest",
        "XLA drops the barrier behind a rounding before it chooses what to fuse",
    ),
    KeptFence("fence_gelu", fences.fence_gelu, "digest", "likewise, between a product and its gelu-tanh"),
    KeptFence("fence_loss", fences.fence_loss, "digest", "likewise, around the loss"),
    KeptFence(
        "fence_gradients", fences.fence_gradients, "bits",
        "XLA sums the gradients' squares, for their norm, in another order where it may simplify across the barriers",
    ),
    KeptFence("fence_norms", fences.fence_norms, "digest", "likewise, behind each sum of a norm's groups"),
)  # fmt: skip
