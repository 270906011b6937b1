"""Data sets by name: which there are, and how one is had."""

from __future__ import annotations

from pathlib import Path

from netc.netspec.augment import Augment
from netc.runtime.cache.folders import data_cache
from netc.runtime.data import catalog
from netc.runtime.data.catalog import Status
from netc.runtime.data.dataset import Dataset
from netc.training_data import stored_data

__all__ = ["Augment", "Dataset", "fetch", "load", "ls"]


def ls(data_dir: Path | None = None) -> tuple[Status, ...]:
    """What netc knows by name, and where each lies or how it is got."""
    return catalog.status(data_cache(), data_dir=data_dir)


def load(name: str, data_dir: Path | None = None) -> Dataset:
    """The data set of that name, or your own, as `imagefolder:PATH`; raises DataError if it is not to be had."""
    return stored_data(name, data_dir)


def fetch(name: str) -> Path:
    """Download a data set, unless a package of the operating system holds it; returns its folder. Raises DataError."""
    return catalog.fetch(name, data_cache())
