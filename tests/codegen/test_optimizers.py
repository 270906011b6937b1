"""A small net's step with every optimizer: XLA's results, the certificate's verdict, options out of range."""

from dataclasses import replace

import numpy as np
import pytest

from netc.codegen.builder import Builder
from netc.codegen.evaluator import run
from netc.codegen.ir import Module
from netc.codegen.location import location_of
from netc.codegen.modules import optimizer_module
from netc.codegen.optim.shampoo import inverse_root
from netc.codegen.program import build
from netc.evidence import certify
from netc.netspec.check import check
from netc.netspec.errors import SpecError, UserError
from netc.netspec.layers import Conv2d, Dense, GlobalAvgPool
from netc.netspec.optimizers import OPTIMIZERS, ScheduleFree, Shampoo
from netc.netspec.recipe import Recipe
from netc.netspec.recipe_words import recipe_of
from netc.netspec.spec import NetSpec
from netc.netspec.types import TensorType
from netc.proofs_oracle.certificate.certify import certify_program
from netc.proofs_oracle.certificate.statement import Settings
from netc.proofs_oracle.references import optimizers
from netc.runtime.backends.xla import XlaLoaded
from netc.runtime.prepare import emit_text
from netc.runtime.target import parse_target

NET = check(NetSpec("small", (4, 4, 2), (Conv2d(3, 3, activation="gelu"), GlobalAvgPool(), Dense(3))))
B = 4
MADE = {word: replace(row.make({}), weight_decay=0.05) for word, row in OPTIMIZERS.items()}
# read where a manifest says which they are
TOLD = {"muon", "rmsprop", "rmsprop-tf", "adagrad", "adadelta", "adafactor", "schedulefree"}


@pytest.mark.parametrize("word", MADE)
def test_xla_takes_the_evaluators_step(word):
    program = build(NET, Recipe(MADE[word]), B)
    loaded, rng = XlaLoaded(emit_text(program, parse_target("xla"))), np.random.default_rng(1)
    ours = run(program.module, "init", [np.array([1, 2], np.uint32)], "f32")
    before = ours[: len(NET.params)]
    for _ in range(3):
        x = rng.standard_normal((B, *NET.x.shape)).astype(np.float32)
        args = [*ours, x, rng.integers(0, 3, B).astype(np.int32), np.float32(1e-2)]
        results = run(program.module, "train_step", args, "f32")
        theirs = loaded.call("train_step", [loaded.put(a) for a in args])
        for a, b in zip(results, theirs, strict=True):
            np.testing.assert_allclose(a, loaded.get(b), rtol=2e-5, atol=1e-6)  # float32, each step from the same state
        ours = results[: len(program.state)]
    assert all(np.any(a != b) for a, b in zip(before, ours, strict=False))


@pytest.mark.parametrize("word", MADE)
def test_the_certificate_reads_its_gradients(word):
    net = check(NetSpec("line", (3,), (Dense(2),)))
    assert certify_program(build(net, Recipe(MADE[word]), 2), parse_target("cpu"), Settings()).holds


@pytest.mark.parametrize("word", MADE)
def test_its_text_alone_is_never_said_to_be_wrong(word):
    """With the manifest and without: the gradients are found, or there is a sentence."""
    net = check(NetSpec("line", (3,), (Dense(2),)))
    program = build(net, Recipe(OPTIMIZERS[word].make({})), 2)
    text = emit_text(program, parse_target("cpu")).text
    assert certify(text, function="train_step", manifest=program.manifest).holds
    try:
        found = certify(text, function="train_step", manifest=None)
    except UserError as error:
        assert "no result is a mult" in str(error) and word in TOLD
    else:
        # muon's gradients have two factors, which it is not told of
        assert found.holds or (word == "muon" and found.statements[0].verdict == "undecided")


