"""Each metric beside scikit-learn's, on rows that come in pieces, with ties and classes that never occur."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from netc.netspec.errors import NetcError, UserError
from netc.runtime.metrics import calibration, ranking, seen
from netc.runtime.metrics.calibration import BINS
from netc.runtime.metrics.measure import averaged
from netc.runtime.metrics.seen import KINDS, Task, rows_of
from netc.runtime.metrics.table import METRICS, chosen_metrics, comparable, scalar_of
from netc.runtime.metrics.worst import Worst

CLOSE = 1e-12  # both sum in float64, in another order


def found(word, task, z, target, pieces=(0, 7, 8, 31)):
    """The metric of outputs and targets that are added in pieces."""
    tally = METRICS[word].tally(task)
    cuts = [*(p for p in pieces if p < len(z)), len(z)]
    for start, end in pairwise(cuts):
        for rows in rows_of(task, np.arange(start, end), z[start:end], target[start:end]):
            tally.add(rows)
    return tally.result()


def classified(classes, count=200, seed=0, unused=()):
    """Logits float32 [count, classes] that are right more often than not, and classes, none of `unused`."""
    rng = np.random.default_rng(seed)
    target = rng.choice([c for c in range(classes) if c not in unused], count).astype(np.int32)
    z = rng.normal(size=(count, classes)).astype(np.float32)
    z[np.arange(count), target] += 1.5
    return z, target


def softmax(z):
    e = np.exp(z.astype(np.float64) - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@pytest.fixture
def sk():
    return pytest.importorskip("sklearn.metrics")


@pytest.mark.parametrize("classes", [2, 7])
def test_classes_beside_scikit_learn(sk, classes):
    z, t = classified(classes)
    task = Task("classes", classes, len(z))
    p, guess = softmax(z), z.argmax(1)
    average = {"average": "macro", "zero_division": 0}
    want = {
        "top1": sk.accuracy_score(t, guess),
        "log-loss": sk.log_loss(t, p),
        "precision": sk.precision_score(t, guess, **average),
        "recall": sk.recall_score(t, guess, **average),
        "f1": sk.f1_score(t, guess, **average),
        "brier": float(((p - np.eye(classes)[t]) ** 2).sum(1).mean()),
    }
    if classes > 5:
        want["top5"] = sk.top_k_accuracy_score(t, p, k=5)
    for word, value in want.items():
        assert found(word, task, z, t) == pytest.approx(value, rel=CLOSE), word
    area = sk.roc_auc_score(t, p[:, 1]) if classes == 2 else sk.roc_auc_score(t, p, multi_class="ovr")
    assert found("auroc", task, z, t)["mean"] == pytest.approx(area, rel=CLOSE)
    assert found("confusion", task, z, t)["true_by_predicted"] == sk.confusion_matrix(t, guess).tolist()


def test_classes_that_never_occur(sk):
    z, t = classified(5, 60, unused=(2, 4))
    z[:, 4] = -100  # nor is it ever said
    task, guess = Task("classes", 5, len(z), ("a", "b", "c", "d", "e")), z.argmax(1)
    report = found("per-class", task, z, t)
    columns = sk.precision_recall_fscore_support(t, guess, labels=range(5), zero_division=0)
    for row, *values in zip(report["classes"], *columns, strict=True):
        assert [row[n] for n in ("precision", "recall", "f1", "support")] == pytest.approx(values, rel=CLOSE)
    for mean in ("macro", "weighted"):
        *want, _ = sk.precision_recall_fscore_support(t, guess, average=mean, zero_division=0)
        assert [*report[mean].values()] == pytest.approx(want, rel=CLOSE)
    assert [row["class"] for row in report["classes"]] == list("abcde")
    each = {row["class"]: row["value"] for row in found("auroc", task, z, t)["classes"]}
    assert each["c"] is None and each["e"] is None and each["a"] is not None


def test_ties_and_the_first_maximum():
    """As the program counts: of equal outputs the first class is said, so that top-1 is netc's accuracy."""
    z, t = np.array([[1, 1, 0], [0, 2, 2], [3, 3, 3]], np.float32), np.array([1, 1, 0], np.int32)
    task = Task("classes", 3, 3)
    assert found("top1", task, z, t) == pytest.approx(2 / 3)
    assert found("confusion", task, z, t)["true_by_predicted"] == [[1, 0, 0], [1, 1, 0], [0, 0, 0]]


