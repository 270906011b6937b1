"""Writing with a trained language model: the sampler's program on its target, and its loop from token to token."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from netc.codegen.draw import LIMITS, SETTINGS
from netc.codegen.sampler import Sampler, build_sampler
from netc.netspec.check import CheckedNet
from netc.netspec.errors import UserError
from netc.netspec.recipe import Recipe
from netc.runtime.backends import check_device, load
from netc.runtime.backends.protocol import Array, Buffer, Loaded
from netc.runtime.cache.store import Cache
from netc.runtime.prepare import Prepared, prepare
from netc.runtime.run.config import RunConfig
from netc.runtime.target import Target, parse_target

Ids = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Settings:
    """How the next token is chosen from the logits z of all tokens; docs/sampling.md has the equations.

    `repetition` divides positive logits of tokens that were seen, and multiplies negative ones. `temperature` divides
    all; at 0 the likeliest token is taken. Then only the `top_k` likeliest stay (0: all), of these the fewest whose
    probabilities together reach `top_p`, and of these those with at least `min_p` of the likeliest one's probability.
    Raises UserError for a value out of range.
    """

    temperature: float = 0.8
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition: float = 1.0

    @property
    def limited(self) -> bool:
        """Whether not all tokens may be drawn."""
        return self.temperature > 0 and (self.top_k > 0 or self.top_p < 1 or self.min_p > 0)

    def __post_init__(self) -> None:
        wanted = {
            "temperature": (0 <= self.temperature < 1e6, "0 (the likeliest token) or a positive number"),
            "top_k": (0 <= self.top_k < 1 << 24, "0 (all tokens) or a number of tokens"),
            "top_p": (0 < self.top_p <= 1, "a probability above 0, at most 1"),
            "min_p": (0 <= self.min_p <= 1, "a fraction from 0 to 1"),
            "repetition": (0 < self.repetition < 1e6, "a positive number, 1 for no penalty"),
        }
        for f in fields(self):
            fits, what = wanted[f.name]
            if not fits:
                raise UserError(f"`{f.name}` wants {what}, got {getattr(self, f.name):g}")


ALONE = 16 << 20
"""Bytes of weights below which the work of a token is too short to wake a processor's workers for, or for a call."""


def _small(net: CheckedNet) -> bool:
    return 4 * net.count < ALONE


def sampler_for(net: CheckedNet, target: Target, samples: int = 1, recipe: Recipe | None = None) -> Sampler:
    """The sampler as a target wants it, that of a small net with functions that write some tokens in one call.

    Raises UserError and SpecError.
    """
    return build_sampler(net, samples, recipe, packs=target.packs, turns=target.turns if _small(net) else 0)


def _alone(target: Target, sampler: Sampler) -> Target:
    """The target on the calling thread alone, where the net is small; the bits are the same."""
    few = target.driver == "local-task" and _small(sampler.program.net)
    return replace(target, driver="local-sync") if few else target


