"""Windows over images, shared by the references of convolution and pooling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import lax

from netc.netspec.layers.window import Padding, Pair, pair

if TYPE_CHECKING:
    from jax import Array

Sides = tuple[Pair, Pair]


def sides_of(padding: Padding, size: Pair, kernel: int | Pair, stride: int | Pair, dilation: int | Pair = 1) -> Sides:
    """The pixels added (before, after) H and W.

    same: XLA's own rule. same-symmetric: d (k // 2) on both sides of both axes, as torchvision's ResNets pad.
    """
    if not isinstance(padding, str):
        return padding
    k, s, d = pair(kernel), pair(stride), pair(dilation)
    if padding == "same-symmetric":
        return (d[0] * (k[0] // 2), d[0] * (k[0] // 2)), (d[1] * (k[1] // 2), d[1] * (k[1] // 2))
    dilated = tuple((n - 1) * step + 1 for n, step in zip(k, d, strict=True))
    rows, columns = lax.padtype_to_pads(size, dilated, s, padding.upper())
    return (int(rows[0]), int(rows[1])), (int(columns[0]), int(columns[1]))


@dataclass(frozen=True, slots=True)
class Window:
    """A window of `size` pixels, `dilation` apart, that moves by `stride` over an image with `sides` around it."""

    size: Pair
    stride: Pair
    sides: Sides
    dilation: Pair = (1, 1)

    def pixels(self, x: Array, outside: float) -> Array:
        """The pixels of every window, row-major: [batch, H, W, C] -> [kh kw, batch, P, Q, C].

        Element (a kw + b, n, p, q, c) is x[n, s p + d a - lo, s q + d b - lo, c], or `outside` if that is no pixel.
        """
        around = jnp.pad(x, ((0, 0), *self.sides, (0, 0)), constant_values=outside)
        rows, columns = (self._places(axis, around.shape[1 + axis]) for axis in (0, 1))
        found = around[:, rows[:, None, :, None], columns[None, :, None, :], :]  # [n, a, b, p, q, c]
        return jnp.reshape(jnp.moveaxis(found, 0, 2), (-1, x.shape[0], rows.shape[1], columns.shape[1], x.shape[-1]))

    def _places(self, axis: int, length: int) -> npt.NDArray[np.int64]:
        """s p + d a, [k, P]: where row (or column) a of the window meets the padded image as the window moves."""
        k, s, d = self.size[axis], self.stride[axis], self.dilation[axis]
        count = (length - ((k - 1) * d + 1)) // s + 1
        return s * np.arange(count)[None, :] + d * np.arange(k)[:, None]


def window_of(padding: Padding, image: Pair, size: int | Pair, stride: int | Pair, dilation: int | Pair = 1) -> Window:
    """The window that these options of a layer mean on an image of this (H, W)."""
    sides = sides_of(padding, image, size, stride, dilation)
    return Window(pair(size), pair(stride), sides, pair(dilation))
