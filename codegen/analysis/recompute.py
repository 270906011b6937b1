"""Which blocks to compute again for how much memory: an order of them, from the counted bytes and work of each.

The backward pass goes through the blocks from the last to the first. When it is at block j, it holds what the blocks
before it have saved, and what j itself has saved or has just computed again:

    m_j = rest + sum over i < j of saved_i + full_j        saved_i: kept_i if i is computed again, else full_i

The fullest moment is the greatest m_j, and computing again a block behind it gains nothing. The order is greedy: as
long as a block before the fullest moment is left, the one that costs the least time for each byte that it gives free.
Time is the roofline's of a machine of BALANCE flops a byte (those of chips.py and docs/measurements have 8 to 30). Only
the order depends on it, so it is the same on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from netc.codegen.analysis.memory import Saved, memory_of
from netc.codegen.analysis.step_cost import Ceiling, step_works
from netc.codegen.ir import Module
from netc.codegen.location import location_of
from netc.codegen.rules import block_of
from netc.codegen.slots import Slot

STEP = "train_step"
BALANCE = 10.0
_CEILING = Ceiling(BALANCE, 1.0)  # a byte takes one unit of time


@dataclass(frozen=True)
class Block:
    """A block that can be computed again: its path, and the time of its forward pass.

    `full` bytes are what its pullback reads of it, `kept` what is saved of it all the same if it is computed again.
    """

    path: str
    time: float
    full: int
    kept: int

    @property
    def rate(self) -> float:
        """Time for each byte that it gives free."""
        gain = self.full - self.kept
        return self.time / gain if gain > 0 else math.inf


@dataclass(frozen=True)
class Choice:
    """The paths of blocks that are computed again, in the order of the net; the bytes of the fullest moment.

    `share`: the time for it, as a part of that of the step without.
    """

    blocks: tuple[str, ...]
    bytes: int
    share: float


def choices(state: Sequence[Slot], plain: Module, again: Module) -> tuple[Choice, ...]:
    """Choices from no block to all of them, each the one before with one more.

    `plain` is a lowered step, `again` the same with every block computed again.
    """
    blocks = blocks_of(state, plain, again)
    rest = memory_of(state, plain, STEP).total - sum(b.full for b in blocks)
    whole = sum(work.seconds(_CEILING) for work in step_works(plain, STEP))
    chosen: set[Block] = set()
    found = []
    while True:
        held, at = _fullest(blocks, chosen)
        paths = tuple(b.path for b in blocks if b in chosen)
        found.append(Choice(paths, rest + held, sum(b.time for b in chosen) / whole))
        left = [b for b in blocks if b not in chosen]
        if not left:
            return tuple(found)
        chosen.add(min([b for b in blocks[:at] if b in left and b.rate < math.inf] or left, key=lambda b: b.rate))


def blocks_of(state: Sequence[Slot], plain: Module, again: Module) -> tuple[Block, ...]:
    """The blocks that `again` computes a second time, in the order of the forward pass."""
    times: dict[str, float] = {}
    for work in step_works(again, STEP):
        place = location_of(work.loc)
        if place.phase == "remat" and (path := block_of(place.path)):
            times[path] = times.get(path, 0.0) + work.seconds(_CEILING)
    full, kept = (_by_block(memory_of(state, module, STEP).saved) for module in (plain, again))
    met = (block_of(location_of(op.loc).path) for f in plain.needed(STEP) for op in f.ops)
    paths = [path for path in dict.fromkeys(met) if path in times]
    return tuple(Block(path, times[path], full.get(path, 0), kept.get(path, 0)) for path in paths)


def _by_block(saved: Iterable[Saved]) -> dict[str, int]:
    found: dict[str, int] = {}
    for s in saved:
        if path := block_of(location_of(s.loc).path):
            found[path] = found.get(path, 0) + s.bytes
    return found


def _fullest(blocks: Sequence[Block], chosen: set[Block]) -> tuple[int, int]:
    """The most that is held of blocks at a time, and the block that the backward pass is at then."""
    before, most, place = 0, 0, 0
    for number, block in enumerate(blocks):
        if before + block.full > most:
            most, place = before + block.full, number
        before += block.kept if block in chosen else block.full
    return most, place