def test_optax_is_schedule_free_alike():
    """Over rates that rise from 0 and fall, of which each step's is the largest so far in the weights of the mean."""
    optax = pytest.importorskip("optax")
    rates = [0.0, 0.05, 0.1, 0.1, 0.03, 0.01]

    def rate(number, first):  # optax counts steps from 1 for the weights, from 0 for the rate
        return np.asarray(rates, np.float32)[np.asarray(number) - first]

    base = optax.chain(
        optax.scale_by_rms(0.99, 1e-8, eps_in_sqrt=False, bias_correction=True),
        optax.add_decayed_weights(0.1), optax.scale_by_learning_rate(lambda number: rate(number, 0)),
    )  # fmt: skip
    rule = optax.contrib.schedule_free(base, lambda number: rate(number, 1), b1=0.8)
    optimizer, rng = ScheduleFree(0.8, 0.99, weight_decay=0.1), np.random.default_rng(5)
    module, p = optimizer_module(optimizer, ((3, 4),), (True,)), rng.standard_normal((3, 4))
    ours, y = [p, *run(module, "init", [], "f64")], p.astype(np.float32)
    kept = rule.init(y)
    for lr in rates:
        g = rng.standard_normal((3, 4))
        ours = run(module, "update", [ours[0], g, *ours[1:], np.asarray(lr)], "f64")
        updates, kept = rule.update(g.astype(np.float32), kept, y)
        y = optax.apply_updates(y, updates)
        mean = optax.contrib.schedule_free_eval_params(kept, y)
        np.testing.assert_allclose(ours[0], mean, rtol=1e-4, atol=1e-5)  # optax computes in float32
    assert np.all(np.isfinite(ours[0])) and np.any(np.abs(ours[0] - p) > 0.01)


@pytest.mark.parametrize("power", [2, 4])
@pytest.mark.parametrize("rank", [3, 40])
def test_newtons_roots_are_those_of_the_eigenvalues(power, rank):
    rng, n, damping = np.random.default_rng(6), 24, 1e-6
    g = rng.standard_normal((n, rank))
    a = g @ g.T
    b = Builder("root")
    root = inverse_root(b, b.parameter("a", TensorType((n, n))), power, damping, 20)
    function = b.finish([("root", root)])
    values, vectors = np.linalg.eigh(a + damping * np.trace(a) * np.eye(n))
    wanted = vectors * values ** (-1 / power) @ vectors.T
    for width, full in (("f64", 1e-9), ("f32", 1e-6)):
        found = run(Module("root", (function,)), "root", [a], width)[0]
        # a matrix of low rank has eigenvalues a million times smaller than others, of which float32 has one digit
        close = full if rank > n else {"f64": 1e-5, "f32": 2e-2}[width]
        assert np.linalg.norm(found - wanted) < close * np.linalg.norm(wanted)


def test_shampoo_in_float32_with_its_own_damping_and_iterations():
    optimizer, rng, shapes = Shampoo(), np.random.default_rng(8), ((9, 6),)
    module, params = optimizer_module(optimizer, shapes, (False,)), (rng.standard_normal(shapes[0]),)
    ours, kept = [*params, *run(module, "init", [], "f32")], optimizers.start(optimizer, params)
    for _ in range(12):
        gradients = (rng.standard_normal(shapes[0]),)
        before = ours[0], params[0]
        ours = run(module, "update", [ours[0], *gradients, *ours[1:], np.float32(0.1)], "f32")
        params, kept = optimizers.step(optimizer, params, gradients, kept, lr=0.1, decay=(False,))
        step, wanted = ours[0] - before[0], params[0] - before[1]
        assert np.linalg.norm(step - wanted) < 2e-5 * np.linalg.norm(wanted)  # measured: 6e-6 at most


def test_a_mean_of_weights_is_not_averaged_again():
    with pytest.raises(SpecError, match=r"averaged in one way, got `optimizer=schedulefree`, .* and `ema`; leave one"):
        recipe_of(optimizer="schedulefree", ema=0.9)


def test_muons_products_keep_float32_under_bf16():
    module = build(NET, Recipe(MADE["muon"], precision="bf16"), B).module
    products = [op for op in module.function("train_step").ops if op.kind == "dot"]
    kept = {"update" if location_of(op.loc).phase == "update" else op.operands[0].type.dtype for op in products}
    assert kept == {"update", "bf16"}
    assert {v.type.dtype for op in products if location_of(op.loc).phase == "update" for v in op.operands} == {"f32"}
