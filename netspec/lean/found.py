"""What a Lean file holds for netc: its specs and its training configurations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from netc.netspec.errors import UserError
from netc.netspec.lean.source import LeanError, Misread, Record, Span

SPECS, CONFIGS = "NetSpec", "TrainConfig"
T = TypeVar("T")


@dataclass(frozen=True)
class Found:
    """A definition of a file: its full name, its value or the reason why there is none, and its doc comment."""

    name: str
    record: Record | None
    problem: LeanError | None
    doc: str
    at: Span
    _file: tuple[str, str] = field(repr=False, default=("", ""))  # the file's name and text

    def read(self, meaning: Callable[[Record], T]) -> T:
        """What the value means; raises LeanError at the place that is wrong."""
        if self.problem is not None:
            raise self.problem
        assert self.record is not None
        try:
            return meaning(self.record)
        except Misread as error:
            raise LeanError(*self._file, error.span, error.sentence) from None


@dataclass(frozen=True)
class LeanFile:
    """What a file defines: its specs and its training configurations, in order, and the functions that make some."""

    path: str
    specs: tuple[Found, ...]
    configs: tuple[Found, ...]
    makers: Mapping[str, str] = field(default_factory=dict)  # name: the parameters that need a value


def some(file: LeanFile, kind: str = SPECS) -> tuple[Found, ...]:
    """All definitions of that kind; raises UserError for a file without any."""
    found = file.specs if kind == SPECS else file.configs
    if not found:
        raise UserError(f"{file.path} holds no {kind}; write `def net : {kind} where` and its fields")
    return found
