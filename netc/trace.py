"""What runs did, compared."""

from __future__ import annotations

from pathlib import Path

from netc.netspec.errors import UserError
from netc.runs import Run
from netc.runtime.compare.noise import measure
from netc.runtime.compare.replay import replay_of
from netc.runtime.weights.pretrained import start_of_run
from netc.traces import diff as comparing
from netc.traces.alike import mode_of
from netc.traces.diff import FACTORS, Report
from netc.traces.floor import Floor, read_floor
from netc.traces.read import Trace
from netc.traces.read import read as read_file

Named = Run | Trace | Path | str


def read(run: Named) -> Trace:
    """The trace of a run, of its folder or of a trace.jsonl; raises TraceError."""
    if isinstance(run, Trace):
        return run
    path = run.folder if isinstance(run, Run) else Path(run)
    return read_file(path / "trace.jsonl" if path.is_dir() else path)


def strictest_mode(a: Trace, b: Trace) -> str:
    """The strictest mode that can hold between two runs; of continued ones, between every two parts of them."""
    return max((mode_of(x, y) for x in a.headers for y in b.headers), key=list(FACTORS).index)


def noise(run: Run | Path | str, steps: int = 32) -> Floor:
    """The noise floor of a run's training, measured: how far rounding alone drives runs apart (docs/traces.md).

    The run is trained again, in float64 and as float32 replicas, for so many steps.
    """
    opened = run if isinstance(run, Run) else Run.open(run)
    return measure(replay_of(opened.config, opened.data_of(None), opened.folder, start_of_run(opened.config)), steps)


def diff(
    a: Named, b: Named, mode: str | None = None, noise: Path | str | Floor | None = None, *, ulp: int = 0
) -> Report:
    """Compare two runs: `agree` says whether they are the same training, `verdict` why not.

    `mode` is ulp (every number bit for bit, or within `ulp`), same-compiler or cross-compiler, by default the
    strictest that can hold. The last two want the noise floor of the training: `noise`, or the noise.json of a run,
    which `noise(run)` or `netc trace noise RUN` measures. Raises UserError without it, and TraceError for runs of two
    trainings.
    """
    ours, theirs = read(a), read(b)
    chosen = mode or strictest_mode(ours, theirs)
    floor = noise if isinstance(noise, Floor) or noise is None else read_floor(Path(noise))
    if chosen != "ulp" and floor is None:
        folders = [run.folder if isinstance(run, Run) else Path(run) for run in (a, b) if not isinstance(run, Trace)]
        kept = next((f / "noise.json" for f in folders if (f / "noise.json").is_file()), None)
        if kept is None:
            raise UserError(f"mode {chosen} wants a noise floor, got none; measure it by `netc trace noise RUN`")
        floor = read_floor(kept)
    return comparing.diff(ours, theirs, chosen, None if chosen == "ulp" else floor, ulp=ulp)
