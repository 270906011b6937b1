"""EfficientNet-B0 (Tan and Le 2019, table 1), as torchvision.models.efficientnet names it, and as timm does."""

import torch
from torch import nn

from tests.runtime.weights.torch_nets.blocks import conv, conv_bn

# expansion, kernel, stride, features, blocks
STAGES = (
    (1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3), (6, 5, 1, 112, 3), (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)  # fmt: skip


class Squeeze(nn.Module):
    """Channels scaled by a gate of their means; the names of the two maps are the caller's."""

    def __init__(self, channels, width, first, second):
        super().__init__()
        self.names = (first, second)
        setattr(self, first, nn.Conv2d(channels, width, 1))
        setattr(self, second, nn.Conv2d(width, channels, 1))

    def forward(self, x):
        first, second = (getattr(self, name) for name in self.names)
        return x * torch.sigmoid(second(nn.functional.silu(first(x.mean((2, 3), keepdim=True)))))


class MbConv(nn.Module):
    """An inverted residual with a squeeze of a quarter of its input's width."""

    def __init__(self, inputs, outputs, kernel, stride, expansion):
        super().__init__()
        hidden = inputs * expansion
        layers = [conv_bn(inputs, hidden, act=nn.SiLU)] if expansion > 1 else []
        layers += [
            conv_bn(hidden, hidden, kernel, stride, hidden, nn.SiLU),
            Squeeze(hidden, inputs // 4, "fc1", "fc2"),
            conv_bn(hidden, outputs),
        ]
        self.block = nn.Sequential(*layers)
        self.skip = stride == 1 and inputs == outputs

    def forward(self, x):
        return x + self.block(x) if self.skip else self.block(x)


class TimmMbConv(nn.Module):
    """The same under timm's names."""

    def __init__(self, inputs, outputs, kernel, stride, expansion):
        super().__init__()
        hidden = inputs * expansion
        self.expands, self.skip = expansion > 1, stride == 1 and inputs == outputs
        if self.expands:
            self.conv_pw, self.bn1 = conv(inputs, hidden), nn.BatchNorm2d(hidden)
        self.conv_dw = conv(hidden, hidden, kernel, stride, hidden)
        setattr(self, "bn2" if self.expands else "bn1", nn.BatchNorm2d(hidden))
        self.se = Squeeze(hidden, inputs // 4, "conv_reduce", "conv_expand")
        setattr(self, "conv_pwl" if self.expands else "conv_pw", conv(hidden, outputs))
        setattr(self, "bn3" if self.expands else "bn2", nn.BatchNorm2d(outputs))

    def forward(self, x):
        silu, y = nn.functional.silu, x
        if self.expands:
            y = silu(self.bn1(self.conv_pw(y)))
            y = self.bn3(self.conv_pwl(self.se(silu(self.bn2(self.conv_dw(y))))))
        else:
            y = self.bn2(self.conv_pw(self.se(silu(self.bn1(self.conv_dw(y))))))
        return x + y if self.skip else y


def _stages(block):
    stages, inputs = [], 32
    for expansion, kernel, stride, outputs, depth in STAGES:
        blocks = []
        for i in range(depth):
            blocks.append(block(inputs, outputs, kernel, stride if i == 0 else 1, expansion))
            inputs = outputs
        stages.append(nn.Sequential(*blocks))
    return stages


class EfficientNetB0(nn.Module):
    """Stem, seven stages, 1x1 convolution, mean, head."""

    def __init__(self, classes):
        super().__init__()
        last = conv_bn(320, 1280, act=nn.SiLU)
        self.features = nn.Sequential(conv_bn(3, 32, 3, 2, act=nn.SiLU), *_stages(MbConv), last)
        self.classifier = nn.Sequential(nn.Identity(), nn.Linear(1280, classes))

    def forward(self, x):
        return self.classifier(self.features(x).mean((2, 3)))


class TimmEfficientNetB0(nn.Module):
    """The same under timm's names."""

    def __init__(self, classes):
        super().__init__()
        self.conv_stem, self.bn1 = conv(3, 32, 3, 2), nn.BatchNorm2d(32)
        self.blocks = nn.Sequential(*_stages(TimmMbConv))
        self.conv_head, self.bn2 = conv(320, 1280), nn.BatchNorm2d(1280)
        self.classifier = nn.Linear(1280, classes)

    def forward(self, x):
        silu = nn.functional.silu
        x = self.blocks(silu(self.bn1(self.conv_stem(x))))
        return self.classifier(silu(self.bn2(self.conv_head(x))).mean((2, 3)))
