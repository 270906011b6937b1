"""The teacher of a distillation: a run whose net a recipe takes, and whose weights the state begins with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from netc.codegen.slots import TEACHER
from netc.netspec.distilling import OF_CLASSES
from netc.netspec.errors import UserError
from netc.netspec.recipe import Recipe
from netc.netspec.toml import to_toml
from netc.runtime.backends.protocol import Array
from netc.runtime.data.batches import Normalise
from netc.runtime.data.dataset import Dataset
from netc.runtime.run import checkpoint
from netc.runtime.run.checkpoint import Checkpoint
from netc.runtime.run.config import RunConfig, normalise_of, read_config
from netc.runtime.run.tokenizer import record_of
from netc.runtime.weights.chosen import chosen_weights, weights_word
from netc.runtime.weights.pretrained import CHECKPOINT, Start, named_classes


def with_teacher(recipe: Recipe) -> Recipe:
    """The recipe with the net and the digest of the run that its `distill` names.

    Raises UserError for what is no run, or one whose output is none of classes that exclude each other, and
    CheckpointError where its weights cannot be read.
    """
    own = recipe.distilling
    if not own.distill:
        return recipe
    folder = Path(own.distill).absolute()
    try:
        config = read_config(folder)
    except UserError as error:
        raise UserError(f"`distill`: {error}") from error
    if not isinstance(config.recipe.loss, OF_CLASSES):
        known = ", ".join(cls.kind for cls in OF_CLASSES)
        raise UserError(
            f"`distill` wants a run that was trained by {known}, got {folder} with {config.recipe.loss.kind}; name a "
            "classifier"
        )
    checkpoint.load(folder / CHECKPOINT)  # which refuses what is damaged, or not there
    digest = checkpoint.digest_of(folder / CHECKPOINT)
    own = replace(own, distill=str(folder), teacher=to_toml(config.net.spec), teacher_sha256=digest)
    return replace(recipe, distilling=own)


def given_tensors(config: RunConfig, start: Start | None) -> dict[str, Array]:
    """What the first state of a run has in the place of what is drawn: the weights of `start`, and the teacher's.

    The teacher's are the average of its weights where it kept one, as `netc eval` takes them. Raises as `taught_as`.
    """
    given = dict(start.tensors) if start else {}
    if shapes := config.recipe.distilling.shapes:
        folder = Path(config.recipe.distilling.distill)
        tensors = chosen_weights(_saved(config).tensors, weights_word(read_config(folder).recipe, None))
        given |= {TEACHER + name: tensors[name] for name in shapes}
    return given


def taught_as(config: RunConfig, data: Dataset) -> Normalise | None:
    """How the examples were normalised that the teacher of a run knows; None where there is no teacher.

    Raises UserError where its weights are gone or others than the recipe says, or know other classes than the data.
    """
    if not config.recipe.distilling.teacher:
        return None
    saved, folder = _saved(config), config.recipe.distilling.distill
    names, kind = named_classes(saved), record_of(data.tokenizer).get("tokenizer")
    if names and names != tuple(data.classes):
        raise UserError(
            f"`distill` wants a teacher of the {len(data.classes)} classes of {data.name} in their order, got {folder} "
            f"with {len(names)}: {', '.join(names[:4])}, ..; train one on the same classes"
        )
    if saved.meta.get("tokenizer") != kind:
        raise UserError(
            f"`distill` wants a teacher of the same `tokenizer`, got {folder} with another; train one with the same"
        )
    return normalise_of(saved)


def refuse_taught_otherwise(config: RunConfig, known: Normalise | None, found: Normalise) -> None:
    """Raise UserError where the teacher knows examples that were normalised in another way than the run's."""
    if known is not None and (known.mean, known.std) != (found.mean, found.std):
        raise UserError(
            f"`distill` wants examples normalised as the teacher knows them (mean {known.mean}, std {known.std}), got "
            f"mean {found.mean}, std {found.std}; leave `normalise` out, or train the teacher with the same"
        )


def _saved(config: RunConfig) -> Checkpoint:
    own = config.recipe.distilling
    place = Path(own.distill) / CHECKPOINT
    saved, digest = checkpoint.load(place), checkpoint.digest_of(place)
    if digest != own.teacher_sha256:
        raise UserError(
            f"`distill` wants the weights that the run names (SHA-256 {own.teacher_sha256[:12]}), got others at "
            f"{place} ({digest[:12]}); put those back, or start a new run"
        )
    return saved
