"""What a training step costs on a mesh of devices: time, memory of each, and what they exchange; nothing is compiled.

It looks at the program of one device's examples, so that only `model`, or `sequence`, divides operations (spread.py);
`data` divides the update where parameters or moments are split over it. Computing is the roofline of step_cost.py. An
exchange is one ring among n devices by the alpha-beta model: of b bytes, at a bandwidth w and a latency l,

- all-reduce: 2 (n - 1)/n b/w + 2 (n - 1) l
- all-gather and reduce-scatter, b the whole: (n - 1)/n b/w + (n - 1) l
- permute, b the whole: b/(n w) + l

Sources: Thakur, Rabenseifner and Gropp 2005, section 4; Rajbhandari et al. 2020, section 7, for what ZeRO exchanges.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from netc.codegen.analysis.memory import KEPT, memory_of
from netc.codegen.analysis.spread import (
    ALL_GATHER,
    ALL_REDUCE,
    PERMUTE,
    REDUCE_SCATTER,
    SEQUENCE,
    Exchange,
    shares,
    spread,
)
from netc.codegen.analysis.step_cost import Ceiling, Work, step_works
from netc.codegen.ir import Axes, Module
from netc.codegen.program import Program
from netc.codegen.rules import BLOCK
from netc.codegen.sharding.layout import splits_of
from netc.codegen.sharding.mesh import Mesh, Sharding
from netc.codegen.slots import Slot

STEP = "train_step"


@dataclass(frozen=True, slots=True)
class Link:
    """What joins two neighbours of a ring: bytes a second each way, and seconds before the first of them arrives."""

    bandwidth: float
    latency: float


@dataclass(frozen=True, slots=True)
class MeshCost:
    """Seconds of a step and bytes of a device. `exchanged`: seconds by the axis of the mesh and the kind of exchange.

    `moved` are the bytes that each device sends for them.
    """

    computing: float
    exchanged: Mapping[tuple[str, str], float]
    moved: Mapping[tuple[str, str], float]
    memory: Mapping[str, int]

    @property
    def step(self) -> float:
        """One thing after the other."""
        return self.computing + sum(self.exchanged.values())

    @property
    def overlapped(self) -> float:
        """At best: what goes over `data`, gradients and parameters, hides behind computing."""
        hidden = sum(t for (axis, _), t in self.exchanged.items() if axis == "data")
        return self.step - min(hidden, self.computing)


def seconds(kind: str, size: int, parts: int, link: Link) -> float:
    """The time of one exchange of a tensor of `size` bytes among `parts` devices."""
    turns = {ALL_REDUCE: 2 * (parts - 1), PERMUTE: 1}.get(kind, parts - 1)
    return sent(kind, size, parts) / link.bandwidth + (turns * link.latency if parts > 1 else 0.0)


def sent(kind: str, size: int, parts: int) -> float:
    """The bytes that each device sends in it."""
    if parts == 1:
        return 0.0
    return size / parts if kind == PERMUTE else size * (parts - 1) / parts * (2 if kind == ALL_REDUCE else 1)


def mesh_cost(local: Program, lowered: Module, sharding: Sharding, ceiling: Ceiling, link: Link) -> MeshCost:
    """The cost of a step whose `local` program is of one device's examples, the batch over `data`, and its lowering."""
    mesh, splits = sharding.mesh, splits_of(local, sharding)
    if (tokens := mesh.count(SEQUENCE)) > 1:
        found = spread(lowered, dict.fromkeys("xy", 1), tokens, STEP, SEQUENCE)
    else:
        by_model = {name: axes.index("model") for name, axes in splits.items() if "model" in axes}
        found = spread(lowered, by_model, mesh.count("model"), STEP)
    share = shares(found, lowered.needed(STEP))
    own = _update_shares(local.state, splits, mesh)
    computing = sum(_scaled(work, share, own).seconds(ceiling) for work in step_works(lowered, STEP))
    exchanges = [*joined(found.exchanges), *over_data(local.state, splits, mesh)]
    exchanged: dict[tuple[str, str], float] = {}
    moved: dict[tuple[str, str], float] = {}
    for e in exchanges:
        key, parts = (e.axis, e.kind), mesh.count(e.axis)
        exchanged[key] = exchanged.get(key, 0.0) + e.times * seconds(e.kind, e.bytes, parts, link)
        moved[key] = moved.get(key, 0.0) + e.times * sent(e.kind, e.bytes, parts)
    return MeshCost(computing, exchanged, moved, _memory(local, lowered, splits, mesh, share))


