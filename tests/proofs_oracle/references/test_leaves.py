"""References against other people's code: lax, jax.nn, optax, and the equations written as loops."""

from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax

from netc.netspec.layer import signature_of
from netc.netspec.layers import AvgPool, Conv2d, Dense, MaxPool, ResidualBlock
from netc.netspec.layers.window import pair, resolve_padding
from netc.netspec.loss import CrossEntropy
from netc.netspec.recipe import SGD, Adam
from netc.proofs_oracle.reference import Case, OracleError, Reference, apply, reference_of, register
from netc.proofs_oracle.references import REFERENCES, losses, optimizers
from netc.proofs_oracle.references.activation import activate
from netc.proofs_oracle.references.window import sides_of
from netc.proofs_oracle.witness import compiled, float64

CONVOLUTIONS = [c for c in REFERENCES["conv2d"].cases if not c.name.startswith(("act-", "kinks-"))]
POOLS = [c for kind in ("maxPool", "avgPool") for c in REFERENCES[kind].cases if c.draw == "normal"]


def windowed(layer, shape):
    """size, stride, dilation and padding of a layer, the last by netspec's own rule."""
    size = pair(layer.kernel if isinstance(layer, Conv2d) else layer.size)
    stride = pair(layer.stride) if isinstance(layer, Conv2d) else layer.step
    dilation = pair(getattr(layer, "dilation", 1))
    return size, stride, dilation, resolve_padding(layer.padding, shape[:2], size, stride, dilation)


