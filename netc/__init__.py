"""netc: a network's whole training program as one StableHLO module.

`import netc` loads nothing; each name below is loaded when it is first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netc import datasets, trace
    from netc.compiling import Compiled
    from netc.compiling import compile_net as compile  # noqa: A004  # what it does
    from netc.evidence import certify, oracle
    from netc.loading import load
    from netc.netspec import layers, zoo
    from netc.netspec import loss as losses
    from netc.netspec.augment import Augment
    from netc.netspec.check import check
    from netc.netspec.errors import NetcError, SpecError, UserError
    from netc.netspec.optimizers import SGD, Adam
    from netc.netspec.recipe import Recipe, TrainConfig
    from netc.netspec.spec import NetSpec
    from netc.plugin_files import load_plugin
    from netc.reports.page import report
    from netc.runs import Run
    from netc.runtime.data.dataset import Dataset
    from netc.runtime.data.errors import DataError
    from netc.runtime.session import Session, State
    from netc.train_request import TrainRequest
    from netc.training import resume, train

__version__ = "0.2.0"
__all__ = [
    "SGD",
    "Adam",
    "Augment",
    "Compiled",
    "DataError",
    "Dataset",
    "NetSpec",
    "NetcError",
    "Recipe",
    "Run",
    "Session",
    "SpecError",
    "State",
    "TrainConfig",
    "TrainRequest",
    "UserError",
    "certify",
    "check",
    "compile",
    "datasets",
    "layers",
    "load",
    "load_plugin",
    "losses",
    "oracle",
    "report",
    "resume",
    "trace",
    "train",
    "zoo",
]

# name -> module, and what it is called there; nothing where it is the module
_NAMES: dict[str, tuple[str, str]] = {
    "NetSpec": ("netspec.spec", "NetSpec"),
    "layers": ("netspec.layers", ""),
    "losses": ("netspec.loss", ""),
    "zoo": ("netspec.zoo", ""),
    "check": ("netspec.check", "check"),
    "load": ("loading", "load"),
    "load_plugin": ("plugin_files", "load_plugin"),
    "Dataset": ("runtime.data.dataset", "Dataset"),
    "Augment": ("netspec.augment", "Augment"),
    "datasets": ("datasets", ""),
    "Recipe": ("netspec.recipe", "Recipe"),
    "TrainConfig": ("netspec.recipe", "TrainConfig"),
    "Adam": ("netspec.optimizers", "Adam"),
    "SGD": ("netspec.optimizers", "SGD"),
    "TrainRequest": ("train_request", "TrainRequest"),
    "train": ("training", "train"),
    "resume": ("training", "resume"),
    "Run": ("runs", "Run"),
    "compile": ("compiling", "compile_net"),
    "Compiled": ("compiling", "Compiled"),
    "Session": ("runtime.session", "Session"),
    "State": ("runtime.session", "State"),
    "oracle": ("evidence", "oracle"),
    "certify": ("evidence", "certify"),
    "report": ("reports.page", "report"),
    "trace": ("trace", ""),
    "NetcError": ("netspec.errors", "NetcError"),
    "UserError": ("netspec.errors", "UserError"),
    "SpecError": ("netspec.errors", "SpecError"),
    "DataError": ("runtime.data.errors", "DataError"),
}


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module 'netc' has no attribute {name!r}")
    module, attribute = _NAMES[name]
    found = importlib.import_module(f"netc.{module}")
    globals()[name] = value = getattr(found, attribute) if attribute else found
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_NAMES})
