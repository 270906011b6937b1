"""Whether what a constructor states of its input is what arrives, and what joins an image to what takes tokens."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from netc.netspec.layer import Layer
from netc.netspec.layers import Flatten, PatchEmbed, SpatialFlatten, SpatialUnflatten, TakeTokens
from netc.netspec.layers.embedding import MOST_LEVELS
from netc.netspec.lean.arguments import Arguments
from netc.netspec.lean.constructors import TAKES_IMAGE, Constructor
from netc.netspec.lean.source import Misread
from netc.netspec.types import TensorType, batched

Grid = tuple[int, int]  # rows and columns of the image that tokens are the pixels or patches of


@dataclass(frozen=True)
class Misfit:
    """Two sizes that disagree: the error, and the shape that the constructor states to arrive (None: any)."""

    error: Misread
    shape: tuple[int, ...] | None


def misfits(row: Constructor, arguments: Arguments, x: TensorType | None) -> Iterator[Misfit]:
    """What the constructor states of its input that is not so; nothing where the input is not known."""
    if x is None:
        return
    yield from _channels(row, arguments, x)
    if row.head in PLACED:
        yield from PLACED[row.head](arguments, x)


def _channels(row: Constructor, arguments: Arguments, x: TensorType) -> Iterator[Misfit]:
    if not row.reads or x.rank == 0 or x.dtype != "f32":
        return
    if row.form == "vector" and x.rank > 2:
        return  # the layer itself says what to put before it
    arrives, stated = x.shape[-1], arguments[row.reads]
    if stated != arrives:
        error = Misread(
            arguments.place(row.reads),
            f"{row.head}: {row.reads} wants {arrives}, the channels that arrive ({batched(x.shape)}), got {stated}; "
            "change it, or the layer before it",
        )
        yield Misfit(error, (*x.shape[:-1], stated))


def _patches(arguments: Arguments, x: TensorType) -> Iterator[Misfit]:
    patch, stated = arguments["patchSize"], arguments["nPatches"]
    if x.rank != 3 or x.shape[0] % patch or x.shape[1] % patch:
        return  # the layer itself says what is wrong
    count = (x.shape[0] // patch) * (x.shape[1] // patch)
    if stated != count:
        error = Misread(
            arguments.place("nPatches"),
            f"patchEmbed: nPatches wants {count}, the {patch}x{patch} patches of {batched(x.shape)}, got {stated}; "
            "change it",
        )
        side = math.isqrt(stated)
        rows = side if side * side == stated else stated
        yield Misfit(error, (rows * patch, stated // rows * patch, arguments["ic"]))


def _length(arguments: Arguments, x: TensorType) -> Iterator[Misfit]:
    stated = arguments["seqLen"]
    if x.rank >= 1 and stated != x.shape[0]:
        error = Misread(
            arguments.place("seqLen"),
            f"seqLen wants {x.shape[0]}, the tokens that arrive ({batched(x.shape)}), got {stated}; change it",
        )
        yield Misfit(error, (stated, *x.shape[1:]))


def _queries(arguments: Arguments, x: TensorType) -> Iterator[Misfit]:
    if arguments["nQueries"] == 0:
        error = Misread(
            arguments.place("nQueries"),
            "transformerDecoder: nQueries wants a positive integer, got 0, which leaves the queries and the memory to "
            "two inputs; write how many queries it learns",
        )
        yield Misfit(error, None)


def _levels(arguments: Arguments, x: TensorType) -> Iterator[Misfit]:
    if (levels := arguments["numFrequencies"]) > MOST_LEVELS and x.rank:
        error = Misread(
            arguments.place("numFrequencies"),
            f"positionalEncoding: numFrequencies wants at most {MOST_LEVELS}, beyond which float32 has no phase left, "
            f"got {levels}; change it",
        )
        yield Misfit(error, None)


# constructor -> what else it states
PLACED: dict[str, Callable[[Arguments, TensorType], Iterator[Misfit]]] = {
    "patchEmbed": _patches,
    "tokenPositionEmbed": _length,
    "lmHead": _length,
    "transformerDecoder": _queries,
    "positionalEncoding": _levels,
}


def bridge(row: Constructor, x: TensorType | None, grid: Grid | None) -> tuple[Layer, ...]:
    """What stands before a constructor that takes tokens where an image arrives, the other way round, and the like."""
    if x is None or x.dtype != "f32":
        return ()
    if x.rank == 3 and row.head == "dense" and x.shape[:2] == (1, 1):
        return (Flatten(),)
    if x.rank == 3 and row.form == "tokens" and row.head != "spatialUnflatten":
        return (SpatialFlatten(),)
    if x.rank == 2 and row.head in TAKES_IMAGE and grid is not None:
        cells = grid[0] * grid[1]
        if x.shape[0] == cells:
            return (SpatialUnflatten(*grid),)
        if x.shape[0] == cells + 1:  # a class token stands first
            return (TakeTokens(cells, 1), SpatialUnflatten(*grid))
    return ()


def bridge_note(head: str, layers: tuple[Layer, ...]) -> str:
    """What `netc show` says of a bridge."""
    last = layers[-1]
    if isinstance(last, Flatten):
        return f"{head}: the one pixel that arrives is a vector"
    if not isinstance(last, SpatialUnflatten):
        return f"{head}: the pixels that arrive become its tokens, row by row"
    rest = ", without the class token" if len(layers) > 1 else ""
    return f"{head}: the tokens that arrive become an image of {last.height} x {last.width} again{rest}"


def grid_after(layer: Layer, x: TensorType | None, out: TensorType | None, grid: Grid | None) -> Grid | None:
    """The image that the tokens behind a layer belong to."""
    if x is None or out is None or out.rank != 2:
        return None
    if isinstance(layer, SpatialFlatten):
        return x.shape[0], x.shape[1]
    if isinstance(layer, PatchEmbed) and x.rank == 3:
        return x.shape[0] // layer.patch, x.shape[1] // layer.patch
    return grid
