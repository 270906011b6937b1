"""GoogLeNet with batch norm (Szegedy et al. 2015, table 1), as torchvision.models.googlenet names it."""

import torch
from torch import nn

from tests.runtime.weights.torch_nets.blocks import conv

# 1x1; 1x1 and 3x3; 1x1 and 3x3 again, where the paper has 5x5; after the pooling
STAGES = (
    {"3a": (64, 96, 128, 16, 32, 32), "3b": (128, 128, 192, 32, 96, 64)},
    {
        "4a": (192, 96, 208, 16, 48, 64), "4b": (160, 112, 224, 24, 64, 64), "4c": (128, 128, 256, 24, 64, 64),
        "4d": (112, 144, 288, 32, 64, 64), "4e": (256, 160, 320, 32, 128, 128),
    },
    {"5a": (256, 160, 320, 32, 128, 128), "5b": (384, 192, 384, 48, 128, 128)},
)  # fmt: skip


class Conv(nn.Module):
    """A convolution with its norm and a relu."""

    def __init__(self, inputs, outputs, kernel=1, stride=1):
        super().__init__()
        self.conv, self.bn = conv(inputs, outputs, kernel, stride), nn.BatchNorm2d(outputs, 1e-3)

    def forward(self, x):
        return torch.relu(self.bn(self.conv(x)))


class Inception(nn.Module):
    """Four branches side by side."""

    def __init__(self, inputs, a, b1, b2, c1, c2, d):
        super().__init__()
        self.branch1 = Conv(inputs, a)
        self.branch2 = nn.Sequential(Conv(inputs, b1), Conv(b1, b2, 3))
        self.branch3 = nn.Sequential(Conv(inputs, c1), Conv(c1, c2, 3))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, 1, 1), Conv(inputs, d))

    def forward(self, x):
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class GoogLeNet(nn.Module):
    """Three convolutions, nine modules, mean, head."""

    def __init__(self, classes):
        super().__init__()
        self.conv1, self.conv2, self.conv3 = Conv(3, 64, 7, 2), Conv(64, 64), Conv(64, 192, 3)
        width = 192
        for stage in STAGES:
            for name, widths in stage.items():
                setattr(self, f"inception{name}", Inception(width, *widths))
                width = widths[0] + widths[2] + widths[4] + widths[5]
        self.fc = nn.Linear(width, classes)

    def forward(self, x):
        pool = nn.functional.max_pool2d
        x = pool(self.conv1(x), 3, 2, ceil_mode=True)
        x = self.conv3(self.conv2(x))
        for stage, size in zip(STAGES, (3, 3, 2), strict=True):
            x = pool(x, size, 2, ceil_mode=True)
            for name in stage:
                x = getattr(self, f"inception{name}")(x)
        return self.fc(x.mean((2, 3)))
