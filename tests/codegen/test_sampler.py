"""The program that writes: beside `predict` on the whole text, beside NumPy's sorting, and beside XLA."""

import dataclasses

import numpy as np
import pytest

from netc.codegen import evaluator
from netc.codegen.builder import Builder
from netc.codegen.draw import LIMITS, SETTINGS, allowed, draw, narrow, open_unit
from netc.codegen.ir import Module
from netc.codegen.program import build
from netc.codegen.rewrite.lower import lower
from netc.codegen.sampler import build_sampler, lengths
from netc.codegen.slots import KEY, SCALAR, STEP
from netc.codegen.text import text_of
from netc.netspec import layers as nn
from netc.netspec.check import check
from netc.netspec.errors import SpecError, UserError
from netc.netspec.find import find
from netc.netspec.recipe import Recipe
from netc.netspec.spec import NetSpec
from netc.netspec.types import TensorType
from tests.codegen.witness import by_xla

VOCABULARY, CONTEXT, WIDTH, BATCH = 11, 9, 8, 2
PLAIN = {"temperature": 1.0, "top_k": 0.0, "top_p": 1.0, "min_p": 0.0, "repetition": 1.0}


def model(*blocks, positions=False, tied=True):
    embed = nn.TokenPositionEmbed(VOCABULARY, WIDTH, positions=positions, std=0.5)
    body = (nn.TiedHead(embed, nn.Chain(blocks)),) if tied else (embed, *blocks, nn.LMHead(VOCABULARY))
    return check(NetSpec("writer", (CONTEXT,), body, dtype="i32"))


NETS = {
    "learned positions": model(nn.TransformerEncoder(2, 16, 2, causal=True), positions=True),
    "rope": model(nn.Residual(nn.MultiHeadAttention(2, causal=True, rope=True))),
    "shared keys, normalised": model(
        nn.MultiHeadAttention(4, causal=True, rope=True, rope_base=50.0, qk_norm=True, kv_heads=2)
    ),
    "scaled angles": model(
        nn.MultiHeadAttention(2, causal=True, rope=True, rope_base=50.0, rope_scaling=(8.0, 1.0, 2.0, 16.0))
    ),
    "window": model(nn.Residual(nn.MultiHeadAttention(2, causal=True, window=3))),
    "window and tiles": model(nn.Residual(nn.MultiHeadAttention(2, causal=True, window=3, tile=2))),
    "tiles": model(nn.MultiHeadAttention(2, causal=True, tile=4)),
    "sinusoids, a head of its own": model(
        nn.SinusoidalPositions(), nn.LayerNorm(), nn.MultiHeadAttention(2, causal=True), tied=False
    ),
    "added positions": model(nn.LearnedPositions(), nn.MultiHeadAttention(4, causal=True)),
    "convolutions": model(nn.Conv1d(WIDTH, 3, dilation=2, activation="relu"), nn.Conv1d(WIDTH, 1)),
    "gated, experts": model(
        nn.RMSNorm(scale=False),
        nn.GatedMlp(12),
        nn.MultiHeadAttention(2, causal=True),
        nn.MixtureOfExperts(6, 4, std=0.5),
    ),
    "nanochat": check(
        find(
            "tiny-nanochat-gated", {"layers": 2, "heads": 2, "kv_heads": 1, "width": 8, "context": CONTEXT}
        ).with_classes(VOCABULARY)
    ),
    "mamba": model(nn.MambaBlock(state=4, layers=2)),
}


def weights(net):
    """Parameters and statistics that are not the first ones: no bias is 0."""
    program, rng = build(net, Recipe(), BATCH), np.random.default_rng(0)
    drawn = evaluator.run(program.module, "init", [np.array([0, 1], np.uint32)], "f32")[: len(program.kept)]
    return program, [(v + 0.1 * rng.standard_normal(v.shape)).astype(np.float32) for v in drawn]


def asked(seed=7, **settings):
    names = (*SETTINGS, *LIMITS)
    return [np.array([0, seed], np.uint32), *(np.float32({**PLAIN, **settings}[name]) for name in names)]


def padded(text):
    whole = np.zeros((BATCH, CONTEXT), np.int32)
    whole[:, : text.shape[1]] = text
    return whole


