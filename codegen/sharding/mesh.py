"""A mesh of devices and what is split over it, as a user asks for it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal, get_args

from netc.netspec.errors import UserError

Axis = Literal["data", "model", "sequence"]
AXES: tuple[str, ...] = get_args(Axis)
LARGEST_AXIS = 1 << 16
_PART = re.compile(rf"({'|'.join(AXES)})=([1-9][0-9]*)")
FORM = "data=2 or data=2,model=2"

# what `--shard` may be -> what it splits over the mesh besides the batch
SHARDS: dict[str, str] = {
    "fsdp": "parameters, moments and averages over `data`, gathered where a step needs them (ZeRO-3)",
    "zero1": "moments and averages over `data`; parameters are whole on each device (ZeRO-1)",
    "tensor": "parameters, moments and averages over `model` alone",
}


@dataclass(frozen=True, slots=True)
class Mesh:
    """Named axes of devices, the last of which counts fastest: device d of (data=2, model=4) is at (d // 4, d % 4).

    Over `data` the examples of a batch are split; over `model` the kernels and the heads, by the table of
    codegen/sharding/table.py; over `sequence` the tokens of an example.
    """

    axes: tuple[tuple[str, int], ...]

    @property
    def size(self) -> int:
        """The number of devices."""
        return math.prod(count for _, count in self.axes)

    def count(self, axis: str) -> int:
        """The devices along an axis; 1 where there is no such axis."""
        return dict(self.axes).get(axis, 1)

    def part_of(self, process: int, processes: int) -> tuple[int, int]:
        """Which of how many equal parts of a batch the devices of a process need, each having as many in a row.

        Those are its places along `data`; all of the batch, (0, 1), where they are no such part.
        """
        names = [name for name, _ in self.axes]
        count, own = self.count("data"), self.size // processes
        inner = math.prod(n for _, n in self.axes[names.index("data") + 1 :]) if "data" in names else 1
        places = {device // inner % count for device in range(process * own, (process + 1) * own)}
        first, held = min(places), len(places)
        even = first % held == 0 and count % held == 0 and max(places) == first + held - 1
        return (first // held, count // held) if even else (0, 1)

    def __str__(self) -> str:
        return ",".join(f"{name}={count}" for name, count in self.axes)


@dataclass(frozen=True, slots=True)
class Sharding:
    """A mesh, and a word of SHARDS, or none: then only the batch and, over `model`, the kernels are split."""

    mesh: Mesh
    shard: str = ""

    def __str__(self) -> str:
        return f"mesh {self.mesh}" + (f", shard {self.shard}" if self.shard else "")


def parse_mesh(word: str) -> Mesh:
    """`data=64,model=8` -> the mesh; raises UserError."""
    found = [_PART.fullmatch(part.strip()) for part in word.split(",")]
    axes = tuple((m[1], int(m[2])) for m in found if m)
    names = [name for name, _ in axes]
    if len(axes) < len(found) or len(set(names)) < len(names) or any(n > LARGEST_AXIS for _, n in axes):
        raise UserError(
            f"`mesh` wants sizes of {', '.join(AXES)}, each once, up to {LARGEST_AXIS}, got {word!r}; write for "
            f"example {FORM}"
        )
    return Mesh(axes)


def parse_sharding(mesh: str | None, shard: str | None) -> Sharding | None:
    """What the two words ask for, None where they are not given; raises UserError."""
    if mesh is None:
        if shard is not None:
            raise UserError(f"`shard` wants a `mesh` to split over, got {shard!r} alone; give one such as {FORM}")
        return None
    if shard is not None and shard not in SHARDS:
        raise UserError(f"`shard` wants one of {', '.join(SHARDS)}, got {shard!r}; or leave it out")
    found = Sharding(parse_mesh(mesh), shard or "")
    needed = {"fsdp": "data", "zero1": "data", "tensor": "model"}.get(found.shard, "")
    if needed and needed not in dict(found.mesh.axes):
        raise UserError(f"`shard={shard}` wants an axis `{needed}` of the `mesh`, got {mesh!r}; add {needed}=2, say")
    return found
