"""The specs of a Lean file in a list: what each is called, how large it is, or why it has no size."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from netc.netspec.errors import NetcError
from netc.netspec.lean.found import CONFIGS, SPECS, Found, LeanFile, some
from netc.netspec.lean.source import LeanError, Misread

PATIENCE = 1.0  # seconds of counting: a file may hold many specs, of any size
Status = Literal["ok", "counted", "refused", "passed over"]


@dataclass(frozen=True)
class Summary:
    """A spec: its definition's name, the name that it states for itself ("" if none), and the definition's line.

    `status` is counted for one that is shown and counted and cannot be trained, refused for one that cannot be read;
    `reason` says why, and where. `layers` and `parameters` are None for one that is refused or passed over.
    """

    name: str
    shown: str
    line: int
    status: Status
    layers: int | None = None
    parameters: int | None = None
    reason: str = ""

    def text(self) -> str:
        """Its size, or the reason, in a line."""
        if self.layers is None:
            return f"cannot be read: {self.reason}" if self.status == "refused" else self.reason
        return f"{self.layers} layers, {self.parameters:,} parameters"


def summaries(file: LeanFile) -> tuple[Summary, ...]:
    """Every spec of the file, in order; those that come after PATIENCE seconds of counting are not counted.

    Raises UserError for a file without any.
    """
    late = time.process_time() + PATIENCE
    return tuple(_summary(found, late) for found in some(file))


def listed(file: LeanFile, kind: str = SPECS) -> str:
    """The file's specs in lines, and how to choose one."""
    found = some(file, kind)
    width = max(len(f.name) for f in found)
    texts = [s.text() for s in summaries(file)] if kind == SPECS else [""] * len(found)
    lines = [f"{f.name:{width}}  {text}".rstrip() for f, text in zip(found, texts, strict=True)]
    what = "training configuration" if kind == CONFIGS else "spec"
    return "\n  ".join((f"{held(file, len(found), what)}; {choose(file, found[0].name)}", *lines))


def held(file: LeanFile, count: int, what: str = "spec") -> str:
    """How many of them a file holds."""
    return f"{file.path} holds {count} {what}{'s' if count > 1 else ''}"


def choose(file: LeanFile, name: str) -> str:
    """How one of them is named on the command line."""
    return f"choose one as {Path(file.path).name}:{name}"


def _summary(found: Found, late: float) -> Summary:
    from netc.netspec.check import check
    from netc.netspec.lean import meaning

    shown, line = _stated_name(found), found.at.line
    if time.process_time() > late:
        return Summary(found.name, shown, line, "passed over", reason="not counted, for those above are large")
    try:
        read = found.read(meaning.counted)
        size = len(read.spec.layers), check(read.spec).count
    except LeanError as error:
        return Summary(found.name, shown, line, "refused", reason=at(error))
    except NetcError as error:
        reason = f"does not fit together: {str(error).splitlines()[0]}"
        return Summary(found.name, shown, line, "refused", reason=reason)
    reasons = (*map(at, read.disagreements), *(f"{kind} has no emission yet" for kind in read.counted))
    return Summary(found.name, read.spec.name, line, "counted" if reasons else "ok", *size, "; ".join(reasons))


def at(error: Misread | LeanError) -> str:
    """The line of an error, and its sentence."""
    return f"line {error.span.line}: {error.sentence}"


def _stated_name(found: Found) -> str:
    value = found.record.fields["name"][0] if found.record and "name" in found.record.fields else ""
    return value if isinstance(value, str) else ""
