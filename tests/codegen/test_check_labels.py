"""Labels that are no class, left out on request: against JAX's masked mean, and counted."""

from dataclasses import replace
from functools import cache, partial

import jax
import jax.extend.random
import jax.numpy as jnp
import numpy as np
import pytest

from netc.codegen.evaluator import run
from netc.codegen.program import build
from netc.codegen.render import render
from netc.codegen.rewrite.lower import lower
from netc.netspec import layers as nn
from netc.netspec.check import check
from netc.netspec.errors import SpecError
from netc.netspec.loss import LOSSES, CrossEntropy, Focal, OneVersusRest
from netc.netspec.mixing import Mixing
from netc.netspec.recipe import SGD, Recipe
from netc.netspec.spec import NetSpec
from netc.proofs_oracle.references.losses import each
from netc.proofs_oracle.references.mixing import mixture
from tests.codegen.witness import by_xla

K, BATCH = 4, 6
ROWS = NetSpec("rows", (5,), (nn.Dense(K, name="d"),))
TOKENS = NetSpec("tokens", (3, 5), (nn.Dense(K, name="d"),))
BAD = (-1, K, 2**31 - 1, -(2**31), 255)
LOSS = {
    "plain": CrossEntropy(),
    "smoothed": CrossEntropy(0.1),
    "weighted": CrossEntropy(0.1, (1.0, 2.0, 0.5, 1.0)),
    "focal": Focal(1.5, (0.25,)),
    "one-versus-rest": OneVersusRest(0.1),
}
JUDGE_IDS = {type(loss) for loss in LOSS.values()}


def program_of(spec, loss=CrossEntropy(), **recipe):  # noqa: B008
    return build(check(spec), Recipe(SGD(0.9), loss, norms=False, check_labels=True, **recipe), BATCH)


def labels(rng, spec, bad):
    y = rng.integers(0, K, (BATCH, *spec.input[:-1])).astype(np.int32)
    flat = y.reshape(-1)
    flat[rng.permutation(flat.size)[: len(bad)]] = bad
    return y


def drawn(spec, bad=BAD, seed=0):
    rng = np.random.default_rng(seed)
    w, bias, x = rng.normal(size=(5, K)), rng.normal(size=K), rng.normal(size=(BATCH, *spec.input))
    return w, bias, x, labels(rng, spec, bad)


def step(program, w, bias, x, y):
    """Results of train_step by name, from zero velocity: that is then the gradient."""
    zero = [np.zeros_like(w), np.zeros_like(bias), np.int32(0), np.zeros(2, np.uint32)]
    function = program.module.function("train_step")
    results = run(program.module, "train_step", [w, bias, *zero, x, y, 0.1])
    return dict(zip(function.result_names, results, strict=True))


def masked_mean(loss, w, bias, x, y):
    """The mean over the labels that are classes, each judged by the reference as an example of its own."""
    good = (y >= 0) & (y < K)
    own = each(loss, (x @ w + bias).reshape(-1, K), jnp.where(good, y, 0).reshape(-1))
    return jnp.mean(own, where=good.reshape(-1))


@cache
def gradient_by_jax(spec, loss):
    """The masked mean of what is drawn, and its gradients: one for every way to accumulate."""
    with jax.enable_x64(True):
        made = jax.jit(jax.value_and_grad(partial(masked_mean, LOSS[loss]), (0, 1)))
        return jax.tree.map(np.asarray, made(*drawn(spec)))


