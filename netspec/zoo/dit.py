"""Diffusion transformers: of images (Peebles and Xie 2023) and of text whose tokens are masked.

The counts are those of facebookresearch/DiT. Its features of time have other frequencies, and the
cosines first (timeEmbed).
"""

from __future__ import annotations

from dataclasses import dataclass

from netc.netspec.layers import ConditionedPatches, ConditionedTokens, DitBlocks, ModulatedHead, PatchHead
from netc.netspec.spec import NetSpec

SOURCE = (
    "facebookresearch/DiT, models.py; Peebles and Xie 2023, table 1. The count leaves out the fixed positions, 256 x "
    "width, which that code counts as parameters that are not trained"
)


@dataclass(frozen=True)
class Sizes:
    """The sizes of a net: the MLP is 4 times the width; `channels` in and `out` of the image, before time and class."""

    blocks: int
    width: int
    heads: int
    side: int = 32
    channels: int = 4
    out: int = 8  # a mean and a variance for each channel of the latents
    patch: int = 2
    classes: int = 1000


SIZES: dict[str, Sizes] = {
    "dit_s_2": Sizes(12, 384, 6),
    "dit_b_2": Sizes(12, 768, 12),
    "dit_l_2": Sizes(24, 1024, 16),
    "dit_xl_2": Sizes(28, 1152, 16),
    "tiny-dit": Sizes(4, 128, 4, side=8, channels=1, out=1, classes=10),
    "tiny-dit-28": Sizes(4, 128, 4, side=28, channels=1, out=1, patch=4, classes=10),
}


def dit(name: str) -> NetSpec:
    """The condition and the patches as tokens, adaLN-zero blocks, and the patches of the output."""
    s = SIZES[name]
    return NetSpec(
        name,
        (s.side, s.side, s.channels + 2),
        (
            ConditionedPatches(s.width, s.patch, s.classes, name="patches"),
            DitBlocks(s.heads, 4 * s.width, s.blocks, name="blocks"),
            PatchHead(s.out, s.patch, name="head"),
        ),
        SOURCE
        if name.startswith("dit")
        else "DiT in small: 4 blocks of 4 heads and width 128, for digits and the like",
    )


CONTEXT, VOCABULARY, WIDTH, HEADS, BLOCKS = 64, 128, 128, 4, 4


def tiny_mdm() -> NetSpec:
    """Masked text: 64 tokens of 128 (ASCII; the last one is the mask) and the time, both ways, rotary, zero head."""
    return NetSpec(
        "tiny-mdm",
        (CONTEXT + 1,),
        (
            ConditionedTokens(VOCABULARY, WIDTH, name="tokens"),
            DitBlocks(HEADS, 4 * WIDTH, BLOCKS, rope=True, name="blocks"),
            ModulatedHead(VOCABULARY, name="head"),
        ),
        "Tyr's TrainDiffusion: vocabulary 128, a transformer that knows the time and looks both ways; the size of "
        "tiny-gpt, its blocks those of DiT",
        dtype="i32",
    )
