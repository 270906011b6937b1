"""The part of each batch that one of several processes makes; the order of an epoch is that of one process."""

from __future__ import annotations

from dataclasses import dataclass

from netc.codegen.sharding.mesh import Sharding
from netc.runtime.data.errors import DataError


@dataclass(frozen=True)
class Part:
    """The `index`-th of `count` equal parts of every batch, one after the other: `count` processes make all of it."""

    index: int = 0
    count: int = 1

    def rows(self, batch: int) -> slice:
        """The rows of a batch that are its own; raises DataError where the parts would not be equal."""
        if batch % self.count:
            raise DataError(
                f"`batch` wants a multiple of the {self.count} processes, which take equal parts of it, got {batch}; "
                "choose a multiple"
            )
        own = batch // self.count
        return slice(self.index * own, (self.index + 1) * own)


WHOLE = Part()


def part_of(process: Part, sharding: Sharding | None) -> Part:
    """What one of several processes makes of each batch: its own part, or what its devices of a mesh need."""
    return Part(*sharding.mesh.part_of(process.index, process.count)) if sharding else process
