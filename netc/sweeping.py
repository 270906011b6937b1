"""Run a sweep: its trials one after the other; those that ended are left alone, an interrupted one goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from netc.netspec.errors import NetcError, UserError
from netc.requests import planned
from netc.runtime.cache.store import Cache
from netc.runtime.run.outcome import Outcome
from netc.runtime.run.saver import NonFiniteError
from netc.runtime.run.standing import ACCURACY, LOSS, Comparison, comparison_of
from netc.runtime.train import Progress
from netc.sweeps import DIVERGED, DONE, PRUNED, Result, Sweep, Trial, keep, kept_results, result_of
from netc.traces.schema import EvalRecord
from netc.training import plan_of, run_plan

if TYPE_CHECKING:
    from netc.searching import Search

Began = Callable[[Trial, int, int], None]
Seen = Callable[[EvalRecord], None]


def run_sweep(
    sweep: Sweep, out: Path, *, began: Began, ended: Callable[[Result], None], seen: Seen, cache: Cache | None = None
) -> tuple[dict[str, Result], Comparison, int]:
    """Run what is left of a sweep in `out`; the results, what they are compared by, and the signal that stopped it.

    All trials' words are checked before the first runs. Raises UserError or SpecError for those, and for a folder whose
    runs were begun by other words; nothing that was reached is lost then.
    """
    results, begun = kept_results(out)
    first = Trial({}) if sweep.search else next(sweep.trials())
    for trial in sweep.trials() if sweep.grid else ():
        sweep.request(trial, out)
    plan = planned(sweep.request(first, out))
    comparison, search = comparison_of(plan.config, plan.data), None
    if sweep.search:
        from netc.searching import Search

        search = Search(sweep, results, begun, higher=comparison.higher)
    count = sweep.count if search else sum(1 for _ in sweep.trials())
    for index, trial in enumerate(_left(sweep, results, search), len(results)):
        keep(out, results, dict(trial.words))
        began(trial, index, count)
        outcome, result = _tried(sweep, trial, out, comparison, search, seen, cache)
        if outcome is not None and outcome.interrupted and outcome.signal:
            return results, comparison, outcome.signal
        results[trial.name] = result
        if search:
            search.ended(result)
        keep(out, results)
        ended(result)
    return results, comparison, 0


def _left(sweep: Sweep, results: dict[str, Result], search: Search | None) -> Iterator[Trial]:
    """The trials that have not ended; what a search proposes depends on what the earlier ones have reached."""
    if search is None:
        yield from [trial for trial in sweep.trials() if trial.name not in results]
        return
    tries = 0
    while len(results) < sweep.count:
        trial = search.next()
        tries += 1
        if trial.name in results:  # of a few choices all may have been tried
            search.ended(results[trial.name])
            if tries > 10 * sweep.count:
                return
            continue
        yield trial


def _tried(
    sweep: Sweep, trial: Trial, out: Path, comparison: Comparison, search: Search | None, seen: Seen,
    cache: Cache | None,
) -> tuple[Outcome | None, Result]:  # fmt: skip
    def evaluated(record: EvalRecord) -> bool:
        seen(record)
        value = _value(record, comparison)
        return bool(search and value is not None and search.worse(record.epoch, value))

    try:
        plan, resume = plan_of(sweep.request(trial, out))
        outcome = run_plan(plan, resume=resume, progress=Progress(evaluated=evaluated), cache=cache)
    except NonFiniteError:
        return None, result_of(trial, out, DIVERGED, 0.0)
    except UserError as error:
        raise UserError(f"trial {trial.name}: {error}") from error
    except NetcError as error:
        raise type(error)(f"trial {trial.name}: {error}") from error
    return outcome, result_of(trial, out, PRUNED if outcome.interrupted else DONE, outcome.seconds)


def _value(record: EvalRecord, comparison: Comparison) -> float | None:
    """What a search may judge an epoch by: the accuracy or the loss, of the averages where there are some."""
    if comparison.word == LOSS:
        return record.loss if record.averaged_loss is None else record.averaged_loss
    if comparison.word == ACCURACY:
        return record.accuracy if record.averaged_accuracy is None else record.averaged_accuracy
    return None
