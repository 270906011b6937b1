"""AlexNet (Krizhevsky 2014) and SqueezeNet 1.1 (Iandola et al. 2016), as torchvision names them."""

import torch
from torch import nn

from tests.runtime.weights.torch_nets.blocks import conv


class AlexNet(nn.Module):
    """Five convolutions, three dense layers; `share` of the paper's widths."""

    def __init__(self, classes, share=8):
        super().__init__()
        a, b, c, d, hidden = (n // share for n in (64, 192, 384, 256, 4096))
        relu, pool = nn.ReLU, nn.MaxPool2d
        self.features = nn.Sequential(
            conv(3, a, 11, 4, bias=True, padding=2), relu(), pool(3, 2), conv(a, b, 5, bias=True), relu(), pool(3, 2),
            conv(b, c, 3, bias=True), relu(), conv(c, d, 3, bias=True), relu(), conv(d, d, 3, bias=True), relu(),
            pool(3, 2),
        )  # fmt: skip
        self.classifier = nn.Sequential(
            nn.Identity(), nn.Linear(d * 36, hidden), relu(), nn.Identity(), nn.Linear(hidden, hidden), relu(),
            nn.Linear(hidden, classes),
        )  # fmt: skip

    def forward(self, x):
        return self.classifier(nn.functional.adaptive_avg_pool2d(self.features(x), 6).flatten(1))


class Fire(nn.Module):
    """A squeeze, and two expansions side by side."""

    def __init__(self, inputs, squeeze):
        super().__init__()
        self.squeeze = conv(inputs, squeeze, bias=True)
        self.expand1x1, self.expand3x3 = conv(squeeze, 4 * squeeze, bias=True), conv(squeeze, 4 * squeeze, 3, bias=True)

    def forward(self, x):
        x = torch.relu(self.squeeze(x))
        return torch.relu(torch.cat([self.expand1x1(x), self.expand3x3(x)], 1))


class SqueezeNet(nn.Module):
    """Version 1.1, with the convolution to the classes that its paper's head is."""

    def __init__(self, classes):
        super().__init__()
        pool = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.features = nn.Sequential(
            conv(3, 64, 3, 2, bias=True, padding=0), nn.ReLU(), pool, Fire(64, 16), Fire(128, 16), pool, Fire(128, 32),
            Fire(256, 32), pool, Fire(256, 48), Fire(384, 48), Fire(384, 64), Fire(512, 64),
        )  # fmt: skip
        self.classifier = nn.Sequential(nn.Identity(), conv(512, classes, bias=True), nn.ReLU())

    def forward(self, x):
        return self.classifier(self.features(x)).mean((2, 3))
