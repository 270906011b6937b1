"""DenseNet-121 (Huang et al. 2017, table 1), as torchvision.models.densenet names it."""

from collections import OrderedDict

import torch
from torch import nn

from tests.runtime.weights.torch_nets.blocks import conv

GROWTH = 32


class Layer(nn.Module):
    """GROWTH new channels beside the old ones."""

    def __init__(self, inputs):
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(inputs), conv(inputs, 4 * GROWTH)
        self.norm2, self.conv2 = nn.BatchNorm2d(4 * GROWTH), conv(4 * GROWTH, GROWTH, 3)

    def forward(self, x):
        y = self.conv1(torch.relu(self.norm1(x)))
        return torch.cat([x, self.conv2(torch.relu(self.norm2(y)))], 1)


class DenseNet(nn.Module):
    """Stem, four blocks with a transition between each two, norm, mean, head."""

    def __init__(self, classes):
        super().__init__()
        width = 2 * GROWTH
        parts = [
            ("conv0", conv(3, width, 7, 2)), ("norm0", nn.BatchNorm2d(width)), ("relu0", nn.ReLU()),
            ("pool0", nn.MaxPool2d(3, 2, 1)),
        ]  # fmt: skip
        for block, depth in enumerate((6, 12, 24, 16), 1):
            layers = OrderedDict((f"denselayer{i + 1}", Layer(width + GROWTH * i)) for i in range(depth))
            parts.append((f"denseblock{block}", nn.Sequential(layers)))
            width += GROWTH * depth
            if block < 4:
                halved = [
                    ("norm", nn.BatchNorm2d(width)), ("relu", nn.ReLU()), ("conv", conv(width, width // 2)),
                    ("pool", nn.AvgPool2d(2)),
                ]  # fmt: skip
                parts.append((f"transition{block}", nn.Sequential(OrderedDict(halved))))
                width //= 2
        self.features = nn.Sequential(OrderedDict([*parts, ("norm5", nn.BatchNorm2d(width))]))
        self.classifier = nn.Linear(width, classes)

    def forward(self, x):
        return self.classifier(torch.relu(self.features(x)).mean((2, 3)))
