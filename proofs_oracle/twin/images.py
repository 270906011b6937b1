"""Layers that work on images and channels: convolutions, pooling, resizing, dense, activations."""

from __future__ import annotations

from netc.netspec.layer import Layer
from netc.netspec.layers import (
    Activation,
    AdaptiveAvgPool,
    AvgPool,
    BilinearUpsample,
    ChannelShuffle,
    ChannelWindow,
    Conv2d,
    ConvTranspose2d,
    Dense,
    DepthToSpace,
    Flatten,
    GlobalAvgPool,
    HalfProduct,
    Identity,
    MaxPool,
    NearestUpsample,
    SoftCap,
    SpaceToDepth,
    SpatialBroadcast,
)
from netc.netspec.layers.window import extent, pair
from netc.netspec.types import TensorType
from netc.proofs_oracle.twin.spelling import activated, tensor
from netc.proofs_oracle.twin.writer import LeafText, Writer

FUNCTIONS: dict[str, str] = {
    "conv2d": '''
def conv2d(x, kernel, stride, padding, dilation=(1, 1), groups=1):
    """x [B, H, W, C], kernel [kh, kw, C / groups, features]."""
    return lax.conv_general_dilated(
        x, kernel, stride, padding, rhs_dilation=dilation, feature_group_count=groups,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
''',
    "conv_transpose2d": '''
def conv_transpose2d(x, kernel, stride, padding, dilation=(1, 1), groups=1):
    """x [B, H, W, C], kernel [kh, kw, features / groups, C]: a convolution of x with zeros between pixels."""
    kh, kw, features, channels = kernel.shape
    kernel = kernel[::-1, ::-1].reshape(kh, kw, features, groups, channels // groups)
    kernel = kernel.transpose(0, 1, 4, 3, 2).reshape(kh, kw, channels // groups, groups * features)
    return lax.conv_general_dilated(
        x, kernel, (1, 1), padding, lhs_dilation=stride, rhs_dilation=dilation, feature_group_count=groups,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
''',
    "max_pool": '''
def max_pool(x, size, stride, padding):
    """The maximum of each window; autodiff gives the cotangent to the first one."""
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, *size, 1), (1, *stride, 1), ((0, 0), *padding, (0, 0)))
''',
    "avg_pool": '''
def avg_pool(x, size, stride, padding, count_padding):
    """The mean of each window, over the pixels inside the image or, with count_padding, over all of it."""
    def total(v):
        return lax.reduce_window(v, 0.0, lax.add, (1, *size, 1), (1, *stride, 1), ((0, 0), *padding, (0, 0)))
    return total(x) / (size[0] * size[1] if count_padding else total(jnp.ones_like(x)))
''',
    "adaptive_avg_pool": '''
def adaptive_avg_pool(x, size):
    """The means over floor(i n / m) <= place < ceil((i + 1) n / m) for each i below m, along both axes."""
    for axis, m in zip((1, 2), size):
        n = x.shape[axis]
        windows = [(i * n // m, -(-(i + 1) * n // m)) for i in range(m)]
        x = jnp.stack([lax.slice_in_dim(x, start, stop, axis=axis).mean(axis) for start, stop in windows], axis)
    return x
''',
    "space_to_depth": '''
def space_to_depth(x, n):
    """The pixels of each n x n block, column by column, on the channels; zeros below and to the right fill blocks."""
    x = jnp.pad(x, ((0, 0), (0, -x.shape[1] % n), (0, -x.shape[2] % n), (0, 0)))
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height // n, n, width // n, n, channels).transpose(0, 1, 3, 4, 2, 5)
    return x.reshape(batch, height // n, width // n, n * n * channels)
''',
    "depth_to_space": '''
def depth_to_space(x, n):
    """Each pixel's channels as a square of n x n pixels, row by row."""
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height, width, n, n, channels // n**2).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(batch, height * n, width * n, channels // n**2)
''',
}


def _biased(expression: str, path: str, bias: bool) -> str:
    return f"{expression} + {tensor(path, 'bias')}" if bias else expression


def _spread(layer: Conv2d | ConvTranspose2d) -> list[object]:
    """Dilation and groups, where there are any."""
    return [pair(layer.dilation), layer.groups] if pair(layer.dilation) != (1, 1) or layer.groups != 1 else []


def _conv2d(w: Writer, layer: Conv2d, path: str, x: TensorType) -> list[str]:
    call = w.call("conv2d", "{}", tensor(path, "kernel"), pair(layer.stride), layer.window(x)[1], *_spread(layer))
    return [_biased(call, path, layer.bias), *activated(w, layer.activation)]


