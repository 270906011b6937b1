"""Which axis of a parameter the mesh's `model` axis splits: one row for each parameter of each kind of layer.

The rules are Megatron's (Shoeybi et al. 2019, section 3): of two products in a row the first is split by its outputs
and the second by its inputs, so that between them nothing is exchanged, and behind them one sum is.
"""

from __future__ import annotations

from dataclasses import dataclass

from netc.netspec.check import CheckedLayer, CheckedNet


@dataclass(frozen=True, slots=True)
class SplitAxis:
    """The axis that is split, None for a parameter that every device holds whole.

    `reader` is the axis in a layer that reads what the one before it split (READERS). `optional`: where the mesh does
    not divide the axis the parameter stays whole; else the net is refused.
    """

    axis: int | None = None
    reader: int | None = None
    optional: bool = False


WHOLE = SplitAxis()
CHANNELS = SplitAxis(0, optional=True)
# layer's kind -> its parameter -> the row. A kind of a plugin's has none and stays whole.
SPLIT: dict[str, dict[str, SplitAxis]] = {
    "dense": {"kernel": SplitAxis(1, reader=0), "bias": SplitAxis(0)},
    "conv2d": {"kernel": SplitAxis(3, reader=2), "bias": SplitAxis(0)},
    "convTranspose2d": {"kernel": SplitAxis(2, reader=3), "bias": SplitAxis(0)},
    "batchNorm": {"scale": CHANNELS, "bias": CHANNELS},
    "groupNorm": {"scale": WHOLE, "bias": WHOLE},
    "instanceNorm": {"scale": CHANNELS, "bias": CHANNELS},
    "layerNorm": {"scale": WHOLE, "bias": WHOLE},
    "rmsNorm": {"scale": WHOLE},
    "layerScale": {"gamma": WHOLE},
    "tokenPositionEmbed": {"tokens": SplitAxis(0, optional=True), "positions": WHOLE, "bias": WHOLE},
    "classEmbed": {"table": SplitAxis(1, optional=True)},
    "learnedPositions": {"positions": WHOLE},
    "learnedTokens": {"tokens": WHOLE},
    "selectiveScan": {"log_rate": CHANNELS, "step_bias": CHANNELS, "skip": CHANNELS},
    "windowAttention": {"table": SplitAxis(1, optional=True)},
}
# names of the layers that end a pair: the projection of an attention, the second product of a perceptron
READERS = frozenset({"out", "down", "project", "excite"})


@dataclass(frozen=True, slots=True)
class Owned:
    """A parameter of a net: the layer that it is of, and its name there."""

    layer: CheckedLayer
    name: str


def owners(net: CheckedNet) -> dict[str, Owned]:
    """The layer of every parameter, by the parameter's full name."""
    layers = {layer.path: layer for layer in net.walk()}
    found = {}
    for p in net.params:
        path, _, name = p.name.rpartition(".")
        while path not in layers:
            path, _, part = path.rpartition(".")
            name = f"{part}.{name}"
        found[p.name] = Owned(layers[path], name)
    return found


def row_of(owned: Owned) -> tuple[SplitAxis, int | None]:
    """The row of a parameter, and the axis that it splits there."""
    row = SPLIT.get(owned.layer.layer.kind, {}).get(owned.name, WHOLE)
    if owned.layer.path.rpartition(".")[2] not in READERS:
        return row, row.axis
    reads = "kernel" in SPLIT.get(owned.layer.layer.kind, {})
    return row, row.reader if reads else row.axis
