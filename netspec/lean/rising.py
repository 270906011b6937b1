"""A U-Net's steps up: beside the skip of a unetDown, of the newest layer of that size, or of none that the net has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from netc.netspec.layer import Layer
from netc.netspec.layers import BilinearUpsample, Chain, Concat, Identity, UnetUp
from netc.netspec.lean.arguments import Arguments, shown
from netc.netspec.lean.constructors import unet_convolutions
from netc.netspec.lean.source import Built, Misread
from netc.netspec.lean.stated import Stated
from netc.netspec.types import TensorType, batched

RISES = ("transpose", "bilinear", "nearest")


def name_of(item: Built, default: str) -> str:
    """The name that an application gives itself."""
    value = item.named.get("name", default)
    if not isinstance(value, str):
        place = item.named_spans.get("name", item.at)
        raise Misread(place, f'{item.head}: name wants a string, got {shown(value)}; write (name := "stage1")')
    return value


def rise(up: Built, below: tuple[Layer, ...], features: int, skip: Layer | None = None) -> Layer:
    """Two convolutions on what arrives beside what comes up from below; the skip is what arrives, or `skip` of it."""
    name, way = name_of(up, "") or None, up.named.get("rise")
    descent = Chain(below, name="inner")
    if way is not None:
        place = up.named_spans.get("rise", up.at)
        if way not in RISES:
            raise Misread(place, f'unetUp: rise wants "transpose", "bilinear" or "nearest", got {shown(way)}')
        if skip is not None:
            raise Misread(place, "unetUp: rise wants the skip of a unetDown, got none of its size; leave rise out")
        return UnetUp(descent, features, str(way), name=name)
    larger = Chain((descent, BilinearUpsample(2, name="larger")), name="below")
    both = Concat((replace(skip or Identity(), name="skip"), larger), name="join")
    conv1, conv2 = unet_convolutions(features)
    return Chain((both, replace(conv1, name="conv1"), replace(conv2, name="conv2")), name=name)


def tap(outs: Sequence[TensorType | None], rising: Arguments, x: TensorType | None) -> int | None:
    """Of the layers before it the newest that gives twice the image with as many channels as unetUp gives."""
    if x is None or x.rank != 3:
        return None
    wanted = TensorType((2 * x.shape[0], 2 * x.shape[1], rising["oc"]), x.dtype)
    return max((index for index, out in enumerate(outs) if out == wanted), default=None)


def without_skip(up: Built, rising: Arguments, x: TensorType) -> tuple[Misread, Layer]:
    """The error of a unetUp that finds no skip, and the layer that counts as its numbers say."""
    if x.rank != 3:
        raise Misread(up.at, f"unetUp wants [batch, H, W, C], got {batched(x.shape)}; give an image")
    wanted = (2 * x.shape[0], 2 * x.shape[1], rising["oc"])
    error = Misread(
        up.at,
        f"unetUp wants a unetDown before it whose skip it takes, or a layer that gives {batched(wanted)}, got none; "
        "add one",
    )
    return error, rise(up, (), rising["oc"], Stated(wanted))