@pytest.mark.parametrize("name", NETS)
def test_each_token_has_the_logits_of_the_whole_text(name):
    net = NETS[name]
    program, held = weights(net)
    sampler = build_sampler(net, BATCH, least=4)
    module = sampler.program.module
    text = np.random.default_rng(1).integers(0, VOCABULARY, (BATCH, 3)).astype(np.int32)
    *state, seen, logits = evaluator.run(module, "prefill_4", [*held, padded(text)[:, :4], np.int32(3)], "f32")
    of_whole = evaluator.run(module, "prefill", [*held, padded(text), np.int32(3)], "f32")
    for short, whole in zip((seen, logits), of_whole[-2:], strict=True):
        np.testing.assert_allclose(short, whole, rtol=1e-5, atol=1e-5)
    number = np.int32(0)
    for _ in range(CONTEXT - 3):
        wanted = evaluator.run(program.module, "predict", [*held, padded(text)], "f32")[0][:, text.shape[1] - 1]
        np.testing.assert_allclose(logits, wanted, rtol=1e-5, atol=1e-5)
        token, seen, number = evaluator.run(module, "draw_among", [logits, seen, number, *asked()], "f32")
        text = np.concatenate([text, token[:, np.newaxis]], 1)
        *state, logits = evaluator.run(module, "decode", [*state, *held, token], "f32")
    assert state[[slot.name for slot in sampler.own].index("position")] == CONTEXT - 1 and number == CONTEXT - 3
    assert all(set(np.flatnonzero(row)) == set(ids.tolist()) for row, ids in zip(seen, text, strict=True))


def test_packed_weights_give_the_same_logits():
    """All but the embedding and what no width divides, in one product after another."""
    body = nn.TransformerEncoder(2, 64, 1, causal=True)
    embed = nn.TokenPositionEmbed(VOCABULARY, 32, positions=False, std=0.5)
    net = check(NetSpec("wide", (CONTEXT,), (nn.TiedHead(embed, nn.Chain((body, nn.GatedMlp(9)))),), dtype="i32"))
    plain, made = build_sampler(net), build_sampler(net, packs=True)
    rng = np.random.default_rng(0)
    held = {s.name: rng.standard_normal(s.type.shape).astype(np.float32) for s in plain.program.kept}
    shapes = {name: held[name].shape for name in made.packed}
    assert sorted(shapes.values()) == [(9, 32), (32, 32), (32, 64), (32, 96), (64, 32)]
    given = evaluator.run(made.program.module, "pack", [held[name] for name in made.packed], "f32")
    assert given[0].shape == (6, 32, 16)
    text = np.array([[1, 2, 3, *[0] * (CONTEXT - 3)]], np.int32)
    *state, _, _ = evaluator.run(plain.program.module, "prefill", [*held.values(), text, np.int32(3)], "f32")
    logits = [
        evaluator.run(of.program.module, "decode", [*state, *weights.values(), np.array([4], np.int32)], "f32")[-1]
        for of, weights in ((plain, held), (made, held | dict(zip(made.packed, given, strict=True))))
    ]
    np.testing.assert_allclose(logits[1], logits[0], rtol=1e-5, atol=1e-5 * np.abs(logits[0]).max())
    assert not made.heads and not build_sampler(net, 2, packs=True).packed and not build_sampler(net).packed


def test_a_head_of_its_own_is_packed_for_the_prompt_too():
    body = (nn.TokenPositionEmbed(32, 16, std=0.5), nn.MultiHeadAttention(2, causal=True), nn.LMHead(32, name="head"))
    net = check(NetSpec("own", (CONTEXT,), body, dtype="i32"))
    plain, made = build_sampler(net), build_sampler(net, packs=True)
    assert made.heads == ("head.dense.kernel",) and set(made.heads) < set(made.packed)
    rng = np.random.default_rng(0)
    held = {s.name: rng.standard_normal(s.type.shape).astype(np.float32) for s in plain.program.kept}
    given = evaluator.run(made.program.module, "pack", [held[name] for name in made.packed], "f32")
    packs = held | {n: v for n, v in zip(made.packed, given, strict=True) if n in made.heads}
    text = np.arange(CONTEXT, dtype=np.int32)[np.newaxis]
    first = [
        evaluator.run(of.program.module, "prefill", [*weights.values(), text, np.int32(5)], "f32")[-1]
        for of, weights in ((plain, held), (made, packs))
    ]
    np.testing.assert_allclose(first[1], first[0], rtol=1e-5, atol=1e-5 * np.abs(first[0]).max())


def test_only_layers_that_ask_for_the_place_are_bound_to_the_context():
    assert {name for name, net in NETS.items() if not build_sampler(net).bounded} == {"convolutions", "mamba"}


@pytest.mark.parametrize("name", ["rope", "mamba"])
def test_xla_writes_the_same(name):
    net = NETS[name]
    _, held = weights(net)
    sampler = build_sampler(net, BATCH)
    lowered = lower(sampler.program.module, "xla")
    text = np.array([[1, 2, 3], [4, 5, 6]], np.int32)
    ways = {"here": lambda *of: evaluator.run(lowered, *of, "f32"), "xla": lambda *of: by_xla(lowered, *of)}
    drawn = {}
    for who, call in ways.items():
        *state, seen, logits = call("prefill", [*held, padded(text), np.int32(3)])
        number, drawn[who] = np.int32(0), []
        for _ in range(4):
            token, seen, number = call("draw_among", [logits, seen, number, *asked(top_k=6, top_p=0.9)])
            drawn[who].append(token.tolist())
            *state, logits = call("decode", [*state, *held, token])
        drawn[who].append(logits)
    assert drawn["here"][:-1] == drawn["xla"][:-1]
    np.testing.assert_allclose(drawn["here"][-1], drawn["xla"][-1], rtol=1e-4, atol=1e-4)


