"""A small net's step with every optimizer: XLA's results, the certificate's verdict, options out of range."""

from dataclasses import replace

import numpy as np
import pytest

from netc.codegen.evaluator import run
from netc.codegen.location import location_of
from netc.codegen.program import build
from netc.evidence import certify
from netc.netspec.check import check
from netc.netspec.errors import UserError
from netc.netspec.layers import Conv2d, Dense, GlobalAvgPool
from netc.netspec.optimizers import OPTIMIZERS
from netc.netspec.recipe import Recipe
from netc.netspec.spec import NetSpec
from netc.proofs_oracle.certificate.certify import certify_program
from netc.proofs_oracle.certificate.statement import Settings
from netc.runtime.backends.xla import XlaLoaded
from netc.runtime.prepare import emit_text
from netc.runtime.target import parse_target

NET = check(NetSpec("small", (4, 4, 2), (Conv2d(3, 3, activation="gelu"), GlobalAvgPool(), Dense(3))))
B = 4
MADE = {word: replace(row.make({}), weight_decay=0.05) for word, row in OPTIMIZERS.items()}
# read where a manifest says which they are
TOLD = {"muon", "rmsprop", "rmsprop-tf", "adagrad", "adadelta", "adafactor"}


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


def test_muons_products_keep_float32_under_bf16():
    module = build(NET, Recipe(MADE["muon"], precision="bf16"), B).module
    products = [op for op in module.function("train_step").ops if op.kind == "dot"]
    kept = {"update" if location_of(op.loc).phase == "update" else op.operands[0].type.dtype for op in products}
    assert kept == {"update", "bf16"}
    assert {v.type.dtype for op in products if location_of(op.loc).phase == "update" for v in op.operands} == {"f32"}
