"""What a text claims: said by words, by a manifest, or found by itself; and which integers it may be given."""

from __future__ import annotations

import json
from fractions import Fraction
from functools import partial

import jax
import jax.numpy as jnp
import optax
import pytest
from click.testing import CliRunner

from netc.cli.main import cli
from netc.netspec.errors import UserError
from netc.proofs_oracle.certificate import statement
from netc.proofs_oracle.certificate.bounds import bounds
from netc.proofs_oracle.certificate.certify import certify_foreign
from netc.proofs_oracle.certificate.parse import parse
from netc.proofs_oracle.certificate.statement import CLIPPING, RATE, Settings


def spec(*shape, dtype=jnp.float32):
    return jax.ShapeDtypeStruct(shape, dtype)


PARAMS = {"a": spec(4, 6), "b": spec(6), "c": spec(6, 3)}
BATCH = (spec(5, 4), spec(5, dtype=jnp.int32))


def loss_of(p, x, labels):
    logits = jax.nn.relu(x @ p["a"] + p["b"]) @ p["c"]
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def step_text(optimizer, change=lambda g: g, loss=True, metric=False):
    """A train step as people write it: new parameters, new state, and the loss."""
    state = jax.eval_shape(optimizer.init, PARAMS)

    def step(p, state, x, labels):
        value, g = jax.value_and_grad(loss_of)(p, x, labels)
        updates, state = optimizer.update(change(g), state, p)
        results = (optax.apply_updates(p, updates), state)
        accuracy = (jnp.argmax(x @ p["a"], -1) == labels).mean()
        return (*results, *((value,) if loss else ()), *((accuracy,) if metric else ()))

    return jax.jit(step).lower(PARAMS, state, *BATCH).as_text()


def judged(text, seed=0, **options):
    given = {"manifest": None, "loss": None, "wrt": (), "scale": Fraction(1), "limit": None, **options}
    return certify_foreign(text, None, Settings(seed=seed), **given)


OPTIMIZERS = {
    "sgd": (optax.sgd(0.1), "= -10 (result 0 - arg0)"),
    "momentum": (optax.sgd(0.1, momentum=0.9), "= -10 (result 0 - arg0), and so on, with 3 arguments (moments) at 0"),
    "nesterov": (optax.sgd(0.1, momentum=0.9, nesterov=True), "= -100/19 (result 0 - arg0)"),
    "adam": (optax.adam(optax.cosine_decay_schedule(1e-3, 100)), "= 10 result 4, and so on, with 6"),
    "adamw": (optax.adamw(1e-3), "= 10 result 4,"),
    "decay": (optax.chain(optax.add_decayed_weights(1e-4), optax.sgd(0.1)), "less its weight decay"),
    "clipped": (optax.chain(optax.clip_by_global_norm(0.05), optax.sgd(0.1)), "arg0"),
}


def wrong(g):
    return g | {"b": g["b"] * jnp.where(jnp.arange(6) == 2, -1.0, 1.0)}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_train_step_of_optax_is_judged_by_itself(name):
    optimizer, read = OPTIMIZERS[name]
    found = judged(step_text(optimizer))
    assert found.holds, found.statements[0].why
    assert len(found.statements[0].gradients) == 3
    assert read in found.statements[0].meaning[0]
    assert "every gradient element was alive" in found.life


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_wrong_sign_in_a_train_step_is_found(name):
    clipped = name == "clipped"
    updates = [f"{i}={i}:sgd" for i in range(3)] if clipped else []
    found = judged(step_text(OPTIMIZERS[name][0], wrong), updates=updates)
    assert found.false
    assert clipped or found.statements[0].wrong == ("arg1",)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_without_a_loss_the_gradients_are_those_of_some_function(name):
    found = judged(step_text(OPTIMIZERS[name][0], loss=False))
    assert found.holds, found.statements[0].why
    assert found.what.startswith("the gradients are the derivative of some function")
    assert found.to_json()["statements"][0]["loss"] is False


def test_without_a_loss_a_wrong_sign_is_found():
    found = judged(step_text(optax.sgd(0.1), wrong, loss=False))
    assert found.false
    assert found.statements[0].wrong == ("arg1",)
    adam = [f"{i}={i}:adam:{i + 4}={i + 4}" for i in range(3)]
    assert judged(step_text(optax.adam(1e-3), loss=False), updates=adam).holds
    assert judged(step_text(optax.adam(1e-3), wrong, loss=False), updates=adam).statements[0].wrong == ("arg1",)


