"""Nets as the benchmarks name them: NET, NET@SIDE or NET@SIDE:BATCH."""

from __future__ import annotations

import re

from netc.netspec.check import CheckedNet, check
from netc.netspec.find import find

SMALL = 64  # pixels a side


def parse(word: str) -> tuple[str, CheckedNet, int]:
    """`mobilenet_v2@32:32` -> its name in the table, the net, the batch."""
    matched = re.fullmatch(r"([^@:]+)(?:@(\d+))?(?::(\d+))?", word)
    if matched is None:
        raise SystemExit(f"wants NET, NET@SIDE or NET@SIDE:BATCH, got {word!r}; write for example mobilenet_v2@32:32")
    spec = find(matched[1])
    if matched[2]:
        side = int(matched[2])
        tokens = spec.dtype == "i32"
        spec = spec.with_input((side,) if tokens else (side, side, 3))
        spec = spec.with_classes(10) if side <= SMALL and not tokens else spec
    return word.partition(":")[0], check(spec), int(matched[3] or 32)
