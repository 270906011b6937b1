"""Images, texts and sequences from a trained generative model: a request becomes one call of its sampler's program."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from netc.codegen.generator import problems_of, usual_steps
from netc.codegen.reverse_process import Drawn
from netc.netspec.errors import SpecError, UserError
from netc.programs import refuse_unknown
from netc.runtime.backends.protocol import Array
from netc.runtime.cache.store import Cache
from netc.runtime.evaluate import classes_of
from netc.runtime.generate import Drawer, Found, bounds_of
from netc.runtime.pictures import Pictures, pixels_of
from netc.runtime.run.checkpoint import Checkpoint
from netc.runtime.run.config import RunConfig, checkpoint_of, normalise_of
from netc.runtime.run.tokenizer import tokenizer_of
from netc.runtime.weights.chosen import chosen_weights, weights_word
from netc.word_types import typed, types_of

GRID = re.compile(r"([1-9][0-9]{0,3})x([1-9][0-9]{0,3})")


@dataclass(frozen=True)
class DrawRequest:
    """What is asked for: `count` samples of the `classes`, in turn, which are names or numbers; of none all in turn.

    `steps` of a `method` of the process; where nothing is given its first, and 50 or as many as there are. `guidance`
    is the scale of classifier-free guidance, 1 for none; `temperature` that of tokens.
    """

    count: int = 64
    classes: tuple[str, ...] = ()
    steps: int | None = None
    method: str = ""
    guidance: float = 1.0
    temperature: float = 1.0
    seed: int = 0
    path: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.guidance) and 0 <= self.guidance <= 1e3):
            raise UserError(f"`guidance` wants a number from 0 to 1000, 1 for none, got {self.guidance}")
        if not 0 <= self.temperature < 1e6:
            raise UserError(f"`temperature` wants 0 (the likeliest token) or a positive number, got {self.temperature}")


def request_draw(**words: Any) -> DrawRequest:
    """The request of these words; what is missing or None has its default. Raises UserError."""
    refuse_unknown(words, lambda: frozenset(f.name for f in fields(DrawRequest)))
    given = typed({name: value for name, value in words.items() if value is not None}, types_of((DrawRequest,)))
    several = given.pop("classes", ())
    return DrawRequest(**given, classes=(several,) if isinstance(several, str) else tuple(map(str, several)))


def draw(
    config: RunConfig,
    folder: Path,
    request: DrawRequest,
    *,
    checkpoint: str = "best",
    weights: str | None = None,
    target: str = "",
    cache: Cache | None = None,
) -> Pictures | tuple[str, ...] | tuple[Array, ...]:
    """The images, the texts, or the sequences f32 [elements, C], that a run's net draws.

    Of the average of its weights, if its recipe keeps one.

    Raises UserError, SpecError and CompileError.
    """
    process = config.recipe.generation.chosen
    steps = usual_steps(config.net, config.recipe) if request.steps is None else request.steps
    drawn = Drawn(request.count, steps, request.method, guided=request.guidance != 1, path=request.path)
    if problems := problems_of(config.net, config.recipe, drawn):
        raise SpecError(tuple(problems))
    assert process is not None
    conditional = process.conditional(config.net.x, config.net.out)
    if request.classes and not conditional:
        raise UserError(f"`classes` wants a net that sees classes, got {config.net.spec.name}; leave it out")
    saved = checkpoint_of(folder, checkpoint)
    labels = labels_of(request, saved, config.recipe.generation.label_count) if conditional else ()
    if process.kind == "masked":  # the mask is no token of a text; a vocabulary may be far wider than an alphabet
        size = len(classes_of(saved))
        made_by = tokenizer_of(folder, saved, size or config.net.out.shape[-1] - 1)
    held = chosen_weights(saved.tensors, weights_word(config.recipe, weights))
    drawer = Drawer.of_run(config, held, target or config.target, cache or Cache(), drawn)
    asked: dict[str, Any] = {"guidance": request.guidance, "temperature": request.temperature}
    if process.kind == "masked":
        found = drawer.draw(request.seed, known=made_by.size, **asked)
        return tuple(made_by.decode(i for i in row if i < made_by.size) for row in found.samples.tolist())
    if process.kind == "branching":
        return tuple(row[row[:, -1] > 0.5, :-1] for row in drawer.draw(request.seed).samples)
    normalise = normalise_of(saved)
    return _pictures(drawer.draw(request.seed, labels=labels, bounds=bounds_of(normalise), **asked), labels, saved)


def _pictures(found: Found, labels: tuple[int, ...], saved: Checkpoint) -> Pictures:
    normalise = normalise_of(saved)
    path = None if found.path is None else pixels_of(found.path, normalise)
    return Pictures(pixels_of(found.samples, normalise), labels, path)


def labels_of(request: DrawRequest, saved: Checkpoint, count: int) -> tuple[int, ...]:
    """The class of each sample; raises UserError for one that the run does not know."""
    names = classes_of(saved)
    chosen = tuple(_label(given, names, count) for given in request.classes) or tuple(range(count))
    return tuple(chosen[i % len(chosen)] for i in range(request.count))


def _label(given: str, names: Sequence[str], count: int) -> int:
    if given in names:
        return names.index(given)
    if given.isascii() and given.isdigit() and len(given) < 10 and int(given) < count:
        return int(given)
    shown = ", ".join(names[:12]) + (", .." if len(names) > 12 else "")
    raise UserError(
        f"`classes` wants one of {shown}, or a number from 0 to {count - 1}, got {given!r}; name one of those"
    )


def grid_sizes(text: str) -> tuple[int, int]:
    """Rows and columns of `8x8`; raises UserError."""
    if not (match := GRID.fullmatch(text.strip().lower())):
        raise UserError(f"`grid` wants rows and columns as in 8x8, got {text!r}; write it like that")
    return int(match[1]), int(match[2])