def test_without_a_loss_what_hangs_on_itself_alone_is_undecided():
    text = jax.jit(lambda w: w - 0.1 * jnp.tanh(w) ** 3).lower(spec(4)).as_text()
    found = judged(text)
    assert found.undecided
    assert "without the loss nothing can be said" in found.statements[0].why


def test_gradients_are_found_by_themselves():
    text = jax.jit(jax.value_and_grad(loss_of)).lower(PARAMS, *BATCH).as_text()
    found = judged(text)
    assert found.holds
    assert "found by itself, argument=result: 0=1, 1=2, 2=3; the loss is result 0" in found.statements[0].meaning

    def turned(p, x, labels):
        value, g = jax.value_and_grad(loss_of)(p, x, labels)
        return value, wrong(g)

    assert judged(jax.jit(turned).lower(PARAMS, *BATCH).as_text()).statements[0].wrong == ("arg1",)


def test_a_large_function_is_judged_by_fewer_primes(monkeypatch):
    text = jax.jit(jax.value_and_grad(loss_of)).lower(PARAMS, *BATCH).as_text()
    small = certify_foreign(text, None, Settings(0), manifest=None, loss=None, wrt=(), scale=Fraction(1), limit=None)
    monkeypatch.setattr(statement, "LARGE", 100)
    large = certify_foreign(text, None, Settings(0), manifest=None, loss=None, wrt=(), scale=Fraction(1), limit=None)
    assert [len(s.primes) for c in (small, large) for s in c.statements] == [4, 3]
    assert small.holds and large.holds and large.failure < -40


def test_what_is_found_is_said():
    def step(p, x, labels):
        value, g = jax.value_and_grad(loss_of)(p, x, labels)
        return value, g["b"], g["a"], g["c"], x * x

    (sentence, *_) = judged(jax.jit(step).lower(PARAMS, *BATCH).as_text()).statements[0].meaning[1:]
    assert sentence.endswith("in another order than the arguments; not judged: results 4")


def test_a_gradient_without_its_regulariser_is_no_update_with_a_decay():
    """g - 0.02 p is p + (g - 1.02 p), as if p had a step and a decay."""

    def step(p, x, labels):
        value, g = jax.value_and_grad(loss_of)(p, x, labels)
        decay = 0.01 * sum(jnp.vdot(v, v) for v in p.values())
        return value + decay, value, g

    text = jax.jit(step).lower(PARAMS, *BATCH).as_text()
    with pytest.raises(
        UserError, match="gradients of result 1, and result 0 contains it and further terms in their arguments"
    ):
        judged(text)
    wrt = tuple(f"{i}={i + 2}" for i in range(3))
    assert [judged(text, loss=loss, wrt=wrt).verdict for loss in "01"] == ["false", "holds"]


def test_a_step_that_lacks_a_term_of_the_loss_is_wrong():
    """A decay that a step would add to its argument is none."""

    def step(p, x, labels):
        value, g = jax.value_and_grad(loss_of)(p, x, labels)
        return value + 0.01 * sum(jnp.vdot(v, v) for v in p.values()), {k: p[k] - 0.1 * g[k] for k in p}

    text = jax.jit(step).lower(PARAMS, *BATCH).as_text()
    assert not judged(text, updates=("0=1:sgd", "1=2:sgd", "2=3:sgd")).holds


@pytest.mark.parametrize("kernels", [True, False])
def test_a_weight_decay_of_some_arguments_alone(kernels):
    def text(change=lambda g: g):
        optimizer = optax.chain(
            optax.add_decayed_weights(0.01, mask=lambda p: {k: (v.ndim > 1) == kernels for k, v in p.items()}),
            optax.sgd(0.1),
        )
        return step_text(optimizer, change)

    found = judged(text()).statements[0]
    names = {"a": "arg0", "b": "arg1", "c": "arg2"}
    which = ", ".join(names[k] for k in ("ac" if kernels else "b"))
    assert found.holds and f"less the weight decay of {which}, and so on" in found.meaning[0]
    assert judged(text(wrong)).verdict == "false"


def test_a_step_up_the_loss_is_said():
    def text(sign):
        def step(p, x, labels):
            value, g = jax.value_and_grad(loss_of)(p, x, labels)
            return value, jax.tree.map(lambda w, v: w + sign * 0.1 * v, p, g)

        return jax.jit(step).lower(PARAMS, *BATCH).as_text()

    assert ["goes up the loss" in judged(text(sign)).statements[0].meaning[0] for sign in (1, -1)] == [True, False]


