"""The word of a certificate: the false is shown to be, the right is not blamed, what said nothing is counted."""

from __future__ import annotations

from fractions import Fraction

import jax
import jax.numpy as jnp
import optax
import pytest
from jax import lax

from netc.proofs_oracle.certificate.certify import certify_foreign
from netc.proofs_oracle.certificate.statement import Settings


def spec(*shape, dtype=jnp.float32):
    return jax.ShapeDtypeStruct(shape, dtype)


def text_of(loss, *args):
    return jax.jit(jax.value_and_grad(loss)).lower(*args).as_text()


def judged(text, count, *, seed=0, primes=4, **options):
    wrt = [f"{i}={i + 1}" for i in range(count)]
    settings = Settings(primes, seed=seed)
    given = {"manifest": None, "loss": "0", "wrt": wrt, "scale": Fraction(1), "limit": 3, **options}
    return certify_foreign(text, None, settings, **given)


# -- elements that are 0 -----------------------------------------------------------------------------------------------


def mlp(p, x, y):
    return jnp.mean((jax.nn.relu(x @ p["a"] + p["b"]) @ p["c"] - y) ** 2)


def one_wrong(change):
    """Value and gradients of a small relu net; `change` is done to the gradient of the first kernel."""

    def step(p, x, y):
        loss, g = jax.value_and_grad(mlp)(p, x, y)
        return loss, g | {"a": change(g["a"])}

    p = {"a": spec(5, 7), "b": spec(7), "c": spec(7, 3)}
    return jax.jit(step).lower(p, spec(2, 5), spec(2, 3)).as_text()


@pytest.mark.parametrize("seed", range(6))
def test_a_wrong_element_is_found_where_its_relu_is_off_for_the_whole_batch(seed):
    wrong = judged(one_wrong(lambda g: g * (1 - 2 * (jnp.arange(35).reshape(5, 7) == seed))), 3, seed=seed)
    assert wrong.false
    assert wrong.statements[0].wrong == ("arg0",)
    right = judged(one_wrong(lambda g: g), 3, seed=seed)
    assert right.holds and "every gradient element was alive" in right.life
    assert right.to_json()["statements"][0]["never_alive"] == {}


def normed(p, x, y):
    h = x @ p["a"]
    mean = h.mean(0)
    h = (h - mean) * lax.rsqrt(((h - mean) ** 2).mean(0) + 1e-5) * p["g"] + p["b"]
    return jnp.mean((jax.nn.relu(h) @ p["e"] - y) ** 2)


@pytest.mark.parametrize("seed", range(9))
def test_a_wrong_element_is_false_at_whichever_point_it_is_found(seed):
    """Behind a norm, where an identity is needed besides."""

    def step(p, x, y):
        loss, g = jax.value_and_grad(normed)(p, x, y)
        return loss, g | {"g": g["g"] * jnp.where(jnp.arange(9) == seed, 1.5, 1.0)}

    p = {"a": spec(5, 9), "b": spec(9), "e": spec(9, 3), "g": spec(9)}
    found = judged(jax.jit(step).lower(p, spec(4, 5), spec(4, 3)).as_text(), 4, seed=seed)
    assert found.false
    assert found.statements[0].wrong == ("arg3",)


def test_what_hangs_on_no_argument_is_undecided():
    found = judged(jax.jit(lambda w: (jnp.float32(1), 0 * w)).lower(spec(3)).as_text(), 1)
    assert found.undecided
    assert "the statement says nothing" in found.statements[0].why


def test_elements_that_are_always_zero_are_counted():
    text = text_of(lambda w, x: jnp.sum(w[:2] * x), spec(5), spec(2))
    found = judged(text, 1)
    assert found.holds
    assert found.life == "3 of 5 gradient elements were 0 at the one point"
    assert found.statements[0].never == {"arg0": 3}


# -- what is right -----------------------------------------------------------------------------------------------------


def gaussian_nll(p, x):
    var = jax.nn.softplus(p["v"] @ x) + 1e-3
    return 0.5 * jnp.mean(jnp.log(var) + (p["m"] @ x) ** 2 / var)


