"""A session: the state goes in and comes out, and what does not fit is refused in a sentence."""

import numpy as np
import pytest

from netc.codegen.program import build
from netc.codegen.symbolic.program import build_any_batch
from netc.netspec.batch import BatchRange
from netc.netspec.check import check
from netc.netspec.errors import UserError
from netc.netspec.layers import Dense
from netc.netspec.recipe import Recipe
from netc.netspec.spec import NetSpec
from netc.runtime.cache.store import Cache
from netc.runtime.prepare import prepare
from netc.runtime.session import Session
from netc.runtime.target import parse_target
from netc.runtime.trainer import Trainer

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((4, 6)).astype(np.float32), np.array([0, 1, 2, 1], np.int32)


@pytest.fixture(params=["reference", "xla"])
def session(request, tmp_path):
    program = build(check(NetSpec("tiny", (6,), (Dense(3),))), Recipe(), 4)
    return Session(prepare(program, parse_target(request.param), Cache(tmp_path)))


def test_a_state_goes_in_and_the_next_comes_out(session):
    state = session.init(seed=0)
    before = session.fetch(state)
    after, metrics = session.train(state, X, Y, lr=1e-2)
    assert metrics["loss"] > 0 and session.predict(after, X).shape == (4, 3)
    again, same = session.train(session.restore(before), X, Y, lr=1e-2)
    assert same == metrics
    assert all(np.array_equal(v, session.fetch(after)[n]) for n, v in session.fetch(again).items())
    loss, correct, count = session.evaluate(after, X, Y)
    assert count == 4 and loss < 4 * metrics["loss"] and 0 <= correct <= 4


def test_a_state_that_a_step_took_over_is_refused(session):
    state = session.init()
    session.train(state, X, Y, lr=1e-2)
    for call in (session.fetch, lambda s: session.predict(s, X), lambda s: session.train(s, X, Y, 0.1)):
        with pytest.raises(UserError, match=r"wants a state, got one that an earlier step took over.*keep a copy"):
            call(state)


def test_no_state_is_refused(session):
    with pytest.raises(UserError, match=r"wants a state, got none; make one by init\(seed=0\)"):
        session.train(None, X, Y, 0.1)
    with pytest.raises(UserError, match=r"wants a state, got dict; make one"):
        session.predict({}, X)
    trainer = Trainer(session.prepared)
    with pytest.raises(UserError, match="wants a state, got none"):
        trainer.train_step(X, Y, 0.1)


@pytest.mark.parametrize(
    ("x", "y", "sentence"),
    [
        (X[:3], Y[:3], r"`x` wants float32 \[4, 6\], got float32 \[3, 6\]; .*compile with `batch=3`"),
        (X.astype(float), Y, r"`x` wants float32 \[4, 6\], got float64 \[4, 6\]; convert it by .astype\(np.float32\)"),
        (X[:, :5], Y, r"`x` wants float32 \[4, 6\], got float32 \[4, 5\]; reshape it"),
        (X, Y.astype(float), r"`y` wants int32 \[4\], got float64 \[4\]; convert it by .astype\(np.int32\)"),
        (X, Y.astype(np.int64) + (1 << 32), r"`y` wants class ids from 0 to 2, got 4294967296 to"),
        (X, Y[:, None], r"`y` wants int32 \[4\], got int32 \[4, 1\]; reshape it"),
        (X, Y + 1, r"`y` wants class ids from 0 to 2, got 1 to 3; give a net with more `classes`"),
    ],
)
def test_what_does_not_fit_is_refused(session, x, y, sentence):
    state = session.init()
    with pytest.raises(UserError, match=sentence):
        session.train(state, x, y, lr=0.1)
    session.train(state, X, Y, lr=0.1)  # the state was not taken over


def test_labels_of_other_integers_are_taken_as_they_are(session):
    losses = [
        session.train(session.init(), X, y, lr=0.1)[1]["loss"] for y in (Y, Y.astype(np.int64), Y.astype(np.int8))
    ]
    assert len(set(losses)) == 1


def test_weights_seeds_and_rates_that_do_not_fit_are_refused(session):
    with pytest.raises(UserError, match=r"`weight` wants float32 \[4\], got float64 \[3\]"):
        session.evaluate(session.init(), X, Y, np.ones(3))
    for seed in (-1, "1", 0.5):
        with pytest.raises(UserError, match="`seed` wants an integer from 0"):
            session.init(seed)
    for rate in (None, "0.1", [0.1]):
        with pytest.raises(UserError, match="`lr` wants a number, got "):
            session.train(session.init(), X, Y, lr=rate)


@pytest.mark.parametrize(("synchronous", "order"), [(True, "call get call get"), (False, "call call get get")])
def test_metrics_are_read_before_the_next_call_where_nothing_is_waited_for(
    session, monkeypatch, synchronous, order
):  # one that is kept holds all results of its call on IREE: 28 MB a step of tiny-gpt
    events, call, get = [], session.loaded.call, session.loaded.get
    state, feed = session.init(), session.upload([X, X], [Y, Y], [0.1, 0.1])
    monkeypatch.setattr(session.loaded, "synchronous", synchronous)
    monkeypatch.setattr(session.loaded, "call", lambda *a: (events.append("call"), call(*a))[1])
    monkeypatch.setattr(session.loaded, "get", lambda v: (events.append("get"), get(v))[1])
    _, metrics = session.run(state, feed, ["loss"])
    assert " ".join(events) == order and metrics["loss"].shape == (2,) and list(metrics) == ["loss"]


def test_a_program_of_any_batch_wants_one_target_and_one_weight_for_each_example(tmp_path):
    program = build_any_batch(check(NetSpec("tiny", (6,), (Dense(3),))), Recipe(), BatchRange())
    session = Session(prepare(program, parse_target("reference"), Cache(tmp_path)))
    state = session.init()
    assert session.evaluate(state, X, Y)[2] == 4
    for y, weight in ((Y[:2], None), (Y, np.ones(3, np.float32))):
        with pytest.raises(UserError, match="`evaluate` wants as many targets and weights as examples, got 4 in `x`"):
            session.evaluate(state, X, y, weight)
