"""What a name, a file or a folder stands for: a net, or a run."""

from __future__ import annotations

from pathlib import Path

from netc.netspec.errors import UserError
from netc.netspec.find import refuse_sizes
from netc.netspec.spec import NetSpec
from netc.netspec.zoo import ZOO
from netc.netspec.zoo.sizes import SIZES, Sizes
from netc.programs import refuse_unknown, spec_of
from netc.runs import Run
from netc.word_types import typed, types_of


def load(what: str | Path, **sizes: int | None) -> NetSpec | Run:
    """The net of a name that `netc ls` shows, of a .toml file or of FILE.lean:NAME; or the run in a folder.

    `sizes` are sizes in place of the net's own, where it has such: `layers`, `heads`, `kv_heads`, `width`, `context`. A
    folder without a run does not hide the net of that name. Raises UserError or SpecError. `netc.Run.open` opens runs
    alone.
    """
    if not isinstance(what, str | Path):
        raise UserError(f"`netc.load` wants a name, a file or a run's folder, got {what!r}; give one of these")
    refuse_unknown(sizes, lambda: frozenset(SIZES))
    sizes = typed(sizes, types_of((Sizes,)))
    path, net = Path(what), str(what) in ZOO or ZOO.word(str(what))
    is_run = (path / "run.json").exists() or (path.is_dir() and not net)
    if not is_run:
        return spec_of(str(what), sizes)
    refuse_sizes(sizes, str(what))
    return Run.open(path)
