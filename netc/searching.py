"""The search of a sweep: optuna proposes words, and ends trials early that are worse than the median."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from netc.netspec.errors import UserError
from netc.netspec.install import install_extra
from netc.sweeps import DONE, Result, Sweep, Trial, fits

SEED = 0


class Search:
    """Proposes the words of the next trial from what the earlier ones reached, the same from the same results."""

    def __init__(
        self, sweep: Sweep, results: Mapping[str, Result], begun: Mapping[str, Any] | None, *, higher: bool
    ) -> None:
        try:
            self._optuna: Any = importlib.import_module("optuna")
        except ImportError as error:
            raise UserError(f"[search] wants optuna, got none; {install_extra('sweep')}") from error
        optuna = self._optuna
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._asked = sweep.search
        self._space = {name: _distribution(optuna, row) for name, row in sweep.search.items()}
        self._study = optuna.create_study(
            direction="maximize" if higher else "minimize",
            sampler=optuna.samplers.TPESampler(seed=SEED + len(results)),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=1),
        )
        for result in results.values():
            self.add(result)
        if begun and fits(begun, sweep.search):  # a trial that was interrupted comes first
            self._study.enqueue_trial(dict(begun))
        self._now: Any = None

    def next(self) -> Trial:
        """The next trial's words."""
        self._now = self._study.ask(self._space)
        return Trial({name: self._now.params[name] for name in self._space})

    def worse(self, epoch: int, value: float) -> bool:
        """Take the value after an epoch of the trial that runs; True where it is not worth going on."""
        if self._now is None:
            return False
        self._now.report(value, epoch)
        return bool(self._now.should_prune())

    def ended(self, result: Result) -> None:
        """Take what the trial that runs has reached."""
        states = self._optuna.trial.TrialState
        if self._now is None:
            self.add(result)
        elif result.state == DONE and result.best is not None:
            self._study.tell(self._now, result.best)
        else:
            self._study.tell(self._now, state=states.FAIL)
        self._now = None

    def add(self, result: Result) -> None:
        """Take the result of a trial of an earlier call, if it lies in the space."""
        if result.state == DONE and result.best is not None and fits(result.words, self._asked):
            made = self._optuna.trial.create_trial(
                params=dict(result.words), distributions=self._space, value=result.best
            )
            self._study.add_trial(made)


def _distribution(optuna: Any, row: Mapping[str, Any]) -> Any:
    of = optuna.distributions
    if "choices" in row:
        return of.CategoricalDistribution(row["choices"])
    make = of.IntDistribution if isinstance(row["low"], int) else of.FloatDistribution
    return make(row["low"], row["high"], log=row["log"])
