"""Lookahead and SAM around optimizers: optax's lookahead on the same gradients, and two backward passes in a step."""

import numpy as np
import pytest

from netc.codegen.evaluator import run
from netc.codegen.program import build
from netc.netspec.check import check
from netc.netspec.errors import SpecError, UserError
from netc.netspec.layers import BatchNorm, Conv2d, Dense, GlobalAvgPool, ResidualBlock
from netc.netspec.recipe_words import recipe_of
from netc.netspec.spec import NetSpec
from netc.proofs_oracle.certificate.certify import certify_program
from netc.proofs_oracle.certificate.statement import Settings
from netc.runtime.cache.store import Cache
from netc.runtime.prepare import emit_text, prepare
from netc.runtime.target import parse_target
from netc.runtime.trainer import Trainer

LAYERS = (Conv2d(3, 3, activation="gelu", name="conv"), BatchNorm(), GlobalAvgPool(), Dense(3, name="head"))
NET = check(NetSpec("small", (4, 4, 2), LAYERS))
B, NAMES = 4, [p.name for p in NET.params]


def batch(rng):
    return rng.standard_normal((B, *NET.x.shape)), rng.integers(0, 3, B).astype(np.int32)


def step(recipe, state, x, y, lr=0.1):
    """The state after a step and its metrics, by name, in float64."""
    program = build(NET, recipe, B)
    results = run(program.module, "train_step", [*state, x, y, np.asarray(lr)], "f64")
    return dict(zip(program.module.function("train_step").result_names, results, strict=True))


def test_optax_looks_ahead_alike():
    optax = pytest.importorskip("optax")
    rng = np.random.default_rng(1)
    recipe, plain = recipe_of(optimizer="sgd", lookahead=3, lookahead_share=0.8), recipe_of(optimizer="sgd")
    program = build(NET, recipe, B)
    state = run(program.module, "init", [np.array([1, 2], np.uint32)], "f64")
    rule = optax.lookahead(optax.sgd(0.1, momentum=0.9), sync_period=3, slow_step_size=0.8)
    held = dict(zip((s.name for s in program.state), state, strict=True))
    theirs = optax.LookaheadParams.init_synced({n: held[n].astype(np.float32) for n in NAMES})
    kept = rule.init(theirs)
    for _ in range(7):
        x, y = batch(rng)
        held = dict(zip((s.name for s in program.state), state, strict=True))
        bare = step(recipe_of(optimizer="sgd", momentum=0.0), [held[s.name] for s in build(
            NET, recipe_of(optimizer="sgd", momentum=0.0), B).state], x, y, lr=1.0)  # fmt: skip
        gradients = {n: (held[n] - bare[n]).astype(np.float32) for n in NAMES}
        updates, kept = rule.update(gradients, kept, theirs)
        theirs = optax.apply_updates(theirs, updates)
        found = step(recipe, state, x, y)
        state = [found[s.name] for s in program.state]
        for n in NAMES:  # optax computes in float32
            np.testing.assert_allclose(found[n], theirs.fast[n], rtol=1e-4, atol=1e-6)
            np.testing.assert_allclose(found[f"slow/{n}"], theirs.slow[n], rtol=1e-4, atol=1e-6)
    assert {s.role for s in program.state if s.name.startswith("slow/")} == {"slow"}
    assert not [s for s in build(NET, plain, B).state if s.role == "slow"]


