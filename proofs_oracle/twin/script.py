"""A training as one JAX script: the same net, first state, batches, recipe and trace, and gradients by autodiff.

The script imports jax and numpy, and nothing of netc. It reads the examples from a file beside it, and from another
the weights that the training begins with, if they were given.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from netc.netspec.check import CheckedNet
from netc.netspec.errors import UserError
from netc.netspec.recipe import Recipe, TrainConfig
from netc.netspec.recipe_fit import example_of, trained
from netc.netspec.types import Constant, Initializer, Normal
from netc.netspec.vocabulary import option_parts_of, options_of
from netc.proofs_oracle.references import optimizers
from netc.proofs_oracle.twin import data, step
from netc.proofs_oracle.twin.forward import forward_text
from netc.proofs_oracle.twin.losses import loss_call, loss_functions
from netc.proofs_oracle.twin.mixing import changes_of
from netc.proofs_oracle.twin.parts import averaged, clipped, followed, point, uphill
from netc.proofs_oracle.twin.process import asked_of
from netc.proofs_oracle.twin.schedules import factor_text
from netc.proofs_oracle.twin.template import TEMPLATE


@dataclass(frozen=True)
class Training:
    """What a script is written from. `header` is the trace's, without the fields that the script knows itself.

    `crop` and `flip` are the augmentation, `mean` and `std` the normalisation of each channel; of token ids none.
    """

    net: CheckedNet
    recipe: Recipe
    config: TrainConfig
    seed: int
    crop: int
    flip: bool
    mean: tuple[float, ...]
    std: tuple[float, ...]
    header: Mapping[str, Any]


def jax_script(t: Training) -> str:
    """The script's text. Raises UserError naming a layer, a loss or an option that has no form in it."""
    _refuse(t.recipe)
    for name, f in options_of(TrainConfig).items():
        if getattr(t.config, name) != f.default:
            raise UserError(f"emit-jax wants a training without `{name}`, got it; the script has no form of it")
    net, parts = trained(t.net, t.recipe), t.recipe.accumulate
    groups = t.recipe.groups
    functions, forward = forward_text(net, groups.is_frozen)
    rank = t.net.out.rank
    draws = step.Drawing(net.signature.draws, t.recipe.draws)
    key, streamed = step.key_of(parts=parts > 1), "def stream(" in functions
    right = "logits.argmax(-1) == y" if rank == 1 else f"(logits.argmax(-1) == y).mean({_places(rank)})"
    if t.recipe.generation.process:
        changes, loss = asked_of(t.net, t.recipe, key, streamed=streamed)
        evaluation, right = loss, "jnp.zeros(len(x))"
    else:
        changes = changes_of(t.recipe, t.net.x, key, streamed=streamed)
        loss = changes.loss(*(loss_call(t.recipe.loss, "logits", y) for y in ("y", "y[::-1]")))
        evaluation = loss_call(t.recipe.loss.evaluated, "logits", "y")
    asks = "    seen, target, importance = asked(None, x, y)\n" if t.recipe.generation.process else ""
    tokens = t.net.x.dtype == "i32"
    begun = step.BEGUN if "init" in t.header.get("recipe", {}) else step.DRAWN
    s = t.config
    values: dict[str, Any] = {
        "NET": t.net.spec.name, "SEED": t.seed, "BATCH": s.batch, "EPOCHS": s.epochs, "LR": s.lr, "WARMUP": s.warmup,
        "FINAL": s.final, **({"PARTS": parts} if parts > 1 else {}),
    }  # fmt: skip
    values |= (
        {"CONTEXT": example_of(t.net, t.recipe).size}
        if tokens
        else {"CROP": t.crop, "FLIP": t.flip, "MEAN": t.mean, "STD": t.std}
    )
    values |= {
        "HEADER": dict(t.header),
        "PARAMETERS": {p.name: (p.shape, *_drawn(p.init), _decays(t.recipe, p.decay)) for p in t.net.params},
        "STATISTICS": {n.name: (n.shape, n.init.value) for n in t.net.state},
    }
    factors, frozen = groups.factors(t.net), tuple(p.name for p in net.params if groups.is_frozen(p.name))
    values |= {"RATES": factors} if factors else {}
    values |= {"FROZEN": frozen} if frozen else {}
    reference = optimizers.reference_of(t.recipe.optimizer)
    held = point(reference.script_point(t.recipe.optimizer) if reference.script_point else "")
    added = '"(losses)"' in functions
    derivative = step.derivative(loss, changes, draws, parts=parts > 1, frozen=bool(frozen), added=added)
    derivative, grads = uphill(t.recipe.wrapping.sam, derivative)
    constants = "\n".join(f"{NOTES.get(name, '')}{name} = {_literal(value)}" for name, value in values.items())
    replaced = {
        "<net>": _prose(t.net.spec.name),
        "<data>": _prose(str(t.header["data"])),
        "<examples>": "tokens" if tokens else "images",
        "<zlib>": "import zlib\n" if draws else "",
        "<constants>": constants,
        "<functions>": functions,
        "<forward>": forward.replace("\n", "\n    "),
        "<x>": "x i32 [B, T]" if tokens else "x [B, ..]",
        "<logits>": "logits [B, classes]" if rank == 1 else "logits [B, .., classes]",
        "<key argument>": ", key=None" if draws.net else "",
        "<step key function>": (step.KEY if draws else "") + changes.functions,
        "<seed key>": '        "key": key,\n' if draws else "",
        "<kept key>": ', "key": state["key"]' if draws else "",
        **begun,
        "<derivative>": derivative,
        **clipped(t.recipe.clipping, net.params, grads),
        **followed(t.recipe.wrapping, held["<held>"]),
        "<unless frozen>": "(w, kept) if name in FROZEN else " if frozen else "",
        "<rate>": "lr * RATES.get(name, 1)" if factors else "lr",
        **averaged(t.recipe.averaging),
        "<losses>": loss_functions(f"{loss} {evaluation}", rank),
        "<evaluation>": evaluation,
        "<right>": right,
        "<asked>": asks,
        "<said accuracy>": "" if asks else ", accuracy {accuracy:.2%}",
        "<evaluated>": "seen" if asks else "x",
        "<optimizer>": _optimizer(t.recipe),
        "<moments>": repr((*optimizers.moment_names(t.recipe.optimizer), *reference.script_moments)),
        **held,
        "<decay>": s.schedule.kind,
        "<factor>": factor_text(s.schedule),
        "<reading>": data.TOKENS if tokens else data.IMAGES,
    }
    return re.sub("|".join(replaced), lambda mark: replaced[mark[0]], TEMPLATE)


