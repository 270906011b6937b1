"""What a training is asked for, made once at the door: a typed request, and the plan that follows from it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from netc.codegen.sharding.mesh import parse_sharding
from netc.config_file import Merged, over_files
from netc.lean_words import Stated
from netc.netspec.augment import Augment
from netc.netspec.check import CheckedNet, check
from netc.netspec.epochs import in_steps
from netc.netspec.errors import UserError
from netc.netspec.feeding import Feeding
from netc.netspec.preprocess import PLAIN, Preprocess
from netc.netspec.recipe_fit import example_of, labelled, processes_of
from netc.netspec.recipe_words import training_of, training_words
from netc.netspec.spec import NetSpec
from netc.netspec.vocabulary import options_of
from netc.netspec.zoo import ZOO
from netc.places import placed
from netc.programs import (
    Shape,
    budget_of,
    over_stated,
    quiet,
    recipe_from,
    refuse_unknown,
    shape_of,
    spec_of,
    taken_sizes,
    tuned_choices,
)
from netc.runtime.data.augment import AUGMENTATIONS, chosen
from netc.runtime.data.batches import steps_per_epoch
from netc.runtime.data.class_weights import weighted
from netc.runtime.data.dataset import Dataset, highest_of, of_images
from netc.runtime.data.division import blocks_of, divided, refuse_unlearnt
from netc.runtime.data.examples import Batches
from netc.runtime.data.masked import MaskedSplit
from netc.runtime.data.own import searched_folders
from netc.runtime.data.windows import TextSplit
from netc.runtime.fit import refuse_misfits, with_document_end
from netc.runtime.logs.table import logging_of
from netc.runtime.run.config import Logging, RunConfig, Saving, free_folder, writable
from netc.runtime.run.standing import comparison_of
from netc.runtime.target import parse_target
from netc.runtime.weights.hub import fetched
from netc.runtime.weights.pretrained import Start, read_start
from netc.runtime.weights.teacher import taught_as
from netc.train_request import LEAST, OWN_WORDS, PREPROCESS, SAVING, TrainRequest, request_types, request_words
from netc.training_data import sized, stored_data, takes_floats
from netc.word_types import typed

# Nets made for photographs see small images at this size: at 224x224 an 8x8 digit is only a larger blur, for 12 times
# the work
SMALL_IMAGE, WORKING_SIZE = 64, 64
# below this many training images an epoch is short: smaller batches and more epochs
FEW_IMAGES, FEW_EPOCHS, FEW_BATCH = 10_000, 6, 32
EPOCHS, BATCH, WARMUP = 5, 128, 0.5


@dataclass(frozen=True)
class Plan:
    """A training ready to run: `data` has the net's input size, `start` are the weights that it begins with.

    `text`: the words that make it again, for config.toml in its folder. `workers`: threads that make batches.
    """

    config: RunConfig
    data: Dataset
    folder: Path
    start: Start | None = None
    text: str = ""
    workers: int = 0


def request_training(
    net: NetSpec | CheckedNet | str | None = None,
    *,
    config: str | Path | None = None,
    on_stated: Callable[[Stated], None] | None = None,
    **words: Any,
) -> TrainRequest:
    """The request that the words make, over those of a file, over a TrainConfig's, over defaults.

    `config` is a FILE.toml (netc/config_file.py), which may have the net too, or names a TrainConfig of a .lean file.
    `recipe` may name one that netc ships. `on_stated` gets what a TrainConfig states. Raises UserError or SpecError.
    """
    refuse_unknown(words, request_words)
    merged = over_files(net, config, words)
    with placed(merged.places):
        return _request(merged, on_stated)


def _request(merged: Merged, on_stated: Callable[[Stated], None] | None) -> TrainRequest:
    net, config, words = merged.net, merged.config, merged.words
    if net is None:
        raise UserError("wants a `net`, got none; name one that `netc ls` shows, or a `config` that has one")
    words = typed(words, request_types())
    spec = spec_of(net, taken_sizes(words))
    words = over_stated(net, config, words, request_words(), on_stated)
    own = {name: words.pop(name) for name in OWN_WORDS - {"recipe"} if name in words}
    saving = {name: words.pop(name) for name in SAVING if name in words}
    training = {name: words.pop(name) for name in training_words() if name in words}
    augment = {name: words.pop(name) for name in AUGMENTATIONS if name in words}
    preprocess = Preprocess(**{n: value for n in PREPROCESS if (value := words.pop(n, None)) is not None})
    fed = {name: words.pop(name) for name in options_of(Feeding) if words.get(name) is not None}
    recipe = recipe_from({name: value for name, value in words.items() if name not in options_of(Feeding)})
    for name, least in LEAST.items():
        if own.get(name) is not None and own[name] < least:
            raise UserError(f"`{name}` wants an integer of at least {least}, got {own[name]}; give a larger one")
    if own.get("input") is not None:
        own["input"] = shape_of(own["input"])
    for name in ("data_dir", "out", "init"):
        if own.get(name) is not None:
            own[name] = Path(own[name])
    if own.get("pretrained") and own.get("init") is not None:
        raise UserError("`pretrained` and `init` both say which weights to start from; leave one of them out")
    if own.get("new_head") and own.get("init") is None and not own.get("pretrained"):
        raise UserError("`new_head` belongs to `init`, got no `init`; without it every layer is initialised at random")
    return TrainRequest(
        spec, recipe=recipe, training=training, augment=augment, preprocess=preprocess, saving=saving,
        feeding=Feeding(**fed).check(), places=merged.places, **own,
    )  # fmt: skip


def saving_of(words: Mapping[str, Any], held: Saving) -> Saving:
    """What is held, with what the words say in its place."""
    return replace(held, **{SAVING[n]: words[n] for n in SAVING if words.get(n) is not None})


def with_tuned(plan: Plan, note: Callable[[str], None] = quiet) -> Plan:
    """The plan with the forms that `netc tune` measured on this machine."""
    return replace(plan, config=replace(plan.config, choices=tuned_choices(plan.config.target, note=note)))


def planned(request: TrainRequest) -> Plan:
    """The run's config, its data and its folder: the same on every machine.

    Raises UserError or SpecError where they misfit, and DataError, with the place of a word that a file says.
    """
    with placed(request.places):
        return _planned(request)


def _planned(request: TrainRequest) -> Plan:
    target, feeding = parse_target(request.target), request.feeding
    with placed(request.places, "data"):
        stored = divided(stored_data(request.data, request.data_dir, **_load_words(request)), feeding)
    refuse_unlearnt(stored)
    net = _net(request, stored)
    recipe = with_document_end(labelled(request.recipe, net, len(stored.classes)), stored)
    data = sized(stored, net, request.preprocess, _train_size(request), recipe)
    if request.class_weights is not None:
        recipe = weighted(recipe, request.class_weights, data, net.out.shape[-1] if net.out.rank else 1)
    training = _training(request, data)
    training, recipe = in_steps(training, recipe, steps_per_epoch(len(data.train), training.batch), net)
    config = RunConfig(
        net, recipe, training, data.name, request.seed, target.word,
        _augment(request, net, data), steps_per_call=request.steps_per_call, devices=request.devices,
        mesh=request.mesh or "", shard=request.shard or "", memory_budget=budget_of(request.memory_budget),
        saving=saving_of(request.saving, Saving()), feeding=feeding, preprocess=_preprocess(request, net, data),
        logging=logging_of(request.log, request.log_every, Logging()),
    )  # fmt: skip
    _refuse_unused(request, config, stored)
    parse_sharding(request.mesh, request.shard)  # which refuses words that are none
    refuse_misfits(config, data)
    comparison_of(config, data)  # which refuses a metric that the run has not
    taught_as(config, data)  # which refuses a teacher of other classes
    folder = request.out or _folder(net.spec.name, data.name, again=request.auto_resume)
    _refuse_among(folder, data)
    init = fetched(net.spec.name) if request.pretrained else request.init
    if init is None:
        return Plan(writable(config), data, folder, workers=request.workers)
    with placed(request.places, "init"):
        start = read_start(net, init, new_head=request.new_head)
    path = str(init.absolute())
    config = replace(config, init=start.digest, init_path=path, new_head=request.new_head)
    return Plan(writable(config), data, folder, start, workers=request.workers)


def _refuse_among(folder: Path, data: Dataset) -> None:
    """Raise UserError for a run's folder that would be read as a class of the data."""
    place = folder.resolve()
    if found := [own for own in searched_folders(data.name) if place.is_relative_to(own)]:
        raise UserError(f"`out` wants a folder outside of the images in {found[0]}, got {folder}; give another")