def test_sam_steps_by_the_gradient_uphill_and_reports_that_at_the_weights():
    rng, rho = np.random.default_rng(2), 0.05
    plain, sam = recipe_of(optimizer="sgd", momentum=0.0), recipe_of(optimizer="sgd", momentum=0.0, sam=rho)
    state = run(build(NET, plain, B).module, "init", [np.array([1, 2], np.uint32)], "f64")
    x, y = batch(rng)
    first = step(plain, state, x, y, lr=1.0)
    gradients = {n: s - first[n] for n, s in zip(NAMES, state, strict=False)}
    norm = np.sqrt(sum(np.sum(g**2) for g in gradients.values()))
    uphill = [s + rho * gradients[n] / norm for n, s in zip(NAMES, state, strict=False)]
    second = step(plain, [*uphill, *state[len(NAMES) :]], x, y, lr=1.0)
    found = step(sam, state, x, y, lr=1.0)
    for n, s, up in zip(NAMES, state, uphill, strict=False):  # differences of weights in float64
        np.testing.assert_allclose(s - found[n], up - second[n], rtol=1e-9, atol=1e-12)
        assert np.any(found[n] != first[n])
    # the same numbers, that the optimizations of two modules may add up in another order
    for same in ("loss", "correct", "grad_norm", "param_norm", *(s.name for s in NET.state)):
        assert found[same] == pytest.approx(first[same], rel=1e-12)
    assert first["grad_norm"] == pytest.approx(norm)


@pytest.mark.parametrize(
    ("words", "target"),
    [({"lookahead": 2}, "xla"), ({"sam": 0.05}, "xla"), ({"sam": 0.05, "remat": True}, "xla"), ({"sam": 0.05}, "cpu")],
    ids=str,
)
def test_compilers_take_the_evaluators_steps(words, target, artefacts):
    layers = (Conv2d(3, 3, name="conv"), ResidualBlock(3, 2, name="stage"), GlobalAvgPool(), Dense(3, name="head"))
    net = check(NetSpec("blocks", (4, 4, 2), layers))
    program, rng = build(net, recipe_of(optimizer="sgd", **words), B), np.random.default_rng(3)
    state = run(program.module, "init", [np.array([1, 2], np.uint32)], "f32")
    names = [s.name for s in program.state]
    trainer = Trainer(prepare(program, parse_target(target), Cache(artefacts)))
    for _ in range(3):  # each from the evaluator's state: float32 through batch norm
        trainer.restore(dict(zip(names, state, strict=True)))
        x, y = rng.standard_normal((B, *net.x.shape)).astype(np.float32), rng.integers(0, 3, B).astype(np.int32)
        state = run(program.module, "train_step", [*state, x, y, np.float32(0.1)], "f32")[: len(names)]
        trainer.train_step(x, y, 0.1)
        for name, a in zip(names, state, strict=True):
            np.testing.assert_allclose(trainer.fetch()[name], a, rtol=1e-3, atol=1e-4)


def test_no_rewrite_takes_the_second_pass_for_the_first():
    """The text for XLA has twice the products."""
    counts = []
    for words in ({}, {"sam": 0.05}):
        source = emit_text(build(NET, recipe_of(**words), B), parse_target("xla"))
        counts.append(sum(op.kind in ("conv", "dot") for op in source.module.function("train_step").ops))
    assert counts[1] == 2 * counts[0]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"lookahead": 1}, "`lookahead` wants a number of steps of at least 2, or 0 for none, got 1"),
        ({"lookahead": 2, "lookahead_share": 0.0}, "`lookahead_share` wants a number above 0 and at most 1, got 0.0"),
        ({"lookahead_share": 0.1}, "`lookahead_share` belongs to `lookahead`, got no `lookahead`"),
        ({"sam": -1.0}, "`sam` wants a positive number, or 0 for none, got -1.0"),
        ({"sam": 0.1, "scan_blocks": True}, "`sam` wants no `scan_blocks`, got both"),
    ],
)
def test_sentences(words, sentence):
    with pytest.raises(SpecError, match=sentence):
        build(NET, recipe_of(**words), B)


def test_the_certificate_reads_through_lookahead_and_says_what_sam_is():
    net = check(NetSpec("line", (3,), (Dense(2),)))
    assert certify_program(build(net, recipe_of(lookahead=2), 2), parse_target("cpu"), Settings()).holds
    for words, word in (({"sam": 0.1}, "sam"), ({"optimizer": "sgd", "momentum": 0.0, "lookahead": 2}, "lookahead")):
        with pytest.raises(UserError, match=f"which with `{word}` .*; the gradients are the same without `{word}`"):
            certify_program(build(net, recipe_of(**words), 2), parse_target("cpu"), Settings())
