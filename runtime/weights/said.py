"""What a .safetensors file of netc's says besides the tensors: the net, its classes, how images become its input.

It stands in the header's `__metadata__`, a table of texts, under keys of netc's own; other programs pass over it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from netc.netspec.preprocess import INTERPOLATIONS, PLAIN, Preprocess, resizing
from netc.runtime.data.batches import Normalise
from netc.runtime.data.errors import DataError

CLASSES, NORMALISE, NET, SPEC, INPUT = (f"netc.{word}" for word in ("classes", "normalise", "net", "spec", "input"))
RESIZE = "netc.preprocess"


@dataclass(frozen=True)
class Said:
    """The names of the outputs, in order, and how images were normalised; empty and None where a file says nothing.

    `preprocess`: how they were resized.
    """

    classes: tuple[str, ...] = ()
    normalise: Normalise | None = None
    preprocess: Preprocess = PLAIN


def metadata_of(
    net: str,
    spec_sha256: str,
    shape: tuple[int, ...],
    classes: tuple[str, ...],
    normalise: Normalise,
    preprocess: Preprocess = PLAIN,
) -> dict[str, str]:
    """The table to write; `format` is what PyTorch's projects look for."""
    return {
        "format": "pt",
        NET: net,
        SPEC: spec_sha256,
        INPUT: json.dumps(list(shape)),
        CLASSES: json.dumps(list(classes)),
        NORMALISE: json.dumps(normalise.to_json()),
        **({RESIZE: json.dumps(resizing(preprocess))} if len(shape) == 3 and normalise.mean else {}),
    }


def read_said(metadata: Mapping[str, str]) -> Said:
    """What the table says; nothing where it is another program's, or is not as netc writes it."""
    classes, levels = _parsed(metadata.get(CLASSES, "")), _parsed(metadata.get(NORMALISE, ""))
    names = tuple(classes) if isinstance(classes, list) and all(isinstance(c, str) for c in classes) else ()
    return Said(names, _normalise(levels), _preprocess(_parsed(metadata.get(RESIZE, ""))))


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _preprocess(held: Any) -> Preprocess:
    if not isinstance(held, dict):
        return PLAIN
    part, word = held.get("crop_pct"), held.get("interpolation")
    if not isinstance(part, int | float) or isinstance(part, bool) or word not in INTERPOLATIONS or not 0 <= part <= 1:
        return PLAIN
    return Preprocess(crop_pct=float(part), interpolation=word)


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