@pytest.mark.parametrize("case", CONVOLUTIONS, ids=lambda c: c.name)
def test_conv2d_is_lax(case, normal):
    layer = case.layer
    size, stride, dilation, sides = windowed(layer, case.shape)
    x = normal((case.batch, *case.shape))
    params = {"kernel": normal((*size, case.shape[2] // layer.groups, layer.features)), "bias": normal(layer.features)}

    def by_lax(params, x):
        y = lax.conv_general_dilated(
            x, params["kernel"], stride, sides, rhs_dilation=dilation, feature_group_count=layer.groups,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )  # fmt: skip
        return activate(layer.activation, y + params["bias"] if layer.bias else y)

    ours, theirs = compiled(lambda p, x: (apply(layer, p, {}, x, True)[0], by_lax(p, x)))(params, x)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("case", POOLS, ids=lambda c: f"{c.layer.kind}-{c.name}")
def test_pools_are_the_loops_of_the_equation(case, normal):
    layer = case.layer
    (kh, kw), (sh, sw), _, ((top, _), (left, _)) = windowed(layer, case.shape)
    x = normal((case.batch, *case.shape))
    y = compiled(lambda x: apply(layer, {}, {}, x, True)[0])(x)
    height, width, _ = case.shape
    for p, q in product(range(y.shape[1]), range(y.shape[2])):
        rows = [sh * p + a - top for a in range(kh) if 0 <= sh * p + a - top < height]
        columns = [sw * q + b - left for b in range(kw) if 0 <= sw * q + b - left < width]
        seen = x[:, rows][:, :, columns]
        count = kh * kw if getattr(layer, "count_padding", False) else len(rows) * len(columns)
        want = seen.max((1, 2)) if isinstance(layer, MaxPool) else seen.sum((1, 2)) / count
        np.testing.assert_allclose(y[:, p, q], want, rtol=1e-13)


@pytest.mark.parametrize("case", [c for c in REFERENCES["maxPool"].cases if c.draw != "normal"], ids=lambda c: c.name)
def test_max_pool_breaks_ties_as_select_and_scatter_does(case):
    size, stride, _, sides = windowed(case.layer, case.shape)
    rng = np.random.default_rng(3)
    x = rng.integers(-1, 2, (case.batch, *case.shape)).astype(float)

    def by_lax(x):
        around = ((0, 0), *sides, (0, 0))
        return lax.reduce_window(x, -jnp.inf, lax.max, (1, *size, 1), (1, *stride, 1), around)

    def pulled(function, x, dy):
        return jax.vjp(function, x)[1](dy)[0]

    def both(x, dy):
        return pulled(lambda x: apply(case.layer, {}, {}, x, True)[0], x, dy), pulled(by_lax, x, dy)

    dy = rng.standard_normal((case.batch, *signature_of(case.layer, case.x).out.shape))
    ours, theirs = compiled(both)(x, dy)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("padding", ["same", "same-symmetric", "valid"])
def test_two_spellings_of_padding_agree(padding):
    for n, k, s, d in product(range(1, 9), (1, 2, 3, 5), (1, 2, 3), (1, 2)):
        ours = sides_of(padding, (n, 4), (k, 2), (s, 1), (d, 1))
        assert ours == resolve_padding(padding, (n, 4), (k, 2), (s, 1), (d, 1))


def test_same_and_symmetric_differ_on_even_sizes_with_a_stride():
    assert sides_of("same", (6, 6), 3, 2) == ((0, 1), (0, 1))
    assert sides_of("same-symmetric", (6, 6), 3, 2) == ((1, 1), (1, 1))


JAX_NN = {
    "relu": jax.nn.relu, "relu6": jax.nn.relu6, "sigmoid": jax.nn.sigmoid, "tanh": jnp.tanh, "swish": jax.nn.swish,
    "h-sigmoid": jax.nn.hard_sigmoid, "h-swish": jax.nn.hard_swish,
    "gelu": lambda x: jax.nn.gelu(x, approximate=False), "gelu-tanh": jax.nn.gelu,
}  # fmt: skip


@pytest.mark.parametrize("name", JAX_NN)
def test_activations_and_their_slopes_are_those_of_jax_nn(name):
    x = np.concatenate([np.linspace(-9, 9, 145), [0.0, 3.0, -3.0, 6.0]])
    with float64():
        for function in (jax.vmap, lambda f: jax.vmap(jax.grad(f))):
            ours = function(lambda x: activate(name, x))(x)
            np.testing.assert_allclose(ours, function(JAX_NN[name])(x), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    ("name", "x", "slope"),
    [("relu", 0, 0), ("relu6", 0, 0), ("relu6", 6, 0), ("h-sigmoid", -3, 0), ("h-sigmoid", 3, 0),
     ("leaky-relu", 0, 0.01), ("h-swish", -3, 0), ("h-swish", 3, 1)],
)  # fmt: skip
def test_slope_at_the_kink_is_the_documented_one(name, x, slope):
    with float64():
        assert float(jax.grad(lambda x: activate(name, x))(float(x))) == slope


OPTAX = {
    "adam": (Adam(), lambda mask: optax.adam(0.05)),
    "adamw": (Adam(weight_decay=0.1), lambda mask: optax.adamw(0.05, weight_decay=0.1, mask=mask)),
    "adam-l2": (
        Adam(0.8, 0.9, 1e-5, weight_decay=0.1, decoupled=False),
        lambda mask: optax.chain(optax.add_decayed_weights(0.1, mask), optax.adam(0.05, 0.8, 0.9, 1e-5)),
    ),
    "sgd": (SGD(0.0), lambda mask: optax.sgd(0.05)),
    "momentum": (SGD(0.9), lambda mask: optax.sgd(0.05, 0.9)),
    "nesterov": (SGD(0.9, nesterov=True), lambda mask: optax.sgd(0.05, 0.9, nesterov=True)),
    "momentum-decay": (
        SGD(0.9, weight_decay=0.1),
        lambda mask: optax.chain(optax.add_decayed_weights(0.1, mask), optax.sgd(0.05, 0.9)),
    ),
}


@pytest.mark.parametrize("name", OPTAX)
def test_optimizers_are_those_of_optax(name, normal):
    optimizer, make = OPTAX[name]
    params = (normal((2, 3)), normal(3), normal(()))
    decay = (True, False, True)
    kept = optimizers.start(optimizer, params)
    with float64():
        theirs = tuple(jnp.asarray(p) for p in params)
        transform = make(decay)
        held = transform.init(theirs)
        for _ in range(20):
            gradients = tuple(normal(p.shape) for p in params)
            params, kept = optimizers.step(optimizer, params, gradients, kept, lr=0.05, decay=decay)
            updates, held = transform.update(gradients, held, theirs)
            theirs = optax.apply_updates(theirs, updates)
        for a, b in zip(params, theirs, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10)


@pytest.mark.parametrize("smoothing", losses.SMOOTHINGS)
def test_loss_is_that_of_optax(smoothing, normal):
    logits, labels = normal((5, 7)) * 10, np.asarray([0, 6, 2, 2, 5], np.int32)
    with float64():
        target = optax.smooth_labels(jax.nn.one_hot(labels, 7), smoothing)
        want = optax.softmax_cross_entropy(logits, target).mean()
        got = losses.each(CrossEntropy(smoothing), logits, labels).mean()
        np.testing.assert_allclose(got, want, rtol=1e-12)


def test_a_kind_without_a_reference_is_named(monkeypatch):
    monkeypatch.delitem(REFERENCES, "dense")
    with pytest.raises(OracleError, match=r"wants a reference for 'dense', got those for .*conv2d"):
        reference_of(Dense(3))


def test_a_kind_has_one_reference():
    with pytest.raises(ValueError, match="reference dense: wants one reference for each kind, got a second"):
        register(reference_of(Dense(3)))


def test_a_reference_wants_distinct_cases_and_reasons():
    case = Case("a", AvgPool(), (2, 2, 1))
    with pytest.raises(ValueError, match="wants different case names, got a twice"):
        Reference("avgPool", reference_of(AvgPool()).fn, (case, case))
    with pytest.raises(ValueError, match="wants a reason for the tolerance 1e-06"):
        Reference("avgPool", reference_of(AvgPool()).fn, (case,), tolerance=1e-6)


def test_composites_are_not_expanded(monkeypatch):
    monkeypatch.delattr(ResidualBlock, "expand")
    case = REFERENCES["residualBlock"].cases[0]
    params = {f"block0.residual.body.{c}.conv.kernel": jnp.ones((3, 3, 3, 3)) for c in ("conv1", "conv2")}
    for c in ("conv1", "conv2"):
        params |= {f"block0.residual.body.{c}.norm.{n}": jnp.ones(3) for n in ("scale", "bias")}
    states = [f"block0.residual.body.{c}.norm.{n}" for c in ("conv1", "conv2") for n in ("mean", "var")]
    x = jnp.ones((2, *case.shape))
    y, new = compiled(lambda p, x: apply(case.layer, p, {n: jnp.ones(3) for n in states}, x, True))(params, x)
    assert y.shape == (2, 4, 4, 3)
    assert sorted(new) == sorted(states)


def test_x64_is_left_as_it_was():
    before = jax.config.jax_enable_x64
    with float64():
        assert jax.config.jax_enable_x64
        assert activate("relu", jnp.asarray(1.5)).dtype == jnp.float64
    assert jax.config.jax_enable_x64 == before
