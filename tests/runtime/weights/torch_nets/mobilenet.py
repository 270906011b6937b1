"""MobileNetV2 (Sandler et al. 2018, table 2), as torchvision.models.mobilenetv2 names it."""

from torch import nn

from tests.runtime.weights.torch_nets.blocks import conv, conv_bn

STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project; the input is added where the shape stays."""

    def __init__(self, inputs, outputs, stride, expansion):
        super().__init__()
        hidden = inputs * expansion
        layers = [conv_bn(inputs, hidden, act=nn.ReLU6)] if expansion > 1 else []
        layers += [conv_bn(hidden, hidden, 3, stride, hidden, nn.ReLU6), conv(hidden, outputs), nn.BatchNorm2d(outputs)]
        self.conv = nn.Sequential(*layers)
        self.skip = stride == 1 and inputs == outputs

    def forward(self, x):
        return x + self.conv(x) if self.skip else self.conv(x)


class MobileNetV2(nn.Module):
    """Stem, seven stages, 1x1 convolution, mean, head."""

    def __init__(self, classes):
        super().__init__()
        layers, inputs = [conv_bn(3, 32, 3, 2, act=nn.ReLU6)], 32
        for expansion, outputs, depth, stride in STAGES:
            for i in range(depth):
                layers.append(InvertedResidual(inputs, outputs, stride if i == 0 else 1, expansion))
                inputs = outputs
        self.features = nn.Sequential(*layers, conv_bn(inputs, 1280, act=nn.ReLU6))
        self.classifier = nn.Sequential(nn.Identity(), nn.Linear(1280, classes))

    def forward(self, x):
        return self.classifier(self.features(x).mean((2, 3)))


# MobileNetV3-Small (Howard et al. 2019, table 2): kernel, hidden, features, whether squeezed, activation, stride
V3 = (
    (3, 16, 16, True, nn.ReLU, 2), (3, 72, 24, False, nn.ReLU, 2), (3, 88, 24, False, nn.ReLU, 1),
    (5, 96, 40, True, nn.Hardswish, 2), (5, 240, 40, True, nn.Hardswish, 1), (5, 240, 40, True, nn.Hardswish, 1),
    (5, 120, 48, True, nn.Hardswish, 1), (5, 144, 48, True, nn.Hardswish, 1), (5, 288, 96, True, nn.Hardswish, 2),
    (5, 576, 96, True, nn.Hardswish, 1), (5, 576, 96, True, nn.Hardswish, 1),
)  # fmt: skip
V3_NORM = {"epsilon": 1e-3, "momentum": 0.01}


class HardSqueeze(nn.Module):
    """Channels scaled by a piecewise linear gate of their means, through an eighth multiple near a quarter."""

    def __init__(self, channels):
        super().__init__()
        width = max(8, int(channels / 4 + 4) // 8 * 8)
        width += 8 if width < 0.9 * channels / 4 else 0
        self.fc1, self.fc2 = conv(channels, width, bias=True), conv(width, channels, bias=True)

    def forward(self, x):
        gate = self.fc2(nn.functional.relu(self.fc1(x.mean((2, 3), keepdim=True))))
        # torch's own hardsigmoid has a backward with the float32 number nearest to 1/6, which is off by 3e-8
        return x * nn.functional.relu6(gate + 3) / 6


class V3Block(nn.Module):
    """An inverted residual, perhaps with a squeeze."""

    def __init__(self, inputs, kernel, hidden, outputs, squeezed, act, stride):
        super().__init__()
        layers = [conv_bn(inputs, hidden, act=act, **V3_NORM)] if hidden != inputs else []
        layers.append(conv_bn(hidden, hidden, kernel, stride, hidden, act, **V3_NORM))
        layers += [HardSqueeze(hidden)] if squeezed else []
        self.block = nn.Sequential(*layers, conv_bn(hidden, outputs, **V3_NORM))
        self.skip = stride == 1 and inputs == outputs

    def forward(self, x):
        return x + self.block(x) if self.skip else self.block(x)


class MobileNetV3(nn.Module):
    """Stem, eleven blocks, 1x1 convolution, mean, a hidden layer, head."""

    def __init__(self, classes):
        super().__init__()
        layers, inputs = [conv_bn(3, 16, 3, 2, act=nn.Hardswish, **V3_NORM)], 16
        for row in V3:
            layers.append(V3Block(inputs, *row))
            inputs = row[2]
        self.features = nn.Sequential(*layers, conv_bn(inputs, 6 * inputs, act=nn.Hardswish, **V3_NORM))
        self.classifier = nn.Sequential(
            nn.Linear(6 * inputs, 1024), nn.Hardswish(), nn.Identity(), nn.Linear(1024, classes)
        )

    def forward(self, x):
        return self.classifier(self.features(x).mean((2, 3)))
