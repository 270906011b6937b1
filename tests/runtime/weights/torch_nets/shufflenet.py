"""ShuffleNetV2 0.5x (Ma et al. 2018, table 5), as torchvision.models.shufflenetv2 names it."""

import torch
from torch import nn

from tests.runtime.weights.torch_nets.blocks import conv_bn


def row(*parts):
    """The modules of several Sequentials in one, numbered through."""
    return nn.Sequential(*(module for part in parts for module in part))


class Unit(nn.Module):
    """Half of the channels, or all of them at stride 2, through three convolutions; then a shuffle in two groups."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        half = outputs // 2
        self.stride, entering = stride, inputs if stride > 1 else half
        if stride > 1:
            self.branch1 = row(conv_bn(inputs, inputs, 3, 2, inputs), conv_bn(inputs, half, act=nn.ReLU))
        self.branch2 = row(
            conv_bn(entering, half, act=nn.ReLU), conv_bn(half, half, 3, stride, half), conv_bn(half, half, act=nn.ReLU)
        )

    def forward(self, x):
        if self.stride > 1:
            y = torch.cat([self.branch1(x), self.branch2(x)], 1)
        else:
            left, right = x.chunk(2, 1)
            y = torch.cat([left, self.branch2(right)], 1)
        n, c, h, w = y.shape
        return y.reshape(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


class ShuffleNet(nn.Module):
    """Stem, pool, three stages, 1x1 convolution, mean, head."""

    def __init__(self, classes):
        super().__init__()
        self.conv1, self.maxpool = conv_bn(3, 24, 3, 2, act=nn.ReLU), nn.MaxPool2d(3, 2, 1)
        inputs = 24
        for stage, (outputs, units) in enumerate(((48, 4), (96, 8), (192, 4)), 2):
            blocks = [Unit(inputs if i == 0 else outputs, outputs, 2 if i == 0 else 1) for i in range(units)]
            setattr(self, f"stage{stage}", nn.Sequential(*blocks))
            inputs = outputs
        self.conv5, self.fc = conv_bn(inputs, 1024, act=nn.ReLU), nn.Linear(1024, classes)

    def forward(self, x):
        x = self.stage4(self.stage3(self.stage2(self.maxpool(self.conv1(x)))))
        return self.fc(self.conv5(x).mean((2, 3)))
