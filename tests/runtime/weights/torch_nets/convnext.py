"""ConvNeXt-T (Liu et al. 2022, section 3), as torchvision.models.convnext names it."""

import torch
from torch import nn

from tests.runtime.weights.torch_nets.blocks import LayerNorm2d

WIDTHS, DEPTHS = (96, 192, 384, 768), (3, 3, 9, 3)


class Turn(nn.Module):
    """The axes in another order."""

    def __init__(self, *order):
        super().__init__()
        self.order = order

    def forward(self, x):
        return x.permute(self.order)


class Block(nn.Module):
    """x + layer_scale * (pointwise MLP of the norm of a 7x7 depthwise convolution)."""

    def __init__(self, width):
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(width, width, 7, padding=3, groups=width),
            Turn(0, 2, 3, 1),
            nn.LayerNorm(width, 1e-6),
            nn.Linear(width, 4 * width),
            nn.GELU(),
            nn.Linear(4 * width, width),
            Turn(0, 3, 1, 2),
        )
        self.layer_scale = nn.Parameter(torch.ones(width, 1, 1))

    def forward(self, x):
        return x + self.layer_scale * self.block(x)


class ConvNeXt(nn.Module):
    """Stem, four stages with a downsampling before each but the first, mean, norm, head."""

    def __init__(self, classes):
        super().__init__()
        layers = [nn.Sequential(nn.Conv2d(3, WIDTHS[0], 4, 4), LayerNorm2d(WIDTHS[0], 1e-6))]
        for i, (width, depth) in enumerate(zip(WIDTHS, DEPTHS, strict=True)):
            if i:
                layers.append(nn.Sequential(LayerNorm2d(WIDTHS[i - 1], 1e-6), nn.Conv2d(WIDTHS[i - 1], width, 2, 2)))
            layers.append(nn.Sequential(*(Block(width) for _ in range(depth))))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(LayerNorm2d(WIDTHS[-1], 1e-6), nn.Flatten(), nn.Linear(WIDTHS[-1], classes))

    def forward(self, x):
        return self.classifier(self.features(x).mean((2, 3), keepdim=True))
