"""SqueezeNet 1.0 and 1.1, as torchvision defines them."""

from netc.netspec.layer import Layer
from netc.netspec.layers import CeilMaxPool, Conv2d, Dropout, FireModule, GlobalAvgPool
from netc.netspec.spec import NetSpec

SOURCE = "torchvision.models.squeezenet; Iandola et al. 2016, table 1"

# name -> the stem's features and kernel, and after which fire modules (2 to 9) a pooling comes
VERSIONS: dict[str, tuple[int, int, tuple[int, ...]]] = {
    "squeezenet1_0": (96, 7, (4, 8)),
    "squeezenet1_1": (64, 3, (3, 5)),
}
SQUEEZES = {2: 16, 3: 16, 4: 32, 5: 32, 6: 48, 7: 48, 8: 64, 9: 64}  # each expands to eight times as many


def squeezenet(name: str) -> NetSpec:
    """Eight fire modules between a strided stem and a 1x1 convolution to the classes, whose mean is the output.

    Poolings count every window that begins inside the image (torch's ceil_mode).
    """
    features, kernel, pooled = VERSIONS[name]
    layers: list[Layer] = [
        Conv2d(features, kernel, 2, "valid", activation="relu", name="stem"),
        CeilMaxPool(3, 2, name="pool1"),
    ]
    for place, squeeze in SQUEEZES.items():
        layers.append(FireModule(squeeze, 4 * squeeze, 4 * squeeze, name=f"fire{place}"))
        if place in pooled:
            layers.append(CeilMaxPool(3, 2, name=f"pool{place}"))
    head = (
        Dropout(0.5, name="dropout"),
        Conv2d(1000, 1, activation="relu", name="head"),
        GlobalAvgPool(name="mean"),
    )
    return NetSpec(name, (224, 224, 3), (*layers, *head), SOURCE)
