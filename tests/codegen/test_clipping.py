"""Gradients within bounds: what optax and torch make of the same ones, and what the options leave alone."""

import numpy as np
import pytest

from netc.codegen.builder import Builder
from netc.codegen.clipping import clipped
from netc.codegen.evaluator import run
from netc.codegen.ir import Module
from netc.codegen.program import build
from netc.netspec.check import check
from netc.netspec.clipping import Clipping
from netc.netspec.errors import SpecError, UserError
from netc.netspec.layers import Conv2d, ConvTranspose2d, Dense, GlobalAvgPool
from netc.netspec.recipe import SGD, Recipe
from netc.netspec.recipe_words import recipe_of
from netc.netspec.spec import NetSpec
from netc.netspec.types import TensorType
from netc.proofs_oracle.certificate.certify import certify_program
from netc.proofs_oracle.certificate.statement import Settings
from netc.runtime.backends.xla import XlaLoaded
from netc.runtime.prepare import emit_text
from netc.runtime.target import parse_target

optax = pytest.importorskip("optax")
NET = check(NetSpec("small", (4, 4, 2), (Conv2d(3, 3, activation="gelu"), GlobalAvgPool(), Dense(3))))
B, NAMES = 4, [p.name for p in NET.params]
PLAIN = SGD(momentum=0.0)


def batch(rng):
    return rng.standard_normal((B, *NET.x.shape)), rng.integers(0, 3, B).astype(np.int32)


def step(recipe, state, x, y, lr=1.0):
    """The new parameters and the metrics of one step, in float64."""
    program = build(NET, recipe, len(x))
    results = run(program.module, "train_step", [*state, x, y, np.asarray(lr)], "f64")
    return dict(zip(program.module.function("train_step").result_names, results, strict=True))


def start(rng):
    state = {p.name: rng.standard_normal(p.shape) for p in NET.params}
    return [*state.values(), np.asarray(0, np.int32), np.array([1, 2], np.uint32)], state


RULES = {
    "clip_norm": optax.clip_by_global_norm,
    "clip_value": optax.clip,
    "agc": optax.adaptive_grad_clip,
}


@pytest.mark.parametrize("word", RULES)
@pytest.mark.parametrize("bound", [1e-3, 0.1, 100.0])  # all, some and none are out of bounds
def test_optax_bounds_the_same_gradients_alike(word, bound):
    rng = np.random.default_rng(1)
    state, params = start(rng)
    x, y = batch(rng)
    whole = step(Recipe(PLAIN), state, x, y)
    ours = step(Recipe(PLAIN, clipping=Clipping(**{word: bound})), state, x, y)
    gradients = {n: (params[n] - whole[n]).astype(np.float32) for n in NAMES}
    rule = RULES[word](bound)
    theirs, _ = rule.update(gradients, rule.init(params), {n: v.astype(np.float32) for n, v in params.items()})
    for n in NAMES:  # optax computes in float32
        np.testing.assert_allclose(params[n] - ours[n], theirs[n], rtol=1e-5, atol=1e-7)
    assert ours["grad_norm"] == whole["grad_norm"]
    changed = any(np.any(ours[n] != whole[n]) for n in NAMES)
    assert changed == (bound != 100.0)


def test_each_output_of_a_transposed_convolution_is_a_unit():
    """The kernel is (H, W, outputs of a group, inputs); optax, which takes the last axis, sees it as H W x out."""
    rng, groups = np.random.default_rng(6), 2
    net = check(NetSpec("up", (2, 2, 4), (ConvTranspose2d(6, 2, groups=groups), GlobalAvgPool(), Dense(3))))
    w, g = rng.standard_normal((2, 2, 3, 4)), rng.standard_normal((2, 2, 3, 4))
    b, spec = Builder("clip"), net.params[0]
    value, grad = (b.parameter(n, TensorType(w.shape)) for n in ("w", "g"))
    found, _ = clipped(b, Clipping(agc=0.1), (spec,), {spec.name: value}, {spec.name: grad})
    (ours,) = run(Module("clip", (b.finish([("r", found[spec.name])]),)), "clip", [w, g], "f64")
    rule = optax.adaptive_grad_clip(0.1)
    for at in (slice(0, 2), slice(2, 4)):  # the inputs of a group
        flat = [v[..., at].transpose(0, 1, 3, 2).reshape(-1, 3).astype(np.float32) for v in (g, w)]
        theirs = rule.update(flat[0], rule.init(flat[1]), flat[1])[0]
        wanted = np.asarray(theirs).reshape(2, 2, 2, 3).transpose(0, 1, 3, 2)
        np.testing.assert_allclose(ours[..., at], wanted, rtol=1e-5)  # optax computes in float32