FORMS = ("averaging", "clipping", "generation", "groups", "mixing", "erasing", "wrapping", "regularisation")
"""Parts of a recipe that a script has."""

SAME_RESULTS = ("remat", "remat_blocks", "scan_blocks", "chunked_loss")
"""Options that only say how the same is computed."""


def _refuse(recipe: Recipe) -> None:
    """Raise UserError for options that the script does not have."""
    if recipe.precision != "f32":
        raise UserError(
            f"emit-jax wants a training in f32, got `precision={recipe.precision}`; leave it out: "
            "the script computes in float32"
        )
    if recipe.check_labels:
        raise UserError("emit-jax wants a training without `check_labels`, got it; the script has no such mask")
    if recipe.groups.thaw:
        raise UserError("emit-jax wants a training without `thaw`, got it; the script has no form of it")
    for part, cls in option_parts_of(Recipe).items():
        given = getattr(recipe, part)
        on = [name for name in options_of(cls) if getattr(given, name) != getattr(cls(), name)]
        if on and part not in FORMS:
            raise UserError(f"emit-jax wants a training without `{on[0]}`, got it; the script has no form of it")
    for name in SAME_RESULTS:
        if getattr(recipe, name):
            raise UserError(
                f"emit-jax wants a training without `{name}`, got it; leave it out: the results are the same"
            )


def _prose(name: str) -> str:
    """A name as it may stand in a docstring."""
    return name.replace("\\", "\\\\").replace('"', "'")


def _places(rank: int) -> str:
    return "1" if rank == 2 else repr(tuple(range(1, rank)))


def _literal(value: Any, indent: str = "") -> str:
    """The value as Python text; a long mapping has a line for each entry."""
    text = repr(value)
    if len(text) < 100 or not isinstance(value, Mapping):
        return text
    inner = indent + "    "
    entries = "".join(f"{inner}{key!r}: {_literal(item, inner)},\n" for key, item in value.items())
    return "{\n" + entries + indent + "}"


def _drawn(init: Initializer) -> tuple[str, float]:
    if isinstance(init, Constant):
        return "constant", init.value
    return ("normal", init.std) if isinstance(init, Normal) else ("uniform", init.bound)


def _decays(recipe: Recipe, decay: bool) -> bool:
    return bool(recipe.optimizer.weight_decay) and (decay or recipe.decay_all)


def _optimizer(recipe: Recipe) -> str:
    o = recipe.optimizer
    form = optimizers.reference_of(o).form
    if form is None:
        raise UserError(f"emit-jax wants an optimizer whose reference has a JAX form, got {o.kind}; give it a form")
    return "\n    ".join(form(o))


NOTES = {
    "PARAMETERS": "# shape, how it is drawn, the deviation, bound or value, whether weight decay touches it\n",
    "FROZEN": "# parameters that are not trained\n",
    "RATES": "# factors of the rates of parameters that have one\n",
    "PARTS": "# a batch passes in so many, one after the other\n",
}
