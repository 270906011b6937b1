"""Run a sweep: its trials one after the other; those that ended are left alone, an interrupted one goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netc.netspec.errors import NetcError, UserError
from netc.requests import planned, with_loaded
from netc.runtime.cache.store import Cache
from netc.runtime.data.dataset import Dataset
from netc.runtime.run.outcome import Outcome
from netc.runtime.run.saver import NonFiniteError
from netc.runtime.run.standing import ACCURACY, LOSS, Comparison, comparison_of
from netc.runtime.train import Progress
from netc.sweeps import DIVERGED, DONE, PRUNED, Result, Sweep, Trial, fits, keep, kept_results, result_of
from netc.traces.schema import EvalRecord
from netc.training import plan_of, run_plan

if TYPE_CHECKING:
    from netc.searching import Search

Began = Callable[[Trial, int, int], None]
Seen = Callable[[EvalRecord, str], None]
Loaded = dict[Any, Dataset]
"""Data that trials have in common, by what each asked for."""


def run_sweep(
    sweep: Sweep, out: Path, *, began: Began, ended: Callable[[Result], None], seen: Seen, cache: Cache | None = None
) -> tuple[dict[str, Result], Comparison, int]:
    """Run what is left of a sweep in `out`; the results, what they are compared by, and the signal that stopped it.

    All trials' words are checked before the first runs. Raises UserError or SpecError for those, and for a folder whose
    runs were begun by other words; nothing that was reached is lost then.
    """
    results, begun = kept_results(out, sweep.base)
    loaded: Loaded = {}
    grid = [] if sweep.search else [*sweep.trials()]
    left = [trial for trial in grid if trial.name not in results]
    comparison, search = _comparison(sweep, left or grid[:1] or [Trial({})], out, loaded), None
    if sweep.search:
        from netc.searching import Search

        search = Search(sweep, results, begun, higher=comparison.higher)
    count, names = sweep.count or len(grid), {trial.name for trial in grid}
    ended_before = sum(fits(r.words, sweep.search) if search else r.name in names for r in results.values())
    for index, trial in enumerate(_left(sweep, results, search), ended_before):
        keep(out, sweep.base, results, dict(trial.words))
        began(trial, index, count)
        outcome, result = _tried(sweep, trial, out, comparison, search, seen, cache, loaded)
        if outcome is not None and outcome.interrupted and outcome.signal:
            return results, comparison, outcome.signal
        results[trial.name] = result
        if search:
            search.ended(result)
        keep(out, sweep.base, results)
        ended(result)
    return results, comparison, 0


def _comparison(sweep: Sweep, trials: Sequence[Trial], out: Path, loaded: Loaded) -> Comparison:
    """What all trials are compared by, once each is planned; raises UserError for two."""
    found = {}
    for trial in trials:
        try:
            plan = planned(with_loaded(sweep.request(trial, out), loaded))
        except NetcError as error:
            raise _of(trial, error) from error
        comparison = comparison_of(plan.config, plan.data)
        found[comparison.word] = comparison
    if len(found) > 1:
        raise UserError(f"a sweep wants trials that are compared by one metric, got {', '.join(found)}; give `best_by`")
    return comparison


def _left(sweep: Sweep, results: dict[str, Result], search: Search | None) -> Iterator[Trial]:
    """The trials that have not ended; what a search proposes depends on what the earlier ones have reached."""
    if search is None:
        yield from [trial for trial in sweep.trials() if trial.name not in results]
        return
    tries = 0
    while sum(fits(result.words, sweep.search) for result in results.values()) < sweep.count:
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
    cache: Cache | None, loaded: Loaded,
) -> tuple[Outcome | None, Result]:  # fmt: skip
    def evaluated(record: EvalRecord) -> bool:
        seen(record, plan.config.recipe.metric)
        value = _value(record, comparison)
        return bool(search and value is not None and search.worse(record.epoch, value))

    try:
        plan, resume = plan_of(with_loaded(sweep.request(trial, out), loaded))
        outcome = run_plan(plan, resume=resume, progress=Progress(evaluated=evaluated), cache=cache)
    except NonFiniteError:
        return None, result_of(trial, out, DIVERGED, 0.0, comparison)
    except NetcError as error:
        raise _of(trial, error) from error
    return outcome, result_of(trial, out, PRUNED if outcome.interrupted else DONE, outcome.seconds, comparison)


def _of(trial: Trial, error: NetcError) -> NetcError:
    """The error with the trial's name before it."""
    if not trial.words:
        return error
    return (UserError if isinstance(error, UserError) else type(error))(f"trial {trial.name}: {error}")


def _value(record: EvalRecord, comparison: Comparison) -> float | None:
    """What a search may judge an epoch by: the accuracy or the loss, of the averages where there are some."""
    if comparison.word == LOSS:
        return record.loss if record.averaged_loss is None else record.averaged_loss
    if comparison.word == ACCURACY:
        return record.accuracy if record.averaged_accuracy is None else record.averaged_accuracy
    return None
