"""MnasNet-B1 (Tan et al. 2019, fig. 7), as torchvision.models.mnasnet names it."""

from torch import nn

from tests.runtime.weights.torch_nets.blocks import conv

MOMENTUM = 3e-4
# expansion, kernel, features, blocks, stride of the stages after the first
STAGES = ((3, 3, 24, 3, 2), (3, 5, 40, 3, 2), (6, 5, 80, 3, 2), (6, 3, 96, 2, 1), (6, 5, 192, 4, 2), (6, 3, 320, 1, 1))


def normed(inputs, outputs, kernel=1, stride=1, groups=1, act=True):
    """A convolution, its norm and perhaps a relu: modules of the Sequential that they stand in."""
    layers = [conv(inputs, outputs, kernel, stride, groups), nn.BatchNorm2d(outputs, momentum=MOMENTUM)]
    return [*layers, nn.ReLU()] if act else layers


class Block(nn.Module):
    """Expand, filter each channel, project; the input is added where the shape stays."""

    def __init__(self, inputs, outputs, kernel, stride, expansion):
        super().__init__()
        wide = inputs * expansion
        middle = normed(wide, wide, kernel, stride, wide)
        self.layers = nn.Sequential(*normed(inputs, wide), *middle, *normed(wide, outputs, act=False))
        self.skip = stride == 1 and inputs == outputs

    def forward(self, x):
        return x + self.layers(x) if self.skip else self.layers(x)


class MnasNet(nn.Module):
    """Stem, a separable convolution, six stages, 1x1 convolution, mean, head."""

    def __init__(self, classes):
        super().__init__()
        layers, inputs = [*normed(3, 32, 3, 2), *normed(32, 32, 3, 1, 32), *normed(32, 16, act=False)], 16
        for expansion, kernel, outputs, depth, stride in STAGES:
            blocks = [Block(inputs, outputs, kernel, stride, expansion)]
            blocks += [Block(outputs, outputs, kernel, 1, expansion) for _ in range(depth - 1)]
            layers.append(nn.Sequential(*blocks))
            inputs = outputs
        self.layers = nn.Sequential(*layers, *normed(inputs, 1280))
        self.classifier = nn.Sequential(nn.Identity(), nn.Linear(1280, classes))

    def forward(self, x):
        return self.classifier(self.layers(x).mean((2, 3)))
