"""What a name, a file or a folder stands for: a net, or a run."""

from __future__ import annotations

from pathlib import Path

from netc.netspec.spec import NetSpec
from netc.netspec.zoo import ZOO
from netc.programs import spec_of
from netc.runs import Run


def load(what: str | Path) -> NetSpec | Run:
    """The net of a name that `netc ls` shows, of a .toml file or of FILE.lean:NAME; or the run in a folder.

    A folder without a run does not hide the net of that name. Raises UserError or SpecError. `netc.Run.open` opens runs
    alone.
    """
    path, net = Path(what), str(what) in ZOO or ZOO.word(str(what))
    is_run = (path / "run.json").exists() or (path.is_dir() and not net)
    return Run.open(path) if is_run else spec_of(str(what))