def test_torch_scales_by_a_norm_that_is_larger_by_a_millionth():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(2)
    state, params = start(rng)
    x, y = batch(rng)
    whole, ours = (step(Recipe(PLAIN, clipping=Clipping(clip_norm=c)), state, x, y) for c in (0.0, 0.1))
    tensors = [torch.nn.Parameter(torch.zeros(params[n].shape, dtype=torch.float64)) for n in NAMES]
    for t, n in zip(tensors, NAMES, strict=True):
        t.grad = torch.from_numpy(params[n] - whole[n])
    norm = torch.nn.utils.clip_grad_norm_(tensors, 0.1)
    assert norm.item() == pytest.approx(float(ours["grad_norm"]), rel=1e-12)  # two orders of summation in float64
    for t, n in zip(tensors, NAMES, strict=True):
        np.testing.assert_allclose(params[n] - ours[n], t.grad.numpy(), rtol=1e-5)  # 1e-6 beside a norm near 1


@pytest.mark.parametrize("more", [{}, {"norms": False}, {"accumulate": 2}, {"precision": "bf16"}])
def test_the_bound_is_on_the_whole_batchs_gradient(more):
    rng = np.random.default_rng(3)
    state, params = start(rng)
    x, y = batch(rng)
    found = step(recipe_of(optimizer="sgd", momentum=0.0, clip_norm=0.1, **more), state, x, y)
    moved = np.sqrt(sum(np.sum((params[n] - found[n]) ** 2) for n in NAMES))
    assert moved == pytest.approx(0.1, rel=1e-6)  # differences of weights, whose factor may be float32


def test_several_steps_in_one_call_are_clipped_each():
    rng = np.random.default_rng(4)
    state, _ = start(rng)
    recipe = recipe_of(optimizer="sgd", clip_norm=0.1)
    program = build(NET, recipe, B, steps_per_call=2)
    state = [*state[:-2], *(np.zeros(p.shape) for p in NET.params), *state[-2:]]
    batches = [batch(rng) for _ in range(2)]
    xs, ys = (np.stack(v) for v in zip(*batches, strict=True))
    at_once = run(program.module, "train_steps", [*state, xs, ys, np.full(2, 0.5)], "f64")
    for x, y in batches:
        results = run(program.module, "train_step", [*state, x, y, np.asarray(0.5)], "f64")
        state = results[: len(program.state)]
    for a, b in zip(at_once, state, strict=False):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("word", RULES)
def test_xla_takes_the_evaluators_step(word):
    program, rng = build(NET, recipe_of(**{word: 0.05}), B), np.random.default_rng(5)
    loaded = XlaLoaded(emit_text(program, parse_target("xla")))
    state = run(program.module, "init", [np.array([1, 2], np.uint32)], "f32")
    x, y = batch(rng)
    args = [*state, x.astype(np.float32), y, np.float32(1e-2)]
    theirs = loaded.call("train_step", [loaded.put(a) for a in args])
    for a, b in zip(run(program.module, "train_step", args, "f32"), theirs, strict=True):
        # float32, a convolution's gradient summed in another order
        np.testing.assert_allclose(a, loaded.get(b), rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"clip_norm": -1.0}, "`clip_norm` wants a positive number, or 0 for none, got -1.0"),
        ({"agc": float("nan")}, "`agc` wants a positive number, or 0 for none, got nan"),
        ({"clip_value": 1e30}, r"`clip_value` wants a positive number, or 0 for none, got 1e\+30"),
        ({"agc": 1e-36}, "`agc` wants a share of at least 1e-30, or 0 for none, got 1e-36; 0.01 is common"),
        ({"clip_norm": 1.0, "agc": 0.1}, "clipped in one way, got `clip_norm` and `agc`; leave one out"),
    ],
)
def test_sentences(words, sentence):
    with pytest.raises(SpecError, match=sentence):
        recipe_of(**words)


def certified(**words):
    net = check(NetSpec("line", (3,), (Dense(4, activation="relu"), Dense(2))))
    return certify_program(build(net, recipe_of(**words), 4), parse_target("cpu"), Settings())


@pytest.mark.parametrize(
    "words", [{"clip_norm": 0.01}, {"optimizer": "sgd", "clip_norm": 0.1, "accumulate": 2}, {"ema": 0.9}], ids=str
)
def test_the_certificate_reads_the_gradients_through_it(words):
    found = certified(**words)
    assert found.holds
    assert ("clipped by their norm" in str(found)) == ("clip_norm" in words)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"clip_value": 0.1}, "where `clip_value` bounds each in its own way; the gradients are the same without it"),
        ({"agc": 0.1}, "where `agc` bounds each"),
        ({"optimizer": "sgd", "clip_norm": 1.0, "weight_decay": 0.1}, "the same without `weight_decay`"),
    ],
)
def test_the_certificate_says_what_it_cannot_read(words, sentence):
    with pytest.raises(UserError, match=sentence):
        certified(**words)
