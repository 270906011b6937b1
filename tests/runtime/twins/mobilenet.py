"""MobileNetV2 (Sandler et al. 2018, table 2), as torchvision.models.mobilenetv2 names it."""

from torch import nn

from tests.runtime.twins.blocks import conv, conv_bn

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
