"""Which form computes a convolution on which targets: a table for each lowering profile, its rows tried in order.

The first row whose condition holds of the convolution's shape names the form. docs/convolution-forms.md says
what was measured for each row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from netc.codegen.ir import Op
from netc.codegen.rewrite.conv_forms import CONV_FORMS, geometry, tiles
from netc.codegen.rewrite.kernel_forms import folds, splits
from netc.codegen.rewrite.winograd import suits

# of the rows of profiles.py; `plain` has no table, see plain_forms.py, and C computes every operation itself
ProfileName = Literal["cpu", "cpu-avx2", "gpu", "xla", "plain", "c"]
NARROW = {*range(29), 32, 36, 40, 64}  # channels that outer products win with; 30 and 48 lose


@dataclass(frozen=True)
class Shape:
    """What a row's condition may look at: of one convolution op."""

    height: int  # of the output image
    width: int
    pixels: int  # of the output image, H W
    rows: int  # of the output, N H W
    inputs: int  # channels
    outputs: int  # features
    groups: int
    taps: int
    stride: int  # the larger of the two
    plain: bool  # 1x1, stride 1, no padding
    patches: bool  # more than one pixel in a window, windows side by side
    winograd: bool  # 3x3, stride 1, undilated, in one group
    folds: bool  # strided along both axes, undilated, in one group
    splits: bool  # a kernel gradient in float32 whose pixels go evenly into a few blocks
    half: bool  # of bf16 numbers

    @property
    def depthwise(self) -> bool:
        """One channel and one feature a group."""
        return self.groups == self.inputs == self.outputs and self.groups > 1

    @property
    def narrow(self) -> bool:
        """One group of few channels and features, by the fewer and the more of the two."""
        fewer, more = sorted((self.inputs, self.outputs))
        if self.grouped or fewer not in NARROW:
            return False
        if self.taps == 1:
            return fewer <= 32 and more in NARROW and self.rows >= 8192
        if fewer <= 28:
            return more <= 128 and (more % 4 == 0 or more in NARROW)
        return more in NARROW and (fewer <= 32 or self.rows >= 8192)

    @property
    def grouped(self) -> bool:
        """More than one group."""
        return self.groups > 1


def shape_of(op: Op) -> Shape:
    """The sizes of a convolution op."""
    w, inputs, outputs, groups = geometry(op)
    n = op.operands[0].shape[0]
    pixels = w.out[0] * w.out[1]
    half = any(v.type.dtype == "bf16" for v in op.operands)
    single = op.kind == "conv_kernel_grad" and all(v.type.dtype == "f32" for v in op.operands)
    return Shape(
        *w.out, pixels, n * pixels, inputs, outputs, groups, w.kernel[0] * w.kernel[1], max(w.stride), w.plain,
        tiles(w) and w.kernel != (1, 1), suits(w, groups),
        folds(w, groups), single and splits(op), half,
    )  # fmt: skip


FormRow = tuple[str, Callable[[Shape], bool], str]


def _always(s: Shape) -> bool:
    return True


def _wide(s: Shape) -> bool:
    """What XLA computes faster in Winograd's form: the products outweigh the transforms."""
    return s.winograd and min(s.inputs, s.outputs) >= 256


def _shares(s: Shape) -> bool:
    """What IREE computes faster in Winograd's form, where a layer's three convolutions share transforms.

    Few channels as long as the caches hold the image's transform.
    """
    return _pays(s) and min(s.inputs, s.outputs) >= (48 if s.rows < 8192 else 128)


def _pays(s: Shape) -> bool:
    """Not where the kernel's transform outweighs the products, nor images whose tiles of 2x2 are half empty."""
    return s.winograd and not s.half and s.height not in (1, 3) and 2 * s.rows >= max(s.inputs, s.outputs)


def _packs(s: Shape) -> bool:
    """What bf16 products, packed, compute faster than a direct convolution in float32."""
    return s.half and min(s.inputs, s.outputs) >= 64 and max(s.inputs, s.outputs) >= 128


def _looks_far(s: Shape) -> bool:
    """A depthwise convolution of so many taps that IREE's own loops over them are faster than written-out taps."""
    return s.depthwise and s.stride == 1 and s.taps > 9 and not s.half


def _direct_on_avx2(s: Shape) -> bool:
    """A direct convolution that IREE computes well in vectors of 8: few channels, and rows that fill its tiles."""
    return max(s.inputs, s.outputs) <= 32 and s.width % 4 == 0


def _not_direct_on_avx2(s: Shape) -> bool:
    """What the rows of _CPU compute directly, at a third to a thirtieth of the speed of products there."""
    return not s.grouped and s.taps > 1 and s.inputs > 4 and s.height >= 14 and not _direct_on_avx2(s)


# (op, condition, form); the first that holds is taken
_COMMON: tuple[FormRow, ...] = (
    ("conv", lambda s: s.depthwise, "depthwise"),
    ("conv", lambda s: s.grouped, "direct"),
    ("conv_input_grad", lambda s: s.depthwise, "depthwise"),
    ("conv_input_grad", lambda s: s.grouped, "direct"),
    ("conv_kernel_grad", lambda s: s.grouped, "shifted"),
    ("conv", lambda s: s.plain, "im2col"),
    ("conv_input_grad", lambda s: s.plain, "phase-shifted"),
)

