"""What a .safetensors file of netc's says of its weights besides the tensors: the net, its classes, its normalisation.

It stands in the header's `__metadata__`, a table of texts, under keys of netc's own; other programs pass over it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from netc.runtime.data.batches import Normalise
from netc.runtime.data.errors import DataError

CLASSES, NORMALISE, NET, SPEC, INPUT = (f"netc.{word}" for word in ("classes", "normalise", "net", "spec", "input"))


@dataclass(frozen=True)
class Said:
    """The names of the outputs, in order, and how images were normalised; empty and None where a file says nothing."""

    classes: tuple[str, ...] = ()
    normalise: Normalise | None = None


def metadata_of(
    net: str, spec_sha256: str, shape: tuple[int, ...], classes: tuple[str, ...], normalise: Normalise
) -> dict[str, str]:
    """The table to write; `format` is what PyTorch's projects look for."""
    return {
        "format": "pt",
        NET: net,
        SPEC: spec_sha256,
        INPUT: json.dumps(list(shape)),
        CLASSES: json.dumps(list(classes)),
        NORMALISE: json.dumps(normalise.to_json()),
    }


def read_said(metadata: Mapping[str, str]) -> Said:
    """What the table says; nothing where it is another program's, or is not as netc writes it."""
    classes, levels = _parsed(metadata.get(CLASSES, "")), _parsed(metadata.get(NORMALISE, ""))
    names = tuple(classes) if isinstance(classes, list) and all(isinstance(c, str) for c in classes) else ()
    return Said(names, _normalise(levels))


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _normalise(levels: Any) -> Normalise | None:
    if not isinstance(levels, dict):
        return None
    found = list[tuple[float, ...]]()
    for values in (levels.get("mean"), levels.get("std")):
        if not isinstance(values, list) or not all(type(v) in (int, float) and abs(v) < 1e6 for v in values):
            return None
        found.append(tuple(map(float, values)))
    try:
        return Normalise(found[0], found[1])
    except DataError:
        return None