class Writer:
    """A language model's weights on a device, and what writes with them."""

    def __init__(self, sampler: Sampler, prepared: Prepared, tensors: Mapping[str, Array]) -> None:
        self.sampler, self.prepared = sampler, prepared
        self._loaded = load(prepared.source, _alone(prepared.target, sampler))
        held = {s.name: self._loaded.put(np.asarray(tensors[s.name], np.float32)) for s in sampler.program.kept}
        names = sampler.packed
        made = self._loaded.call("pack", [held[name] for name in names]) if names else []
        packed = dict(zip(names, made, strict=True))
        self._weights = [packed[name] if name in sampler.heads else v for name, v in held.items()]
        self._decoded = [packed.get(name, v) for name, v in held.items()]

    @classmethod
    def of_run(
        cls, config: RunConfig, tensors: Mapping[str, Array], target: str, cache: Cache, samples: int = 1
    ) -> Writer:
        """The writer of a run's weights. Raises UserError, SpecError and CompileError."""
        where = parse_target(target)
        check_device(where)
        sampler = sampler_for(config.net, where, samples, config.recipe)
        return cls(sampler, prepare(sampler.program, where, cache), tensors)

    def write(self, prompt: Sequence[int] | Ids, count: int, settings: Settings, seed: int = 0) -> Iterator[Ids]:
        """Yield `count` times the next token of each text, int32 [samples], after the prompt's ids [n].

        The net sees the last tokens that its context holds. Where its layers ask for the place of a token, one after a
        full context takes the whole net over the context again. Where the sampler has turns, tokens come so many at
        once, but for the first, the last few and those beyond a full context. Raises UserError for a prompt of no token
        or with an id that there is not.
        """
        ids = np.asarray(prompt, np.int32)
        sampler, get = self.sampler, self._loaded.get
        if ids.ndim != 1 or not len(ids) or ids.min() < 0 or ids.max() >= sampler.vocabulary:
            raise UserError(
                f"`prompt` wants one or more token ids from 0 to {sampler.vocabulary - 1}, got {list(ids.shape)}: "
                f"{ids.ravel()[:8].tolist()}"
            )
        if not 0 <= seed < 1 << 64:
            raise UserError(f"`seed` wants a number from 0 to 2^64 - 1, got {seed}")
        texts = np.repeat(ids[np.newaxis], sampler.program.batch, 0)
        drawing = _Drawing(self._loaded, settings, seed)
        state: list[Buffer] = []
        while count > 0:
            known = texts.shape[1]
            room = sampler.context - known + 1 if sampler.bounded else count
            if not state or room < 1:
                *state, seen, logits = self._prefill(texts)
                drawing.seen = seen
                drawn = get(drawing.draw(logits))[np.newaxis]
            elif sampler.turns and sampler.turns <= min(count, room):
                state, some = drawing.write(state, self._decoded)
                drawn = get(some)
            else:
                *state, logits = self._loaded.call("decode", [*state, *self._decoded, drawing.token])
                drawn = get(drawing.draw(logits))[np.newaxis]
            texts = np.concatenate([texts, drawn.T], 1)[:, -sampler.context - 1 :]
            count -= len(drawn)
            for tokens in drawn:
                if tokens.max() >= sampler.vocabulary:
                    raise UserError(
                        "sample wants logits that are numbers, got NaN: the weights are damaged; choose another "
                        "`checkpoint`"
                    )
                yield tokens

    def _prefill(self, texts: Ids) -> list[Buffer]:
        """The state after the last tokens of the texts, by the shortest prefill that takes them."""
        seen = texts[:, -self.sampler.context :]
        count, name = next((n, name) for n, name in self.sampler.prefills.items() if n >= seen.shape[1])
        padded = np.zeros((len(texts), count), np.int32)
        padded[:, : seen.shape[1]] = seen
        put = self._loaded.put
        return self._loaded.call(name, [*self._weights, put(padded), put(np.asarray(seen.shape[1], np.int32))])


class _Drawing:
    """The draws of a text: how, the number of the next one, and which tokens were seen, all on the device."""

    def __init__(self, loaded: Loaded, settings: Settings, seed: int) -> None:
        self._loaded = loaded
        self._draw, self._write = ("draw_among", "write_among") if settings.limited else ("draw", "write")
        names = (*SETTINGS, *LIMITS) if settings.limited else SETTINGS
        words = np.array([seed >> 32, seed & 0xFFFFFFFF], np.uint32)
        self._asked = [loaded.put(words), *(loaded.put(np.asarray(getattr(settings, n), np.float32)) for n in names)]
        self._number: Buffer = loaded.put(np.asarray(0, np.int32))
        self.seen: Buffer = None
        self.token: Buffer = None

    def draw(self, logits: Buffer) -> Buffer:
        """The next token of each text, i32 [samples]."""
        args = [logits, self.seen, self._number, *self._asked]
        self.token, self.seen, self._number = self._loaded.call(self._draw, args)
        return self.token

    def write(self, state: list[Buffer], weights: Sequence[Buffer]) -> tuple[list[Buffer], Buffer]:
        """Some turns at once: the state after them and the tokens i32 [turns, samples]."""
        args = [*state, self.token, self.seen, self._number, *weights, *self._asked]
        *state, self.token, self.seen, self._number, tokens = self._loaded.call(self._write, args)
        return state, tokens