def joined(exchanges: Sequence[Exchange]) -> list[Exchange]:
    """The sums over `sequence` at one place as one, as XLA's combiner has them."""
    sums = [e for e in exchanges if e.axis == SEQUENCE and e.kind == ALL_REDUCE]
    sizes = {e.loc: sum(other.bytes for other in sums if other.loc == e.loc) for e in sums}
    return [
        *(e for e in exchanges if e not in sums),
        *(Exchange(ALL_REDUCE, SEQUENCE, size, loc) for loc, size in sizes.items()),
    ]


def over_data(state: Sequence[Slot], splits: Mapping[str, Axes], mesh: Mesh) -> list[Exchange]:
    """What a step exchanges over `data`: gradients, in one sum for all that are whole; and split parameters.

    A parameter that is split is gathered in the forward pass and again in the backward, and its gradient is scattered.
    With its moments split alone its gradient is scattered and its new value gathered. A block's go together, as XLA's
    combiners and FSDP's units have it.
    """
    if mesh.count("data") == 1:
        return []
    parameters = [s for s in state if s.role == "parameter"]
    moments = {s.name.partition("/")[2]: s.name for s in state if s.role == "moment"}
    found: dict[tuple[str, str, int], int] = {}
    whole = 0
    for s in parameters:
        size = s.type.bytes // _parts(splits[s.name], mesh, "model")
        split, of_moment = "data" in splits[s.name], splits.get(moments.get(s.name, ""), ())
        if not split and "data" not in of_moment:
            whole += size
            continue
        for kind, times in ((ALL_GATHER, 2 if split else 1), (REDUCE_SCATTER, 1)):
            key = kind, _block(s.name), times
            found[key] = found.get(key, 0) + size
    together = [Exchange(kind, "data", size, block, times) for (kind, block, times), size in found.items()]
    return [*together, Exchange(ALL_REDUCE, "data", whole, "gradients")] if whole else together


def _block(name: str) -> str:
    """The block that a parameter is of, or else the net's own layer."""
    path = name.split(".")
    end = next((i for i, part in enumerate(path) if BLOCK.fullmatch(part)), 0)
    return ".".join(path[: end + 1])


def _parts(axes: Axes, mesh: Mesh, *names: str) -> int:
    """Into how many parts these axes of the mesh, or all, split a tensor."""
    return math.prod(mesh.count(axis) for axis in axes if axis and axis in (names or axes))


def _update_shares(state: Sequence[Slot], splits: Mapping[str, Axes], mesh: Mesh) -> dict[str, float]:
    """The part of a parameter's update that a device computes: as its first moment lies, or itself."""
    found = {s.name: 1 / _parts(splits[s.name], mesh) for s in state if s.role == "parameter"}
    for s in state:
        if s.role == "moment":
            name = s.name.partition("/")[2]
            found[name] = min(found[name], 1 / _parts(splits[s.name], mesh))
    return {f"{name} (update)": part for name, part in found.items()}


def _scaled(work: Work, share: Mapping[str, tuple[float, float]], update: Mapping[str, float]) -> Work:
    """One device's part of a pass."""
    flops, size = (update[work.loc],) * 2 if work.loc in update else share.get(work.loc, (1.0, 1.0))
    return Work(work.number, work.loc, int(work.flops * flops), int(work.read * size), int(work.written * size))


def _memory(
    local: Program, lowered: Module, splits: Mapping[str, Axes], mesh: Mesh, share: Mapping[str, tuple[float, float]]
) -> dict[str, int]:
    """The bytes of a device by what they are for."""
    whole = memory_of(local.state, lowered, STEP)
    rows: dict[str, int] = {}
    for s in local.state:
        if s.role in KEPT:
            row = KEPT[s.role]
            rows[row] = rows.get(row, 0) + s.type.bytes // _parts(splits[s.name], mesh)
    trained = {s.name: s for s in local.state if s.role == "parameter"}
    rows["gradients"] = sum(s.type.bytes // _parts(splits[n], mesh) for n, s in trained.items())
    rows["batch"] = whole.batch
    saved = (*whole.saved, *whole.again)
    rows["saved activations"] = int(sum(s.bytes * share.get(s.loc, (1.0, 1.0))[1] for s in saved))
    gathered = [s.type.bytes // _parts(splits[n], mesh, "model") for n, s in trained.items() if "data" in splits[n]]
    if gathered:
        rows["largest parameter gathered"] = max(gathered)
    return rows
