"""Where the time and the memory of a run's step go, layer by layer: counted, and measured where a profile is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from netc.codegen.analysis.block_cost import step_rows
from netc.codegen.analysis.memory import memory_of
from netc.codegen.analysis.step_cost import Ceiling, by_layer
from netc.codegen.program import Program, build
from netc.codegen.rewrite.lower import lower
from netc.runtime.prepare import in_use
from netc.runtime.run.config import RunConfig
from netc.runtime.target import parse_target

NO_CEILING = Ceiling(1.0, 1.0)  # only operations and bytes are asked for
MOST = 200  # layers that are shown


@dataclass(frozen=True)
class LayerCost:
    """A layer's part of a step: operations, bytes moved, bytes kept for the backward pass, and milliseconds."""

    layer: str
    flops: int
    moved: int
    kept: int
    ms: float | None = None


@dataclass(frozen=True)
class Costs:
    """The layers in the order of the forward pass, the step's memory by its parts in bytes, and where `ms` are from."""

    layers: tuple[LayerCost, ...]
    memory: Mapping[str, int]
    measured: str = ""
    left_out: int = 0

    def most(self, name: str) -> float:
        """The largest number of a column, at least a little above 0."""
        return max((getattr(row, name) or 0 for row in self.layers), default=0) or 1


def costs_of(config: RunConfig, profile: Mapping[str, Any] | None = None) -> Costs:
    """The costs of a run's step as it is lowered for its target; `profile` is what `netc profile --json` printed."""
    target = parse_target(config.target)

    def lowered(p: Program) -> Any:
        return lower(target.suited(p.module), target.profile, in_use(p, target, config.choices))

    rows, _ = step_rows(config.trained_net, config.recipe, config.training.batch, lowered, NO_CEILING)
    program = build(config.trained_net, config.recipe, config.training.batch)
    memory = memory_of(program.state, lowered(program))
    kept, ms = memory.layers(), _milliseconds(profile)
    layers = [
        LayerCost(
            layer, sum(r.flops for r in phases.values()), sum(r.bytes for r in phases.values()), kept.get(layer, 0),
            ms.get(layer) if ms else None,
        )
        for layer, phases in by_layer(rows).items()
    ]  # fmt: skip
    measured = ""
    if profile:
        measured = f"{profile['steps']} steps of {profile['step_ms']:.2f} ms on {profile['target']}, medians"
    return Costs(tuple(layers[:MOST]), memory.rows, measured, len(layers[MOST:]))


def _milliseconds(profile: Mapping[str, Any] | None) -> dict[str, float]:
    return {row["layer"]: sum(row["ms"].values()) for row in profile["layers"]} if profile else {}