def _conv_transpose2d(w: Writer, layer: ConvTranspose2d, path: str, x: TensorType) -> list[str]:
    sides = []
    for n, out, s, (lo, _), k, d in zip(
        x.shape, layer.output(x), pair(layer.stride), layer.sides, pair(layer.kernel), pair(layer.dilation),
        strict=False,
    ):  # fmt: skip
        before = extent(k, d) - 1 - lo
        sides.append((before, out + extent(k, d) - 1 - ((n - 1) * s + 1) - before))  # both add up to out's size
    call = w.call("conv_transpose2d", "{}", tensor(path, "kernel"), pair(layer.stride), tuple(sides), *_spread(layer))
    return [_biased(call, path, layer.bias), *activated(w, layer.activation)]


def _dense(w: Writer, layer: Dense, path: str, x: TensorType) -> list[str]:
    return [_biased(f"{{}} @ {tensor(path, 'kernel')}", path, layer.bias), *activated(w, layer.activation)]


def _max_pool(w: Writer, layer: MaxPool, path: str, x: TensorType) -> list[str]:
    return [w.call("max_pool", "{}", pair(layer.size), layer.step, layer.window(x)[1])]


def _avg_pool(w: Writer, layer: AvgPool, path: str, x: TensorType) -> list[str]:
    return [w.call("avg_pool", "{}", pair(layer.size), layer.step, layer.window(x)[1], layer.count_padding)]


def _adaptive_avg_pool(w: Writer, layer: AdaptiveAvgPool, path: str, x: TensorType) -> list[str]:
    return [w.call("adaptive_avg_pool", "{}", pair(layer.size))]


def _global_avg_pool(w: Writer, layer: GlobalAvgPool, path: str, x: TensorType) -> list[str]:
    return [f"{{}}.mean({tuple(range(1, x.rank))})"]


def _spatial_broadcast(w: Writer, layer: SpatialBroadcast, path: str, x: TensorType) -> list[str]:
    shape = ", ".join(map(str, (*pair(layer.size), x.shape[-1])))
    return [f"jnp.broadcast_to({{}}.reshape({{}}.shape[0], 1, 1, -1), ({{}}.shape[0], {shape}))"]


def _nearest(w: Writer, layer: NearestUpsample, path: str, x: TensorType) -> list[str]:
    high, wide = pair(layer.scale)
    return [f"{{}}.repeat({high}, 1).repeat({wide}, 2)"]


def _bilinear(w: Writer, layer: BilinearUpsample, path: str, x: TensorType) -> list[str]:
    shape = ", ".join(map(str, layer.signature(x).out.shape))
    return [f'jax.image.resize({{}}, ({{}}.shape[0], {shape}), "bilinear")']


def _channel_shuffle(w: Writer, layer: ChannelShuffle, path: str, x: TensorType) -> list[str]:
    return [f"{{}}.reshape(*{{}}.shape[:-1], {layer.groups}, -1).swapaxes(-1, -2).reshape({{}}.shape)"]


def _channel_window(w: Writer, layer: ChannelWindow, path: str, x: TensorType) -> list[str]:
    start, stop = max(layer.start, 0), min(layer.start + layer.count, x.shape[-1])
    before = max(-layer.start, 0)
    after = layer.count - before - (stop - start)
    lines = [f"{{}}[..., {start}:{stop}]"]
    return [*lines, f"jnp.pad({{}}, {((0, 0),) * x.rank + ((before, after),)})"] if before or after else lines


def _space_to_depth(w: Writer, layer: SpaceToDepth, path: str, x: TensorType) -> list[str]:
    return [w.call("space_to_depth", "{}", layer.block)]


def _half_product(w: Writer, layer: HalfProduct, path: str, x: TensorType) -> list[str]:
    factor = "" if layer.factor == 1 else f"{layer.factor!r} * "
    if not layer.gates:
        return [f"{factor}jnp.multiply(*jnp.split({{}}, 2, -1))"]
    gates, each = layer.gates, (x.shape[-1] - layer.gates) // layer.gates
    return [f"{factor}jnp.repeat({{}}[..., :{gates}], {each}, -1) * {{}}[..., {gates}:]"]


LEAVES: dict[type[Layer], LeafText] = {
    Conv2d: _conv2d,
    ConvTranspose2d: _conv_transpose2d,
    Dense: _dense,
    SoftCap: lambda w, layer, path, x: [f"{layer.limit!r} * jnp.tanh({{}} / {layer.limit!r})"],
    Activation: lambda w, layer, path, x: activated(w, layer.function, layer.slope),
    MaxPool: _max_pool,
    AvgPool: _avg_pool,
    AdaptiveAvgPool: _adaptive_avg_pool,
    GlobalAvgPool: _global_avg_pool,
    SpatialBroadcast: _spatial_broadcast,
    NearestUpsample: _nearest,
    BilinearUpsample: _bilinear,
    ChannelShuffle: _channel_shuffle,
    ChannelWindow: _channel_window,
    HalfProduct: _half_product,
    SpaceToDepth: _space_to_depth,
    DepthToSpace: lambda w, layer, path, x: [w.call("depth_to_space", "{}", layer.block)],
    Flatten: lambda w, layer, path, x: ["{}.reshape({}.shape[0], -1)"],
    Identity: lambda w, layer, path, x: [],
}
