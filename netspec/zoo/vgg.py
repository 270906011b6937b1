"""VGG nets, without and with batch norm, as torchvision defines them."""

from netc.netspec.layer import Layer
from netc.netspec.layers import Activation, AdaptiveAvgPool, BatchNorm, Conv2d, Dense, Dropout, Flatten, MaxPool
from netc.netspec.spec import NetSpec

SOURCE = "torchvision.models.vgg; Simonyan and Zisserman 2015, table 1"
WIDTHS = (64, 128, 256, 512, 512)

# name -> convolutions before each of the five poolings: configurations A, B, D, E of the paper
DEPTHS: dict[str, tuple[int, int, int, int, int]] = {
    "vgg11": (1, 1, 2, 2, 2),
    "vgg13": (2, 2, 2, 2, 2),
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
}


def _convolution(width: int, place: str, normed: bool) -> tuple[Layer, ...]:
    if not normed:
        return (Conv2d(width, 3, 1, "same-symmetric", activation="relu", name=f"conv{place}"),)
    return (
        Conv2d(width, 3, 1, "same-symmetric", name=f"conv{place}"),  # with a bias, though the norm takes it away again
        BatchNorm(name=f"norm{place}"),
        Activation("relu", name=f"act{place}"),
    )


def vgg(name: str) -> NetSpec:
    """The net of that name: `vgg16`, or `vgg16_bn` with batch norm after each convolution.

    The average over 7x7 windows is the identity at 224x224; other sizes from 32x32 up then fit the same head.
    torchvision flattens [C, H, W] and netc [H, W, C]: the rows of hidden1's kernel stand in another order.
    """
    normed = name.endswith("_bn")
    layers: list[Layer] = []
    for stage, (width, count) in enumerate(zip(WIDTHS, DEPTHS[name.removesuffix("_bn")], strict=True), 1):
        for index in range(1, count + 1):
            layers += _convolution(width, f"{stage}_{index}", normed)
        layers.append(MaxPool(2, name=f"pool{stage}"))
    layers += [AdaptiveAvgPool(7, name="pool"), Flatten(name="flatten")]
    for index in (1, 2):
        layers += [Dense(4096, activation="relu", name=f"hidden{index}"), Dropout(0.5, name=f"dropout{index}")]
    return NetSpec(name, (224, 224, 3), (*layers, Dense(1000, name="head")), SOURCE)