@pytest.mark.parametrize("accumulate", [1, 2, 3])
@pytest.mark.parametrize("loss", LOSS)
@pytest.mark.parametrize("spec", [ROWS, TOKENS], ids=lambda s: s.name)
def test_the_step_is_that_of_jaxs_masked_mean(spec, loss, accumulate):
    w, bias, x, y = drawn(spec)
    found = step(program_of(spec, LOSS[loss], accumulate=accumulate), w, bias, x, y)
    wanted, (dw, db) = gradient_by_jax(spec, loss)
    np.testing.assert_allclose(found["loss"], wanted, rtol=1e-12)
    np.testing.assert_allclose(found["velocity/d.kernel"], dw, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(found["velocity/d.bias"], db, rtol=1e-10, atol=1e-13)
    assert found["bad_labels"] == len(BAD)


@pytest.mark.parametrize("spec", [ROWS, TOKENS], ids=lambda s: s.name)
def test_without_bad_labels_it_is_the_step_that_it_was(spec):
    args = drawn(spec, bad=())
    checked = program_of(spec)
    plain = build(checked.net, replace(checked.recipe, check_labels=False), BATCH)
    ours, wanted = step(checked, *args), step(plain, *args)
    assert ours.pop("bad_labels") == 0
    assert list(ours) == list(wanted)
    for name, value in wanted.items():
        np.testing.assert_allclose(ours[name], value, rtol=1e-12, atol=1e-15)


def test_where_every_label_is_bad_nothing_is_learnt():
    w, bias, x, _ = drawn(ROWS)
    found = step(program_of(ROWS), w, bias, x, np.full(BATCH, -7, np.int32))
    assert (found["loss"], found["bad_labels"]) == (0, BATCH)
    assert not found["velocity/d.kernel"].any() and (found["d.kernel"] == w).all()


@pytest.mark.parametrize("spec", [ROWS, TOKENS], ids=lambda s: s.name)
def test_evaluation_counts_the_good_ones(spec):
    w, bias, x, y = drawn(spec)
    weight = np.array([1, 1, 0, 1, 1, 1.0])
    loss, correct, count = run(program_of(spec, CrossEntropy(0.1)).module, "eval_step", [w, bias, x, y, weight])
    good = (y >= 0) & (y < K)
    z = x @ w + bias
    share = weight.reshape(-1, *(1 for _ in spec.input[1:])) * good / (y.size / BATCH)
    with jax.enable_x64(True):
        own = np.asarray(each(CrossEntropy(), z.reshape(-1, K), np.where(good, y, 0).reshape(-1))).reshape(y.shape)
    np.testing.assert_allclose(loss, (own * share).sum(), rtol=1e-12)
    np.testing.assert_allclose(correct, ((z.argmax(-1) == y) * share).sum(), rtol=1e-12)
    np.testing.assert_allclose(count, share.sum(), rtol=1e-12)


def test_xla_counts_the_same():
    program = program_of(TOKENS)
    w, bias, x, y = drawn(TOKENS)
    args = [w, bias, np.zeros_like(w), np.zeros_like(bias), np.int32(0), np.zeros(2, np.uint32), x, y, 0.1]
    typed = [a if np.asarray(a).dtype.kind in "iu" else np.asarray(a, np.float32) for a in args]
    names = program.module.function("train_step").result_names
    for family in ("xla", "plain"):
        found = dict(zip(names, by_xla(lower(program.module, family), "train_step", typed), strict=True))
        assert found["bad_labels"] == len(BAD)
        np.testing.assert_allclose(found["loss"], step(program, w, bias, x, y)["loss"], rtol=1e-5)


def test_what_is_not_asked_for_is_not_in_the_text():
    program = build(check(ROWS), Recipe(SGD(0.9)), BATCH)
    assert "labels" not in render(lower(program.module, "plain"))
    assert "bad_labels" not in program.module.function("train_step").result_names


@pytest.mark.parametrize("kind", [k for k, cls in LOSSES.items() if cls not in JUDGE_IDS])
def test_other_losses_are_a_sentence(kind):
    with pytest.raises(
        SpecError, match=f"`check_labels` wants a loss .* focal or oneVersusRest, got {kind}; leave it out"
    ):
        Recipe(loss=LOSSES[kind](), check_labels=True).check()


def test_it_is_torchs_ignored_index():
    torch = pytest.importorskip("torch")
    w, bias, x, y = drawn(TOKENS, bad=(-100, -100, -100))
    found = step(program_of(TOKENS), w, bias, x, y)
    z = torch.tensor((x @ w + bias).reshape(-1, K))
    wanted = torch.nn.functional.cross_entropy(z, torch.tensor(y.reshape(-1)).long(), ignore_index=-100)
    np.testing.assert_allclose(found["loss"], float(wanted), rtol=1e-12)


# what docs/steps.md says of labels that nobody checks
def test_unchecked_a_label_that_is_no_class_is_no_class_at_all():
    w, bias, x, _ = drawn(ROWS)
    program = build(check(ROWS), Recipe(SGD(0.9), norms=False), BATCH)
    found = step(program, w, bias, x, np.full(BATCH, K, np.int32))
    z = x @ w + bias
    shifted = z - z.max(-1, keepdims=True)
    total = np.exp(shifted).sum(-1)
    np.testing.assert_allclose(found["loss"], np.log(total).mean(), rtol=1e-12)
    np.testing.assert_allclose(found["velocity/d.bias"], (np.exp(shifted) / total[:, None]).mean(0), rtol=1e-12)
    assert found["correct"] == 0


def test_of_mixed_examples_each_label_is_left_out_by_itself():
    """A bad label loses its share of its own example and of its partner's, and leaves the other's."""
    w, bias, x, y = drawn(ROWS, (-1, K))
    mixing = Mixing(0.4)
    found = step(program_of(ROWS, mixing=mixing), w, bias, x, y)
    good = (y >= 0) & (y < K)

    def wanted(w, bias):
        key = jax.extend.random.threefry_2x32(jnp.zeros(2, jnp.uint32), jnp.array([0, 3], jnp.uint32))
        mixed = mixture(mixing, key, x)
        own, other = (
            jnp.sum(jnp.where(g, each(CrossEntropy(), mixed.x @ w + bias, jnp.where(g, t, 0)), 0))
            for g, t in ((good, y), (good[::-1], y[::-1]))
        )
        return (mixed.share * own + (1 - mixed.share) * other) / good.sum(), mixed.share

    with jax.enable_x64(True):
        (loss, share), (dw, dbias) = jax.jit(jax.value_and_grad(wanted, (0, 1), has_aux=True))(w, bias)
    assert 0 < float(share) < 1 and found["bad_labels"] == 2
    for name, value in (("loss", loss), ("velocity/d.kernel", dw), ("velocity/d.bias", dbias)):
        np.testing.assert_allclose(found[name], value, rtol=1e-10, atol=1e-13)
