"""What a lowered training step holds, before anything is compiled: its state, its gradients, and what it saves.

A value is saved where the forward pass makes it and the backward pass reads it. Passes are those of step_cost.py, so
what a compiler fuses is not saved: an elementwise value that only the backward pass reads is computed there, and what
it is computed from is saved instead; a view of a value is that value. Arguments are not saved: they are there anyway.

With blocks computed again, the largest block's values come on top: one block's are held at a time. Of a batch that
passes in parts, what one part saves is held, and one sum for each gradient beside that part's own gradients.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from netc.codegen.analysis.step_cost import Passes
from netc.codegen.ir import Function, Module, Value
from netc.codegen.location import location_of
from netc.codegen.rules import block_of
from netc.codegen.slots import Slot
from netc.netspec.types import TensorType

# role of a slot -> row
KEPT = {"parameter": "parameters", "moment": "moments", "statistic": "statistics"}
KEPT |= {"average": "averages", "slow": "slow", "teacher": "teacher"}


@dataclass(frozen=True, slots=True)
class Saved:
    """One tensor that a later phase reads: its type, and the loc of the operation that makes it."""

    loc: str
    type: TensorType

    @property
    def bytes(self) -> int:
        """Its size."""
        return self.type.bytes


@dataclass(frozen=True, slots=True)
class Memory:
    """The bytes of a step. `saved` is largest first; `again` is what the largest recomputed block makes once more.

    `sums` are those of the gradients of a batch's parts, 0 where it passes whole; `averages` those of the weights and
    `slow` Lookahead's, 0 where none are kept; `teacher` those of the net that is distilled.
    """

    parameters: int
    moments: int
    statistics: int
    gradients: int
    batch: int
    saved: tuple[Saved, ...]
    again: tuple[Saved, ...]
    sums: int = 0
    averages: int = 0
    slow: int = 0
    teacher: int = 0

    @property
    def rows(self) -> dict[str, int]:
        """Each part by its name."""
        named = {n: getattr(self, n) for n in ("parameters", "moments", "statistics", "gradients", "batch")}
        again = {"one block again": _total(self.again)} if self.again else {}
        named |= {"averages": self.averages} if self.averages else {}
        named |= {"slow weights": self.slow} if self.slow else {}
        named |= {"teacher": self.teacher} if self.teacher else {}
        named |= {"sums of gradients": self.sums} if self.sums else {}
        return {**named, "saved activations": _total(self.saved), **again}

    @property
    def total(self) -> int:
        """The sum of all parts."""
        return sum(self.rows.values())

    def __str__(self) -> str:
        rows = {**self.rows, "sum": self.total}
        return "\n".join(f"{name:<18}{count / 1e6:>12,.2f} MB" for name, count in rows.items())

    def layers(self, depth: int = 0) -> dict[str, int]:
        """The saved bytes by layer, down to `depth`; most first."""
        sums: dict[str, int] = {}
        for s in self.saved:
            layer = location_of(s.loc).layer(depth)
            sums[layer] = sums.get(layer, 0) + s.bytes
        return dict(sorted(sums.items(), key=lambda item: -item[1]))


def memory_of(state: Sequence[Slot], module: Module, name: str = "train_step") -> Memory:
    """The memory of a step of a lowered module, whose first arguments are the state.

    If it loops, as it does over the parts of a batch, what saves is the function that it calls.
    """
    *called, step = module.needed(name)
    bytes_of = {row: sum(s.type.bytes for s in state if s.role == role) for role, row in KEPT.items()}
    # a parameter that the step returns as it is has no gradient
    kinds = zip(state, step.params, step.results, strict=False)
    gradients = sum(s.type.bytes for s, old, new in kinds if s.role == "parameter" and old is not new)
    saved, again = _held(called[0] if called else step)
    return Memory(
        **bytes_of, gradients=gradients, batch=sum(v.type.bytes for v in step.params[len(state) :]),
        saved=saved, again=again, sums=gradients if called else 0,
    )  # fmt: skip


def _held(function: Function) -> tuple[tuple[Saved, ...], tuple[Saved, ...]]:
    """What the forward pass of a function saves, and what the largest block computes again."""
    passes = Passes(function)
    makers = {op.result: op for op in passes.of}
    later: dict[int, set[str]] = {}  # the phases of each pass
    for op, number in passes.of.items():
        later.setdefault(passes.root(number), set()).add(location_of(op.loc).phase)
    saved: dict[Value, Saved] = {}
    again: dict[Value, Saved] = {}
    for op, number in passes.of.items():
        own = passes.root(number)
        for v in op.operands:
            maker = makers.get(source) if (source := passes.source[v]) is not None else None
            if maker is None or passes.root(passes.of[maker]) == own:
                continue
            made = later[passes.root(passes.of[maker])]
            if made == {"forward"} and later[own] & {"vjp", "remat"}:
                saved[maker.result] = Saved(maker.loc, maker.result.type)
            elif "remat" in made and "vjp" not in made and "vjp" in later[own]:
                again[maker.result] = Saved(maker.loc, maker.result.type)
    return _sorted(saved.values()), _largest(again.values())


def _largest(found: Iterable[Saved]) -> tuple[Saved, ...]:
    """Those of the block that has most."""
    blocks: dict[str | None, list[Saved]] = {}
    for s in found:
        blocks.setdefault(block_of(location_of(s.loc).path), []).append(s)
    return _sorted(max(blocks.values(), key=_total, default=[]))


def _sorted(found: Iterable[Saved]) -> tuple[Saved, ...]:
    return tuple(sorted(found, key=lambda s: -s.bytes))


def _total(found: Iterable[Saved]) -> int:
    return sum(s.bytes for s in found)
