"""Sizes of a net of the zoo that a user may choose (`SIZES` are their words), and what a row of the zoo is."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from netc.netspec.errors import UserError
from netc.netspec.spec import NetSpec
from netc.netspec.vocabulary import option, options_of

LARGEST = 1 << 24  # of a size; more is a mistake


@dataclass(frozen=True)
class Sizes:
    """Sizes in place of the net's own, which None stands for. A builder takes those that are its parameters."""

    layers: int | None = option(None, "Number of blocks, for a net of variable size, such as tiny-gpt.")
    heads: int | None = option(None, "Number of attention heads.")
    kv_heads: int | None = option(None, "Number of key and value heads, a divisor of the heads.")
    width: int | None = option(None, "Width of the blocks, a multiple of the heads.")
    context: int | None = option(None, "Context length, in tokens.")
    experts: int | None = option(None, "Experts per block, for a mixture-of-experts net.")


SIZES: tuple[str, ...] = tuple(options_of(Sizes))


@dataclass(frozen=True)
class Entry:
    """A net of the zoo: how to make it, and its published count of trained parameters.

    `make` gives the net as published; its parameters that are words of SIZES are sizes that may be chosen.
    """

    make: Callable[..., NetSpec]
    parameters: int

    @cached_property
    def sizes(self) -> tuple[str, ...]:
        """The sizes that may be chosen."""
        return tuple(name for name in inspect.signature(self.make).parameters if name in SIZES)


def chosen(sizes: Mapping[str, int | None]) -> dict[str, int]:
    """The sizes that are stated; raises UserError for one that no net could have."""
    stated = {name: value for name, value in sizes.items() if value is not None}
    for name, value in stated.items():
        if not 1 <= value <= LARGEST:
            raise UserError(f"`{name}` wants an integer from 1 to {LARGEST:,}, got {value}; change it")
    return stated


def sized(name: str, entry: Entry, sizes: Mapping[str, int], others: Collection[str]) -> NetSpec:
    """The net of an entry at these sizes; raises UserError for sizes that it has not. `others` are nets that have."""
    if not sizes:
        return entry.make()
    unknown = [word for word in sizes if word not in entry.sizes]
    if unknown and not entry.sizes:
        raise UserError(
            f"`{unknown[0]}` is for a net whose sizes may be chosen ({', '.join(others)}), got {name}, which has one "
            "size; leave it out, or name one of those"
        )
    if unknown:
        known = ", ".join(f"`{word}`" for word in entry.sizes)
        raise UserError(f"{name} wants sizes among {known}, got `{unknown[0]}`, which it does not have; leave it out")
    parts = {word: p.default for word, p in inspect.signature(entry.make).parameters.items()} | dict(sizes)
    if "heads" in parts and parts["width"] % parts["heads"]:
        raise UserError(
            f"{name} wants a `width` that is a multiple of its `heads`, got width {parts['width']:,}, which is not "
            f"divisible by {parts['heads']:,} heads; change one of them"
        )
    net = entry.make(**sizes)
    said = ", ".join(f"{word} {value:,}" for word, value in sizes.items())
    return replace(net, source=f"{net.source}; here with {said}")
