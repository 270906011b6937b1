"""What the twins share. A `Sequential` numbers its modules, and so names their tensors, as torchvision's does."""

import torch
from torch import nn


def conv(inputs, outputs, kernel=1, stride=1, groups=1, bias=False, padding=None):
    """A convolution with symmetric padding of kernel // 2."""
    padding = kernel // 2 if padding is None else padding
    return nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=bias)


def conv_bn(inputs, outputs, kernel=1, stride=1, groups=1, act=None, epsilon=1e-5, momentum=0.1):
    """A convolution (0), its norm (1) and perhaps an activation (2)."""
    layers = [conv(inputs, outputs, kernel, stride, groups), nn.BatchNorm2d(outputs, epsilon, momentum)]
    return nn.Sequential(*layers, *([act()] if act else []))


class LayerNorm2d(nn.LayerNorm):
    """A layer norm over the channels of [N, C, H, W]."""

    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def randomise(net, seed):
    """Draw every tensor anew, norms and running statistics too, at sizes at which signals neither die nor blow up."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, t in net.state_dict().items():
            if name.endswith("num_batches_tracked"):
                t.fill_(7)
            elif not t.is_floating_point():
                continue
            elif name.endswith("running_var"):
                t.copy_(torch.rand(t.shape, generator=g) + 0.5)
            elif t.dim() >= 2 and t.numel() > max(t.shape):
                t.copy_(torch.randn(t.shape, generator=g) * (1.5 / (t.numel() / t.shape[0])) ** 0.5)
            elif name.endswith(("bias", "running_mean")):
                t.copy_(torch.randn(t.shape, generator=g) * 0.2)
            else:  # scales of norms and of layers
                t.copy_(torch.rand(t.shape, generator=g) + 0.5)
    return net
