"""Places: what an operation's `loc` says, read back as a layer's path and a phase of the training step."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

PHASES = ("forward", "remat", "vjp", "update")
ALWAYS = ("forward", "vjp", "update")  # the phases that every step has
OUTSIDE = "(no place)"  # what carries no loc of ours

_LOC = re.compile(r"(?P<path>.*?)(?: \((?P<phase>\w+)\))?")


@dataclass(frozen=True, slots=True)
class Location:
    """The dotted path of a layer, in parts, and one of PHASES."""

    path: tuple[str, ...]
    phase: str

    def layer(self, depth: int) -> str:
        """The path down to `depth`: 0 names the net's own layers."""
        return ".".join(self.path[: depth + 1])


@lru_cache(maxsize=1 << 12)
def location_of(loc: str) -> Location:
    """The place that a loc names. An update belongs to the layer that has the parameter.

    `optimizer` and `accumulate`, where gradients are added, are updates too.

    >>> location_of("stage2.block0.conv1 (vjp)")
    Location(path=('stage2', 'block0', 'conv1'), phase='vjp')
    >>> location_of("head.kernel (update)").layer(3)
    'head'
    """
    found = _LOC.fullmatch(loc)
    path, phase = (found["path"], found["phase"]) if found else (loc, None)
    parts = tuple(path.split(".")) if path else (OUTSIDE,)
    if phase == "update":
        return Location(parts[:-1] or parts, phase)
    if path in ("optimizer", "accumulate"):
        return Location(parts, "update")
    return Location(parts, phase if phase in PHASES else "forward")


def phases_of(found: Iterable[str]) -> tuple[str, ...]:
    """The phases to show, in order: those that every step has, and what else was found."""
    seen = {*ALWAYS, *found}
    return tuple(phase for phase in PHASES if phase in seen)


def forward_first(locs: Iterable[str], depth: int) -> tuple[str, ...]:
    """The layers that the locs name at a depth, once each, in the order of the forward pass."""
    places = [location_of(loc) for loc in locs]
    places.sort(key=lambda place: PHASES.index(place.phase))  # stable: the order inside a phase stays
    return tuple(dict.fromkeys(place.layer(depth) for place in places))
