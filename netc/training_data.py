"""The data of a training: as it is stored, and as its net takes it."""

from __future__ import annotations

from pathlib import Path

from netc.netspec.check import CheckedNet
from netc.netspec.errors import UserError
from netc.netspec.preprocess import PLAIN, Preprocess
from netc.netspec.recipe import Recipe
from netc.netspec.recipe_fit import example_of
from netc.netspec.train_size import at_train_size
from netc.netspec.types import TensorType
from netc.runtime.cache.folders import data_cache
from netc.runtime.data import catalog
from netc.runtime.data.damaged import skipping
from netc.runtime.data.dataset import Dataset, numbered, of_images
from netc.runtime.data.division import divided
from netc.runtime.data.frame import fit_of
from netc.runtime.data.resize import resized
from netc.runtime.data.text import windowed
from netc.runtime.data.tokenizer import CHAR, Tokenizer
from netc.runtime.data.windows import TextSplit
from netc.runtime.run.config import RunConfig
from netc.runtime.run.tokenizer import kept_tokenizer


def takes_floats(recipe: Recipe) -> bool:
    """Whether the recipe's loss takes numbers as targets, and not classes."""
    return not recipe.generation.process and recipe.loss.target(TensorType((2,))).dtype != "i32"


def stored_data(
    given: str | Dataset,
    data_dir: Path | None = None,
    *,
    whole: bool = False,
    floats: bool = False,
    skip_damaged: bool = False,
    tokenizer: Tokenizer | str = CHAR,
) -> Dataset:
    """The data set of that name, as it is stored; raises DataError or UserError if it is not to be had.

    `whole` is for evaluation alone, `floats` says what the loss takes: see `catalog.load`, and for the other words.
    """
    if isinstance(given, Dataset):
        return given
    if not isinstance(given, str):
        raise UserError(
            f"`data` wants a Dataset or a name, got {type(given).__name__}; make one by netc.Dataset.from_arrays(x, y) "
            "or from_batches(batches, x_test, y_test)"
        )
    found = catalog.load(
        given, data_dir=data_dir, cache_dir=data_cache(), whole=whole, floats=floats, skip_damaged=skip_damaged,
        tokenizer=tokenizer,
    )  # fmt: skip
    if tokenizer != CHAR and not isinstance(found.train, TextSplit):
        raise UserError(f"`tokenizer` belongs to text, and {given} is not text; leave it out")
    return found


def sized(
    data: Dataset, net: CheckedNet, preprocess: Preprocess = PLAIN, train_size: int = 0, recipe: Recipe | None = None
) -> Dataset:
    """The data set at the net's input size, training images at their own where `train_size` says one.

    Own data without names of classes has those of the net's outputs. Where the recipe has a process, it is at the
    size of that part of the input which holds the data.
    """
    example = example_of(net, recipe) if recipe else net.x
    process = recipe.generation.chosen if recipe else None
    data = numbered(data, net.out.shape[-1]) if net.out.rank and not process else data
    if not (of_images(data.train) or isinstance(data.train, TextSplit)):
        return data
    shape = example.shape
    if example.dtype != "f32":
        known = net.out.shape[-1] - bool(process) if net.out.rank else 0  # of a process the last is the mask
        return windowed(data, example.size, known)
    if len(shape) < 3:
        holds = "images" if of_images(data.train) else "text"
        give = "sequences want `data=rings` or `data=arrays:FILE`" if shape[1:] else "a table wants `data=csv:FILE`"
        raise UserError(f"{data.name} holds {holds}, and {net.spec.name} of input {list(shape)} takes none: {give}")
    if len(shape) != 3 or shape[2] not in (1, 3):
        raise UserError(f"train wants a net for images [H, W, 1 or 3], got input {list(shape)}; change `input`")
    height, width, _ = at_train_size(net, train_size).spec.input
    found = resized(data, (shape[0], shape[1], shape[2]), fit_of(preprocess), (height, width, shape[2]))
    return skipping(found) if preprocess.skips else found


def data_for(
    config: RunConfig,
    given: str | Dataset,
    data_dir: Path | None = None,
    *,
    whole: bool = False,
    folder: Path | None = None,
) -> Dataset:
    """The data set of that name, as a run takes it; raises DataError or UserError if it is not to be had.

    A text is tokenized as the run in `folder` does.
    """
    feeding, floats, skips = config.feeding, takes_floats(config.recipe), config.preprocess.skips
    stored = stored_data(
        given, data_dir, whole=whole or feeding.divides, floats=floats, skip_damaged=skips,
        tokenizer=kept_tokenizer(folder) or feeding.tokenizer,
    )  # fmt: skip
    stored = stored if whole else divided(stored, feeding)
    return sized(stored, config.net, config.preprocess, config.augment.train_size, config.recipe)
