"""The program of a net that is used and no longer trained: its weights, and pixels as they come from a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import netc.codegen.layers  # registers the rules  # noqa: F401
from netc.codegen.builder import Builder
from netc.codegen.ir import Function, Module
from netc.codegen.ops.movement import Raw
from netc.codegen.rewrite.cse import cse
from netc.codegen.rewrite.dce import dce
from netc.codegen.rewrite.fold import fold
from netc.codegen.rules import Scope, emit
from netc.netspec.check import CheckedNet
from netc.netspec.types import TensorType

NAME = "predict"
Weights = Mapping[str, bytes]  # of each parameter and statistic: its float32 numbers, little-endian and row-major


@dataclass(frozen=True)
class Levels:
    """x = pixel scale + shift for each channel: how uint8 pixels become what the net was trained on."""

    scale: tuple[float, ...]
    shift: tuple[float, ...]


def inference_module(
    net: CheckedNet, batch: int, levels: Levels | None = None, weights: Weights | None = None
) -> Module:
    """`predict` (parameters.., statistics.., x) -> logits, simplified, before any target's forms.

    With `levels` it takes `pixels`, ui8 [B, H, W, C], in the place of x. With `weights` these are inside, and x or the
    pixels are its one argument.
    """
    b = Builder(NAME)
    held = {}
    for name, form in net.shapes.items():
        with b.at(name):
            t = TensorType(form)
            held[name] = b.parameter(name, t) if weights is None else b.constant(Raw(weights[name]), t)
    shape = (batch, *net.x.shape)
    if levels is None:
        x = b.parameter("x", TensorType(shape, net.x.dtype))
    else:
        pixels = b.parameter("pixels", TensorType(shape, "ui8"))
        channels = TensorType(shape[-1:])
        with b.at("pixels"):
            scale, shift = (b.constant(values, channels) for values in (levels.scale, levels.shift))
            x = b.convert(pixels, "f32")
            x = b.add(b.mul(x, b.broadcast(scale, x)), b.broadcast(shift, x))
    logits = emit(b, net.spec.body, Scope(held, held, training=False), x).y
    return simplified(b.finish([("logits", logits)]))


def simplified(function: Function) -> Module:
    """A module of this function alone, without what it does not need."""
    return cse(fold(dce(Module(NAME, (function,)))))