def test_areas_with_ties_and_without_pairs(sk):
    rng = np.random.default_rng(3)
    scores, true = rng.integers(0, 6, 300).astype(np.float64), rng.random(300) < 0.3
    assert ranking.area(scores, true) == pytest.approx(sk.roc_auc_score(true, scores), rel=CLOSE)
    assert ranking.area(scores, np.zeros(300, bool)) is None
    z = np.ones((3, 2), np.float32)
    assert found("auroc", Task("classes", 2, 3), z, np.ones(3, np.int32))["mean"] is None


def test_labels_beside_scikit_learn(sk):
    rng = np.random.default_rng(1)
    t = (rng.random((90, 4)) < 0.4).astype(np.float32)
    z = (rng.normal(size=t.shape) + 2 * t - 1).astype(np.float32)
    task, said = Task("labels", 4, 90), z > 0
    for word, score in (("precision", sk.precision_score), ("recall", sk.recall_score), ("f1", sk.f1_score)):
        assert found(word, task, z, t) == pytest.approx(score(t, said, average="macro", zero_division=0), rel=CLOSE)
    assert found("exact-match", task, z, t) == pytest.approx(sk.accuracy_score(t, said))
    assert found("auroc", task, z, t)["mean"] == pytest.approx(sk.roc_auc_score(t, z, average="macro"), rel=CLOSE)
    assert found("iou", task, z, t)["mean"] == pytest.approx(sk.jaccard_score(t, said, average="macro"), rel=CLOSE)


def test_pixels_beside_scikit_learn(sk):
    rng = np.random.default_rng(2)
    t = rng.integers(0, 3, (12, 5, 4)).astype(np.int32)
    z = rng.normal(size=(*t.shape, 4)).astype(np.float32) + 2 * np.eye(4, dtype=np.float32)[t]
    z[..., 3] = -50  # a class that is nowhere
    task = Task("pixels", 4, t.size, places=20)
    guess = z.argmax(-1).ravel()
    iou, dice = found("iou", task, z, t), found("dice", task, z, t)
    want = sk.jaccard_score(t.ravel(), guess, average=None)
    assert [row["value"] for row in iou["classes"][:3]] == pytest.approx(want.tolist(), rel=CLOSE)
    assert iou["classes"][3]["value"] is None and iou["mean"] == pytest.approx(want.mean(), rel=CLOSE)
    assert dice["mean"] == pytest.approx(sk.f1_score(t.ravel(), guess, average="macro"), rel=CLOSE)
    assert found("top1", task, z, t) == pytest.approx((guess == t.ravel()).mean())


def test_pixels_without_a_class_are_left_out():
    rng = np.random.default_rng(2)
    t = rng.integers(0, 3, (12, 5, 4)).astype(np.int32)
    z = rng.normal(size=(*t.shape, 3)).astype(np.float32)
    void = rng.random(t.shape) < 0.4
    task = Task("pixels", 3, t.size, places=20)
    flat = Task("pixels", 3, int((~void).sum()))
    for word in chosen_metrics("all", task):
        kept = found(word, flat, z[~void], t[~void], (0,))
        assert _flat(found(word, task, z, np.where(void, 255, t))) == pytest.approx(_flat(kept), rel=CLOSE), word
    nothing = {word: found(word, task, z, np.full_like(t, 255)) for word in chosen_metrics("all", task)}
    assert nothing["top1"] is None and nothing["iou"]["mean"] == 0 and nothing["log-loss"] is None


@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_numbers_beside_scikit_learn(sk, shift):
    """Far from zero too, where sums of squares would cancel."""
    rng = np.random.default_rng(4)
    t = (rng.normal(size=(50, 3)) * [1, 5, 0.1] + shift).astype(np.float32)
    z = (t + rng.normal(size=t.shape) * 0.2).astype(np.float32)
    task = Task("numbers", 3, 50)
    t64, z64 = t.astype(np.float64), z.astype(np.float64)
    assert found("rmse", task, z, t) == pytest.approx(math.sqrt(((z64 - t64) ** 2).mean()), rel=CLOSE)
    assert found("mae", task, z, t) == pytest.approx(sk.mean_absolute_error(t64, z64), rel=CLOSE)
    r2 = found("r2", task, z, t)
    assert r2["mean"] == pytest.approx(sk.r2_score(t64, z64), rel=1e-9)  # of a million the spread keeps 9 digits
    assert [r["value"] for r in r2["classes"]] == pytest.approx(
        sk.r2_score(t64, z64, multioutput="raw_values").tolist(), rel=1e-9
    )


