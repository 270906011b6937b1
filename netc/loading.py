"""What a name, a file or a folder stands for: a net, or a run."""

from __future__ import annotations

from pathlib import Path

from netc.netspec.spec import NetSpec
from netc.programs import spec_of
from netc.runs import Run


def load(what: str | Path) -> NetSpec | Run:
    """The net of a name that `netc ls` shows, of a .toml file or of FILE.lean:NAME; or the run in a folder.

    Raises UserError or SpecError. `netc.Run.open` opens runs alone.
    """
    path = Path(what)
    return Run.open(path) if path.is_dir() else spec_of(str(what))
