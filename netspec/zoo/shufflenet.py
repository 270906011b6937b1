"""ShuffleNetV2, as torchvision defines it."""

from netc.netspec.layers import ConvBn, Dense, GlobalAvgPool, MaxPool, ShuffleV2Block
from netc.netspec.spec import NetSpec

SOURCE = "torchvision.models.shufflenetv2; Ma et al. 2018, table 5"
UNITS = (4, 8, 4)

# name -> features of the three stages and of the last convolution
WIDTHS: dict[str, tuple[int, int, int, int]] = {
    "shufflenet_v2_x0_5": (48, 96, 192, 1024),
    "shufflenet_v2_x1_0": (116, 232, 464, 1024),
}


def shufflenet_v2(name: str) -> NetSpec:
    """A strided stem with a max-pool, three stages of units, a 1x1 convolution, the mean."""
    *stages, last = WIDTHS[name]
    layers = (
        ConvBn(24, 3, 2, "same-symmetric", name="stem"),
        MaxPool(3, 2, ((1, 1), (1, 1)), name="pool"),
        *(
            ShuffleV2Block(width, units, name=f"stage{index}")
            for index, (width, units) in enumerate(zip(stages, UNITS, strict=True), 2)
        ),
        ConvBn(last, 1, 1, "valid", name="conv5"),
        GlobalAvgPool(),
        Dense(1000, name="head"),
    )
    return NetSpec(name, (224, 224, 3), layers, SOURCE)