def test_a_function_of_the_loss_beside_it_is_no_larger_loss():
    def step(p, x, labels):
        value, g = jax.value_and_grad(loss_of)(p, x, labels)
        return value, jnp.exp(value), g

    found = judged(jax.jit(step).lower(PARAMS, *BATCH).as_text())
    assert found.holds and "the loss is result 0" in found.statements[0].meaning[1]


def clipped(loss, change=lambda g: g):
    def step(p, x):
        value, g = jax.value_and_grad(loss)(p, x)
        g = change(g)
        return value, jax.tree.map(lambda w, v: w - 0.1 * v / optax.tree.norm(g), p, g)

    return jax.jit(step).lower({"a": spec(4, 6), "b": spec(6)}, spec(5, 4)).as_text()


def test_clipping_beside_an_identity_that_is_not_among_the_first():
    """In float64 the sides differ by the factor: that shows nothing as long as the directions agree."""

    def loss(p, x):
        return jnp.mean(jax.nn.softplus(x @ p["a"] + p["b"]) * jnp.arange(30.0).reshape(5, 6))

    updates = ("0=1:sgd", "1=2:sgd")
    found = judged(clipped(loss), updates=updates).statements[0]
    assert found.holds and found.identities.additive, found.why
    assert judged(clipped(loss, lambda g: {**g, "b": 1.01 * g["b"]}), updates=updates).verdict == "false"


def test_without_a_loss_two_numbers_up_to_a_factor_are_undecided():
    """Any field of the plane has an integrating factor."""

    def step(p):
        return p - 0.1 * jnp.stack([p[0] * p[1] ** 2 + jnp.sin(p[0]), p[0] ** 3 * p[1]])

    found = judged(jax.jit(step).lower(spec(2)).as_text())
    assert found.verdict == "undecided" and "of two numbers" in found.statements[0].why


def test_without_a_loss_two_numbers_that_meet_are_not_alone():
    def step(p):
        return jnp.stack([p[0] * p[1] ** 2, p[0] ** 2 * p[1]])

    assert judged(jax.jit(step).lower(spec(2)).as_text(), loss="none", wrt=("0=0",)).holds


def test_one_number_alone_has_no_factor_that_changes():
    """Of one number everything is a multiple."""
    text = jax.jit(lambda w, x: (w - 0.1 * jnp.sin(w * w) * x, jnp.sin(w) * x)).lower(spec(), spec()).as_text()
    assert judged(text, updates=["0=0:sgd"], loss="1").false


def test_updates_in_words():
    sgd = [f"{i}={i}:sgd" for i in range(3)]
    momentum = [f"{i}={i}:momentum:{i + 3}" for i in range(3)]
    adam = [f"{i}={i}:adam:{i + 4}={i + 4}" for i in range(3)]
    for optimizer, updates in ((optax.sgd(0.3), sgd), (optax.sgd(0.1, 0.9), momentum), (optax.adam(1e-3), adam)):
        assert judged(step_text(optimizer), updates=updates).holds
        assert judged(step_text(optimizer, wrong), updates=updates).statements[0].wrong == ("arg1",)
    assert judged(step_text(optax.sgd(0.1, 0.9), metric=True), updates=momentum, loss="6").holds


def test_a_metric_that_no_claim_needs_does_not_stop_it():
    for loss in ("3", None):
        assert judged(step_text(optax.sgd(0.1), metric=True), loss=loss).holds


MISTAKES = [
    ({"updates": ["0=0"]}, "with a rule of sgd, momentum, adam, adamw"),
    ({"updates": ["0=0:lamb"]}, "with a rule of sgd"),
    ({"updates": ["0=0:momentum"]}, "momentum wants STATE"),
    ({"updates": ["0=0:sgd:3"]}, "sgd wants nothing after it"),
    ({"updates": ["0=0:adam:3"]}, "`updates` wants ARGUMENT=RESULT"),
    ({"updates": ["0=1:sgd"]}, "a gradient has its argument's type"),
    ({"updates": ["0=0:sgd", "0=0:sgd"]}, "want each argument once, got arg0 twice"),
    ({"updates": ["0=0:sgd"], "loss": "0"}, "`loss` wants the number of a scalar result (3, 4)"),
    ({"updates": ["0=0:sgd"]}, "results 3, 4 are scalars; say by `loss=NUMBER`"),
    ({"manifest": {"functions": {"main": {"arguments": [], "results": []}}}}, "wants the 5 arguments and 5 results"),
    ({"manifest": {}}, "wants one that netc wrote"),
]


@pytest.mark.parametrize(("options", "sentence"), MISTAKES)
def test_mistakes_are_sentences(options, sentence):
    with pytest.raises(UserError) as caught:
        judged(step_text(optax.sgd(0.1), metric=True), **options)
    assert sentence in str(caught.value)


