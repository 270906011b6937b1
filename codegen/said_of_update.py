"""What a manifest says of the update: by it a reader knows how a gradient stands in what a step returns."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any, cast

from netc.netspec.check import CheckedNet
from netc.netspec.recipe import Recipe


def said_of_update(net: CheckedNet, recipe: Recipe, steps_per_call: int) -> dict[str, Any]:
    """How often it loops; the optimizer's options, what clips or wraps it, and parameters that are not as all others.

    As plain JSON.
    """
    parts = {"accumulate": recipe.accumulate, "steps_per_call": steps_per_call}
    clipping, optimizer = recipe.clipping, cast(Any, recipe.optimizer)
    beside = {
        "decays": [p.name for p in net.params if optimizer.weight_decay and (p.decay or recipe.decay_all)],
        "frozen": [p.name for p in net.params if recipe.groups.is_frozen(p.name)],
        "rates": recipe.groups.factors(net),
        **{f.name: v for f in fields(clipping) if (v := getattr(clipping, f.name)) != f.default},
        **{name: v for name in ("sam", "lookahead") if (v := getattr(recipe.wrapping, name))},
        "thaw": list(recipe.groups.thaw),
    }
    said = {"kind": optimizer.kind, **asdict(optimizer), **{name: v for name, v in beside.items() if v}}
    return {**{name: count for name, count in parts.items() if count > 1}, "optimizer": said}