VECTOR = (spec(4), spec(4))
RIGHT = {
    "softplus": (lambda w, x: jnp.sum(jax.nn.softplus(w * x)), VECTOR, 1),
    "log_sigmoid": (lambda w, x: jnp.sum(jax.nn.log_sigmoid(w * x)), VECTOR, 1),
    "mish": (lambda w, x: jnp.sum(jax.nn.mish(w * x)), VECTOR, 1),
    "logaddexp": (lambda w, x: jnp.sum(jnp.logaddexp(w, x)), VECTOR, 1),
    "exp2": (lambda w, x: jnp.sum(jnp.exp2(w * x)), VECTOR, 1),
    "log2": (lambda w, x: jnp.sum(jnp.log2(w * w + 1) * x), VECTOR, 1),
    "entropy": (lambda w, x: jnp.sum(jax.nn.softmax(w * x) * jax.nn.log_softmax(w * x)), VECTOR, 1),
    "binary cross-entropy": (lambda w, y: optax.sigmoid_binary_cross_entropy(w, y).mean(), VECTOR, 1),
    "focal": (lambda w, y: optax.sigmoid_focal_loss(w, y, alpha=0.25).mean(), VECTOR, 1),
    "gelu": (lambda w, x: jnp.sum(jax.nn.gelu(w * x, approximate=False)), VECTOR, 1),
    "gaussian nll": (gaussian_nll, ({"m": spec(3, 4), "v": spec(3, 4)}, spec(4)), 2),
    "kl": (lambda w, y: optax.kl_divergence(jax.nn.log_softmax(w), jax.nn.softmax(y)).mean(), VECTOR, 1),
    "norm": (lambda w, x: jnp.sum(w * x) / jnp.sqrt(jnp.sum(w * w)) * lax.rsqrt(jnp.sum(w * w)), VECTOR, 1),
}


@pytest.mark.parametrize("name", RIGHT)
def test_what_jax_and_optax_derive_is_certified(name):
    loss, args, count = RIGHT[name]
    found = judged(text_of(loss, *args), count, primes=8)
    assert found.holds, found.statements[0].why


BATCHED = (spec(32, 8), spec(16, 32), spec(16, 8))
OF_BATCHES = {
    "log_cosh": lambda w, x, y: optax.log_cosh(x @ w, y).mean(),
    "binary cross-entropy": lambda w, x, y: optax.sigmoid_binary_cross_entropy(x @ w, y).mean(),
    "focal": lambda w, x, y: optax.sigmoid_focal_loss(x @ w, y).mean(),
    "mish": lambda w, x, y: (jax.nn.mish(x @ w) * y).mean(),
}


@pytest.mark.parametrize("name", OF_BATCHES)
def test_four_primes_suffice_for_the_functions_of_a_batch(name):
    """Few reciprocals are taken, so that the degree grows as the elements do, or as their square."""
    found = judged(text_of(OF_BATCHES[name], *BATCHED), 1)
    assert found.holds
    assert found.failure < (-60 if name == "binary cross-entropy" else -30)


def test_a_maximum_carried_through_many_tiles_is_looked_into_once_a_tile():
    """log sum exp by tiles, and its slope by hand, exp(score - log sum exp)."""

    @jax.custom_vjp
    def by_tiles(scores):
        top, total = scores[:, 0], jnp.ones(5)
        for column in scores.T[1:]:
            new = jnp.maximum(top, column)
            total = total * jnp.exp(top - new) + jnp.exp(column - new)
            top = new
        return top + jnp.log(total)

    def pullback(kept, dy):
        scores, y = kept
        return (dy[:, None] * jnp.exp(scores - y[:, None]),)

    by_tiles.defvjp(lambda s: (by_tiles(s), (s, by_tiles(s))), pullback)
    text = text_of(lambda w, x: jnp.sum(by_tiles(jnp.outer(w, x))), spec(5), spec(24))
    found = judged(text, 1, primes=8)
    assert found.holds and found.statements[0].identities.additive


@pytest.mark.parametrize("name", RIGHT)
def test_the_same_with_one_part_in_a_thousand_is_false(name):
    loss, args, count = RIGHT[name]

    def step(*given):
        value, g = jax.value_and_grad(loss)(*given)
        return value, jax.tree.map(lambda v: v * 1.001, g)

    assert judged(jax.jit(step).lower(*args).as_text(), count, primes=2).false


# -- what is neither ---------------------------------------------------------------------------------------------------


