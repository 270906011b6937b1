"""One file per family of layers: how each layer and its pullback are emitted. Importing it registers all rules."""

from netc.codegen.layers import activation, combine, conv, dense, norm, pool, shape

__all__ = ["activation", "combine", "conv", "dense", "norm", "pool", "shape"]
