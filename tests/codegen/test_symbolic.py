"""Programs of any batch: one text, which is the fixed one at each batch, and refused where there is none."""

import numpy as np
import pytest

from netc.codegen.builder import Builder
from netc.codegen.c.any_batch import USUAL, Share, Size, larger, number_at
from netc.codegen.c.expressions import number
from netc.codegen.ir import Module
from netc.codegen.program import build
from netc.codegen.symbolic.abstract import BatchMisfitError, abstracted
from netc.codegen.symbolic.program import build_any_batch
from netc.codegen.symbolic.specialise import specialised
from netc.codegen.text import text_of
from netc.netspec.batch import BatchRange, parse_batch
from netc.netspec.check import check
from netc.netspec.errors import UserError
from netc.netspec.layers import BatchNorm, Conv2d, Dense, Flatten, LayerNorm, MaxPool, TransformerEncoder
from netc.netspec.recipe import Recipe
from netc.netspec.spec import NetSpec
from netc.netspec.types import TensorType
from netc.runtime.cache.store import Cache
from netc.runtime.prepare import emit_text, prepare
from netc.runtime.session import Session
from netc.runtime.target import parse_target
from tests.codegen.witness import parsed

IMAGES = NetSpec(
    "images", (6, 6, 1), (Conv2d(3, activation="gelu"), BatchNorm(), MaxPool(), Flatten(), Dense(4)),
)  # fmt: skip
TOKENS = NetSpec("tokens", (4, 8), (TransformerEncoder(heads=2, mlp=6, blocks=1), LayerNorm(), Flatten(), Dense(3)))


@pytest.fixture(scope="module", params=[IMAGES, TOKENS], ids=lambda net: net.name)
def net(request):
    return check(request.param)


@pytest.mark.parametrize("profile", ["plain", "cpu", "xla"])
def test_a_module_of_any_batch_is_that_of_each_batch(net, profile):
    program = build_any_batch(net, Recipe(), BatchRange())
    module = program.lowered(profile)  # where it is compared with a third emission
    text = text_of(module, profile)
    assert "tensor<?x" in text and "dynamic_broadcast_in_dim" in text
    assert "tensor<?" not in text_of(specialised(module, 5), profile)
    if profile == "plain":
        parsed(text)


