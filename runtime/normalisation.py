"""The normalisation of a run: what it kept, what it states, what its weights or teacher want, or its data's."""

from __future__ import annotations

from dataclasses import replace

from netc.netspec.loss import Loss
from netc.runtime.data.batches import Normalise, statistics
from netc.runtime.data.dataset import AnySplit, Dataset
from netc.runtime.data.examples import Examples
from netc.runtime.data.target_scale import TargetScale, moments
from netc.runtime.data.workers import AUTOMATIC
from netc.runtime.run.checkpoint import Checkpoint
from netc.runtime.run.config import RunConfig, normalise_of, stated
from netc.runtime.weights.pretrained import Start
from netc.runtime.weights.teacher import refuse_taught_otherwise, taught_as


def normalisation(
    config: RunConfig, data: Dataset, saved: Checkpoint | None, start: Start | None, workers: int = AUTOMATIC
) -> Normalise:
    """The normalisation of a run on `data`; that of a checkpoint, if there is one, as it is.

    Raises UserError where it is not the one that a teacher knows.
    """
    if saved is not None:
        return normalise_of(saved)
    known = taught_as(config, data)
    found = stated(config) or (start.normalise if start else None) or known
    found = found or statistics(data.train, config.example.shape[-1], workers)
    refuse_taught_otherwise(config, known, found)
    return replace(found, target=_target_scale(data.train, config.recipe.loss))


def _target_scale(split: AnySplit, loss: Loss) -> TargetScale:
    """The moments of a table's targets, where the loss is one that may be taken in any units; else empty."""
    if not (loss.scalable and isinstance(split, Examples) and split.standardise):
        return TargetScale()
    return TargetScale(*moments(split.y))


def standardised_note(normalise: Normalise, data: Dataset) -> str:
    """What there is to say of targets that are standardised; "" of others."""
    if not normalise.target:
        return ""
    names = ", ".join(data.columns.targets) or "the target"
    return f"the loss is that of {names} standardised; rmse, mae, r2 and predictions are in its own units"
