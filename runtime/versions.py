"""The installed versions that a trace is computed by."""

from __future__ import annotations

import importlib.metadata

from netc.runtime.target import TARGETS, Target


def versions(*targets: Target) -> dict[str, str]:
    """The installed versions of what can change a trace on these targets (by default all), as its header records it."""
    found: dict[str, str] = {}
    for name in ("netc", "numpy", *(p for t in targets or TARGETS.values() for p in t.packages)):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