@pytest.mark.parametrize("target", ["reference", "xla", "c"])
def test_it_evaluates_and_predicts_what_the_fixed_ones_do(net, target, tmp_path, monkeypatch, request):
    if target == "c":
        request.getfixturevalue("c_compiler")
        monkeypatch.setenv("CFLAGS", "-O1")
    cache, where = Cache(tmp_path), parse_target(target)
    session = Session(prepare(build_any_batch(net, Recipe(), BatchRange()), where, cache))
    for batch in (3,) if target == "xla" else (3, 1):
        fixed = Session(prepare(build(net, Recipe(), batch), where, cache))
        x = np.random.default_rng(batch).normal(size=(batch, *net.x.shape)).astype(np.float32)
        y = np.arange(batch, dtype=np.int32)
        mine, theirs = session.init(7), fixed.init(7)
        np.testing.assert_allclose(session.predict(mine, x), fixed.predict(theirs, x), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(session.evaluate(mine, x, y), fixed.evaluate(theirs, x, y), rtol=1e-5)


def test_one_artefact_of_iree_takes_any_batch(tmp_path):
    net, cache = check(IMAGES), Cache(tmp_path)
    program = build_any_batch(net, Recipe(), BatchRange(1, 9), ("predict",))
    session = Session(prepare(program, parse_target("cpu"), cache))
    other = Session(prepare(build(net, Recipe(), 9), parse_target("reference"), cache))
    state = other.init(3)
    mine = session.restore(other.fetch(state))
    x = np.random.default_rng(0).normal(size=(9, *net.x.shape)).astype(np.float32)
    wanted = other.predict(state, x)
    for batch in (1, 2, 9):
        np.testing.assert_allclose(session.predict(mine, x[:batch]), wanted[:batch], rtol=1e-4, atol=1e-5)
    with pytest.raises(
        UserError, match=r"`x` wants 1 to 9 examples at once, got 10; give a number in that range, or compile with"
    ):
        session.predict(mine, np.zeros((10, *net.x.shape), np.float32))
    with pytest.raises(UserError, match=r"`x` wants float32 \[batch, 6, 6, 1\], got float32 \[2, 5, 6, 1\]"):
        session.predict(mine, np.zeros((2, 5, 6, 1), np.float32))
    with pytest.raises(UserError, match="training wants a program of one batch, got one of any"):
        session.train(mine, x, np.zeros(9, np.int32), 0.1)


def test_what_differs_between_batches_in_another_way_is_refused_by_name():
    with pytest.raises(UserError, match=r"`batch` wants a number for images, got any: .*batchNorm.* is not the same"):
        build_any_batch(check(IMAGES), Recipe(), BatchRange(), ("train_step",))


def test_a_step_without_batch_norm_has_a_form_for_any_batch():
    program = build_any_batch(check(TOKENS), Recipe(), BatchRange(), ("train_step",))
    text = text_of(program.lowered("plain"), "plain")
    parsed(text)
    assert "stablehlo.divide" in text  # of the loss, by the batch


def two(batch, change):
    b = Builder("f")
    x = b.parameter("x", TensorType((batch, 4)))
    return Module("m", (b.finish([("y", change(b, x, batch))]),))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda b, x, n: b.add(x, float(n)), None),
        (lambda b, x, n: b.add(x, 1.0 / n), "fits"),
        (lambda b, x, n: b.mul(x, 1.0 + 1.0 / n), "its number is"),
        (lambda b, x, n: b.rows(x, 0, n - 1), "no multiple of the batch"),
        (lambda b, x, n: b.rows(x, 0, 1), "wants bounds inside"),
        (lambda b, x, n: b.reshape(b.dot(x, x, (1, 1)), (n * n,)), "no multiple of the batch"),
        (lambda b, x, n: b.unary("exp" if n == 29 else "neg", x), "it is exp"),
        (lambda b, x, n: b.add(x, x) if n == 29 else b.add(b.add(x, x), x), "operations"),
        (lambda b, x, n: b.concatenate([x, x], 0), "fits"),
    ],
)
def test_two_emissions_are_one_or_what_differs_is_said(change, why):
    both = {n: two(n, change) for n in (29, 31)}
    if why == "fits":
        third = two(37, change)
        assert text_of(specialised(abstracted(both), 37), "plain") == text_of(third, "plain")
        return
    with pytest.raises(BatchMisfitError, match=why):
        abstracted(both)


def test_a_batch_is_a_number_or_a_range():
    assert parse_batch("32") == parse_batch(32) == 32
    assert (str(parse_batch("dynamic")), str(parse_batch("1..64"))) == ("dynamic", "1..64")
    for wrong in ("many", "64..1", "0..4", "1..99999999", "", "1.5", True):
        with pytest.raises(UserError, match=r"`batch` wants a number of examples, dynamic, or a range as in 1..64"):
            parse_batch(wrong)
    for few in (0, "-1"):
        with pytest.raises(UserError, match=f"`batch` wants a positive integer, got {few}"):
            parse_batch(few)


def test_a_size_of_c_is_decided_as_usual_and_equal_to_its_like_alone():
    b = Size(0, 1)
    assert (
        str(b * 49) == "batch * 49" and f"{3 + b * 2}" == "(3 + batch * 2)" and (b * 6 // 3, b * 6 // b) == (b * 2, 6)
    )
    assert b * 49 == 49 * b != 49 * USUAL and b - b == 0 and b > 31 and {b * 2, b + b} == {b * 2}
    assert str(larger(b * 4, 100)) == "(100 + batch * 4)" and number_at(3 + b, 5) == 8
    assert Share(1.0, b) == 1.0 / USUAL and number(Share(1.0, b * 4), "f32") == "(float)(1.0 / (double)(batch * 4))"
    for wrong in (lambda: b * b, lambda: (b + 1) // 2, lambda: b % 3, lambda: b**2, lambda: 7 // b):
        with pytest.raises(BatchMisfitError):
            wrong()


def test_c_names_the_layer_that_wants_a_number(monkeypatch):
    def refused(self):
        raise BatchMisfitError("", "planted")

    monkeypatch.setattr("netc.codegen.c.nests._Nest.lines", refused)
    program = build_any_batch(check(IMAGES), Recipe(), BatchRange())
    with pytest.raises(UserError, match=r"`batch` wants a number for images, got any: .* is not the same .*planted"):
        emit_text(program, parse_target("c"))
