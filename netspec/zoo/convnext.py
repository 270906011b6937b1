"""ConvNeXt (Liu et al. 2022) as torchvision defines it."""

from netc.netspec.layer import Layer
from netc.netspec.layers import ConvNextDownsample, ConvNextStage, ConvNextStem, Dense, GlobalAvgPool, LayerNorm
from netc.netspec.spec import NetSpec

SOURCE = "torchvision.models.convnext; Liu et al. 2022, section 3 and table 9"

# name -> features and blocks of each stage, drop path's rate in the last block
SIZES: dict[str, tuple[tuple[int, ...], tuple[int, ...], float]] = {
    "convnext_tiny": ((96, 192, 384, 768), (3, 3, 9, 3), 0.1),
    "convnext_small": ((96, 192, 384, 768), (3, 3, 27, 3), 0.4),
    "convnext_base": ((128, 256, 512, 1024), (3, 3, 27, 3), 0.5),
}


def convnext(name: str) -> NetSpec:
    """4x4 stem, four stages with downsampling between, pooled and normalised head.

    The rate of drop path grows evenly from 0 in the first block of the net to its maximum in the last.
    """
    widths, depths, most = SIZES[name]
    step = most / (sum(depths) - 1)
    layers: list[Layer] = [ConvNextStem(widths[0], name="stem")]
    for index, (features, blocks) in enumerate(zip(widths, depths, strict=True)):
        if index:
            layers.append(ConvNextDownsample(features, name=f"downsample{index}"))
        before = sum(depths[:index])
        rates = (step * before, step * (before + blocks - 1))
        layers.append(ConvNextStage(blocks, drop_path=rates, name=f"stage{index + 1}"))
    head = (GlobalAvgPool(name="pool"), LayerNorm(1e-6, name="norm"), Dense(1000, std=0.02, name="head"))
    return NetSpec(name, (224, 224, 3), (*layers, *head), source=SOURCE)
