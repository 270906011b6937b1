"""Which arguments and results are dealt out among replicas, and along which axis. Each has all others whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netc.codegen.symbolic.sizes import shown
from netc.netspec.types import TensorType

AXES: Mapping[str, int] = {"x": 0, "y": 0, "weight": 0, "xs": 1, "ys": 1, "logits": 0}


def axis_of(name: str) -> int | None:
    """The axis of the examples in an argument or result of that name; None for what has none."""
    return AXES.get(name)


def said(name: str, t: TensorType, role: str, *, several: bool) -> dict[str, Any]:
    """What a manifest says of an argument or result; `several` replicas may each have a part of it, of that type."""
    axis = axis_of(name) if several else None
    split = {} if axis is None else {"split": axis}
    return {"name": name, "role": role, "shape": shown(t.shape), "dtype": t.dtype, **split}
