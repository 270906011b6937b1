"""Where layouts change: between netc's tensors and those of the files that PyTorch's projects publish.

Inside netc images are NHWC and kernels HWIO; such files hold PyTorch's layouts:

    parameter                    netc               PyTorch
    conv2d kernel                [kh, kw, I, O]     [O, I, kh, kw]
    dense kernel                 [I, O]             [O, I], or [O, I, 1, 1] of a 1x1 convolution
    dense kernel after flatten   [(H W C), O]       [O, (C H W)]
    any other                    its shape          its shape, with or without axes of size 1
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from netc.netspec.check import CheckedNet
from netc.netspec.layers import Conv2d, Dense, Flatten
from netc.runtime.weights.tensor_file import Floats

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Layout:
    """One row of the table above.

    `outer` gives PyTorch's shape for netc's, `inner` netc's tensor for PyTorch's, and `back` undoes `inner`.
    """

    outer: Callable[[Shape], Shape]
    inner: Callable[[Floats], Floats]
    back: Callable[[Floats], Floats]


SAME = Layout(lambda shape: shape, lambda tensor: tensor, lambda tensor: tensor)
CONV = Layout(lambda s: (s[3], s[2], s[0], s[1]), lambda t: t.transpose(2, 3, 1, 0), lambda t: t.transpose(3, 2, 0, 1))
DENSE = Layout(lambda s: (s[1], s[0]), lambda t: t.T, lambda t: t.T)
LAYOUTS = {Conv2d.kind: CONV, Dense.kind: DENSE}


def _flattened(image: Shape) -> Layout:
    """A dense kernel behind a flatten of [H, W, C], which PyTorch lays out as [C, H, W]."""
    height, width, channels = image

    def inner(tensor: Floats) -> Floats:
        outputs = len(tensor)
        return tensor.reshape(outputs, channels, height, width).transpose(2, 3, 1, 0).reshape(-1, outputs)

    def back(tensor: Floats) -> Floats:
        outputs = tensor.shape[1]
        return tensor.reshape(height, width, channels, outputs).transpose(3, 2, 0, 1).reshape(outputs, -1)

    return Layout(DENSE.outer, inner, back)


def layouts(net: CheckedNet) -> dict[str, Layout]:
    """The layout of each kernel of the net, by its path; what is not named there has the same layout everywhere."""
    found: dict[str, Layout] = {}
    image: Shape = ()
    for at in net.walk():
        if isinstance(at.layer, Flatten):
            image = at.x.shape
        elif at.layer.kind in LAYOUTS:
            flat = isinstance(at.layer, Dense) and len(image) == 3
            found[f"{at.path}.kernel"] = _flattened(image) if flat else LAYOUTS[at.layer.kind]
            image = ()
    return found