def hand_derived(value, slope):
    """sum f(w x) with a slope that was written down by hand."""
    f = jax.custom_vjp(value)
    f.defvjp(lambda x: (value(x), x), lambda x, dy: (dy * slope(x),))
    return text_of(lambda w, x: jnp.sum(f(w * x)), *VECTOR)


def test_an_identity_that_is_missing_leaves_it_undecided():
    """sin² + cos² = 1 is not known to the certificate."""
    right = hand_derived(lambda x: jnp.sin(x) ** 3, lambda x: 3 * jnp.cos(x) - 3 * jnp.cos(x) ** 3)
    found = judged(right, 1)
    assert found.undecided and not found.false and not found.holds
    assert "an identity between values of cos, sin" in found.statements[0].why
    assert found.statements[0].wrong == ()
    assert found.to_json()["statements"][0]["undecided"] == ["arg0"]
    wrong = hand_derived(lambda x: jnp.sin(x) ** 3, lambda x: 3 * jnp.cos(x) - 2.99 * jnp.cos(x) ** 3)
    assert judged(wrong, 1).false


def test_a_function_written_out_as_its_approximation_is_undecided():
    def erf(x):  # Abramowitz and Stegun 7.1.26
        t = 1 / (1 + 0.3275911 * jnp.abs(x))
        powers = (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)
        series = sum(c * t ** (i + 1) for i, c in enumerate(powers))
        return 1 - series * jnp.exp(-x * x)

    def slope(x):
        return 1.1283792 * jnp.exp(-x * x)

    f = jax.custom_vjp(erf)
    f.defvjp(lambda x: (erf(x), x), lambda x, dy: (dy * slope(x),))
    found = judged(text_of(lambda w, x: jnp.sum(f(w * w + x * x)), *VECTOR), 1)
    assert found.undecided
    assert "literals that stand for no plain number: " in found.statements[0].why


# -- which are wrong ---------------------------------------------------------------------------------------------------

TANH = {"a": spec(4, 4), "b": spec(4), "c": spec(4, 3)}


def updated(change, rate=None):
    """A step of plain SGD, p - rate g, with `change` done to the gradients."""

    def loss(p, x, y):
        return jnp.mean((jnp.tanh(x @ p["a"] + p["b"]) @ p["c"] - y) ** 2)

    def step(p, x, y, lr):
        value, g = jax.value_and_grad(loss)(p, x, y)
        return jax.tree.map(lambda v, d: v - (lr if rate is None else rate) * d, p, change(g)), value

    return jax.jit(step).lower(TANH, spec(5, 4), spec(5, 3), spec()).as_text()


def manifest(lr=True, loss="loss"):
    names = [{"name": n, "role": "parameter"} for n in "abc"]
    data = [{"name": n, "role": "data"} for n in ("x", "y", *(["lr"] if lr else []))]
    results = [{"name": n} for n in "abc"] + [{"name": loss}]
    return {"functions": {"main": {"arguments": [*names, *data], "results": results}}}


WRONG = {
    "transposed": lambda g: g | {"a": g["a"].T},
    "negative": lambda g: g | {"b": -g["b"]},
    "twice": lambda g: g | {"c": 2 * g["c"]},
}


@pytest.mark.parametrize("name", WRONG)
def test_one_wrong_gradient_does_not_blame_the_others(name):
    found = judged(updated(WRONG[name]), 0, manifest=manifest())
    assert found.false
    assert found.statements[0].wrong == ({"transposed": "a", "negative": "b", "twice": "c"}[name],)
    assert "= -1 (result" in found.statements[0].meaning[0]


def test_a_rate_in_the_text_is_found():
    found = judged(updated(lambda g: g, rate=0.05), 0, manifest=manifest(lr=False))
    assert found.holds
    assert "= -20 (result 0 - a)" in found.statements[0].meaning[0]
    assert judged(updated(WRONG["twice"], rate=0.05), 0, manifest=manifest(lr=False)).statements[0].wrong == ("c",)


def test_where_no_loss_is_returned_the_gradients_are_those_of_some_function():
    right, wrong = (judged(updated(c), 0, manifest=manifest(loss="x")) for c in (lambda g: g, WRONG["twice"]))
    assert right.holds
    assert wrong.false and wrong.statements[0].wrong == ("c",)
