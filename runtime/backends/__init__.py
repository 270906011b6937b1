"""How a lowered module is loaded and called: one file for each engine, found by the target's engine."""

from __future__ import annotations

from collections.abc import Callable

from netc.runtime.backends.protocol import Loaded, Source
from netc.runtime.target import Target


def load(source: Source, target: Target) -> Loaded:
    """Load a module on its target; raises UserError when the device or the library is missing."""
    return LOADERS[target.engine](source, target)


def check_device(target: Target) -> None:
    """Raise UserError if the target's device, or its library, is not here, before anything is spent on compiling."""
    if target.engine == "iree":
        from netc.runtime.backends.iree import device_of

        device_of(target.driver)
    elif target.engine == "xla":
        from netc.runtime.backends.xla import check_xla

        check_xla()


def _iree(source: Source, target: Target) -> Loaded:
    from netc.runtime.backends.iree import load_iree

    return load_iree(source, target)


def _xla(source: Source, target: Target) -> Loaded:
    from netc.runtime.backends.xla import load_xla

    return load_xla(source)


def _reference(source: Source, target: Target) -> Loaded:
    from netc.runtime.backends.reference import load_reference

    return load_reference(source)


LOADERS: dict[str, Callable[[Source, Target], Loaded]] = {"iree": _iree, "xla": _xla, "reference": _reference}
