"""The feature pyramid in JAX: Lin et al. 2017, fig. 3."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp

from netc.netspec.layers import AvgPool, Chain, Conv2d, ConvBn, Dense, FpnModule, Identity, MaxPool, UnetDown
from netc.proofs_oracle.reference import BadCase, Case, Reference, apply, under, within
from netc.proofs_oracle.references.blocks import ONE, Block
from netc.proofs_oracle.references.upsample import nearest

if TYPE_CHECKING:
    from jax import Array

    from netc.proofs_oracle.reference import Applied, Tensors


def _to(x: Array, like: Array) -> Array:
    return nearest(x, like.shape[1] // x.shape[1], like.shape[2] // x.shape[2])


def _fpn_module(layer: FpnModule, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    block, every, top = Block(params, state, training), layer.levels == "all", len(layer.stages) - 1
    around = ".merge.shortcut" if every else ".shortcut"  # where a level keeps what is above it
    inside = ".merge.body" if every else ".body"
    path, paths, maps = "", [], []
    for index, stage in enumerate(layer.stages):
        own = f"{path}stage{index}"
        x, new = apply(stage, under(params, own), under(state, own), x, training)
        block.new |= within(own, new)
        maps.append(x)
        paths.append(f"{path}level{index}")
        path = f"{path}level{index}{around}."
    outs: list[Array] = []
    p = jnp.zeros(())
    for index in range(top, -1, -1):
        lateral = block.conv(f"{paths[index]}{'' if index == top else inside}.lateral", maps[index])
        p = lateral if index == top else lateral + _to(p, lateral)
        if every:
            smooth = f"{paths[index]}{'' if index == top else '.parts'}.own.smooth"
            outs.insert(0, _to(block.conv(smooth, p, 1, ONE), maps[0]))
    return jnp.concatenate(outs, axis=-1) if every else block.conv("smooth", p, 1, ONE), block.new


BACKBONE = (Conv2d(2, activation="tanh"), UnetDown(3, "swish"), MaxPool(2))
SMALL = (Identity(), Conv2d(3, 3, 2, activation="tanh"))

REFERENCES = (
    Reference(
        "fpnModule",
        _fpn_module,
        (
            Case("finest", FpnModule(BACKBONE, 2), (4, 8, 2)),
            Case("all", FpnModule(BACKBONE, 2, "all"), (4, 8, 2)),
            Case("one-stage", FpnModule((Conv2d(3, activation="gelu"),), 2), (3, 3, 2)),
            Case("one-stage-all", FpnModule((Conv2d(3, activation="gelu"),), 2, "all"), (3, 3, 2)),
            Case("two", FpnModule(SMALL, 3), (4, 2, 2)),
            Case("two-all", FpnModule(SMALL, 2, "all"), (4, 2, 2), batch=1),
            Case("same-size", FpnModule((Identity(), Conv2d(2, activation="tanh")), 2, "all"), (3, 3, 2)),
            Case("by-four", FpnModule((Identity(), AvgPool(4)), 2), (4, 8, 1)),
            Case("one-row", FpnModule((Identity(), AvgPool((1, 3))), 2), (1, 6, 2)),
            Case("ties", FpnModule((Identity(), MaxPool(2)), 2), (4, 4, 2), draw="ties"),
            Case("evaluation", FpnModule((ConvBn(2), ConvBn(3, 3, 2)), 2), (4, 4, 2), training=False),
        ),
        (
            BadCase(FpnModule((), 2), (4, 4, 2), "stages wants at least one layer, got none"),
            BadCase(FpnModule((Identity(),) * 33, 2), (4, 4, 2), "stages wants at most 32 layers, got 33"),
            BadCase(FpnModule(SMALL, 0), (4, 4, 2), "features wants a positive integer, got 0"),
            BadCase(FpnModule(SMALL, 2, "some"), (4, 4, 2), "levels wants 'finest' or 'all', got 'some'"),
            BadCase(FpnModule(SMALL, 2), (5, 4, 2), "wants stages whose sizes divide each other, got [batch, 5, 4, 2]"),
            BadCase(FpnModule((Chain((Dense(3),)),), 2), (4,), "make stage 0 give an image"),
        ),
    ),
)
