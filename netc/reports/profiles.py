"""What `netc profile --json` printed, checked before a page is made of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from netc.netspec.errors import UserError


def refuse_other_profile(profile: Mapping[str, Any]) -> None:
    """Raise UserError for JSON that is no training step's profile: its time, and those of its layers by direction."""
    words = all(isinstance(profile.get(name), str) for name in ("net", "target"))
    counts = all(type(profile.get(name)) is int for name in ("batch", "steps"))
    layers = profile.get("layers")
    rows = isinstance(layers, list) and all(map(_is_row, layers))
    if not (words and counts and _is_time(profile.get("step_ms")) and rows):
        raise UserError("`profile` wants what `netc profile NET --json` printed, got other JSON; write it to a file")
    if (function := profile.get("function", "train_step")) != "train_step":
        raise UserError(f"`profile` wants that of a training step, got one of {function}; leave `--function` out")


def _is_row(row: Any) -> bool:
    if not isinstance(row, dict) or not isinstance(row.get("layer"), str):
        return False
    return isinstance(row.get("ms"), dict) and all(map(_is_time, row["ms"].values()))


def _is_time(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and value >= 0
