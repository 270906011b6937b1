"""What a text for IREE has that only IREE 3.12 needs: a row for each workaround, with what goes wrong without it.

scripts/workarounds.py compiles a program for each with it and without; tests/runtime/test_workarounds.py does so too,
and fails for a row that IREE no longer needs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from netc.codegen.ir import Module
from netc.codegen.rewrite.form_tables import ProfileName
from netc.codegen.rewrite.iree import fences
from netc.codegen.rewrite.iree.batched_rows import part_batched_rows
from netc.codegen.rewrite.iree.joint_barriers import part_joint_barriers
from netc.codegen.rewrite.iree.lookups import part_lookups
from netc.codegen.rewrite.iree.narrow_copies import part_narrow_copies
from netc.codegen.rewrite.iree.packed_addends import part_packed_addends
from netc.codegen.rewrite.iree.packed_twice import part_packed_twice
from netc.codegen.rewrite.iree.repeated_sums import part_joined_sums, part_repeated_sums
from netc.codegen.rewrite.iree.shared_products import part_shared_products
from netc.codegen.rewrite.iree.single_rows import part_single_rows
from netc.codegen.rewrite.iree.unseen_pixels import crop_unseen_pixels


@dataclass(frozen=True, slots=True)
class Workaround:
    """One row. `when`: on the module as the rules emit it, after all simplification, or after equal blocks are loops.

    `why` says what IREE does without it, and `page` where that was measured. XLA needs none of them; ../xla/fences.py
    has those that its texts keep.
    """

    name: str
    when: Literal["first", "late", "last"]
    profiles: tuple[ProfileName, ...]
    change: Callable[[Module], Module]
    why: str
    page: str


LIMITS = "docs/known-limits.md"
WORKAROUNDS: tuple[Workaround, ...] = (
    Workaround(
        "fence_rounded_operands", "first", ("cpu", "gpu"), fences.fence_rounded_operands,
        "the CPU backend packs bf16 operands inside the operation that makes them, batch norm with its sums, and "
        "compiles that one dispatch for minutes", "docs/precision.md",
    ),
    Workaround(
        "fence_gelu", "first", ("cpu", "gpu"), fences.fence_gelu,
        "a product joined with gelu-tanh becomes vectors that take minutes to compile", LIMITS,
    ),
    Workaround(
        "fence_loss", "first", ("cpu", "gpu"), fences.fence_loss,
        "a softmax loss joined with the dense layer before it is refused", LIMITS,
    ),
    Workaround(
        "fence_gradients", "first", ("cpu", "gpu"), fences.fence_gradients,
        "a gradient's product joined with its update becomes vectors that the CPU backend refuses or compiles slowly",
        LIMITS,
    ),
    Workaround(
        "fence_norms", "first", ("cpu", "gpu"), fences.fence_norms,
        "a dispatch of more than 64 operands compiles and cannot be loaded", LIMITS,
    ),
    Workaround(
        "part_joined_sums", "late", ("cpu",), part_joined_sums,
        "a reader of several results that repeats a sum is unrolled over all rows", LIMITS,
    ),
    Workaround(
        "part_shared_products", "late", ("cpu",), part_shared_products,
        "a product and what is made of it, where both are stored, are unrolled over whole strips of rows", LIMITS,
    ),
    Workaround(
        "part_packed_twice", "late", ("cpu",), part_packed_twice,
        "an image times a gate, packed for two products, is unrolled over whole images in some compiles and not in "
        "others", "docs/upstream-issues/packed-twice-cpu.md",
    ),
    Workaround(
        "part_packed_addends", "late", ("cpu",), part_packed_addends,
        "tokens with positions, which a layer norm sums and a product is added to, are unrolled over the whole batch",
        LIMITS,
    ),
    Workaround(
        "part_lookups", "late", ("cpu",), part_lookups,
        "rows looked up inside a sum over them are read number by number, in code that takes seconds to compile",
        LIMITS,
    ),
    Workaround(
        "part_single_rows", "late", ("cpu",), part_single_rows,
        "a sum over one row that is shorter than a vector, and is stored too, is refused", LIMITS,
    ),
    Workaround(
        "part_batched_rows", "late", ("cpu",), part_batched_rows,
        "matrices of a softmax whose rows do not fill tiles are packed end to end, and their product is of other rows",
        "docs/upstream-issues/short-attention-cpu.md",
    ),
    Workaround(
        "crop_unseen_pixels", "late", ("cpu", "gpu"), crop_unseen_pixels,
        "a strided convolution with one output along an axis computes with an image larger than its window",
        "docs/upstream-issues/one-window.md",
    ),
    Workaround(
        "part_repeated_sums", "late", ("gpu",), part_repeated_sums,
        "threads read a sum that others have not written yet", "docs/upstream-issues/broadcast-sum-vulkan.md",
    ),
    Workaround(
        "part_narrow_copies", "late", ("gpu",), part_narrow_copies,
        "a convolution that stores its result as float32 and as bf16 wants more shared memory than there is", LIMITS,
    ),
    Workaround(
        "part_joint_barriers", "last", ("cpu", "gpu"), part_joint_barriers,
        "tensors of 33 to 64 MiB that are held where the host waits are never freed",
        "docs/upstream-issues/memory-cpu.md",
    ),
)  # fmt: skip