def _refuse_unused(request: TrainRequest, config: RunConfig, data: Dataset) -> None:
    """Raise UserError for words that were given and change nothing without another, or beside this data."""
    training = config.training
    if training.min_delta and not training.patience and not training.schedule.by_evaluation:
        raise UserError("`min_delta` belongs to `patience` or `decay=plateau`, got neither; give one, or leave it out")
    if request.log_every is not None and request.log is None:
        raise UserError("`log_every` belongs to `log`, got no `log`; name one, such as `log=csv`, or leave it out")
    if config.feeding.shuffle_buffer != Feeding().shuffle_buffer and blocks_of(data.train) is None:
        raise UserError(
            f"`shuffle_buffer` wants data that is read in chunks, as Parquet is, and {data.name} is shuffled as a "
            "whole; leave it out"
        )


def _net(request: TrainRequest, data: Dataset) -> CheckedNet:
    spec = request.net
    process = request.recipe.generation.process
    spec = spec.with_input(request.input or (spec.input if process else _input_shape(spec.input, data)))
    if request.classes is not None:
        return check(spec.with_classes(request.classes))
    outputs = not process and (len(data.classes) or len(data.columns.targets) or counted_classes(spec, data))
    net = check(spec)
    if not outputs or processes_of(net):  # a generative net keeps its head, and is told what it lacks
        return net
    fits = spec.classifies or (isinstance(data.train, MaskedSplit) and spec.head >= 0)
    return check(spec.with_classes(outputs)) if fits else net


