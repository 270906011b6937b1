"""What the examples of a training are called, and of how many predictions an accuracy is."""

from __future__ import annotations

from math import prod

from netc.netspec.check import CheckedNet
from netc.runtime.data.dataset import Dataset
from netc.runtime.data.tokenizer import CHAR


def examples_of(net: CheckedNet, *, table: bool = False) -> str:
    """What examples are called: rows of a table, contexts of tokens, images, or, of other arrays, examples."""
    if table:
        return "rows"
    return "contexts" if net.x.dtype != "f32" else "images" if len(net.x.shape) == 3 else "examples"


def of_characters(data: Dataset) -> bool:
    """Whether the examples are a text's whose tokens are characters."""
    return data.tokenizer is not None and data.tokenizer.kind == CHAR


def predictions(net: CheckedNet, count: int, *, table: bool = False, text: bool = False) -> str:
    """How many predictions an accuracy over `count` examples is of: `672 characters (21 contexts)`."""
    examples, places = examples_of(net, table=table), prod(net.out.shape[:-1])
    if net.out.rank < 2:
        return f"{count:,}"
    place = "characters" if text else "tokens" if net.x.dtype != "f32" else "pixels" if net.out.rank == 3 else "places"
    return f"{count * places:,} {place} ({count:,} {examples})"
