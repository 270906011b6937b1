"""Text from a trained language model: the prompt becomes tokens, and what is drawn becomes text again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from netc.netspec.errors import UserError
from netc.programs import quiet, refuse_unknown
from netc.runtime.cache.store import Cache
from netc.runtime.data.characters import held_back, is_text
from netc.runtime.data.errors import DataError
from netc.runtime.data.tokenizer import Tokenizer
from netc.runtime.run.config import RunConfig, checkpoint_of
from netc.runtime.run.tokenizer import tokenizer_of
from netc.runtime.sample import Ids, Settings, Writer
from netc.runtime.weights.chosen import chosen_weights, weights_word
from netc.word_types import typed, types_of

NOTHING = "\n"  # the prompt where none is given, as a text begins after the end of a line
SETTINGS = tuple(f.name for f in fields(Settings))


@dataclass(frozen=True)
class SampleRequest:
    """What is asked for: `tokens` after the `prompt`, `samples` times, each until one of the words of `stop` appears.

    The word itself is left out. `settings` says how the next token is chosen.
    """

    prompt: str = ""
    tokens: int = 200
    samples: int = 1
    seed: int = 0
    stop: tuple[str, ...] = ()
    settings: Settings = field(default_factory=Settings)

    def __post_init__(self) -> None:
        if self.tokens < 1:
            raise UserError(f"`tokens` wants a positive number, got {self.tokens}")
        if self.samples < 1:
            raise UserError(f"`samples` wants a positive number, got {self.samples}")
        if not 0 <= self.seed < 1 << 64:
            raise UserError(f"`seed` wants a number from 0 to 2^64 - 1, got {self.seed}")
        for word, given in (("prompt", self.prompt), *(("stop", one) for one in self.stop)):
            if not is_text(given):
                raise UserError(
                    f"`{word}` wants text, got bytes that are not valid UTF-8 in {given!r}; give it as UTF-8"
                )
        if not all(self.stop):
            raise UserError("`stop` wants words, got an empty one, which is everywhere; leave it out")


def sample_words() -> frozenset[str]:
    """The words of `request_sample`."""
    return frozenset({*SETTINGS, *(f.name for f in fields(SampleRequest) if f.name != "settings")})


def request_sample(**words: Any) -> SampleRequest:
    """The request of these words; what is missing or None has its default. Raises UserError."""
    refuse_unknown(words, sample_words)
    given = {name: value for name, value in words.items() if value is not None}
    stop = given.pop("stop", ())
    given = typed(given, types_of((SampleRequest, Settings)))
    settings = Settings(**{name: given.pop(name) for name in SETTINGS if name in given})
    return SampleRequest(**given, stop=(stop,) if isinstance(stop, str) else tuple(stop), settings=settings)


def sample(
    config: RunConfig,
    folder: Path,
    request: SampleRequest,
    *,
    checkpoint: str = "best",
    weights: str | None = None,
    target: str = "",
    tokenizer: str = "",
    cache: Cache | None = None,
    note: Callable[[str], None] = quiet,
) -> Iterator[tuple[str, ...]]:
    """Yield what comes to each text, the prompt not among it, token by token.

    `tokenizer` names one in the place of the run's own. `weights` are `plain`, or the average that the recipe keeps,
    if it keeps one, by default. `note` gets what the user should know. Raises UserError, SpecError, DataError and
    CompileError, all of them before the first token.
    """
    if config.net.x.dtype != "i32":
        raise UserError(
            f"sample wants a run of a language model, which writes text, or of a generative one, trained with "
            f"`process`, got {config.net.spec.name}, which takes {config.net.x}; `netc predict` is for images"
        )
    chosen, saved = weights_word(config.recipe, weights), checkpoint_of(folder, checkpoint)
    made_by = tokenizer_of(folder, saved, config.net.out.shape[-1], tokenizer)
    ids = made_by.encode(request.prompt) if request.prompt else _nothing(made_by)
    context = config.net.x.shape[0]
    if len(ids) > context:
        note(f"the prompt has {len(ids)} tokens, of which the net sees the last {context}")
    where = target or config.target
    writer = Writer.of_run(config, chosen_weights(saved.tensors, chosen), where, cache or Cache(), request.samples)
    return _parts(writer, ids, request, made_by)


def _nothing(tokenizer: Tokenizer) -> Sequence[int] | Ids:
    """The ids that a text begins behind, where no prompt is given: the end of a line or of a text, or the first id."""
    if tokenizer.end >= 0:
        return [tokenizer.end]
    try:
        return tokenizer.encode(NOTHING)
    except DataError:
        return [0]


def _parts(
    writer: Writer, ids: Sequence[int] | Ids, request: SampleRequest, tokenizer: Tokenizer
) -> Iterator[tuple[str, ...]]:
    texts = [_Text(request.stop, tokenizer.decoder(), tokenizer.size) for _ in range(request.samples)]
    drawn = writer.write(ids, request.tokens, request.settings, request.seed)
    while True:
        try:
            tokens = next(drawn, None)
        except UserError:  # the weights became no numbers; what was held back until then belongs to the text
            if any(rest := tuple(text.rest() for text in texts)):
                yield rest
            raise
        if tokens is None:
            yield tuple(text.rest() for text in texts)
            return
        yield tuple(text.add(i) for text, i in zip(texts, tokens.tolist(), strict=True))
        if all(text.ended for text in texts):
            return


class _Text:
    """A text that grows until one of its stop words appears."""

    def __init__(self, stops: Sequence[str], decode: Callable[[int], str], size: int) -> None:
        self.stops, self._decode, self._size = stops, decode, size
        self.waiting = ""  # what may be the beginning of a stop word
        self.ended = False

    def add(self, drawn: int) -> str:
        """What is sure to belong to the text, now that a token was drawn."""
        if self.ended:
            return ""
        self.waiting += self._decode(drawn) if drawn < self._size else ""  # a net may round its vocabulary up
        found = [at for stop in self.stops if (at := self.waiting.find(stop)) >= 0]
        if found:
            self.ended = True
            return self.waiting[: min(found)]
        sure = len(self.waiting) - held_back(self.waiting, self.stops)
        part, self.waiting = self.waiting[:sure], self.waiting[sure:]
        return part

    def rest(self) -> str:
        """What was held back to the end."""
        return "" if self.ended else self.waiting