def counted_classes(spec: NetSpec, data: Dataset) -> int:
    """The classes of own data, the highest id and one, for a net of the zoo; else 0.

    A net that somebody wrote has the outputs that it says, and of a stream of batches not all ids are known.
    """
    if spec.name not in ZOO or spec.layers != ZOO[spec.name].make().layers:
        return 0
    return highest_of(data)


def _input_shape(own: Shape, data: Dataset) -> Shape:
    native = data.native
    if data.columns.inputs:
        return native
    if of_images(data.train) and len(own) == 3 and min(own[:2]) > SMALL_IMAGE >= max(native[:2]):
        return (WORKING_SIZE, WORKING_SIZE, own[2])
    return own


def _training(request: TrainRequest, data: Dataset) -> Any:
    few = len(data.train) < FEW_IMAGES
    batch = data.train.batch if isinstance(data.train, Batches) else min(FEW_BATCH if few else BATCH, len(data.train))
    stated_ = {name: value for name, value in request.training.items() if value is not None}
    own = {"decay": rate} if (rate := request.recipe.optimizer.schedule) else {}
    made = training_of(**{"epochs": FEW_EPOCHS if few else EPOCHS, "batch": batch, **own, **stated_})
    per_epoch = steps_per_epoch(len(data.train), made.batch)
    if made.max_steps and "epochs" not in stated_:
        made = replace(made, epochs=-(-made.max_steps // per_epoch))
    if {"warmup", "warmup_steps"} & stated_.keys() or made.schedule.own_warmup:
        return made
    return replace(made, warmup=min(WARMUP, 0.1 * made.max_steps / per_epoch) if made.max_steps else WARMUP)


def _augment(request: TrainRequest, net: CheckedNet, data: Dataset) -> Augment:
    if of_images(data.train):
        return chosen(data.augment, request.augment, data.train.shape[:2])
    given = {name: tuple(v) if isinstance(v, list) else v for name, v in request.augment.items()}
    plain = vars(Augment())  # a run's config.toml says these, too
    _of_images([name for name in AUGMENTATIONS if given.get(name) not in (None, plain[name])], data)
    return Augment()


def _preprocess(request: TrainRequest, net: CheckedNet, data: Dataset) -> Preprocess:
    """What the request says; raises UserError for what does not fit the images, and for data that has none."""
    if of_images(data.train):
        request.preprocess.statistics(example_of(net, request.recipe).shape[-1])
    else:
        _of_images(
            [name for name in sorted(PREPROCESS) if getattr(request.preprocess, name) != getattr(PLAIN, name)], data
        )
    return request.preprocess


def _train_size(request: TrainRequest) -> int:
    """The height of training images that is asked for; raises UserError for one that there is not."""
    return Augment(train_size=request.augment.get("train_size") or 0).train_size


def _of_images(given: Sequence[str], data: Dataset) -> None:
    """Raise UserError for words of images, given beside data that has none."""
    if given:
        what = "text" if isinstance(data.train, TextSplit) else "no images"
        names, many = " and ".join(f"`{name}`" for name in given), len(given) > 1
        do = "leave them out" if many else "leave it out"
        raise UserError(f"{names} belong{'s' * (not many)} to images, and {data.name} is {what}; {do}")


def _folder(net: str, data: str, *, again: bool) -> Path:
    """runs/NET-DATA, the first that is free unless `again`; raises UserError if the net's name would lead elsewhere."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_. +-]{0,99}", net):
        raise UserError(f"a run's folder wants a name of letters, digits, _ . + -, got the net's {net!r}; give `out`")
    stem = f"{net}-{data.partition(':')[0]}"
    return Path("runs") / stem if again else free_folder(Path("runs"), stem)


def _load_words(request: TrainRequest) -> dict[str, Any]:
    return {
        "whole": request.feeding.divides,
        "floats": takes_floats(request.recipe),
        "skip_damaged": request.preprocess.skips,
        "tokenizer": request.feeding.tokenizer,
    }


def with_loaded(request: TrainRequest, loaded: dict[Any, Dataset]) -> TrainRequest:
    """The request with its data loaded, by what was `loaded` for another request that asked for the same.

    Raises what loading does.
    """
    words = _load_words(request)
    key = request.data, request.data_dir, *words.values()
    with placed(request.places, "data"):
        if key not in loaded:
            loaded[key] = stored_data(request.data, request.data_dir, **words)
    return replace(request, data=loaded[key])
