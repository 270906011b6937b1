"""The C of convolutions and poolings: calls of the functions of support/windows.c.in, with their sizes by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from netc.codegen.c.any_batch import Size
from netc.codegen.c.callers import Caller, Statement
from netc.codegen.c.expressions import suffix
from netc.codegen.ir import IrError, Op

CHANNELS, TILES = 48, 64  # from which on Winograd's transforms are outweighed by what they save
FULL = 6  # products of a pixel and a channel at most, of 9: tiles of small images are half empty
EXAMPLES = 2  # from which on the memory for tiles is spent: devices that have little train with one
AT_ONCE = 256  # NET_TILES of support/winograd.c.in


def _window(image: Sequence[int], out: Sequence[int], features: int, kernel: Sequence[int], op: Op) -> str:
    """The sizes of a convolution or a pooling, by name."""
    attrs = dict(op.attrs)
    if attrs.get("swap") or attrs.get("spread", (1, 1)) != (1, 1):
        raise IrError(f"{op.loc}: {op} is a form for another target; C takes the convolution that it stands for")
    (top, _), (left, _) = attrs["padding"]
    (sh, sw), (dh, dw) = attrs["stride"], attrs.get("dilation", (1, 1))
    sizes = {
        "n": image[0], "h": image[1], "w": image[2], "c": image[3], "p": out[1], "q": out[2], "o": features,
        "kh": kernel[0], "kw": kernel[1], "sh": sh, "sw": sw, "top": top, "left": left, "dh": dh, "dw": dw,
        "groups": attrs.get("groups", 1),
    }  # fmt: skip
    if min(top, left) < 0:
        raise IrError(f"{op.loc}: {op} wants padding of at least 0 in C")
    return "&(net_window){" + ", ".join(f".{name} = {n}" for name, n in sizes.items()) + "}"


def _depthwise(op: Op) -> bool:
    channels = op.operands[0].shape[3]
    kernel = op.result.shape if op.kind == "conv_kernel_grad" else op.operands[1].shape
    return bool(op.attr("groups") == channels == kernel[3] and channels > 1 and kernel[2] == 1)


def _windowed(name: str, sizes: Callable[[Op], str]) -> Statement:
    def state(f: Caller, op: Op) -> list[str]:
        conv = name.startswith("conv")
        each = conv and _depthwise(op)
        form = "depthwise" if each else "winograd" if conv and by_tiles(op) else "conv"
        taken = [v for v in op.operands if v.type.rank == 4]
        args = [sizes(op), *(f.pointer(v) for v in taken), f.pointer(op.result)]
        if window_need(op):
            args.append(f.scratch(op))
        elif conv and not each:
            args.append("NULL")
        called = f"net_{name.replace('conv', form)}{suffix(op.result.type.dtype)}"
        return [f"{called}({args[0]},", f"    {', '.join(args[1:])});"]

    return state


def by_tiles(op: Op) -> bool:
    """Whether a convolution is one of Winograd's: 3x3 of stride 1, channels and tiles enough, these not half empty."""
    taps: Sequence[int] = op.attr("kernel") if op.kind == "conv_kernel_grad" else op.operands[1].shape[:2]
    plain = tuple(op.attr("stride")) == tuple(op.attr("dilation")) == (1, 1) and op.attr("groups") == 1
    if tuple(taps) != (3, 3) or not plain or op.result.type.dtype not in ("f32", "f64"):
        return False
    if max(op.attr("padding")[0][0], op.attr("padding")[1][0]) > 2:
        return False
    tiles, pixels, inputs, outputs = _tiles(op)
    if isinstance(tiles, Size) or tiles < TILES or 16 * tiles > FULL * pixels:
        return False
    return min(inputs, outputs) >= CHANNELS and op.operands[0].shape[0] >= EXAMPLES


