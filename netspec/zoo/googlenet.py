"""GoogLeNet with batch norm, as torchvision defines it."""

from netc.netspec.layer import Layer
from netc.netspec.layers import CeilMaxPool, ConvBn, Dense, Dropout, GlobalAvgPool, InceptionModule
from netc.netspec.spec import NetSpec

SOURCE = "torchvision.models.googlenet without its two auxiliary heads; Szegedy et al. 2015, table 1"

# name -> b1, b2_reduce, b2, b3_reduce, b3, b4, after the pooling of each stage
STAGES: tuple[dict[str, tuple[int, int, int, int, int, int]], ...] = (
    {
        "inception3a": (64, 96, 128, 16, 32, 32),
        "inception3b": (128, 128, 192, 32, 96, 64),
    },
    {
        "inception4a": (192, 96, 208, 16, 48, 64),
        "inception4b": (160, 112, 224, 24, 64, 64),
        "inception4c": (128, 128, 256, 24, 64, 64),
        "inception4d": (112, 144, 288, 32, 64, 64),
        "inception4e": (256, 160, 320, 32, 128, 128),
    },
    {
        "inception5a": (256, 160, 320, 32, 128, 128),
        "inception5b": (384, 192, 384, 48, 128, 128),
    },
)
POOLS = (3, 3, 2)  # the window of the pooling before each stage


def googlenet() -> NetSpec:
    """A stem of three convolutions, nine inception modules; the published weights leave the auxiliary heads out too.

    The third branch has a 3x3 where the paper has a 5x5: torchvision's weights are those of the TensorFlow net, which
    does so. Poolings count every window that begins inside the image (torch's ceil_mode).
    """
    layers: list[Layer] = [
        ConvBn(64, 7, 2, "same-symmetric", epsilon=1e-3, name="conv1"),
        CeilMaxPool(3, 2, name="pool1"),
        ConvBn(64, 1, 1, "same-symmetric", epsilon=1e-3, name="conv2"),
        ConvBn(192, 3, 1, "same-symmetric", epsilon=1e-3, name="conv3"),
    ]
    for number, (stage, size) in enumerate(zip(STAGES, POOLS, strict=True), 2):
        layers.append(CeilMaxPool(size, 2, name=f"pool{number}"))
        layers += [InceptionModule(*widths, kernel=3, name=name) for name, widths in stage.items()]
    head = (GlobalAvgPool(name="mean"), Dropout(0.2, name="dropout"), Dense(1000, name="head"))
    return NetSpec("googlenet", (224, 224, 3), (*layers, *head), SOURCE)
