"""Forms chosen for single convolutions, by name, before a table's rows: what was measured on one machine.

A choice says "this op, at these shapes, in that form". Here is how an op is named, and which forms can compute it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from types import MappingProxyType

from netc.codegen.ir import IrError, Op
from netc.codegen.rewrite.conv_forms import CONV_FORMS, geometry, tiles
from netc.codegen.rewrite.kernel_forms import folds, splits
from netc.codegen.rewrite.taps import Window
from netc.codegen.rewrite.winograd import suits

FormOverrides = Mapping[str, str]  # from the key of an op to the name of a form
NO_OVERRIDES: FormOverrides = MappingProxyType({})
MOST_TAPS = 64  # a form with one product for each tap is then larger than what compilers take in good time
MOST_OUTER = 64  # channels or features, the fewer of the two: with more, outer products are slower than packed ones

Fits = Callable[[Window, int, int, int], bool]  # of window, channels, features, groups


def key_of(op: Op) -> str:
    """What a convolution op computes, as in `conv_kernel_grad 32x16x16x128 3x3x128x128 /1 p1`.

    The image [N, H, W, C], the kernel [kh, kw, C / groups, O], the stride, the padding; then, where they are not 1,
    dilation and groups, and the element types where they are not all f32.
    """
    w, inputs, outputs, groups = geometry(op)
    n = op.operands[0].shape[0]
    parts = [op.kind, _by((n, *w.size, inputs)), _by((*w.kernel, inputs // groups, outputs))]
    sides = (*w.padding[0], *w.padding[1])
    parts += [f"/{_short(w.stride)}", "p" + (str(sides[0]) if len(set(sides)) == 1 else ",".join(map(str, sides)))]
    parts += [f"d{_short(w.dilation)}"] if w.dilation != (1, 1) else []
    parts += [f"g{groups}"] if groups > 1 else []
    kinds = [v.type.dtype for v in (*op.operands, op.result)]
    return " ".join(parts + ([",".join(kinds)] if set(kinds) != {"f32"} else []))


def _by(sizes: tuple[int, ...]) -> str:
    return "x".join(map(str, sizes))


def _short(pair: tuple[int, int]) -> str:
    return str(pair[0]) if pair[0] == pair[1] else _by(pair)


def _one_group(w: Window, inputs: int, outputs: int, groups: int) -> bool:
    return groups == 1


def _depthwise(w: Window, inputs: int, outputs: int, groups: int) -> bool:
    return groups == inputs == outputs


def _side_by_side(w: Window, inputs: int, outputs: int, groups: int) -> bool:
    return groups == 1 and tiles(w)


def _winograd(w: Window, inputs: int, outputs: int, groups: int) -> bool:
    return suits(w, groups)


def _strided(w: Window, inputs: int, outputs: int, groups: int) -> bool:
    return folds(w, groups)


def _always(w: Window, inputs: int, outputs: int, groups: int) -> bool:
    return True


# what a form takes, as its docstring says; those of one group are not named
_FITS: dict[tuple[str, str], Fits] = {
    ("conv", "direct"): _always,
    ("conv", "depthwise"): _depthwise,
    ("conv", "grouped"): _always,
    ("conv", "patches"): _side_by_side,
    ("conv", "winograd"): _winograd,
    ("conv", "winograd-stacked"): _winograd,
    ("conv", "widened"): _always,
    ("conv_input_grad", "widened"): _always,
    ("conv_input_grad", "winograd"): _winograd,
    ("conv_input_grad", "winograd-stacked"): _winograd,
    ("conv_input_grad", "direct"): _always,
    ("conv_input_grad", "depthwise"): _depthwise,
    ("conv_input_grad", "grouped"): _always,
    ("conv_input_grad", "patches"): _side_by_side,
    ("conv_kernel_grad", "shifted"): _always,
    ("conv_kernel_grad", "depthwise"): _depthwise,
    ("conv_kernel_grad", "across"): _depthwise,
    ("conv_kernel_grad", "patches"): _side_by_side,
    ("conv_kernel_grad", "folded"): _strided,
    ("conv_kernel_grad", "winograd"): _winograd,
    ("conv_kernel_grad", "winograd-stacked"): _winograd,
}


# with one tap these are the same product as another form
_ONE_TAP = {
    ("conv", "shifted"), ("conv", "patches"), ("conv_input_grad", "phase-im2col"), ("conv_input_grad", "patches"),
    ("conv_kernel_grad", "im2col"), ("conv_kernel_grad", "patches"),
}  # fmt: skip


def fits(op: Op, form: str) -> bool:
    """Whether the form computes this op; raises IrError for a form that there is not."""
    if form not in CONV_FORMS[op.kind]:
        known = ", ".join(CONV_FORMS[op.kind])
        raise IrError(f"{op.loc}: {op.kind} wants a form of {known}, got {form!r}; run `netc tune` again")
    return _FITS.get((op.kind, form), _one_group)(*geometry(op))


def candidates(op: Op) -> tuple[str, ...]:
    """The forms worth measuring for an op: those that fit it, have a chance, and are no other form in disguise."""
    w, inputs, outputs, groups = geometry(op)
    left = {"grouped"} if groups == 1 or groups == inputs == outputs else set()  # to `shifted` and `depthwise`
    if w.kernel == w.stride == (1, 1):
        left.add("col2im")  # to `phase-shifted`
    if all(v.type.dtype != "bf16" for v in op.operands):
        left.add("widened")  # to `direct`
    taps = w.kernel[0] * w.kernel[1]
    if op.kind == "conv_kernel_grad" and (min(inputs, outputs) > MOST_OUTER or not splits(op)):
        left.add("outer")
    return tuple(
        form
        for form in CONV_FORMS[op.kind]
        if fits(op, form)
        and form not in left
        and (taps > 1 or (op.kind, form) not in _ONE_TAP)
        and (taps <= MOST_TAPS or form in ("direct", "widened", "patches", "convolution", "folded"))
    )


def digest_of(choices: FormOverrides) -> str:
    """The first 12 hex digits of the SHA-256 of the choices, in any order; empty for none."""
    if not choices:
        return ""
    text = json.dumps(dict(sorted(choices.items())), separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:12]