def _tiles(op: Op) -> tuple[int, int, int, int]:
    """The 2x2 tiles of the image that a convolution or a gradient sums for, its pixels; the channels and features."""
    kernel = op.result if op.kind == "conv_kernel_grad" else op.operands[1]
    written = op.operands[1] if op.kind == "conv_kernel_grad" else op.result
    n, high, wide, _ = written.shape
    return n * (-(-high // 2)) * (-(-wide // 2)), n * high * wide, kernel.shape[2], kernel.shape[3]


def _tiled_need(op: Op) -> int:
    """Numbers that Winograd's convolution needs besides, as support/winograd.c.in says."""
    tiles, _, inputs, outputs = _tiles(op)
    summed = 32 if tiles > AT_ONCE else 16  # what some tiles give, and the sum over all of them
    weights = {"conv": 16, "conv_input_grad": 16 + 9, "conv_kernel_grad": summed}[op.kind] * inputs * outputs
    return weights + 16 * min(tiles, AT_ONCE) * (inputs + outputs)


def window_need(op: Op) -> int:
    """Numbers that a convolution needs besides: its image with zeros around where windows see them, of a gradient of
    images besides its weights turned; of a depthwise gradient of kernels one image's share. None for anything else.
    """
    if not op.kind.startswith("conv") or op.kind == "convert":
        return 0
    if _depthwise(op):
        share: int = op.result.type.size if op.kind == "conv_kernel_grad" else 0
        return share
    if by_tiles(op):
        return _tiled_need(op)
    (top, _), (left, _) = op.attr("padding")
    strides: Sequence[int] = op.attr("stride")
    taps: Sequence[int] = op.attr("kernel") if op.kind == "conv_kernel_grad" else op.operands[1].shape[:2]
    spread = [(k - 1) * d for k, d in zip(taps, op.attr("dilation"), strict=True)]
    if op.kind == "conv_input_grad":
        (n, h, w, _), (_, _, inputs, outputs) = op.result.shape, op.operands[1].shape
        high, wide = (
            max(0, -((before - far) // s)) + (size - 1 + before) // s + 1
            for far, before, s, size in zip(spread, (top, left), strides, (h, w), strict=True)
        )
        turned: int = math.prod(taps) * inputs * outputs // int(op.attr("groups"))
        spread_out: int = n * high * wide * outputs
        return turned + spread_out
    n, h, w, c = op.operands[0].shape
    out = op.operands[1].shape if op.kind == "conv_kernel_grad" else op.result.shape
    high, wide = ((o - 1) * s + far + 1 for o, s, far in zip(out[1:3], strides, spread, strict=True))
    if top == left == 0 and high <= h and wide <= w:
        return 0
    framed: int = n * high * wide * c
    return framed


def _sizes_conv(op: Op) -> str:
    x, k = (v.shape for v in op.operands)
    return _window(x, op.result.shape, k[3], k, op)


def _sizes_input_grad(op: Op) -> str:
    dy, k = (v.shape for v in op.operands)
    return _window(op.result.shape, dy, k[3], k, op)


def _sizes_kernel_grad(op: Op) -> str:
    x, dy = (v.shape for v in op.operands)
    return _window(x, dy, dy[3], op.attr("kernel"), op)


def _sizes_pool(op: Op) -> str:
    grad = op.kind == "sum_pool_grad"
    image = op.result if grad else op.operands[0]
    out = op.operands[0] if grad else op.operands[1] if op.kind == "max_pool_grad" else op.result
    return _window(image.shape, out.shape, image.shape[3], op.attr("kernel"), op)


def _sizes_scatter(op: Op) -> str:
    x, dy = op.operands[0].shape, op.operands[1].shape
    return _window(x, dy, x[3], op.attr("kernel"), op)


def _scatter_to_max(f: Caller, op: Op) -> list[str]:
    """The largest of each window again, and where it was first."""
    sizes, end = _sizes_scatter(op), suffix(op.result.type.dtype)
    x, dy, y = f.pointer(op.operands[0]), f.pointer(op.operands[1]), f.scratch(op)
    return [
        f"net_max_pool{end}({sizes}, {x}, {y});",
        f"net_max_pool_grad{end}({sizes}, {x}, {y}, {dy}, {f.pointer(op.result)});",
    ]


WINDOWED: dict[str, Statement] = {
    "conv": _windowed("conv", _sizes_conv),
    "conv_input_grad": _windowed("conv_input_grad", _sizes_input_grad),
    "conv_kernel_grad": _windowed("conv_kernel_grad", _sizes_kernel_grad),
    "max_pool": _windowed("max_pool", _sizes_pool),
    "max_pool_grad": _windowed("max_pool_grad", _sizes_pool),
    "sum_pool": _windowed("sum_pool", _sizes_pool),
    "sum_pool_grad": _windowed("sum_pool_grad", _sizes_pool),
    "window_max": _windowed("max_pool", _sizes_pool),
    "window_sum": _windowed("sum_pool", _sizes_pool),
    "scatter_to_max": _scatter_to_max,
}
