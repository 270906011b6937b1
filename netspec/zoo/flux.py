"""Flux: a transformer of double-stream and single-stream blocks (Esser et al. 2024; Black Forest Labs 2024, 2025)."""

from __future__ import annotations

from dataclasses import dataclass

from netc.netspec.layers import (
    Activation,
    Chain,
    ChannelsToTokens,
    Concat,
    ConditionedPatches,
    Dense,
    DoubleStream,
    Identity,
    OnTokens,
    PatchHead,
    SingleStream,
)
from netc.netspec.spec import NetSpec

ROWS = DoubleStream.shared_rows + SingleStream.shared_rows
CONDITIONS = 1 + ROWS  # the time, and the rows of the modulations that are made of it once for all blocks


@dataclass(frozen=True)
class Sizes:
    """The sizes of a net; `tokens` stand for a class where Flux has those of a text."""

    width: int
    heads: int
    mlp: int
    double: int
    single: int
    side: int
    channels: int
    classes: int
    tokens: int
    source: str
    patch: int = 2


SIZES: dict[str, Sizes] = {
    "tiny-flux": Sizes(
        128, 4, 256, 2, 4, 8, 1, 10, 4, "FLUX.2 in small: 2 double-stream and 4 single-stream blocks of width 128"
    ),
    "flux-4b": Sizes(
        3072, 24, 9216, 5, 20, 64, 32, 1000, 8,
        "the sizes of FLUX.2 klein 4B (5 double-stream and 20 single-stream blocks, 24 heads of 128, MLP of 3 times "
        "the width, modulations shared by all blocks); 1000 classes of 8 tokens stand for the text, and the norms of "
        "queries and keys have no scale",
    ),
}  # fmt: skip


def flux(name: str) -> NetSpec:
    """Time, class tokens and patches; the modulations' rows; both kinds of blocks; the patches of the output."""
    s = SIZES[name]
    made = Chain((
        Activation("swish", name="activation"),
        Dense(ROWS * s.width, bias=False, std=0.0, name="dense"),
        ChannelsToTokens(ROWS, name="rows"),
    ), name="made")  # fmt: skip
    return NetSpec(
        name,
        (s.side, s.side, s.channels + 2),
        (
            ConditionedPatches(s.width, s.patch, s.classes, s.tokens, positions=False, name="patches"),
            OnTokens(1, Concat((Identity(name="time"), made), as_tokens=True), name="modulation"),
            DoubleStream(s.heads, s.mlp, s.tokens, s.double, CONDITIONS, 1, name="double"),
            SingleStream(s.heads, s.mlp, s.tokens, s.single, CONDITIONS, 1, name="single"),
            PatchHead(s.channels, s.patch, CONDITIONS + s.tokens, name="head"),
        ),
        s.source,
    )
