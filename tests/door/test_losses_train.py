"""Every loss trains from the front door on arrays that fit it, and refuses what does not; weights of the classes."""

import json

import numpy as np
import pytest

import netc
from netc import layers as nn
from netc.netspec.errors import SpecError, UserError
from netc.netspec.loss import LOSSES, CrossEntropy, Dice, Focal
from netc.netspec.recipe import Recipe
from netc.runtime.data.class_weights import balanced, weighted

N, K = 12, 3
ROWS = netc.NetSpec("rows", (4,), (nn.Dense(5, activation="tanh"), nn.Dense(K)))
PIXELS = netc.NetSpec("pixels", (4, 4, 2), (nn.Conv2d(K, 3, padding="same"),))
SLOTS = netc.NetSpec("slots", (2, K), (nn.Dense(5, activation="tanh"), nn.Dense(K)))
RNG = np.random.default_rng(0)
IDS = (np.arange(N) % K).astype(np.int32)
FLOATS = RNG.standard_normal((N, K)).astype(np.float32)
SIDES = (FLOATS > 0).astype(np.float32)
SOFT = np.exp(FLOATS) / np.exp(FLOATS).sum(1, keepdims=True)
GROWN = np.tile(np.asarray([[0.5, 2.0, 0.0], [0.1, -1.0, 0.0]], np.float32), (N, 1, 1))
MASKS = RNG.integers(0, K, (N, 4, 4)).astype(np.int32)
FITTING = {
    "crossEntropy": (ROWS, IDS), "focal": (ROWS, IDS), "oneVersusRest": (ROWS, IDS), "softCrossEntropy": (ROWS, SOFT),
    "binaryCrossEntropy": (ROWS, SIDES), "meanSquaredError": (ROWS, FLOATS), "huber": (ROWS, FLOATS),
    "dice": (PIXELS, MASKS), "diceCrossEntropy": (PIXELS, MASKS), "branching": (SLOTS, GROWN),
}  # fmt: skip


def data_of(net, y):
    x = np.random.default_rng(1).standard_normal((N, *net.input)).astype(np.float32)
    return netc.Dataset.from_arrays(x, y, x, y)  # that it learns is seen on what it learns


def trained(tmp_path, net, y, **words):
    run = netc.train(net, data_of(net, y), out=tmp_path / "run", target="reference", batch=6, **words)
    return run, json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))


def test_there_is_data_for_every_loss():
    assert FITTING.keys() == LOSSES.keys()


@pytest.mark.parametrize("loss", FITTING)
def test_a_loss_trains_on_what_fits_it(tmp_path, loss):
    run, table = trained(tmp_path, *FITTING[loss], loss=loss, lr=0.05, epochs=6)
    assert table["recipe"]["loss"]["kind"] == loss
    losses = [r.loss for r in netc.trace.read(run.folder).evals]
    assert losses[-1] < losses[0]


WRONG = [
    ("crossEntropy", ROWS, FLOATS, "`y` wants int32 [N], `loss=crossEntropy` of rows, got float32 [N, 3]"),
    ("huber", ROWS, IDS, "`y` wants float32 [N, 3], `loss=huber` of rows, got int32 [N]"),
    ("binaryCrossEntropy", PIXELS, MASKS, "`y` wants float32 [N, 4, 4, 3], `loss=binaryCrossEntropy` of pixels, got"),
    ("oneVersusRest", PIXELS, IDS, "`y` wants int32 [N, 4, 4], `loss=oneVersusRest` of pixels, got int32 [N]"),
    ("dice", ROWS, IDS, "dice wants an output of [batch, pixels.., classes], got [batch, 3]"),
]


@pytest.mark.parametrize(("loss", "net", "y", "said"), WRONG, ids=[w[0] for w in WRONG])
def test_what_does_not_fit_is_refused_before_anything_is_compiled(tmp_path, loss, net, y, said):
    with pytest.raises((UserError, SpecError)) as caught:
        trained(tmp_path, net, y, loss=loss)
    assert said in str(caught.value)
    assert not (tmp_path / "run").exists()


UNEVEN = np.array([0] * 6 + [1] * 4 + [2] * 2, np.int32)


def test_balanced_weights_are_scikit_learns():
    found = balanced(data_of(ROWS, UNEVEN), K)
    assert found == pytest.approx([12 / (3 * 6), 12 / (3 * 4), 12 / (3 * 2)])
    sklearn = pytest.importorskip("sklearn.utils.class_weight")
    np.testing.assert_allclose(found, sklearn.compute_class_weight("balanced", classes=np.arange(K), y=UNEVEN))


@pytest.mark.parametrize(("loss", "field"), [("crossEntropy", "weights"), ("focal", "alpha")])
def test_the_run_holds_the_numbers_that_were_used(tmp_path, loss, field):
    _, table = trained(tmp_path, ROWS, UNEVEN, loss=loss, class_weights="balanced", epochs=1)
    assert table["recipe"]["loss"][field] == pytest.approx([2 / 3, 1.0, 2.0])


def test_numbers_are_taken_as_they_are(tmp_path):
    for given in ("1,2,0.5", (1, 2, 0.5)):
        recipe = weighted(Recipe(), given, data_of(ROWS, UNEVEN), K)
        assert recipe.loss == CrossEntropy(weights=(1.0, 2.0, 0.5))


def test_masks_are_counted_by_pixels():
    counts = np.bincount(MASKS.ravel(), minlength=K)
    assert balanced(data_of(PIXELS, MASKS), K) == pytest.approx((MASKS.size / (K * counts)).tolist())


BAD = [
    (Dice(), "balanced", UNEVEN, "`class_weights` wants a loss with class weights, crossEntropy or focal, got dice"),
    (
        CrossEntropy(weights=(1.0, 1.0, 1.0)),
        "balanced",
        UNEVEN,
        "stated in `loss_option` (weights), got",
    ),
    (CrossEntropy(), "even", UNEVEN, "`class_weights` wants balanced or numbers such as 1,2,0.5, got 'even'"),
    (CrossEntropy(), "1,2", UNEVEN, "`class_weights` wants 3 numbers, one for each class, got 2"),
    (CrossEntropy(), "balanced", FLOATS, "counts class ids, and arrays:mine has numbers"),
    (Focal(), "balanced", np.minimum(UNEVEN, 1), "wants training examples of every class, got none of 2"),
]


@pytest.mark.parametrize(("loss", "given", "y", "said"), BAD, ids=range(len(BAD)))
def test_bad_weights_have_a_sentence(loss, given, y, said):
    with pytest.raises(UserError) as caught:
        weighted(Recipe(loss=loss), given, data_of(ROWS, y), K)
    assert said in str(caught.value)


def test_negative_weights_are_the_losss_own_sentence():
    with pytest.raises(SpecError, match="weights wants numbers of at least 0"):
        weighted(Recipe(), "1,-1,1", data_of(ROWS, UNEVEN), K)
