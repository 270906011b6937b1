"""Densely connected networks, as torchvision defines them."""

from netc.netspec.layer import Layer
from netc.netspec.layers import (
    Activation,
    BatchNorm,
    ConvBn,
    Dense,
    DenseBlock,
    GlobalAvgPool,
    MaxPool,
    TransitionLayer,
)
from netc.netspec.spec import NetSpec

SOURCE = "torchvision.models.densenet; Huang et al. 2017, table 1"
GROWTH = 32

# name -> layers of each of the four blocks
DEPTHS: dict[str, tuple[int, int, int, int]] = {
    "densenet121": (6, 12, 24, 16),
    "densenet169": (6, 12, 32, 32),
    "densenet201": (6, 12, 48, 32),
}


def densenet(name: str) -> NetSpec:
    """Four dense blocks with a halving transition between each two; growth 32, bottlenecks of 128."""
    layers: list[Layer] = [
        ConvBn(2 * GROWTH, 7, 2, "same-symmetric", name="stem"),
        MaxPool(3, 2, ((1, 1), (1, 1)), name="pool"),
    ]
    for index, depth in enumerate(DEPTHS[name], 1):
        layers.append(DenseBlock(GROWTH, depth, name=f"block{index}"))
        if index < 4:
            layers.append(TransitionLayer(name=f"transition{index}"))
    head = (BatchNorm(name="norm"), Activation("relu", name="act"), GlobalAvgPool(), Dense(1000, name="head"))
    return NetSpec(name, (224, 224, 3), (*layers, *head), SOURCE)
