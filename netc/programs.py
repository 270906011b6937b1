"""From a net and words to a program: what `netc.compile` and the commands that look at a program ask for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from netc.codegen.program import Program, build
from netc.codegen.rewrite.form_overrides import FormOverrides
from netc.codegen.sharding.mesh import Sharding, parse_sharding
from netc.codegen.symbolic.program import build_any_batch
from netc.lean_words import Stated, stated
from netc.netspec.batch import BatchRange, parse_batch
from netc.netspec.check import CheckedNet, check
from netc.netspec.errors import UserError
from netc.netspec.find import NO_SIZES, find, refuse_sizes
from netc.netspec.plugins import load_installed
from netc.netspec.recipe import Recipe
from netc.netspec.recipe_words import recipe_of, recipe_words
from netc.netspec.spec import NetSpec
from netc.netspec.zoo.sizes import SIZES, Sizes
from netc.other_words import nearest
from netc.places import placed
from netc.word_types import recipe_types, typed, types_of

Shape = tuple[int, ...]
_SHAPE = re.compile(r"[1-9][0-9]{0,8}(x[1-9][0-9]{0,8})*")
_OWN = {"classes": int, "batch": int, "steps_per_call": int, "replicas": int}  # words of one number
BUDGET = "memory_budget"
WORDS = frozenset({"input", "recipe", "mesh", "shard", *_OWN, *SIZES})


@dataclass(frozen=True)
class ProgramRequest:
    """The program that is asked for. `replicas` devices run it, each on an equal part of the `batch`.

    Or its `sharding` splits it over a mesh of devices. With `batches` it is one of any batch of that range, and does
    not train. `memory_budget` are the bytes that `within_budget` makes its step fit, 0 for as many as it takes.
    """

    net: CheckedNet
    recipe: Recipe = Recipe()  # noqa: RUF009  # frozen
    batch: int = 32
    steps_per_call: int = 1
    replicas: int = 1
    sharding: Sharding | None = None
    batches: BatchRange | None = None
    memory_budget: int = 0

    def build(self) -> Program:
        """The program, not lowered yet. Raises SpecError, and UserError where it is one of any batch and cannot be."""
        if self.batches is not None:
            several = {"steps_per_call": self.steps_per_call > 1, "replicas": self.replicas > 1, "mesh": self.sharding}
            for word in (word for word, given in several.items() if given):
                raise UserError(
                    f"`{word}` wants a number as `batch`, got {self.batches}; give one, or leave `{word}` out"
                )
            return build_any_batch(self.net, self.recipe, self.batches)
        given = {"steps_per_call": self.steps_per_call, "replicas": self.replicas}
        return build(self.net, self.recipe, self.batch, **given).on(self.sharding)


def program_words() -> frozenset[str]:
    """The words that `request_program` takes besides `config`."""
    return WORDS | recipe_words()


def request_program(
    net: NetSpec | CheckedNet | str,
    *,
    config: str | None = None,
    default_batch: int = 32,
    ranges: bool = False,
    budgets: bool = False,
    on_stated: Callable[[Stated], None] | None = None,
    **words: Any,
) -> ProgramRequest:
    """The request that the words make, over what the TrainConfig of a .lean file states, over defaults.

    `on_stated` gets what the file states. With `ranges` the batch may be one (netspec/batch.py); with `budgets` there
    may be a `memory_budget`. Raises UserError or SpecError.
    """

    def known() -> frozenset[str]:
        return program_words() | ({BUDGET} if budgets else frozenset())

    refuse_unknown(words, known)
    if config is None and not isinstance(words.get("recipe"), str):  # the files' reader need not be imported
        return _request(net, None, words, on_stated, default_batch, ranges)
    from netc.config_file import over_files

    merged = over_files(net, config, words, known())
    with placed(merged.places):
        return _request(merged.net, merged.config, merged.words, on_stated, default_batch, ranges)


def _request(
    net: NetSpec | CheckedNet | str,
    config: str | None,
    words: dict[str, Any],
    on_stated: Callable[[Stated], None] | None,
    default_batch: int,
    ranges: bool,
) -> ProgramRequest:
    said = parse_batch(words.pop("batch")) if ranges and isinstance(words.get("batch"), str | BatchRange) else None
    words = typed(words, {**recipe_types(), **types_of((Sizes,)), **_OWN})
    batches = said if isinstance(said, BatchRange) else None
    words |= {"batch": said} if isinstance(said, int) else {}
    spec = spec_of(net, taken_sizes(words))
    words = over_stated(net, config, words, program_words(), on_stated)
    checked = resolve(spec, words.pop("classes", None), words.pop("input", None))
    budget = budget_of(words.pop(BUDGET, None))
    own = {name: words.pop(name) for name in ("batch", "steps_per_call", "replicas") if name in words}
    sharding = parse_sharding(words.pop("mesh", None), words.pop("shard", None))
    if sharding and own.get("replicas", 1) > 1:
        raise UserError("`mesh` splits one program, got `replicas` of it too; leave one out")
    return ProgramRequest(
        checked, recipe_from(words), sharding=sharding, batches=batches, memory_budget=budget,
        **{"batch": default_batch, **own},
    )  # fmt: skip


def recipe_from(words: dict[str, Any]) -> Recipe:
    """The recipe of the words, one of which may be `recipe` itself. Raises UserError or SpecError."""
    recipe = words.pop("recipe", None)
    if recipe is None:
        return _with_teacher(recipe_of(**words))
    if words:
        raise UserError(f"`recipe` says how to train, got also {', '.join(f'`{n}`' for n in words)}; leave one out")
    if not isinstance(recipe, Recipe):
        raise UserError(f"`recipe` wants a Recipe, got {type(recipe).__name__}; or give its fields directly")
    return _with_teacher(recipe.check())


def _with_teacher(recipe: Recipe) -> Recipe:
    if not recipe.distilling.distill:
        return recipe
    from netc.runtime.weights.teacher import with_teacher

    return with_teacher(recipe)


def over_stated(
    net: object,
    config: str | None,
    words: dict[str, Any],
    takes: frozenset[str],
    on_stated: Callable[[Stated], None] | None,
) -> dict[str, Any]:
    """The words, over those that the TrainConfig of a .lean file states. Raises UserError."""
    given = {name: value for name, value in words.items() if value is not None}
    found = stated(net, config, given, takes)
    if found and on_stated:
        on_stated(found)
    return {**words, **found.taken, **given} if found else words


def refuse_unknown(words: Iterable[str], words_known: Callable[[], frozenset[str]]) -> None:
    """Raise UserError for a word that there is not, with the nearest that there is; of installed plugins, too."""
    if not words_known().issuperset(words):
        load_installed()
    known = words_known()
    for name in words:
        if name not in known:
            near = " or ".join(f"`{word}`" for word in nearest(name, known))
            hint = f"did you mean {near}?" if near else "the docstring names them"
            raise UserError(f"wants a word that netc knows, got `{name}`; {hint}")


def taken_sizes(words: dict[str, Any]) -> dict[str, int]:
    """The stated sizes of a net, taken out of the words."""
    return {name: value for name in SIZES if (value := words.pop(name, None)) is not None}


def spec_of(net: NetSpec | CheckedNet | str, sizes: Mapping[str, int | None] = NO_SIZES) -> NetSpec:
    """The net itself, or the one of that name, of these sizes, or file (.toml, .lean); raises UserError, SpecError."""
    if isinstance(net, str):
        return find(net, sizes)
    if not isinstance(net, NetSpec | CheckedNet):
        raise UserError(f"a net must be a NetSpec, a name, or a file, got {net!r}; see netc.load")
    spec = net.spec if isinstance(net, CheckedNet) else net
    refuse_sizes(sizes, spec.name)
    return spec


def shape_of(given: Shape | str) -> Shape:
    """`224x224x3` -> (224, 224, 3), and a shape as it is; raises UserError."""
    if isinstance(given, tuple | list):
        return tuple(given)
    lowered = str(given).strip().lower().replace("×", "x")
    if not isinstance(given, str) or not _SHAPE.fullmatch(lowered):
        raise UserError(
            f"`input` wants positive sizes as in 224x224x3 (height, width, channels) or 784, got {given!r}; write it "
            "like that"
        )
    return tuple(map(int, lowered.split("x")))


def resolve(
    net: NetSpec | CheckedNet | str,
    classes: int | None = None,
    shape: Shape | str | None = None,
    sizes: Mapping[str, int | None] = NO_SIZES,
) -> CheckedNet:
    """The checked net, with the changes asked for; raises UserError, SpecError."""
    if isinstance(net, CheckedNet) and classes is None and shape is None and not sizes:
        return net
    spec = spec_of(net, sizes)
    if shape is not None:
        spec = spec.with_input(shape_of(shape))
    if classes is not None:
        spec = spec.with_classes(classes)
    return check(spec)


def quiet(text: str) -> None:
    """Say nothing."""


def tuned_choices(target: str, note: Callable[[str], None] = quiet) -> FormOverrides:
    """What `netc tune` kept on this machine for a target: forms of single convolutions."""
    from netc.runtime.cache.folders import cache_root
    from netc.runtime.measure.tuned import choices_for
    from netc.runtime.target import parse_target

    return choices_for(parse_target(target), cache_root(), note)


def budget_of(given: object) -> int:
    """The bytes of a `memory_budget` such as 2GB; 0 for none. Raises UserError."""
    if given is None:
        return 0
    from netc.runtime.cache.limit import bytes_of

    if not (found := bytes_of(str(given), f"`{BUDGET}`")):
        raise UserError(f"`{BUDGET}` wants a size such as 500MB or 2GB, got {given!r}; leave it out for no bound")
    return found


def within_budget(
    request: ProgramRequest, target: str, forms: FormOverrides, note: Callable[[str], None] = quiet
) -> ProgramRequest:  # fmt: skip
    """The request with the blocks to recompute that make the plan of its step fit its `memory_budget`, if it has one.

    `forms` are those of single convolutions. `note` gets what is planned, and what was chosen. Raises UserError.
    """
    if not request.memory_budget:
        return request
    others = {"steps_per_call": request.steps_per_call > 1, "mesh": request.sharding, "batch": request.batches}
    for word in (word for word, given in {**others, "devices": request.replicas > 1}.items() if given):
        raise UserError(
            f"`{BUDGET}` applies to one step of a fixed batch on one device, got `{word}` too; leave one out, or "
            "name the blocks in `remat_blocks`"
        )
    from netc.runtime.measure.budget import fit_blocks
    from netc.runtime.target import parse_target

    def built(recipe: Recipe) -> Program:
        return build(request.net, recipe, request.batch)

    found = fit_blocks(built, request.recipe, parse_target(target), request.memory_budget, forms, note)
    note(str(found))
    return replace(request, recipe=replace(request.recipe, remat_blocks=found.blocks))
