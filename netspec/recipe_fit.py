"""Whether a recipe's parts fit a net, and the net as the recipe changes it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from netc.netspec.check import CheckedNet, check
from netc.netspec.errors import UserError
from netc.netspec.layers import ClassEmbed, TimeFeatures
from netc.netspec.nearest import did_you_mean
from netc.netspec.process import PROCESSES
from netc.netspec.recipe import Recipe
from netc.netspec.types import TensorType


def misfits(net: CheckedNet, recipe: Recipe, batch: int) -> Iterator[str]:
    """Yield one sentence for each part of the recipe that cannot train this net on batches of that many examples."""
    yield from recipe.mixing.misfits(net.x, net.out, batch // recipe.accumulate)
    yield from recipe.erasing.misfits(net.x)
    yield from recipe.regularisation.misfits(net.spec)
    yield from recipe.groups.misfits(net)
    yield from recipe.distilling.misfits(net)
    yield from recipe.documents.misfits(net.x, net.out)
    if recipe.documents.document_mask and recipe.distilling.net:
        yield "`document_mask` wants no teacher, which would see all documents at once, got `distill`; leave one out"
    if recipe.chunked_loss:
        yield from _chunks(net, recipe, batch // recipe.accumulate)
    if recipe.remat_blocks:
        yield from _unknown_blocks(net, recipe.remat_blocks)
    yield from learning_misfits(net, recipe)
    if recipe.wrapping.sam and recipe.scan_blocks:
        yield "`sam` wants no `scan_blocks`, got both: the step has each block twice; leave one of them out"


def learning_misfits(net: CheckedNet, recipe: Recipe) -> Iterator[str]:
    """Yield one sentence for each reason why this net cannot learn the recipe's process, if it has one."""
    yield from recipe.generation.misfits(net.x, net.out)
    wanted = recipe.generation.label_count
    tables = [at for at in net.walk() if isinstance(at.layer, ClassEmbed)] if wanted else []
    for at in tables:
        assert isinstance(at.layer, ClassEmbed)
        if at.layer.rows < wanted + 1:
            do = f"`classes={wanted}`" if net.spec.class_tables else f"it {wanted + 1} rows"
            yield (
                f"{wanted:,} classes and the null class want a table of {wanted + 1:,} rows, got {at.layer.rows:,} in "
                f"{at.path}; give {do}"
            )
            return


def processes_of(net: CheckedNet) -> tuple[str, ...]:
    """The processes that a net which is told a time can learn: without one its training means little.

    An id behind those of the tokens is a time too: no net for the next token has one.
    """
    if net.x.dtype == "f32" and not any(isinstance(at.layer, TimeFeatures) for at in net.walk()):
        return ()
    return tuple(word for word, cls in PROCESSES.items() if not [*cls().misfits(net.x, net.out)])


def _unknown_blocks(net: CheckedNet, asked: tuple[str, ...]) -> Iterator[str]:
    """Yield one sentence for each name of no layer; which layers are blocks that are trained, emission knows."""
    paths = [at.path for at in net.walk()]
    for name in asked:
        if name not in paths:
            top = ", ".join(path for path in paths if "." not in path)
            do = did_you_mean(name, paths, f"its own layers are {top}")
            yield f"{net.spec.name}: `remat_blocks` wants blocks that are trained, got {name!r}; {do}"


def _chunks(net: CheckedNet, recipe: Recipe, batch: int) -> Iterator[str]:
    """Yield one sentence for each reason why the loss of this net cannot be computed by chunks of tokens."""
    asked = f"`chunked_loss` {recipe.chunked_loss}"
    if net.out.rank != 2 or net.x.shape[:1] != net.out.shape[:1]:
        yield f"{asked} wants a net from tokens [T, ..] to logits [T, classes], got {net.x} -> {net.out}; leave it out"
        return
    tokens = batch * net.out.shape[0]
    if tokens % recipe.chunked_loss:
        nearest = max(n for n in range(1, min(recipe.chunked_loss, tokens) + 1) if tokens % n == 0)
        yield f"{asked} wants a divisor of the {tokens:,} tokens that the loss sees at once; give for example {nearest}"
    if recipe.mixing.on:
        yield f"{asked} wants examples that are not mixed, got mixup or cutmix; leave one of them out"


def trained(net: CheckedNet, recipe: Recipe) -> CheckedNet:
    """The net that is trained: with the rates of drop-path and dropout that the recipe states."""
    spec = recipe.regularisation.of(net.spec)
    return net if spec is net.spec else check(spec)


def example_of(net: CheckedNet, recipe: Recipe) -> TensorType:
    """The type of one example of the data that a step takes: the net's input, or what a process makes that of."""
    process = recipe.generation.chosen
    return process.example(net.x, net.out) if process else net.x


def target_of(net: CheckedNet, recipe: Recipe) -> TensorType:
    """The type of what the data has beside each example: what the loss takes, or what a process does."""
    process = recipe.generation.chosen
    return process.label(net.x, net.out) if process else recipe.loss.target(net.out)


def labelled(recipe: Recipe, net: CheckedNet, classes: int) -> Recipe:
    """The recipe of a net that sees classes with their number, `classes` where it says none; else as it is.

    Raises UserError for a net that cannot learn the recipe's process.
    """
    process = recipe.generation.chosen
    if process and (problems := [*process.misfits(net.x, net.out)]):
        raise UserError("\n".join(problems))
    if not process or recipe.generation.label_count or not process.conditional(net.x, net.out):
        return recipe
    return replace(recipe, generation=replace(recipe.generation, label_count=classes))
