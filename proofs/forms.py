"""Forms of convolutions, their gradients and scans, each beside the operation, for the theorem that they are equal.

Images, features and, where no form puts channels side by side, channels may be any numbers; the sizes of images and
windows, and how many steps a scan has, are the numbers that stand here, as places are compared in the proof: strides,
paddings on both sides, dilation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.ops.window import Pair, Sides, window_size
from netc.codegen.rewrite.conv_forms import CONV_FORMS
from netc.codegen.rewrite.scan_forms import doubling
from netc.netspec.types import TensorType

IMAGES, FEATURES, CHANNELS = 7, 11, 13
STEPS = 5
FREE = frozenset((IMAGES, FEATURES, CHANNELS))  # sizes that are variables
PLAIN: Sides = ((0, 0), (0, 0))
CUT: Sides = ((1, 0), (0, 1))
DILATED: Sides = ((1, 0), (1, 0))


@dataclass(frozen=True)
class Case:
    """A form of an operation at a window. `channels` and `features` are those of one group."""

    kind: str
    form: str
    image: Pair = (2, 3)
    kernel: Pair = (2, 2)
    stride: Pair = (1, 2)
    padding: Sides = CUT
    dilation: Pair = (1, 1)
    channels: int = CHANNELS
    features: int = FEATURES
    groups: int = 1

    def __call__(self, b: Builder) -> list[tuple[Value, Value]]:
        """The operation's result and the form's."""
        out = window_size(self.image, self.kernel, self.stride, self.padding, self.dilation)
        channels, features = self.channels * self.groups, self.features * self.groups
        x = b.parameter("x", TensorType((IMAGES, *self.image, channels)))
        w = b.parameter("w", TensorType((*self.kernel, self.channels, features)))
        dy = b.parameter("dy", TensorType((IMAGES, *out, features)))
        operands: dict[str, tuple[Value, Value, dict[str, Pair]]] = {
            "conv": (x, w, {}),
            "conv_input_grad": (dy, w, {"size": self.image}),
            "conv_kernel_grad": (x, dy, {"kernel": self.kernel}),
        }
        first, second, more = operands[self.kind]
        window = {"stride": self.stride, "padding": self.padding, "dilation": self.dilation, "groups": self.groups}
        plain = b.op(self.kind, first, second, **window, **more)
        made = CONV_FORMS[self.kind][self.form](b, b.ops[-1], first, second)
        assert made is not None
        return [(plain, made)]


def _side_by_side(kind: str) -> Case:
    """Windows of which none overlap and none see padding."""
    return Case(kind, "patches", (4, 5), stride=(2, 2), padding=PLAIN)


FORMS: Mapping[str, Case] = {
    "taps": Case("conv", "shifted"),
    "taps-dilated": Case("conv", "shifted", stride=(1, 1), padding=DILATED, dilation=(1, 2)),
    "im2col": Case("conv", "im2col", channels=2),
    "patches": _side_by_side("conv"),
    "depthwise": Case("conv", "depthwise", channels=1, features=1, groups=CHANNELS),
    "grouped": Case("conv", "grouped", groups=2),
    "phases": Case("conv_input_grad", "phase-shifted", stride=(2, 2), kernel=(3, 2)),
    "phases-dilated": Case("conv_input_grad", "phase-shifted", stride=(2, 1), padding=DILATED, dilation=(1, 2)),
    "phases-im2col": Case("conv_input_grad", "phase-im2col", features=2),
    "phases-depthwise": Case("conv_input_grad", "depthwise", channels=1, features=1, groups=CHANNELS),
    "phases-grouped": Case("conv_input_grad", "grouped", groups=2),
    "col2im": Case("conv_input_grad", "col2im", channels=2),
    "input-patches": _side_by_side("conv_input_grad"),
    "kernel-taps": Case("conv_kernel_grad", "shifted"),
    "kernel-depthwise": Case("conv_kernel_grad", "depthwise", channels=1, features=1, groups=CHANNELS),
    "kernel-across": Case("conv_kernel_grad", "across", channels=1, features=1, groups=CHANNELS),
    "kernel-im2col": Case("conv_kernel_grad", "im2col", channels=2),
    "kernel-patches": _side_by_side("conv_kernel_grad"),
    "kernel-outer": Case("conv_kernel_grad", "outer"),
    "kernel-folded": Case("conv_kernel_grad", "folded", kernel=(3, 2), stride=(2, 2), channels=2),
}  # fmt: skip


@dataclass(frozen=True)
class Doubling:
    """A recurrence along an axis of STEPS, in steps of 1, 2 and 4."""

    reverse: bool

    def __call__(self, b: Builder) -> list[tuple[Value, Value]]:
        """The operation's result and the form's."""
        a, u = (b.parameter(name, TensorType((IMAGES, STEPS, FEATURES))) for name in ("a", "u"))
        plain = b.op("linear_scan", a, u, axis=1, reverse=self.reverse)
        return [(plain, doubling(b, b.ops[-1], a, u))]


AT_SIZES: Mapping[str, Callable[[Builder], list[tuple[Value, Value]]]] = {
    **FORMS, "doubling": Doubling(reverse=False), "doubling-back": Doubling(reverse=True),
}  # fmt: skip