def test_a_manifest_without_a_rate_or_a_loss():
    names = ("a", "b", "c")
    arguments = [{"name": n, "role": "parameter"} for n in names] + [{"name": n, "role": "data"} for n in ("x", "y")]
    for loss in (True, False):
        results = [{"name": n} for n in names] + ([{"name": "loss"}] if loss else [])
        manifest = {"functions": {"main": {"arguments": arguments, "results": results}}}
        assert judged(step_text(optax.sgd(0.1), loss=loss), manifest=manifest).holds
    results[0] = {"name": "z"}
    with pytest.raises(UserError, match="wants a result of main called a, got z, b, c"):
        judged(step_text(optax.sgd(0.1), loss=False), manifest=manifest)


# -- integers ----------------------------------------------------------------------------------------------------------


def embedded(p, ids, labels):
    z = jnp.take(p["e"], ids, axis=0).mean(1) @ p["h"]
    one_hot = jax.nn.one_hot(labels, 2)
    return -jnp.mean(jnp.sum(one_hot * jax.nn.log_softmax(z), -1))


def test_integers_stay_below_what_they_index():
    p = {"e": spec(7, 4), "h": spec(4, 2)}
    text = (
        jax.jit(jax.value_and_grad(embedded)).lower(p, spec(3, 5, dtype=jnp.int32), spec(3, dtype=jnp.int32)).as_text()
    )
    assert bounds(parse(text)) == {"arg2": 7, "arg3": 2}
    found = judged(text)
    assert found.holds and "every gradient element was alive" in found.life
    labelled = jax.jit(jax.value_and_grad(loss_of)).lower(PARAMS, *BATCH).as_text()
    assert bounds(parse(labelled)) == {"arg4": 3}


def test_the_command_without_any_words(tmp_path):
    (tmp_path / "step.mlir").write_text(step_text(optax.adam(1e-3)))
    done = CliRunner().invoke(cli, ["certify", str(tmp_path / "step.mlir"), "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    assert found["verdict"] == "holds"
    assert found["statements"][0]["never_alive"] == {}
    done = CliRunner().invoke(cli, ["certify", str(tmp_path / "step.mlir"), "--update", "0=0:adam:4=4"])
    assert done.exit_code == 0
    assert "the derivative of the forward; every gradient element was alive at one of 4 points;" in done.output


def test_a_factor_that_changes_must_be_a_rate_or_that_of_clipping():
    """The slope of a function around the whole loss is a common factor too: one that is forgotten is no clipping."""

    def step(p, x, most=None):
        def inner(p):
            return jnp.sum((x @ p["a"]) ** 2) + jnp.sum(p["b"] ** 2)

        g = jax.grad(inner)(p)
        if most is not None:
            g = optax.clip_by_global_norm(most).update(g, optax.EmptyState())[0]
            return inner(p), jax.tree.map(lambda w, v: w - 0.1 * v, p, g)
        return jnp.sqrt(inner(p)), g

    shapes = {"a": spec(4, 3), "b": spec(6)}, spec(5, 4)
    found = judged(jax.jit(step).lower(*shapes).as_text())
    assert found.verdict == "undecided" and "not as a rate or clipping" in found.statements[0].why
    right = judged(jax.jit(partial(step, most=1e-3)).lower(*shapes).as_text())
    assert right.holds and right.statements[0].scaling == CLIPPING and right.what.endswith("clipped by their norm")


def test_a_rate_may_change_with_the_number_of_a_step():
    def step(w, x, count):
        value, g = jax.value_and_grad(lambda w: jnp.sum((x @ w) ** 2))(w)
        return w - 0.1 * 0.5 * (1 + jnp.cos(count / 50)) * g, value

    found = judged(jax.jit(step).lower(spec(4, 3), spec(5, 4), spec()).as_text())
    assert found.holds and found.statements[0].scaling == RATE


def test_gradients_of_one_type_in_the_other_order_may_have_been_exchanged():
    def step(a, b, x):
        value, (ga, gb) = jax.value_and_grad(lambda a, b: jnp.sum(((x @ a) ** 2) @ b), (0, 1))(a, b)
        return value, gb, ga

    text = jax.jit(step).lower(spec(4, 4), spec(4, 4), spec(5, 4)).as_text()
    with pytest.raises(UserError, match="result 1 is the gradient of argument 1 and result 2 that of arg"):
        judged(text)
    assert judged(text, wrt=("0=2", "1=1")).holds
