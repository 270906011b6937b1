"""Writing on targets: the same tokens everywhere, beyond the context too, and what is refused."""

import numpy as np
import pytest

from netc.codegen.program import build
from netc.codegen.sampler import LEAST, build_sampler
from netc.netspec import layers as nn
from netc.netspec.check import check
from netc.netspec.errors import UserError
from netc.netspec.recipe import Recipe
from netc.netspec.spec import NetSpec
from netc.runtime.cache.store import Cache
from netc.runtime.prepare import prepare
from netc.runtime.sample import ALONE, Settings, Writer, sampler_for
from netc.runtime.target import parse_target
from netc.runtime.trainer import Trainer

CONTEXT = 6


def model(*blocks, width=8):
    embed = nn.TokenPositionEmbed(12, width, positions=False, std=1.0)
    return check(NetSpec("writer", (CONTEXT,), (nn.TiedHead(embed, nn.Chain(blocks)),), dtype="i32"))


ROPE = model(nn.Residual(nn.MultiHeadAttention(2, causal=True, rope=True, std=0.5)))
MAMBA = model(nn.MambaBlock(state=4))


@pytest.fixture
def made(tmp_path):
    """`made(net, target, samples)` -> a writer, and the trainer whose weights it has."""

    def make(net, target="reference", samples=1, *, packs=False, least=LEAST, turns=0):
        cache, where = Cache(tmp_path), parse_target(target)
        trainer = Trainer(prepare(build(net, Recipe(), 1), parse_target("reference"), cache))
        trainer.init(3)
        sampler = build_sampler(net, samples, packs=packs, least=least, turns=turns)
        return Writer(sampler, prepare(sampler.program, where, cache), trainer.fetch()), trainer

    return make


def texts(writer, count, prompt=(1, 2, 3), seed=0, **settings):
    return np.stack([*writer.write(prompt, count, Settings(**settings), seed)], 1).tolist()


def test_beyond_the_context_the_last_tokens_count(made):
    writer, trainer = made(ROPE)
    (drawn,) = texts(writer, 12, temperature=0.0)
    text = [1, 2, 3]
    for token in drawn:
        window = text[-CONTEXT:]
        x = np.zeros((1, CONTEXT), np.int32)
        x[0, : len(window)] = window
        assert token == int(trainer.predict(x)[0, len(window) - 1].argmax())
        text.append(token)


def test_a_recurrence_goes_on_beyond_the_context(made):
    writer, _ = made(MAMBA)
    assert not writer.sampler.bounded
    calls = []
    call = writer._loaded.call
    writer._loaded.call = lambda name, args: calls.append(name) or call(name, args)
    texts(writer, 12)
    assert calls == ["prefill", "draw", *["decode", "draw"] * 11]


def test_a_prompt_is_taken_by_the_shortest_prefill(made):
    writer, _ = made(ROPE, least=2)
    calls = []
    call = writer._loaded.call
    writer._loaded.call = lambda name, args: calls.append(name) or call(name, args)
    assert texts(writer, 6, temperature=0.0) == texts(made(ROPE)[0], 6, temperature=0.0)
    assert calls[::2] == ["prefill_4", "decode", "decode", "decode", "prefill", "prefill"]
    texts(writer, 1, prompt=(1, 2))
    assert calls[-2] == "prefill_2"


def called(writer):
    """The names of the functions that the writer calls from now on."""
    calls, call = [], writer._loaded.call
    writer._loaded.call = lambda name, args: calls.append(name) or call(name, args)
    return calls


@pytest.mark.parametrize("samples", [1, 2])
@pytest.mark.parametrize("more", [{}, {"top_k": 5, "top_p": 0.9}], ids=["plain", "limits"])
def test_some_tokens_in_one_call_are_those_of_single_ones(made, more, samples):
    asked = {"temperature": 8.0, "repetition": 1.3, "seed": 5, **more}
    writer, _ = made(MAMBA, samples=samples, turns=3)
    calls = called(writer)
    assert texts(writer, 9, **asked) == texts(made(MAMBA, samples=samples)[0], 9, **asked)
    own = ("write_among", "draw_among") if more else ("write", "draw")
    assert calls == ["prefill", own[1], own[0], own[0], "decode", own[1], "decode", own[1]]


def test_some_tokens_in_one_call_end_where_the_context_does(made):
    writer, _ = made(ROPE, least=2, turns=2)
    calls = called(writer)
    assert texts(writer, 7, prompt=(1, 2), seed=3) == texts(made(ROPE)[0], 7, prompt=(1, 2), seed=3)
    assert [name for name in calls if name != "draw"] == ["prefill_2", "write", "write", "prefill", "prefill"]