def test_numbers_whose_targets_are_all_equal(sk):
    t = np.ones((4, 2), np.float32)
    z = t + np.array([0, 1], np.float32)
    r2 = found("r2", Task("numbers", 2, 4), z, t)
    assert [r["value"] for r in r2["classes"]] == sk.r2_score(t, z, multioutput="raw_values").tolist() == [1.0, 0.0]


def test_tokens(sk):
    z, t = classified(11, 60)
    task = Task("tokens", 11, 60, places=6)
    loss = sk.log_loss(t, softmax(z), labels=range(11))
    z, t = z.reshape(10, 6, 11), t.reshape(10, 6)
    assert found("perplexity", task, z, t) == pytest.approx(math.exp(loss), rel=CLOSE)
    assert found("bits", task, z, t) == pytest.approx(loss / math.log(2), rel=CLOSE)


def test_tokens_of_bytes_and_by_position(sk):
    z, t = classified(11, 120)
    lengths = np.arange(11)
    task = Task("tokens", 11, 120, places=12, lengths=lengths)
    each = -np.log(softmax(z)[np.arange(120), t])
    by_place = np.exp(each.reshape(10, 12).mean(axis=0))
    z, t = z.reshape(10, 12, 11), t.reshape(10, 12)
    bits = each.sum() / math.log(2) / lengths[t].sum()
    assert found("bits-per-byte", task, z, t) == pytest.approx(bits, rel=CLOSE)
    result = found("by-position", task, z, t)
    assert result["positions"] == pytest.approx(by_place.tolist(), rel=CLOSE)
    last = result["ranges"][-1]
    assert (last["first"], last["last"], len(result["ranges"])) == (9, 12, 9)
    assert last["perplexity"] == pytest.approx(math.exp(each.reshape(10, 12)[:, 8:].mean()), rel=CLOSE)
    with pytest.raises(UserError, match="bits-per-byte wants text whose tokenizer says the bytes of each token"):
        chosen_metrics("bpb", Task("tokens", 11, 120, places=12))


def test_calibration_beside_scikit_learn():
    curve = pytest.importorskip("sklearn.calibration").calibration_curve
    z, t = classified(7, 400)
    p = softmax(z)
    confidence, right = p.max(1), p.argmax(1) == t
    result = found("ece", Task("classes", 7, 400), z, t)
    there = [b for b in result["bins"] if b["count"]]
    true, said = curve(right, confidence, n_bins=BINS)
    assert [b["accuracy"] for b in there] == pytest.approx(true.tolist(), rel=CLOSE)
    assert [b["confidence"] for b in there] == pytest.approx(said.tolist(), rel=CLOSE)
    gaps = [b["count"] / 400 * abs(b["accuracy"] - b["confidence"]) for b in there]
    assert result["ece"] == pytest.approx(sum(gaps), rel=CLOSE)


def test_the_temperature_is_where_scipy_finds_the_least_loss(sk):
    minimize = pytest.importorskip("scipy.optimize").minimize_scalar
    z, t = classified(7, 400)
    z *= 3  # too sure of itself
    fit, judge = slice(None, None, 2), slice(1, None, 2)

    def loss(logarithm):
        return sk.log_loss(t[fit], softmax(z[fit].astype(np.float64) / math.exp(logarithm)), labels=range(7))

    result = found("temperature", Task("classes", 7, 400), z, t)
    best = minimize(loss, bounds=(-5, 5), method="bounded", options={"xatol": 1e-10}).x
    assert math.log(result["temperature"]) == pytest.approx(best, abs=1e-6)  # a minimum is flat: half the digits
    after = sk.log_loss(t[judge], softmax(z[judge].astype(np.float64) / result["temperature"]), labels=range(7))
    assert result["log_loss_after"] == pytest.approx(after) and after < result["log_loss_before"]
    assert result["fitted_on"] == result["judged_on"] == 200 and result["ece_after"] < result["ece_before"]


def test_the_temperature_keeps_a_bounded_number_of_rows(monkeypatch):
    monkeypatch.setattr(calibration, "KEPT", 7 * 50)
    z, t = classified(7, 400)
    task = Task("classes", 7, 400)
    result = found("temperature", task, z, t)
    every = found("temperature", Task("classes", 7, 50), z[::8], t[::8])
    assert result == every and result["fitted_on"] == 25


