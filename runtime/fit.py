"""Whether data can feed a net and its loss."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from netc.netspec.errors import NetcError, UserError
from netc.netspec.recipe import Recipe
from netc.netspec.recipe_fit import learning_misfits, misfits, processes_of
from netc.netspec.types import TensorType, batched
from netc.runtime.data.augment import AUGMENTATIONS
from netc.runtime.data.batches import steps_per_epoch
from netc.runtime.data.dataset import Dataset, of_images
from netc.runtime.data.examples import VOID, Array, Batches, Examples, ids_of
from netc.runtime.data.masked import MaskedSplit
from netc.runtime.data.windows import TextSplit
from netc.runtime.run.config import RunConfig
from netc.runtime.session import DTYPES


def refuse_misfits(config: RunConfig, data: Dataset) -> None:
    """Raise UserError unless the data, images with a class each, text or arrays, can feed the net and its loss."""
    kind = "text" if isinstance(data.train, TextSplit) else "images"
    if config.recipe.generation.process:
        problems = [*_process_problems(config, data)]
    elif isinstance(data.train, MaskedSplit):
        problems = [*_mask_problems(config, data)]
    elif isinstance(data.train, Examples | Batches):
        problems = [*_array_problems(config, data)]
    else:
        text = kind == "text"  # whose targets are its tokens: int32, and too many to copy for their type
        problems = [*_problems(config, kind, np.empty(0, np.int32) if text else data.train.labels)]
    problems += [*_device_problems(config), *_idle_problems(config, data)]
    if problems := problems or [*misfits(config.trained_net, config.recipe, config.training.batch)]:
        raise UserError("\n".join(problems))


def _device_problems(config: RunConfig) -> Iterator[str]:
    """What several devices cannot share."""
    batch, devices = config.training.batch, config.devices
    if batch % devices:
        near = max(batch // devices, 1) * devices
        yield f"`devices` wants a number of equal parts of the batch of {batch}, got {devices}; give `batch={near}`"
    if config.mesh and devices > 1:
        yield "`mesh` splits one program over its devices, got `devices` too; leave one out"


def _idle_problems(config: RunConfig, data: Dataset) -> Iterator[str]:
    """Words that would change nothing of this run."""
    repeats, begin = config.feeding.aug_repeats, config.recipe.averaging.swa_start
    if repeats > 1 and not of_images(data.train):
        yield f"`aug_repeats` wants images, which are augmented, got {config.data} with {repeats}; leave it out"
    steps = config.training.steps(steps_per_epoch(len(data.train), config.training.batch))
    if begin and begin >= steps:
        yield f"`swa_start` wants a step of the run, below {steps:,}, got {begin:,}; give a smaller one"
    for name, first in config.recipe.groups.thawing.items():
        if first >= steps:
            do = "give a smaller one, or freeze the layer"
            yield f"`thaw` wants a step of the run, below {steps:,}, got {first:,} for {name}; {do}"


def _problems(config: RunConfig, kind: str, labels: Array) -> Iterator[str]:
    """What of images or text does not fit; of `labels` only the shape and the type count."""
    net, loss = config.net, config.recipe.loss
    text = kind == "text"
    fits = [f"give `process={word}`, which trains a generative model" for word in processes_of(net)[:1]]
    if net.x.dtype != "f32" and not text:
        yield f"{net.spec.name} takes token ids, and {config.data} holds images; choose a net for images"
    elif net.x.dtype == "f32" and text:
        yield f"{net.spec.name} takes images, and {config.data} is text; choose a net of token ids"
    elif text and net.out.shape[:-1] != net.x.shape:
        yield (
            f"{config.data} has a next token for each place and wants a net with an output of [batch, T, vocabulary], "
            f"got {net.spec.name} with {batched(net.out.shape)}; {', '.join(fits) or 'end it in tiedHead or lmHead'}"
        )
    elif not text and net.out.rank != 1:
        do = ", ".join(fits) or "choose a classifier, or drive its module from Python"
        yield (
            f"{config.data} has one class for each image and wants a net with an output of [batch, classes], "
            f"got {net.spec.name} with {batched(net.out.shape)}; {do}"
        )
    want = loss.target(net.out)
    if labels.dtype == np.float32 and (want.dtype != "f32" or labels.shape[1:] != want.shape):
        yield (
            f"{config.data} has numbers {_each(labels.shape[1:])} to learn, and {loss.kind} of {net.spec.name} wants "
            f"{np.dtype(DTYPES[want.dtype])} {_each(want.shape)}; choose another `loss`, or a net with such an output"
        )
    elif labels.dtype != np.float32 and loss.target(TensorType((2,))).dtype != "i32":
        yield f"{config.data} has class ids, and {loss.kind} wants floats of the output's shape; choose another `loss`"


def _process_problems(config: RunConfig, data: Dataset) -> Iterator[str]:
    """What of the data is nothing that the process of a generative model makes, or of more kinds than its net knows."""
    generation, net = config.recipe.generation, config.net
    process = generation.chosen
    assert process is not None
    if problems := [*learning_misfits(net, config.recipe)]:
        yield from problems
        return
    if config.augment.train_size:
        yield f"`train_size` is for classifiers, got `process={process.kind}`; leave it out"
    tokens = config.example.dtype == "i32"
    if config.example.dtype == "f32" and config.example.rank == 2:
        yield from _sequence_problems(config, data)
    elif tokens and not isinstance(data.train, TextSplit):
        yield f"`process={process.kind}` learns text, and {data.name} is not text; give `data=text:FILE`"
    elif not tokens and not (of_images(data.train) and data.train.labels.dtype == np.int32):
        yield (
            f"`process={process.kind}` learns images with a class each, got {data.name} without classes; choose other "
            "data"
        )
    elif tokens and len(data.classes) > net.out.shape[-1] - 1:
        yield (
            f"{data.name} has {len(data.classes)} tokens and wants a vocabulary with one more, the mask, got a net "
            f"with {net.out.shape[-1]}; give `classes={len(data.classes) + 1}`"
        )
    elif process.conditional(net.x, net.out) and len(data.classes) > generation.label_count:
        yield f"{data.name} has {len(data.classes)} classes, got `label_count={generation.label_count}`; give more"


def _sequence_problems(config: RunConfig, data: Dataset) -> Iterator[str]:
    """What of the data are no sequences of slots, the last column of which says where there is an element."""
    shape, train = config.example.shape, data.train
    if not isinstance(train, Examples | Batches) or train.shape != shape:
        yield (
            f"`process={config.recipe.generation.process}` of {config.net.spec.name} learns sequences {_each(shape)} "
            "of numbers, the last 1 where there is an element and 0 elsewhere, got "
            f"{data.name} of {_each(train.shape)}; give such data, for example rings, or change the net's `input`"
        )
    elif isinstance(train, Examples) and (
        train.x.dtype != np.float32 or not np.isin(train.x[..., -1], (0, 1)).all() or not train.x[..., -1].any(1).all()
    ):
        yield (
            f"{data.name} wants float32 numbers, the last of each element 1 where there is one and 0 elsewhere, and "
            "one element or more in a sequence, got others; mark the elements so"
        )


def _mask_problems(config: RunConfig, data: Dataset) -> Iterator[str]:
    """What of images with masks does not fit."""
    net, loss, void = config.net, config.recipe.loss, config.recipe.check_labels
    size = net.spec.input[:2]
    if net.out.rank != 3 or net.out.shape[:2] != size:
        yield (
            f"{data.name} has a class for each pixel and wants a net with an output of [batch, {size[0]}, {size[1]}, "
            f"classes], as large as its input, got {net.spec.name} with {batched(net.out.shape)}; choose a net such as "
            "unet, or end yours in a conv2d that gives a number for each class"
        )
    if loss.target(TensorType((2, 2))).dtype != "i32":
        yield f"{data.name} has class ids, and {loss.kind} wants floats of the output's shape; choose another `loss`"
    pixels = sum(
        int(split.counts[:, VOID].sum()) for split in (data.train, data.test) if isinstance(split, MaskedSplit)
    )
    if pixels and not void:
        yield (
            f"{data.name} has {pixels:,} pixels of {VOID}, which is no class; give `check_labels=True` to leave "
            "them out, or other ids"
        )
    if config.augment.crop and not void:
        yield (
            f"`crop` pads masks by pixels of {VOID}, which is no class; give `check_labels=True` to leave them out, or "
            "`crop=0`"
        )
    for name, row in AUGMENTATIONS.items():
        if not row.masks and getattr(config.augment, name):
            yield f"`{name}` turns and shifts images but not their masks, and {data.name} has masks; leave it out"


def _array_problems(config: RunConfig, data: Dataset) -> Iterator[str]:
    """What of arrays, which go to the net as they are, does not fit it."""
    split, net, loss = data.train, config.net, config.recipe.loss
    assert isinstance(split, Examples | Batches)
    x = split.x if isinstance(split, Examples) else split.first[0]
    if x.shape[1:] != net.x.shape and (fits := processes_of(net)):
        yield (
            f"{net.spec.name} takes a time, as generative models do, and no `process` was given; give "
            f"`process={fits[0]}`, which makes what it sees, {_each(net.x.shape)}, of {data.name}, "
            f"{_each(x.shape[1:])}"
        )
        return
    for name, array, want in (("x", x, net.x), ("y", split.labels, loss.target(net.out))):
        if array.shape[1:] != want.shape or array.dtype != DTYPES[want.dtype]:
            whose = f"the `input` of {net.spec.name}" if name == "x" else f"`loss={loss.kind}` of {net.spec.name}"
            yield (
                f"`{name}` wants {np.dtype(DTYPES[want.dtype])} {_each(want.shape)}, {whose}, got {array.dtype} "
                f"{_each(array.shape[1:])}; change one of them"
            )
    y = split.labels
    if ids_of(y, net.out.shape[-1] if net.out.rank else 1) is not y and not config.recipe.check_labels:
        yield f"`y` has pixels of {VOID}, which is no class; give `check_labels=True` to leave them out, or other ids"
    if isinstance(split, Batches) and split.batch != config.training.batch:
        yield f"`batch` wants {split.batch}, as the batches are, got {config.training.batch}; leave it out"


def _each(shape: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, ('N', *shape)))}]"


def check_fit(config: RunConfig, data: Dataset) -> None:
    """Raise UserError unless `data`, at the net's input size, can train it: `refuse_misfits`, and enough outputs."""
    refuse_misfits(config, data)
    classes, outputs = len(data.classes), config.net.out.shape[-1] if config.net.out.rank else 1
    if classes == 1 and config.net.x.dtype == "f32" and not config.recipe.generation.process:
        raise UserError(f"{config.data} wants at least two classes to train on, got {classes}; add a folder of images")
    if outputs < classes and not config.recipe.generation.process:
        raise UserError(
            f"{config.data} has {classes} classes, got a net with {outputs} outputs; give `classes={classes}`"
        )
    fed = config.recipe.generation.process
    for split, net in ((data.train, config.trained_net), (data.test, config.net)):
        want = config.example.shape if fed else net.spec.input
        if split.shape != want:
            raise NetcError(f"examples of shape {split.shape} were given to a net that wants {want}")


def with_document_end(recipe: Recipe, data: Dataset) -> Recipe:
    """The recipe with the token that ends a document, where documents are kept apart and it says none."""
    asked = recipe.documents
    if not asked.document_mask or asked.document_end >= 0 or data.tokenizer is None:
        return recipe
    if data.tokenizer.end < 0:
        raise UserError(
            f"`document_mask` wants a tokenizer with a token that ends documents, such as <|endoftext|>, got that of "
            f"{data.name} without; give another `tokenizer`, or `document_end`"
        )
    return replace(recipe, documents=replace(asked, document_end=data.tokenizer.end))