def function(rows, vocabulary, made):
    """A module with `narrow`, and `f` (z, seen, number, key, settings..) -> what `made` gives."""
    b = Builder("f")
    wide = TensorType((rows, vocabulary))
    z, seen, number, key = (b.parameter(n, t) for n, t in (("z", wide), ("seen", wide), ("n", STEP), ("key", KEY)))
    settings = {name: b.parameter(name, SCALAR) for name in (*SETTINGS, *LIMITS)}
    return Module("m", (narrow(rows, vocabulary), b.finish([("r", made(b, z, seen, number, key, settings))])))


def kept(z, **settings):
    module = function(*z.shape, lambda b, z, seen, number, key, s: allowed(b, z, s))
    return evaluator.run(module, "f", [z, np.zeros_like(z), np.int32(0), *asked(**settings)], "f32")[0]


def by_sorting(z, top_k=0, top_p=1.0, min_p=0.0):
    """Which of z [V] are left, by sorting in float64: the equations of docs/sampling.md."""
    z = z.astype(np.float64)
    left = z >= np.sort(z)[::-1][top_k - 1] if top_k else np.ones(len(z), bool)
    e = np.where(left, np.exp(z - z.max()), 0)
    order = np.argsort(-e, kind="stable")
    reached = np.cumsum(e[order]) >= top_p * e.sum() * (1 - 1e-7)
    left &= (top_p == 1) | (e >= e[order][np.argmax(reached)])
    return left & (e >= min_p)


@pytest.mark.parametrize(
    "settings",
    [{}, {"top_k": 1}, {"top_k": 5}, {"top_k": 99}, {"top_p": 0.5}, {"top_p": 0.95}, {"min_p": 0.1},
     {"top_k": 20, "top_p": 0.7}, {"top_k": 7, "top_p": 0.9, "min_p": 0.3}],
)  # fmt: skip
def test_what_is_left_is_what_sorting_leaves(settings):
    z = (4 * np.random.default_rng(2).standard_normal((6, 60))).astype(np.float32)
    z[0, :10] = z[0].max()  # ties
    given = {**settings, "top_k": min(settings.get("top_k", 0), 60)}
    wanted = np.stack([by_sorting(row, **given) for row in z])
    assert np.array_equal(kept(z, **settings), wanted)
    assert wanted.any(axis=1).all()


@pytest.mark.parametrize(
    ("z", "settings", "left"),
    [([2.0, 1.9, 0.5, -1e9], {"top_k": 1}, 1), ([3.0, 2.0, 1.0, -1e30], {"top_k": 1}, 1),
     ([3.0, 2.0, 1.0, -np.inf], {"top_k": 2}, 2), ([3.0, 2.0, 1.0, -np.inf], {"top_p": 0.5}, 1),
     ([2e-6, 1e-6, 0.0, -3e4], {"top_k": 1}, 1), ([2e-6, 1e-6, 0.0, -3e4], {"top_k": 2}, 2)],
)  # fmt: skip
def test_a_logit_far_below_does_not_blur_the_others(z, settings, left):
    assert kept(np.array([z], np.float32), **settings).tolist() == [[i < left for i in range(4)]]


def test_what_the_noise_is_made_of_is_never_0_or_1():
    b = Builder("f")
    word = b.parameter("word", TensorType((4,), "ui32"))
    module = Module("m", (b.finish([("u", open_unit(b, word))]),))
    words = np.array([0, 1 << 9, (1 << 32) - 1 - (1 << 9), (1 << 32) - 1], np.uint32)
    (u,) = evaluator.run(module, "f", [words], "f32")
    assert u.astype(np.float64).tolist() == [2**-24, 3 * 2**-24, 1 - 3 * 2**-24, 1 - 2**-24]
    assert np.isfinite(np.log(-np.log(u))).all()


def test_the_coldest_draw_is_the_likeliest():
    module = function(1, 4, draw)
    args = [np.array([[1.0, 2.0, 3.0, -5.0]], np.float32), np.zeros((1, 4), np.float32), np.int32(0)]
    with np.errstate(all="ignore"):
        assert evaluator.run(module, "f", [*args, *asked(temperature=1e-45)], "f32")[0].tolist() == [2]


