"""How a lowered module is loaded and called: one file for each engine, found by the target's engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from netc.runtime.backends.protocol import Loaded, Source
from netc.runtime.cpu_levels import refuse_elsewhere
from netc.runtime.target import Target, refuse_mesh, refuse_replicas


@dataclass(frozen=True)
class Engine:
    """How its modules are loaded, and what raises UserError where the target's device or its library is not here."""

    load: Callable[[Source, Target], Loaded]
    check: Callable[[Target, int, str], None]


def load(source: Source, target: Target) -> Loaded:
    """Load a module on its target; raises UserError when the device or the library is missing."""
    return ENGINES[target.engine].load(source, target)


def check_device(target: Target, devices: int = 1, word: str = "devices") -> None:
    """Raise UserError if so many devices of the target, which `word` asks for, or its library, are not here.

    Before anything is spent on compiling.
    """
    if word == "mesh":
        refuse_mesh(target)
    else:
        refuse_replicas(target, devices)
    ENGINES[target.engine].check(target, devices, word)


def _iree(source: Source, target: Target) -> Loaded:
    from netc.runtime.backends.iree import load_iree

    refuse_elsewhere(target.word.partition(":")[2])
    return load_iree(source, target)


def _check_iree(target: Target, devices: int, word: str) -> None:
    from netc.runtime.backends.iree import device_of

    refuse_elsewhere(target.word.partition(":")[2])
    device_of(target.driver)


def _xla(source: Source, target: Target) -> Loaded:
    if source.module.replicas > 1:
        from netc.runtime.backends.xla_replicas import XlaReplicas

        return XlaReplicas(source)
    if any(f.layout for f in source.module):
        from netc.runtime.backends.xla_mesh import XlaMesh

        return XlaMesh(source)
    from netc.runtime.backends.xla import load_xla

    return load_xla(source)


def _check_xla(target: Target, devices: int, word: str) -> None:
    from netc.runtime.backends.xla import check_xla

    check_xla()
    if devices > 1:
        from netc.runtime.backends.xla_replicas import devices_of

        devices_of(devices, word)


def _reference(source: Source, target: Target) -> Loaded:
    from netc.runtime.backends.reference import load_reference

    return load_reference(source)


def _c(source: Source, target: Target) -> Loaded:
    from netc.runtime.backends.c import load_c

    return load_c(source)


def _check_c(target: Target, devices: int, word: str) -> None:
    from netc.runtime.c_compiler import c_compiler

    c_compiler()


def _nothing(target: Target, devices: int, word: str) -> None:
    """The evaluator is always here, and as many times as is wanted."""


ENGINES: dict[str, Engine] = {
    "iree": Engine(_iree, _check_iree),
    "xla": Engine(_xla, _check_xla),
    "c": Engine(_c, _check_c),
    "reference": Engine(_reference, _nothing),
}