def test_rows_come_in_chunks_that_change_nothing(monkeypatch):
    z, t = classified(7, 100)
    task = Task("classes", 7, 100)
    words = chosen_metrics("all", task)
    whole = {word: found(word, task, z, t) for word in words}
    monkeypatch.setattr(seen, "CHUNK", 15)
    for word in words:
        again = found(word, task, z, t, pieces=(0,))
        assert _flat(again) == pytest.approx(_flat(whole[word]), rel=CLOSE), word


def _flat(result):
    if isinstance(result, dict):
        return [n for value in result.values() for n in _flat(value)]
    if isinstance(result, list):
        return [n for value in result for n in _flat(value)]
    return [] if result is None or isinstance(result, str) else [result]


@pytest.mark.parametrize("kind", KINDS)
def test_every_metric_of_a_kind_has_a_number_to_compare_by(kind):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(12, 6)).astype(np.float32)
    t = rng.integers(0, 6, 12).astype(np.int32) if kind in ("classes", "tokens", "pixels") else (z > 0.5) * 1.0
    task = Task(kind, 6, 12)
    words = chosen_metrics("all", task)
    assert words
    for word, metric in words.items():
        result = found(word, task, z, t)
        assert (scalar_of(word, result) is not None) == (metric.better is not None) or word == "temperature"
    assert set(comparable()) >= {"f1", "rmse", "iou"} and "confusion" not in comparable()


def test_soft_targets_count_by_their_likeliest_class():
    z, t = classified(4, 20)
    soft = np.full((20, 4), 0.1, np.float32) + 0.6 * np.eye(4, dtype=np.float32)[t]
    task = Task("classes", 4, 20)
    assert found("f1", task, z, soft) == found("f1", task, z, t)


def test_what_a_task_does_not_have_is_refused():
    numbers = Task("numbers", 1, 10)
    with pytest.raises(UserError, match=r"f1 is of .*got a net of numbers; choose from rmse, mae, r2, or all"):
        chosen_metrics("f1", numbers)
    with pytest.raises(UserError, match=r"`metrics` wants one of top1, .*got 'precison'; did you mean precision"):
        chosen_metrics(["precison"], Task("classes", 3, 10))
    with pytest.raises(UserError, match="top5 wants more than 5 outputs, got 3"):
        chosen_metrics("top5", Task("classes", 3, 10))
    with pytest.raises(UserError, match="confusion wants at most 2,048 outputs"):
        chosen_metrics("confusion", Task("classes", 50_000, 10))
    with pytest.raises(UserError, match="auroc wants at most 33,554,432 scores"):
        chosen_metrics("auroc", Task("classes", 1000, 50_000))
    assert [*chosen_metrics("Accuracy, mIoU", Task("pixels", 3, 10))] == ["top1", "iou"]


def test_outputs_that_are_no_numbers_are_refused():
    z, t = classified(3, 5)
    z[4, 1] = np.nan
    with pytest.raises(NetcError, match="got NaN or infinity for example"):
        found("top1", Task("classes", 3, 5), z, t)


def test_the_worst_mistakes_have_the_numbers_of_their_examples():
    z, t = classified(4, 300)
    numbers = np.arange(300) * 3 + 1  # as if images in between were skipped
    worst = Worst(Task("classes", 4, 300), 5)
    for start in range(0, 300, 32):
        for rows in rows_of(
            Task("classes", 4, 300), numbers[start : start + 32], z[start : start + 32], t[start : start + 32]
        ):
            worst.add(rows)
    p = softmax(z)
    own = p[np.arange(300), t]
    wrong = np.flatnonzero(z.argmax(1) != t)
    want = wrong[np.argsort(own[wrong])][:5]
    assert [m.index for m in worst.mistakes] == numbers[want].tolist()
    assert [m.true_chance for m in worst.mistakes] == pytest.approx(own[want].tolist())
    assert [m.said for m in worst.mistakes] == z[want].argmax(1).tolist()
    assert len(wrong) > 5


def test_two_views_are_averaged_as_probabilities():
    a, b = (np.random.default_rng(i).normal(size=(5, 4)).astype(np.float32) * 9 for i in (0, 1))
    mean = averaged(Task("classes", 4, 5), a, b)
    assert softmax(mean) == pytest.approx((softmax(a) + softmax(b)) / 2, rel=1e-9)
    logistic = lambda z: 1 / (1 + np.exp(-z.astype(np.float64)))  # noqa: E731
    assert logistic(averaged(Task("labels", 4, 5), a, b)) == pytest.approx((logistic(a) + logistic(b)) / 2, rel=1e-9)
    assert averaged(Task("numbers", 4, 5), a, b) == pytest.approx((a + b) / 2, rel=1e-6)
