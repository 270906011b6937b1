"""A layer of each kind that has a rule of its own, as small as it goes: what the golden texts are made of."""

from dataclasses import dataclass

from netc.netspec.layer import Layer
from netc.netspec.layers import (
    Activation,
    AvgPool,
    BatchNorm,
    BottleneckBlock,
    Chain,
    Concat,
    Conv2d,
    ConvBn,
    Dense,
    DropPath,
    Dropout,
    Flatten,
    Gate,
    GlobalAvgPool,
    GroupNorm,
    Identity,
    InstanceNorm,
    LayerNorm,
    LayerScale,
    MaxPool,
    Repeat,
    Residual,
    ResidualBlock,
    RmsNorm,
)  # fmt: skip
from netc.netspec.types import TensorType

IMAGE, VECTOR, SEQUENCE = TensorType((4, 4, 2)), TensorType((3,)), TensorType((2, 3))


@dataclass(frozen=True)
class Example:
    """A layer of a kind, as small as it goes."""

    layer: Layer
    x: TensorType


EXAMPLES = {
    "dense": Example(Dense(2, activation="relu"), VECTOR),
    "conv2d": Example(Conv2d(3, 3, 2, "same-symmetric", name="conv"), IMAGE),
    "convBn": Example(ConvBn(2, 1), IMAGE),
    "batchNorm": Example(BatchNorm(), IMAGE),
    "layerNorm": Example(LayerNorm(), SEQUENCE),
    "rmsNorm": Example(RmsNorm(), SEQUENCE),
    "groupNorm": Example(GroupNorm(2), TensorType((2, 2, 4))),
    "instanceNorm": Example(InstanceNorm(affine=True), IMAGE),
    "layerScale": Example(LayerScale(), IMAGE),
    "maxPool": Example(MaxPool(3, 2, ((1, 1), (1, 1))), IMAGE),
    "avgPool": Example(AvgPool(2, 1, "same"), IMAGE),
    "globalAvgPool": Example(GlobalAvgPool(), IMAGE),
    "flatten": Example(Flatten(), IMAGE),
    "identity": Example(Identity(), VECTOR),
    "activation": Example(Activation("gelu"), VECTOR),
    "dropout": Example(Dropout(0.25), VECTOR),
    "dropPath": Example(DropPath(0.25), VECTOR),
    "residualBlock": Example(ResidualBlock(2), TensorType((2, 2, 2))),
    "bottleneckBlock": Example(BottleneckBlock(4, stride=2), TensorType((2, 2, 2))),
    "chain": Example(Chain((Dense(2, name="first"), Activation("tanh"))), VECTOR),
    "residual": Example(Residual(Dense(3)), VECTOR),
    "gate": Example(Gate(Chain((GlobalAvgPool(), Dense(2, activation="sigmoid")))), IMAGE),
    "concat": Example(Concat((Identity(), Dense(2))), VECTOR),
    "repeat": Example(Repeat(Dense(3), 2), VECTOR),
}
