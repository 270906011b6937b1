"""MLflow: to the server that MLFLOW_TRACKING_URI names, else to files in the run's folder `mlruns`."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

from netc.netspec.errors import UserError
from netc.runtime.files import write_whole
from netc.runtime.logs.log import NAMES, Logged, LoggedRun, scalars

FOLDER = "mlruns"
MARK = "mlflow-run"  # a file that holds the id of the run there
EXPERIMENT = "netc"
LONGEST = 500  # characters of a parameter
MOST = 500  # metrics that a server takes at once


class MlflowRun:
    """A run of MLflow's. One that goes on is sent what it does not have: its last step of each metric says so."""

    def __init__(self, run: LoggedRun) -> None:
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        from mlflow.entities import Metric, Param
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient

        self._metric = Metric
        self.errors: tuple[type[Exception], ...] = (MlflowException,)
        where = os.environ.get("MLFLOW_TRACKING_URI") or (run.folder.absolute() / FOLDER).as_uri()
        try:
            self._client: Any = MlflowClient(tracking_uri=where)
            self._open(run, Param)
        except MlflowException as error:
            raise UserError(
                f"`log=mlflow` wants a server at {where}, got: {error}; set MLFLOW_TRACKING_URI, or leave it out"
            ) from error

    def _open(self, run: LoggedRun, parameter: Any) -> None:
        mark = run.folder / MARK
        if run.records and mark.is_file():
            self._id = mark.read_text(encoding="utf-8").strip()
            self._client.update_run(self._id, "RUNNING")
        else:
            experiment = self._client.get_experiment_by_name(EXPERIMENT)
            number = experiment.experiment_id if experiment else self._client.create_experiment(EXPERIMENT)
            self._id = self._client.create_run(number, run_name=run.name).info.run_id
            given = [parameter(name, value[:LONGEST]) for name, value in _flat(run.config) if name != "spec"]
            for start in range(0, len(given), 100):
                self._client.log_batch(self._id, params=given[start : start + 100])
            write_whole(mark, self._id + "\n")
        self._last = {tag: self._step(tag) for tags in NAMES.values() for tag in tags.values()}
        self.write(run.records)

    def _step(self, tag: str) -> int:
        history = self._client.get_metric_history(self._id, tag)
        return max((metric.step for metric in history), default=-1)

    def write(self, records: Sequence[Logged]) -> None:
        """Send what is not there yet."""
        now = int(time.time() * 1000)
        found = [
            self._metric(tag, value, now, record.step)
            for record in records
            for tag, value in scalars(record).items()
            if record.step > self._last[tag]
        ]
        for start in range(0, len(found), MOST):
            self._client.log_batch(self._id, metrics=found[start : start + MOST])

    def close(self) -> None:
        """Say that the run is finished, for now."""
        self._client.set_terminated(self._id)


def _flat(value: Any, prefix: str = "") -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [pair for name, inner in value.items() for pair in _flat(inner, f"{prefix}.{name}" if prefix else name)]
    return [] if value in (None, "") else [(prefix, str(value))]
