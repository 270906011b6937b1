"""The logs that there are."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from importlib.util import find_spec

from netc.netspec.errors import UserError
from netc.netspec.install import install_extra
from netc.netspec.vocabulary import Vocabulary
from netc.runtime.logs.csv_file import CsvFile
from netc.runtime.logs.log import Log, LoggedRun
from netc.runtime.logs.mlflow import MlflowRun
from netc.runtime.logs.tensorboard import EventFile
from netc.runtime.logs.wandb import WandbRun
from netc.runtime.run.config import Logging


@dataclass(frozen=True)
class Kind:
    """A row: a line about it, how it is opened, the package that it wants and netc's extra that has it."""

    about: str
    opened: Callable[[LoggedRun], Log]
    package: str = ""
    extra: str = ""


LOGS: Vocabulary[Kind] = Vocabulary("log")
LOGS.add("csv", Kind("metrics.csv in the run's folder", CsvFile))
LOGS.add("tensorboard", Kind("TensorBoard's event files", EventFile, "tensorboardX", "tensorboard"), "tb")
LOGS.add("wandb", Kind("Weights & Biases", WandbRun, "wandb", "wandb"), "w&b")
LOGS.add("mlflow", Kind("MLflow", MlflowRun, "mlflow", "mlflow"))


def logging_of(log: str | Iterable[str] | None, every: int | None, held: Logging) -> Logging:
    """What is held, with what is asked for in its place; `none` is no log.

    Raises UserError for a word that is none, for a package that is missing, and for steps below 1.
    """
    if every is not None:
        if every < 1:
            raise UserError(f"`log_every` wants 1 or more steps, got {every}; give 1 for each step")
        held = replace(held, every=every)
    if log is not None:
        given = [w.strip() for w in (log.split(",") if isinstance(log, str) else log)]
        words = [w for w in given if w not in ("", "none")]
        rows = {LOGS.word(word) or word: LOGS.find(word, "`log`") for word in words}
        for word, row in rows.items():
            if row.package and find_spec(row.package) is None:
                raise UserError(f"`log={word}` wants {row.package}, got none; {install_extra(row.extra)}")
        held = replace(held, to=tuple(rows))
    return held