@pytest.mark.parametrize("target", ["xla", "cpu", "c"])
def test_targets_write_some_tokens_in_one_call(made, target, c_compiler):
    """What they draw among is a loop in the loop."""
    asked = {"temperature": 8.0, "top_p": 0.9, "repetition": 1.2, "seed": 5}
    writer, _ = made(ROPE, target, turns=2)
    calls = called(writer)
    assert texts(writer, 5, prompt=(1,), **asked) == texts(made(ROPE)[0], 5, prompt=(1,), **asked)
    assert calls.count("write_among") == 2


def test_small_nets_write_some_tokens_in_one_call():
    assert sampler_for(ROPE, parse_target("xla")).turns == 8
    assert not any(sampler_for(ROPE, parse_target(word)).turns for word in ("reference", "cpu", "c", "vulkan"))
    large = model(nn.Residual(nn.GatedMlp(1400)), nn.Residual(nn.GatedMlp(1400)), width=512)
    assert 4 * large.count > ALONE and not sampler_for(large, parse_target("xla")).turns


def test_packed_weights_write_the_same(made):
    net = model(nn.Residual(nn.MultiHeadAttention(2, causal=True, rope=True, std=0.5)), width=16)
    (writer, _), (plain, _) = made(net, packs=True), made(net)
    assert len(writer.sampler.packed) == 2 and not plain.sampler.packed
    assert texts(writer, 8, temperature=4.0) == texts(plain, 8, temperature=4.0)
    assert texts(made(net, packs=True, turns=2)[0], 8, temperature=4.0) == texts(plain, 8, temperature=4.0)


def test_the_same_tokens_on_every_backend_and_again(made):
    asked = {"temperature": 8.0, "top_p": 0.9, "repetition": 1.2, "seed": 5}
    here = texts(made(ROPE, samples=2)[0], 10, **asked)
    assert here[0] != here[1]
    assert texts(made(ROPE, samples=2)[0], 10, **asked) == here
    assert texts(made(ROPE, samples=2)[0], 10, **{**asked, "seed": 6}) != here
    for target in ("cpu", "xla"):
        assert texts(made(ROPE, target, samples=2)[0], 10, **asked) == here


def test_c_writes_the_same_tokens(made, c_compiler):
    """With a limit that is a number of one text: a tensor of one element, which is given where it lies."""
    asked = {"temperature": 8.0, "top_p": 0.9, "seed": 5}
    assert texts(made(ROPE, "c")[0], 4, **asked) == texts(made(ROPE)[0], 4, **asked)


def test_a_long_prompt_is_seen_from_its_end(made):
    writer, _ = made(ROPE)
    assert texts(writer, 5, prompt=[7, 7, *range(6)]) == texts(writer, 5, prompt=[*range(6)])


def test_weights_that_are_no_numbers_write_nothing(made):
    writer, trainer = made(ROPE)
    broken = {name: np.full_like(value, np.nan) for name, value in trainer.fetch().items() if value.dtype == np.float32}
    writer = Writer(writer.sampler, writer.prepared, broken)
    with pytest.raises(UserError, match="wants logits that are numbers, got NaN"):
        next(writer.write([1], 1, Settings()))


@pytest.mark.parametrize("turns", [0, 8])
def test_tokens_before_one_that_is_no_number_are_written(made, turns):
    """The net says n + 1 after n, until the last channel of the embedding of 5 overflows and is infinity times 0."""
    layers = (nn.TokenPositionEmbed(12, 13, positions=False), nn.Dense(13, bias=False), nn.Dense(12, bias=False))
    writer, _ = made(check(NetSpec("count", (CONTEXT,), layers, dtype="i32")), turns=turns)
    table, square, head = (np.eye(*shape, dtype=np.float32) for shape in ((12, 13), (13, 13), (13, 12)))
    table[5, 12] = square[12, 12] = 1e20
    names = [slot.name for slot in writer.sampler.program.kept]
    tensors = dict(zip(names, (table, square, np.roll(head, 1, 1)), strict=True))
    writer = Writer(writer.sampler, writer.prepared, tensors)
    written = []
    with pytest.raises(UserError, match="wants logits that are numbers, got NaN"):
        for tokens in writer.write([1], 9, Settings(temperature=0)):
            written.append(tokens.item())
    assert written == [2, 3, 4, 5]


@pytest.mark.parametrize("prompt", [[], [12], [-1], [[1, 2]]])
def test_ids_that_there_are_not(made, prompt):
    with pytest.raises(UserError, match="`prompt` wants one or more token ids from 0 to 11"):
        next(made(ROPE)[0].write(prompt, 1, Settings()))


@pytest.mark.parametrize(
    ("name", "value"),
    [("temperature", -0.1), ("temperature", float("nan")), ("top_k", -1), ("top_p", 0.0), ("top_p", 1.1),
     ("min_p", 2.0), ("repetition", 0.0)],
)  # fmt: skip
def test_settings_out_of_range(name, value):
    with pytest.raises(UserError, match=f"`{name}` wants"):
        Settings(**{name: value})