def test_tokens_are_drawn_as_often_as_their_probability():
    rows, z = 20_000, np.array([0.0, 1.0, 2.0, -1.0, 3.0], np.float32)
    module = function(rows, 5, draw)
    args = [np.tile(z, (rows, 1)), np.zeros((rows, 5), np.float32), np.int32(3)]
    (drawn,) = evaluator.run(module, "f", [*args, *asked(temperature=2.0)], "f32")
    p = np.exp(z / 2) / np.exp(z / 2).sum()
    counts = np.bincount(drawn, minlength=5)
    assert ((counts - rows * p) ** 2 / (rows * p)).sum() < 18.5  # of 4 degrees of freedom: 1 in 1,000
    (again,) = evaluator.run(module, "f", [*args[:2], np.int32(4), *asked(temperature=2.0)], "f32")
    assert (again != drawn).any()  # another draw


def test_the_penalty_lowers_what_was_seen_and_zero_is_the_likeliest():
    module = function(2, 3, draw)
    z = np.array([[3.0, 2.0, 1.0], [-1.0, -1.5, -3.0]], np.float32)
    seen = np.array([[1, 0, 0], [1, 0, 0]], np.float32)

    def likeliest(**settings):
        given = asked(temperature=0.0, **settings)
        return evaluator.run(module, "f", [z, seen, np.int32(0), *given], "f32")[0].tolist()

    assert likeliest() == [0, 0]
    assert likeliest(repetition=2.0) == [1, 1]  # 3 / 2 < 2, and -1 * 2 < -1.5
    assert likeliest(repetition=1.4) == [0, 0]


def test_the_context_is_taken_by_powers_of_two():
    assert lengths(1024) == (32, 64, 128, 256, 512, 1024) and lengths(100) == (32, 64, 100) and lengths(9) == (9,)
    assert build_sampler(NETS["rope"], least=3).prefills == {4: "prefill_4", 8: "prefill_8", 9: "prefill"}


def test_keys_and_values_are_given_away_to_be_written_in_their_place():
    module = build_sampler(NETS["rope"]).program.module
    for profile, mark, others in (("cpu", "iree.abi.consume", 0), ("xla", "jax.buffer_donor = true", 1)):
        text = text_of(lower(module, profile), profile)
        assert text.count("stablehlo.dynamic_update_slice") == 2
        assert text.count(mark) == 2 + others  # and the place


def test_the_manifest_names_every_argument():
    sampler = build_sampler(NETS["rope"], 3)
    functions = sampler.program.manifest["functions"]
    assert functions.keys() == {"prefill", "decode", "draw", "draw_among"}
    names = {
        f: ([a["name"] for a in io["arguments"]], [r["name"] for r in io["results"]]) for f, io in functions.items()
    }
    own = [slot.name for slot in sampler.own]
    assert names["prefill"][0][-2:] == ["tokens", "length"] and names["prefill"][1] == [*own, "seen", "logits"]
    assert names["decode"][0][: len(own)] == own and names["decode"][0][-1] == "token"
    assert names["decode"][1] == [*own, "logits"]
    assert names["draw"] == (["logits", "seen", "number", "key", *SETTINGS], ["token", "seen", "number"])
    assert names["draw_among"][0] == [*names["draw"][0], *LIMITS]
    assert sum(r["role"] == "cache" for r in functions["decode"]["results"]) == 2  # keys and values
    assert {a["role"] for a in functions["decode"]["arguments"]} == {"parameter", "cache", "position", "data"}


@pytest.mark.parametrize(
    ("net", "what"),
    [
        (model(nn.MultiHeadAttention(2)), "a sampler wants causal attention in one group, got selfAttention 2"),
        (model(nn.MultiHeadAttention(2, causal=True, groups=3)), "wants causal attention in one group"),
        (model(nn.Residual(nn.ChannelsToTokens(1))), "which needs all of it; give a causal language model"),
        (check(find("mnist-mlp")), "a sampler wants a net from token ids"),
    ],
)
def test_what_cannot_write_is_refused(net, what):
    with pytest.raises((SpecError, UserError), match=what):
        build_sampler(net)


def test_samples_are_counted():
    with pytest.raises(SpecError, match="`samples` wants a positive integer"):
        build_sampler(NETS["rope"], 0)


def test_bf16_and_training_options_do_not_stand_in_the_way():
    recipe = dataclasses.replace(Recipe(), precision="bf16", remat=True, accumulate=2)
    decode = build_sampler(NETS["rope"], 1, recipe).program.module.function("decode")
    assert {op.operands[0].type.dtype for op in decode.ops if op.kind == "dot"} == {"bf16"}
    double = build_sampler(NETS["rope"], 1, dataclasses.replace(recipe, precision="f64")).program
    assert double.recipe.precision == "f32" and all(slot.type.dtype != "f64" for slot in double.state)
