"""The program that writes: from a prompt to the logits of the next token, a draw, and on from that token.

    prefill(weights, tokens i32 [B, T], length i32) -> (state, seen [B, V], logits [B, V])
    prefill_32(weights, tokens i32 [B, 32], length i32), and so on by powers of two: the same of a short prompt
    draw(logits, seen, number i32, key ui32 [2], temperature, repetition) -> (token i32 [B], seen, number)
    decode(state, weights, token) -> (state, logits)
    write(state, token, seen, number, weights, key, temperature, repetition) -> (state, token, seen, number, tokens)

The state is what layers keep of the tokens (keys, values, ..) and the place of the last one. `draw_among` is `draw`
with `top_k`, `top_p` and `min_p`, whose search would cost a small net more than all else. Only the token has to cross
to the host. Where weights are packed for the target (codegen/packing.py), `pack` gives some of them as `decode` takes
them. `write`, and `write_among` with the limits, which are there on request, do `decode` and `draw` some times in one
call, tokens i32 [turns, B]: what a small net does for a token takes less time than the calls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from netc.codegen.builder import Builder
from netc.codegen.collector import no_collector
from netc.codegen.documents import begins, next_begin
from netc.codegen.draw import LIMITS, SETTINGS, draw, narrow
from netc.codegen.ir import Function, Module, Value, identifier
from netc.codegen.layers.tokens import tokens_from
from netc.codegen.packing import packed, packing
from netc.codegen.program import Program
from netc.codegen.rewrite.precision import at_precision
from netc.codegen.rules import Decoding, Emitted, Scope, emit
from netc.codegen.slots import KEY, SCALAR, STEP, Slot, kept_of, state_of
from netc.netspec.check import CheckedNet
from netc.netspec.errors import SpecError
from netc.netspec.recipe import Recipe
from netc.netspec.types import TensorType

DOCUMENT, PLACES = "document", ("document", "position")
"""States that are places: where the document of the next token begins, and where the last known token is."""

WRITES = {"write": SETTINGS, "write_among": (*SETTINGS, *LIMITS)}
"""The functions that write some tokens in one call, and their settings."""

LEAST = 32
"""How many tokens the shortest prefill takes: for fewer, reading the weights is most of the work."""


def lengths(context: int, least: int = LEAST) -> tuple[int, ...]:
    """How many tokens each prefill takes: powers of two from `least` on that are below the context, and the context."""
    powers = (1 << n for n in range(context.bit_length()))
    return (*(n for n in powers if least <= n < context), context)


@dataclass(frozen=True)
class Sampler:
    """A module that writes, as a program whose state are the weights and then `own`, which `decode` goes on from.

    `bounded`: a layer asks for the place of a token, so that `decode` cannot go beyond the context. `prefills` are the
    functions that take a prompt, by how many tokens each takes, in order. `packed` are the weights that `pack` takes,
    and gives as `decode` takes them; those of `heads` the prefills take so too. `turns`: how many tokens `write`
    gives; 0 where there is no such function.
    """

    program: Program
    own: tuple[Slot, ...]
    bounded: bool
    prefills: Mapping[int, str]
    packed: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    turns: int = 0

    @property
    def context(self) -> int:
        """How many tokens the net sees at once."""
        return self.program.net.x.shape[0]

    @property
    def vocabulary(self) -> int:
        """How many tokens there are."""
        return self.program.net.out.shape[-1]


@no_collector()
def build_sampler(
    net: CheckedNet,
    batch: int = 1,
    recipe: Recipe | None = None,
    *,
    packs: bool = False,
    least: int = LEAST,
    turns: int = 0,
) -> Sampler:
    """The program that writes `batch` texts at once, its products of matrices in bf16 where the recipe's are.

    With `packs` weights that one text's tokens are multiplied with are packed once. It computes in float32 otherwise,
    what was trained in float64 too. A prompt takes time as one of `least` tokens, or of the next power of two. With
    `turns` there are functions that write as many tokens in one call.

    Raises SpecError for a net that is no language model, and UserError for a layer that needs all of a sequence.
    """
    recipe = replace((recipe or Recipe()).without_remat, scan_blocks=False, accumulate=1, chunked_loss=0)
    if recipe.precision == "f64":
        recipe = replace(recipe, precision="f32")
    problems = []
    if net.x.dtype != "i32" or net.x.rank != 1 or net.out.rank != 2 or net.out.shape[:1] != net.x.shape:
        problems.append(
            f"a sampler wants a net from token ids [T] to logits [T, vocabulary], got {net.spec.name}: "
            f"{net.x} -> {net.out}; give a causal language model such as tiny-gpt"
        )
    if type(batch) is not int or not 1 <= batch < 1 << 16:
        problems.append(f"`samples` wants a positive integer below 2^16, got {batch!r}")
    if problems:
        raise SpecError(tuple(problems))
    maker = SamplerEmitter(net, batch, recipe.documents.end)
    first = {n: maker.prefill(n) for n in lengths(net.x.shape[0], least)}
    _, state = first[net.x.shape[0]]
    prefills = tuple(f for f, _ in first.values())
    decode, bounded = maker.decode(state)
    draws = (maker.draw("draw", SETTINGS), maker.draw("draw_among", (*SETTINGS, *LIMITS)))
    each = [maker.turn(f"{name}_turn", state, names) for name, names in WRITES.items()] if turns else []
    weights = kept_of(state_of(net, recipe))
    few: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    if packs and batch == 1 and recipe.precision == "f32":
        decode, few = packed(decode, [s.name for s in weights])
        prefills, (heads, *_) = zip(*(packed(f, few) for f in prefills), strict=True)
        each = [packed(f, few)[0] for f in each]
    pack = (packing("pack", [(s.name, s.type) for s in weights if s.name in few]),) if few else ()
    writes = [f for name, turn in zip(WRITES, each, strict=False) for f in (turn, repeated(name, turn, turns, state))]
    functions = (narrow(batch, net.out.shape[-1]), *pack, *prefills, decode, *draws, *writes)
    module = Module(identifier(net.spec.name), functions)
    program = Program(net, recipe, batch, (*weights, *state), at_precision(module, recipe.precision))
    return Sampler(program, state, bounded, {n: f.name for n, (f, _) in first.items()}, few, heads, turns)


@dataclass(frozen=True)
class SamplerEmitter:
    """Emits the functions of one module."""

    net: CheckedNet
    batch: int
    end: int | None = None  # the token that ends a document, where they are kept apart

    @property
    def _words(self) -> TensorType:
        return TensorType((self.batch, self.net.out.shape[-1]))

    def _held(self, b: Builder) -> dict[str, Value]:
        """Parameters, then statistics."""
        return {name: b.parameter(name, TensorType(shape)) for name, shape in self.net.shapes.items()}

    def _forward(
        self, b: Builder, held: Mapping[str, Value], at: Decoding, x: Value, begins: Value | None
    ) -> tuple[Value, Emitted]:
        """The logits of the last known token [B, V], and what was emitted."""
        out = emit(b, self.net.spec.body, Scope(held, held, training=False, decoding=at, begins=begins), x)
        last = out.y if out.y.shape[1] == 1 else tokens_from(b, out.y, at.position, 1)
        return b.reshape(last, self._words.shape), out

    def prefill(self, count: int) -> tuple[Function, tuple[Slot, ...]]:
        """The function that takes so many tokens, and the state that it makes."""
        context, words = self.net.x.shape[0], self._words.shape[1]
        b = Builder("prefill" if count == context else f"prefill_{count}")
        held = self._held(b)
        tokens = b.parameter("tokens", TensorType((self.batch, count), "i32"))
        length = b.parameter("length", STEP)
        with b.at("position"):
            position = b.sub(length, 1)
        own = {} if self.end is None else {DOCUMENT: next_begin(b, tokens, self.end, position)}
        first = None if self.end is None else begins(b, tokens, self.end)
        logits, out = self._forward(b, held, Decoding(position, whole=True, context=context), tokens, first)
        with b.at("seen"):
            known = b.compare("LT", b.iota(1, tokens.shape), b.broadcast(length, tokens, ()))
            places = b.add(b.mul(b.iota(0, tokens.shape), words), tokens)
            places = b.select(known, places, self.batch * words)  # what is outside is left out
            ones = b.constant(1.0, TensorType((self.batch, count, 1)))
            counts = b.op("add_rows", b.constant(0.0, TensorType((self.batch * words, 1))), places, ones)
            seen = b.minimum(b.reshape(counts, self._words.shape), 1.0)
        kept = {**out.state, **own, "position": position}
        state = tuple(Slot(name, "position" if name in PLACES else "cache", v.type) for name, v in kept.items())
        return b.finish([*kept.items(), ("seen", seen), ("logits", logits)]), state

    def decode(self, state: Sequence[Slot]) -> tuple[Function, bool]:
        """From the state to the next one; and whether a layer asks for the place."""
        b = Builder("decode")
        kept = {s.name: b.parameter(s.name, s.type) for s in state}
        held = self._held(b)
        token = b.parameter("token", TensorType((self.batch,), "i32"))
        new, logits, position = self._decoded(b, held, kept, token)
        bounded = any(position in op.operands for op in b.ops)
        results = [*((s.name, new[s.name]) for s in state), ("logits", logits)]
        return replace(b.finish(results), donated=len(state)), bounded

    def _decoded(
        self, b: Builder, held: Mapping[str, Value], kept: Mapping[str, Value], token: Value
    ) -> tuple[dict[str, Value], Value, Value]:
        """The next state, the logits of the token after one [B], and the place of that one."""
        with b.at("position"):
            position = b.add(kept["position"], 1)
        at = Decoding(position, whole=False, context=self.net.x.shape[0])
        x = b.reshape(token, (self.batch, 1))
        first = kept.get(DOCUMENT) and b.reshape(kept[DOCUMENT], x.shape)
        logits, out = self._forward(b, {**held, **kept}, at, x, first)
        new = {**out.state, "position": position}
        if self.end is not None:
            with b.at("documents"):
                after = b.broadcast(b.add(position, 1), token, ())
                new[DOCUMENT] = b.select(b.compare("EQ", token, self.end), after, kept[DOCUMENT])
        return new, logits, position

    def draw(self, name: str, settings: Sequence[str]) -> Function:
        """A token from the logits."""
        b = Builder(name)
        logits, seen = b.parameter("logits", self._words), b.parameter("seen", self._words)
        number, key = b.parameter("number", STEP), b.parameter("key", KEY)
        asked = {name: b.parameter(name, SCALAR) for name in settings}
        token, now, following = self._drawn(b, logits, seen, number, key, asked)
        return b.finish([("token", token), ("seen", now), ("number", following)])

    def _drawn(
        self, b: Builder, logits: Value, seen: Value, number: Value, key: Value, asked: Mapping[str, Value]
    ) -> tuple[Value, Value, Value]:
        """A token [B] from the logits; which ones are seen now, and the number of the next draw."""
        token = draw(b, logits, seen, number, key, asked)
        with b.at("seen"):
            index = b.iota(1, self._words.shape)
            now = b.select(b.compare("EQ", b.broadcast(token, index, (0,)), index), 1.0, seen)
            following = b.add(number, 1)
        return token, now, following

    def turn(self, name: str, state: Sequence[Slot], settings: Sequence[str]) -> Function:
        """`decode`, and `draw` from its logits: the state, token, seen and number after it, and the token once more."""
        b = Builder(name)
        kept = {s.name: b.parameter(s.name, s.type) for s in state}
        token, seen = b.parameter("token", TensorType((self.batch,), "i32")), b.parameter("seen", self._words)
        number, held, key = b.parameter("number", STEP), self._held(b), b.parameter("key", KEY)
        asked = {name: b.parameter(name, SCALAR) for name in settings}
        new, logits, _ = self._decoded(b, held, kept, token)
        token, seen, number = self._drawn(b, logits, seen, number, key, asked)
        found = {"token": token, "seen": seen, "number": number, "tokens": token}
        return replace(b.finish([*((s.name, new[s.name]) for s in state), *found.items()]), private=True)


def repeated(name: str, turn: Function, turns: int, state: Sequence[Slot]) -> Function:
    """The function that takes so many turns, and stacks their tokens."""
    b = Builder(name)
    given = [b.parameter(n, v.type) for n, v in zip(turn.names, turn.params, strict=True)]
    carried = len(turn.results) - 1
    found = b.loop(turn, turns, given[:carried], (), given[carried:])
    return replace(b.finish(list(zip(turn.result_names, found, strict=True))), donated=len(state))