_CPU: tuple[FormRow, ...] = (
    *((op, lambda s: s.half and s.grouped and not s.depthwise, "widened") for op in ("conv", "conv_input_grad")),
    *((op, _looks_far, "direct") for op in ("conv", "conv_input_grad")),
    ("conv_kernel_grad", _looks_far, "across"),
    ("conv_kernel_grad", lambda s: s.depthwise and s.pixels > 1 and not s.half, "depthwise"),
    *_COMMON,
    *((op, lambda s: s.patches and s.inputs <= 4, "patches") for op in CONV_FORMS),
    ("conv", lambda s: s.taps == 1, "im2col"),
    *((op, _shares, "winograd-stacked") for op in CONV_FORMS),
    ("conv", _packs, "shifted"),
    ("conv", lambda s: s.half and (s.inputs <= 4 or s.height >= 14), "widened"),
    ("conv", lambda s: s.inputs == 1, "shifted"),
    ("conv", lambda s: s.inputs <= 4, "direct"),
    ("conv", lambda s: s.height >= 14, "direct"),
    ("conv", _always, "shifted"),
    ("conv_input_grad", lambda s: s.taps == 1 and s.stride > 1, "col2im"),
    ("conv_input_grad", lambda s: s.stride > 1 and s.height <= 4, "col2im"),
    ("conv_input_grad", lambda s: _packs(s) and s.stride == 1 and s.pixels <= 49 and s.taps <= 9, "col2im"),
    ("conv_input_grad", lambda s: s.stride > 1 or s.height < 14 or _packs(s), "phase-shifted"),
    ("conv_input_grad", lambda s: s.half, "widened"),
    ("conv_input_grad", _always, "direct"),
    ("conv_kernel_grad", lambda s: s.folds and s.inputs <= 4 and s.taps > 9, "folded"),
    ("conv_kernel_grad", lambda s: s.inputs <= 3 and s.taps <= 9, "im2col"),
    ("conv_kernel_grad", lambda s: s.splits and s.narrow and s.stride == 1, "outer"),
    ("conv_kernel_grad", _always, "shifted"),
)

# before the rows of _CPU on processors with AVX2 and no AVX-512
_AVX2: tuple[FormRow, ...] = (
    *((op, lambda s: s.grouped and not s.depthwise, "grouped") for op in ("conv", "conv_input_grad")),
    ("conv_kernel_grad", lambda s: s.depthwise and s.pixels > 1 and not s.half, "depthwise"),
    *(
        (op, lambda s: _pays(s) and min(s.inputs, s.outputs) >= 16 and not _direct_on_avx2(s), "winograd-stacked")
        for op in CONV_FORMS
    ),
    ("conv", lambda s: _not_direct_on_avx2(s) and not s.patches, "shifted"),
    ("conv_input_grad", lambda s: _not_direct_on_avx2(s) and s.stride == 1, "phase-shifted"),
)

FORM_TABLES: dict[ProfileName, tuple[FormRow, ...]] = {
    "cpu": _CPU,
    "cpu-avx2": (*_AVX2, *_CPU),
    "gpu": (
        ("conv", lambda s: s.grouped and not s.depthwise, "grouped"),
        ("conv_input_grad", lambda s: s.grouped and not s.depthwise, "grouped"),
        *_COMMON,
        ("conv", _always, "direct"),
        ("conv_input_grad", lambda s: s.stride > 1, "phase-im2col"),
        ("conv_input_grad", _always, "direct"),
        ("conv_kernel_grad", _always, "shifted"),
    ),
    "xla": (
        *_COMMON,
        *((op, lambda s: s.patches, "patches") for op in CONV_FORMS),
        *((op, lambda s: _wide(s) and s.height >= 8, "winograd") for op in ("conv", "conv_input_grad")),
        ("conv", lambda s: s.taps == 1 or (not s.grouped and s.height <= 7), "im2col"),
        ("conv", lambda s: s.stride > 1 and s.inputs <= 4 and s.taps <= 9, "im2col"),
        ("conv", _always, "direct"),
        ("conv_input_grad", lambda s: s.taps == 1 or s.height <= 7, "col2im"),
        ("conv_input_grad", lambda s: s.stride > 1 and s.height <= 8, "col2im"),
        ("conv_input_grad", lambda s: s.stride > 1, "phase-shifted"),
        ("conv_input_grad", _always, "direct"),
        ("conv_kernel_grad", _wide, "winograd"),
        ("conv_kernel_grad", lambda s: s.taps == 1, "shifted"),
        ("conv_kernel_grad", lambda s: s.height <= 7, "im2col"),
        ("conv_kernel_grad", lambda s: s.stride > 1 and s.taps > 9 and s.inputs <= 4, "shifted"),
        ("conv_kernel_grad", lambda s: s.stride > 1, "im2col"),
        ("conv_kernel_grad", _always, "convolution"),
    ),
}
