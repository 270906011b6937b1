"""One file per family of layers: how each layer and its pullback are emitted. Importing it registers all rules."""

from netc.codegen.layers import (
    activation,
    adaptive_pool,
    aspp,
    combine,
    conv,
    conv_transpose,
    dense,
    norm,
    pool,
    shape,
    shuffle,
    split,
    stochastic,
)

__all__ = [
    "activation",
    "adaptive_pool",
    "aspp",
    "combine",
    "conv",
    "conv_transpose",
    "dense",
    "norm",
    "pool",
    "shape",
    "shuffle",
    "split",
    "stochastic",
]
