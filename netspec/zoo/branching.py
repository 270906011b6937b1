"""A net of branching flows (Billera et al. 2025): sequences of points in the plane, of any length up to its slots."""

from __future__ import annotations

from netc.netspec.layers import (
    Chain,
    ChannelWindow,
    Concat,
    Dense,
    Identity,
    LayerNorm,
    LearnedPositions,
    TimeFeatures,
    TransformerEncoder,
)
from netc.netspec.spec import NetSpec

SLOTS, POINT, WIDTH, HEADS, BLOCKS = 10, 2, 64, 4, 3


def tiny_branching() -> NetSpec:
    """Each slot's point, whether there is one, and the features of its time; a transformer that looks both ways."""
    time = Chain((ChannelWindow(POINT + 1, 1, name="pick"), TimeFeatures(16, scale=1000.0, name="features")))
    return NetSpec(
        "tiny-branching",
        (SLOTS, POINT + 2),
        (
            Concat((Identity(), time), name="seen"),
            Dense(WIDTH, name="embed"),
            LearnedPositions(0.02, name="positions"),
            TransformerEncoder(HEADS, 4 * WIDTH, BLOCKS, causal=False, activation="gelu-tanh", name="blocks"),
            LayerNorm(name="norm"),
            Dense(POINT + 2, name="head"),
        ),
        "The demo of MurrellGroup/BranchingFlows.jl (examples/demo.jl) in small: a transformer that answers where each "
        "element goes, how often it splits and whether it is deleted",
    )
