"""MnasNet-B1 (Tan et al. 2019), as torchvision defines it."""

from netc.netspec.layers import ConvBn, Dense, Dropout, GlobalAvgPool, InvertedResidual
from netc.netspec.spec import NetSpec

MOMENTUM = 0.0003  # TensorFlow's decay of 0.9997

# expansion, kernel, features, blocks, stride; the first is the separable convolution without an activation at its end
STAGES = (
    (1.0, 3, 16, 1, 1),
    (3.0, 3, 24, 3, 2),
    (3.0, 5, 40, 3, 2),
    (6.0, 5, 80, 3, 2),
    (6.0, 3, 96, 2, 1),
    (6.0, 5, 192, 4, 2),
    (6.0, 3, 320, 1, 1),
)


def mnasnet1_0() -> NetSpec:
    """Stages of inverted residuals with relu, and a 1x1 convolution to 1280."""
    layers = (
        ConvBn(32, 3, 2, "same-symmetric", momentum=MOMENTUM, name="stem"),
        *(
            InvertedResidual(
                features, expansion, kernel,
                stride=stride, blocks=blocks, activation="relu", momentum=MOMENTUM, name=f"stage{index}",
            )
            for index, (expansion, kernel, features, blocks, stride) in enumerate(STAGES, 1)
        ),
        ConvBn(1280, 1, 1, "valid", momentum=MOMENTUM, name="last"),
        GlobalAvgPool(name="mean"),
        Dropout(0.2, name="dropout"),
        Dense(1000, name="head"),
    )  # fmt: skip
    return NetSpec("mnasnet1_0", (224, 224, 3), layers, "torchvision.models.mnasnet; Tan et al. 2019")
