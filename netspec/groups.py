"""Groups: parts of a net that are trained at another rate than the rest, or not at all."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from netc.netspec.check import CheckedNet
from netc.netspec.layer import part_names
from netc.netspec.nearest import did_you_mean
from netc.netspec.types import LARGEST_NUMBER, SMALLEST_NUMBER
from netc.netspec.vocabulary import option

BLOCK = re.compile(r"block\d+")
THAWED = re.compile(r"[^=]+=[1-9]\d{0,8}")


@dataclass(frozen=True)
class Groups:
    """What of a net is trained how.

    `layer_decay` d: the rate of a group of layers is d^(n - i) times the rate, for the i-th of groups 0 to n (Clark et
    al. 2020, as BEiT and timm have it). `head_lr`: the rate of the layer of the classes is so many times the rate.
    `freeze`: layers, by their paths or the beginnings of them, that stay as they are: no gradient is computed for
    their parameters, no moment is kept, and they run as in evaluation, so that running statistics stay too. `thaw`:
    layers, each as NAME=STEP, whose parameters stay as they are before that step; their gradients are computed, and
    moments and running statistics follow them from the first step on (gradual unfreezing, Howard and Ruder 2018).
    """

    layer_decay: float = option(
        1.0, "Scale each block's learning rate by this relative to the next block's.", later=True
    )
    head_lr: float = option(1.0, "Scale the final layer's learning rate by this.", later=True)
    freeze: tuple[str, ...] = option((), "Layers that are not trained: stem,stage1.", later=True)
    thaw: tuple[str, ...] = option((), "Layers that are frozen until a step: stem=900,stage1=600.", later=True)

    def problems(self) -> Iterator[str]:
        """Yield one sentence for each value out of range."""
        if not 0 < self.layer_decay <= 1:
            yield f"`layer_decay` wants a number above 0 and at most 1, got {self.layer_decay}"
        if not SMALLEST_NUMBER <= self.head_lr <= LARGEST_NUMBER:
            yield f"`head_lr` wants a positive number, got {self.head_lr}"
        if not isinstance(self.freeze, tuple) or not all(isinstance(n, str) and n for n in self.freeze):
            yield f"`freeze` wants names of layers, such as stem,stage1, got {self.freeze!r}"
        if not isinstance(self.thaw, tuple) or not all(isinstance(n, str) and THAWED.fullmatch(n) for n in self.thaw):
            yield f"`thaw` wants layers, each with the first step that trains it, such as stem=900, got {self.thaw!r}"
        elif twice := [name for name in self.thawing if self.is_frozen(name)]:
            yield f"`freeze` and `thaw` both name {twice[0]}, which would never be trained; leave one of them out"

    def misfits(self, net: CheckedNet) -> Iterator[str]:
        """Yield one sentence for each layer that the net does not have, and if nothing is left to train."""
        split = [p.name.split(".") for p in net.params]
        paths = {".".join(parts[:i]): None for parts in split for i in range(1, len(parts))}
        for word, name in [*(("freeze", name) for name in self.freeze), *(("thaw", name) for name in self.thawing)]:
            if name not in paths:
                top = ", ".join(path for path in paths if "." not in path)
                do = did_you_mean(name, paths, f"its own layers with parameters are {top}")
                yield f"{net.spec.name}: `{word}` wants layers that have parameters, got {name!r}; {do}"
        if self.freeze and all(self.is_frozen(p.name) for p in net.params):
            yield f"{net.spec.name}: `freeze` leaves nothing to train, got {','.join(self.freeze)}; name fewer layers"
        if self.head_lr != 1 and all(p.name.startswith(_head(net)) for p in net.params):
            yield (
                f"{net.spec.name}: `head_lr` wants a head that is separate from other layers, got a net of one layer; "
                "leave it out"
            )

    @property
    def thawing(self) -> dict[str, int]:
        """The layers of `thaw`, each with the first step that trains it."""
        return {name: int(step) for name, _, step in (entry.rpartition("=") for entry in self.thaw)}

    def thawed_at(self, path: str) -> int:
        """The first step, from 0, that trains the parameter of that path."""
        return max((step for name, step in self.thawing.items() if path.startswith(f"{name}.")), default=0)

    def is_frozen(self, path: str) -> bool:
        """Whether the layer or parameter of that path is not trained."""
        return within(path, self.freeze)

    def factors(self, net: CheckedNet) -> dict[str, float]:
        """The factor of each parameter's rate that has one other than 1."""
        depth = depths([(p.name, p.decay) for p in net.params])
        deepest = max(depth.values(), default=0)
        found = {name: self.layer_decay ** (deepest - i) for name, i in depth.items()}
        head = _head(net)
        found = {name: f * self.head_lr if name.startswith(head) else f for name, f in found.items()}
        return {name: f for name, f in found.items() if f != 1}


def within(path: str, names: Iterable[str]) -> bool:
    """Whether the layer or parameter of that path is one of these, or a part of one."""
    return any(path == name or path.startswith(f"{name}.") for name in names)


def depths(params: list[tuple[str, bool]]) -> dict[str, int]:
    """The group of each parameter (name, whether it is a kernel), in the order of the net: 0, 1, ..

    Of a net with blocks (block0, block1, ..) the first group is what comes before them, the last what comes behind
    them, and each block is one, with what comes between it and the block before. Else each layer with a kernel begins
    one.
    """
    blocks = {name: _block(name) for name, _ in params}
    last = max((i for i, (name, _) in enumerate(params) if blocks[name]), default=-1)
    found: dict[str, int] = {}
    at, seen, waiting = (0 if last >= 0 else -1), "", False
    for name, kernel in params:
        own = blocks[name] if last >= 0 else name.split(".")[0] if kernel else seen
        if own and own != seen:
            at, seen, waiting = (at if waiting else at + 1), own, False
        elif not own and seen and not waiting:  # between two blocks, or behind all of them
            at, waiting = at + 1, True
        found[name] = max(at, 0)
    return found


def _head(net: CheckedNet) -> str:
    """The beginning of the names of the parameters of the layer of the classes, or of the last layer."""
    return f"{part_names(net.spec.layers)[net.spec.head]}."


def _block(name: str) -> str:
    """The path of the outermost block that a parameter is in, or nothing."""
    parts = name.split(".")
    place = next((i for i, part in enumerate(parts) if BLOCK.fullmatch(part)), None)
    return "" if place is None else ".".join(parts[: place + 1])
