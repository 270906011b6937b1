"""Swin transformers (Liu et al. 2021) as torchvision defines them."""

from __future__ import annotations

from itertools import accumulate

from netc.netspec.layer import Layer
from netc.netspec.layers import Conv2d, Dense, GlobalAvgPool, LayerNorm, PatchMerging, SwinStage
from netc.netspec.spec import NetSpec

SOURCE = "torchvision.models.swin_transformer; Liu et al. 2021, section 3.3"
EPSILON = 1e-5
STD = 0.02

# name -> width of the first stage, blocks of each stage, heads of each stage, drop-path of the last block
FORMS: dict[str, tuple[int, tuple[int, ...], tuple[int, ...], float]] = {
    "swin_t": (96, (2, 2, 6, 2), (3, 6, 12, 24), 0.2),
    "swin_s": (96, (2, 2, 18, 2), (3, 6, 12, 24), 0.3),
    "swin_b": (128, (2, 2, 18, 2), (4, 8, 16, 32), 0.5),
}


def swin(name: str) -> NetSpec:
    """4x4 patches, four stages of 7x7 windows with patch merging between, average, one dense layer."""
    width, depths, heads, last = FORMS[name]
    step = last / (sum(depths) - 1)  # drop-path rises in equal steps over all blocks
    layers: list[Layer] = [
        Conv2d(width, 4, 4, "valid", name="patch"),
        LayerNorm(EPSILON, name="patchnorm"),
    ]
    starts = accumulate(depths, initial=0)
    for index, (blocks, count, start) in enumerate(zip(depths, heads, starts, strict=False)):
        if index:
            layers.append(PatchMerging(epsilon=EPSILON, std=STD, name=f"merge{index}"))
        rates = (step * start, step * (start + blocks - 1))
        layers.append(SwinStage(count, blocks, drop_path=rates, epsilon=EPSILON, std=STD, name=f"stage{index + 1}"))
    layers += [LayerNorm(EPSILON, name="norm"), GlobalAvgPool(name="pool"), Dense(1000, std=STD, name="head")]
    return NetSpec(name, (224, 224, 3), tuple(layers), SOURCE)
