"""A page about one run or several beside each other. Wants jinja2."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netc.netspec.errors import UserError, reason
from netc.netspec.summary import summary
from netc.netspec.toml import to_toml
from netc.programs import quiet
from netc.reports.charts import reliability
from netc.reports.costs import Costs, costs_of
from netc.reports.curves import curves
from netc.reports.evidence import Evidence, checked, stored
from netc.reports.facts import Told, differing, told
from netc.reports.looked import Looked, looked_at
from netc.reports.profiles import refuse_other_profile
from netc.reports.templates import environment
from netc.runs import Run
from netc.runtime.cache.store import Cache
from netc.runtime.files import made_for, write_whole

MOST_RUNS = 8  # as many as there are colours
NUMBERED = 20  # classes of a confusion matrix whose cells have room for their numbers
DRAWN = 100  # classes of one that is drawn at all
FEWEST = 50  # predictions of which a temperature says something
MOST_CLASSES = 1000  # rows of the table by class
LONGEST_SPEC = 200_000  # characters


@dataclass(frozen=True)
class Shown:
    """A run as the page shows it. `name` is unique on the page."""

    name: str
    folder: str
    colour: int
    told: Told
    layers: str
    spec: str
    looked: Looked
    costs: Costs | None
    evidence: Evidence | None
    data: str
    epochs: int
    right: bool


def report(
    runs: Run | Path | str | Sequence[Run | Path | str],
    out: Path | str,
    *,
    checkpoint: str = "best",
    target: str | None = None,
    data_dir: Path | None = None,
    evaluated: bool = True,
    check: bool = False,
    profile: Mapping[str, Any] | None = None,
    certificates: Sequence[Mapping[str, Any]] = (),
    mistakes: int = 12,
    cache: Cache | None = None,
    note: Callable[[str], None] = quiet,
) -> Path:
    """Write a page about runs to `out`, FILE.html: curves, metrics, mistakes, costs, recipe, digests, evidence.

    The runs are evaluated on the test part of their own data, on `target` (their own), unless `evaluated` is False, and
    `mistakes` of the worst are shown. `check` runs the oracle and certifies the text of the step. `profile` is what
    `netc profile --json` printed, `certificates` what `netc certify -o` wrote. `note` gets what is done meanwhile.
    Raises UserError, also where jinja2 is missing, and TraceError.
    """
    given = [runs] if isinstance(runs, Run | Path | str) else list(runs)
    out = Path(out)
    if not 1 <= len(given) <= MOST_RUNS:
        raise UserError(f"report wants 1 to {MOST_RUNS} runs, got {len(given)}; make several pages")
    if out.suffix not in (".html", ".htm"):
        raise UserError(f"`out` wants a file FILE.html, got {out}; let its name end in .html")
    template = _template()
    opened = [run if isinstance(run, Run) else Run.open(run) for run in given]
    traces = [run.trace for run in opened]
    cache = cache or Cache()
    _refuse_profile(profile, opened)
    shown: list[Shown] = []
    names = _names([run.folder for run in opened])
    for index, (run, trace, name) in enumerate(zip(opened, traces, names, strict=True)):
        config, looked = run.config, Looked(problem="It was not asked for.")
        if evaluated:
            note(f"evaluating {run.folder}")
            looked = looked_at(run, checkpoint, target, data_dir, mistakes, cache)
        note(f"counting the step of {run.folder}")
        digest = trace.headers[-1].module_sha256
        shown.append(
            Shown(
                name, str(run.folder), index, told(run, trace), summary(config.net.spec.name, config.net.x,
                config.net.spec.layers), to_toml(config.net.spec)[:LONGEST_SPEC], looked,
                costs_of(config, profile if _fits(profile, run) else None), _evidence(run, digest, certificates,
                note, check=check), config.data, config.training.epochs, config.recipe.metric != "nothing",
            )
        )  # fmt: skip
    page = template.render(
        runs=shown, version=importlib.metadata.version("netc"),
        charts=curves(list(zip(names, traces, strict=True)), right=shown[0].right),
        differing=differing([s.told.recipe | s.told.digests for s in shown]),
        FEWEST=FEWEST, NUMBERED=NUMBERED, DRAWN=DRAWN, MOST_CLASSES=MOST_CLASSES,
    )  # fmt: skip
    write_whole(made_for(out), page)
    return out


def _template() -> Any:
    made = environment("report")
    made.filters |= {"figure": figure, "size": size, "count": count, "token": token}
    made.globals["reliability"] = reliability
    return made.get_template("page.html.j2")


def _names(folders: Sequence[Path]) -> list[str]:
    """The last part of each folder, of equal ones as much of the path as tells them apart."""
    parts = [folder.absolute().parts for folder in folders]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(p[-length:]) for p in parts]
        if len(set(names)) == len(names):
            return names
    raise UserError("report wants different runs, got one of them twice; name it once")


def _refuse_profile(profile: Mapping[str, Any] | None, runs: Sequence[Run]) -> None:
    if profile is None:
        return
    refuse_other_profile(profile)
    if not any(_fits(profile, run) for run in runs):
        what = ", ".join(f"{r.config.net.spec.name} with batch {r.config.training.batch}" for r in runs)
        raise UserError(
            f"`profile` wants one of {what}, got {profile['net']} with batch {profile['batch']}; measure that"
        )


def _fits(profile: Mapping[str, Any] | None, run: Run) -> bool:
    own = run.config.net.spec.name, run.config.training.batch
    return profile is not None and (profile["net"], profile["batch"]) == own


def _evidence(
    run: Run, digest: str, certificates: Sequence[Mapping[str, Any]], note: Callable[[str], None], *, check: bool
) -> Evidence | None:
    if check:
        note(f"checking the gradients of {run.folder}")
        return checked(run.config, digest)
    own = [c for c in certificates if c.get("subject") == run.config.net.spec.name]
    best = next((c for c in own if c.get("module_sha256") == digest), own[0] if own else None)
    return stored(best, digest) if best else None


def token(text: str) -> str:
    """A token of a text, with what is not seen made visible: a line's end and a blank alone."""
    return "\u2423" if text == " " else text.replace("\n", "\u21b5")


def figure(value: float | None) -> str:
    """A number of a metric: four decimals, or as many digits where it is large; a dash for what is not defined."""
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}" if abs(value) < 1e4 else f"{value:.6g}"


def size(value: float) -> str:
    """Bytes in a unit that keeps three digits."""
    return _scaled(value, ("B", "kB", "MB", "GB", "TB"))


def count(value: float) -> str:
    """A count with a letter for its thousands: `7.36 G`."""
    return _scaled(value, ("", "k", "M", "G", "T", "P")).rstrip()


def _scaled(value: float, units: Sequence[str]) -> str:
    index = 0
    while value >= 999.5 and index < len(units) - 1:
        value, index = value / 1000, index + 1
    return f"{value:.3g} {units[index]}"


def read_json(path: Path, field: str) -> Mapping[str, Any]:
    """A file of JSON that netc printed, given as `field`; raises UserError."""
    wanted = f"`{field}` wants a file of JSON that netc wrote"
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{wanted}, got {path}, nothing there; check the path") from error
    except IsADirectoryError as error:
        raise UserError(f"{wanted}, got the folder {path}; name a file in it") from error
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{wanted}, got {path} ({reason(error)}); check the file") from error
    if not isinstance(found, dict):
        raise UserError(f"{wanted}, got {type(found).__name__} in {path}; check the file")
    return found
