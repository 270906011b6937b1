"""Runs that hold imported weights, and trainings that begin with them."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from netc.netspec.augment import Augment
from netc.netspec.check import check
from netc.netspec.errors import UserError
from netc.netspec.layers import ConvBn, Dense, GlobalAvgPool
from netc.netspec.recipe import SGD, Recipe, TrainConfig
from netc.runtime.cache.store import Cache
from netc.runtime.data.batches import Normalise
from netc.runtime.data.dataset import ArraySplit, Dataset, array_digest
from netc.runtime.evaluate import evaluate, predict
from netc.runtime.run import checkpoint
from netc.runtime.run.config import RunConfig, normalise_of, read_config
from netc.runtime.train import Progress, train
from netc.runtime.weights.names.table import IMAGENET
from netc.runtime.weights.pretrained import read_start, write_imported
from netc.runtime.weights.read import WeightsError, read_weights
from tests.runtime.weights.test_read import NET, SMALL, drawn, written


@pytest.fixture
def tensors():
    return drawn(NET)


CLASSES = ("a", "b", "c", "d", "e")


def photographs(classes=CLASSES):
    rng = np.random.default_rng(8)
    parts = [
        ArraySplit(rng.integers(0, 256, (n, 8, 8, 3), np.uint8), (np.arange(n) % len(classes)).astype(np.int32))
        for n in (24, 12)
    ]
    digest = array_digest(classes, *parts)
    return Dataset("photographs", *parts, classes, digest, "here", "none", Augment(), (8, 8, 3))


@pytest.fixture
def imported(tensors, tmp_path):
    folder = tmp_path / "imported"
    weights = read_weights(NET, written(tensors, tmp_path))
    write_imported(NET, weights, folder, classes=CLASSES, normalise=weights.normalise, batch=4, target="reference")
    return folder


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache")


def test_an_imported_run_is_evaluated_and_predicts(imported, tmp_path, cache):
    config = read_config(imported)
    assert (config.net.digest, config.data, config.training.batch) == (NET.digest, "", 4)
    data = photographs()
    score = evaluate(config, data, imported, "best", "reference", cache, other=True)
    assert score.count == 12 and np.isfinite(score.loss)
    path = tmp_path / "image.png"
    Image.fromarray(data.test.images(np.arange(1))[0]).save(path)
    (guess,) = predict(config, [path], imported, "best", "reference", cache)
    assert {name for name, _ in guess.classes} == set(CLASSES)


def test_other_data_must_be_asked_for_and_must_fit(imported, cache):
    config = read_config(imported)
    with pytest.raises(UserError, match="is not the data that"):
        evaluate(config, photographs(), imported, "best", "reference", cache)
    with pytest.raises(UserError, match="photographs has test images of classes that the net does not know: f; it"):
        evaluate(config, photographs((*CLASSES, "f")), imported, "best", "reference", cache, other=True)


def test_a_folder_with_a_run_is_not_overwritten(imported, tensors, tmp_path):
    weights = read_weights(NET, written(tensors, tmp_path))
    for change, sentence in (
        ({}, "`out` wants a new folder, got .* with run.json in it"),
        ({"classes": CLASSES[:4]}, "class names want one for each of 5 outputs, got 4"),
        ({"normalise": Normalise((0.5,), (0.5,))}, "`mean` and `std` want 3 numbers, one a channel, got 1"),
    ):
        given = {"classes": CLASSES, "normalise": weights.normalise, "batch": 4, "target": "reference", **change}
        with pytest.raises(UserError, match=sentence):
            write_imported(NET, weights, imported, **given)


# -- a training that begins with weights -----------------------------------------------------------------------------


def config(start, net=NET, **changes):
    plain = RunConfig(
        net, Recipe(SGD(0.9)), TrainConfig(2, 6, 0.01), "photographs", 3, "reference", Augment(), start.digest
    )
    return replace(plain, **changes)


def test_a_training_begins_with_the_weights_and_resumes(imported, tensors, tmp_path, cache):
    start = read_start(NET, imported)
    of_file = read_start(NET, written(tensors, tmp_path))
    assert all((start.tensors[n] == of_file.tensors[n]).all() for n in start.tensors)
    assert start.normalise == of_file.normalise == Normalise(*IMAGENET)

    class Stop(BaseException):
        pass

    def stop(record, seconds):
        if record.step == 2:
            raise Stop

    folder, whole = tmp_path / "run", tmp_path / "whole"
    train(config(start), photographs(), whole, cache, start=start)
    with pytest.raises(Stop):
        train(config(start), photographs(), folder, cache, start=start, progress=Progress(stepped=stop))
    begun = checkpoint.load(folder / "last")
    assert begun.meta["step"] == 0
    assert all((begun.tensors[n] == t).all() for n, t in start.tensors.items())
    assert normalise_of(begun) == Normalise(*IMAGENET)
    assert read_config(folder) == config(start)
    train(read_config(folder), photographs(), folder, cache, resume=True)
    assert (folder / "trace.jsonl").read_bytes() == (whole / "trace.jsonl").read_bytes()
    header = json.loads((whole / "trace.jsonl").read_text().splitlines()[0])
    assert header["recipe"]["init"] == start.digest
    # and one begins with what another has trained, moments and all left behind
    assert read_start(NET, whole / "last").tensors.keys() == start.tensors.keys()


def test_another_head_is_asked_for(imported, tensors, tmp_path, cache):
    net = check(SMALL.with_classes(7))
    for path in (imported, written(tensors, tmp_path)):
        with pytest.raises(
            WeightsError, match=r"wrong shape: .* got .*\nto train another last layer .* `new_head=True`"
        ):
            read_start(net, path)
        start = read_start(net, path, new_head=True)
        assert start.notes[-1] == "the last layer (head.kernel, head.bias) is initialised again"
        assert start.tensors.keys() == {s.name for s in (*NET.params, *NET.state)} - {"head.kernel", "head.bias"}
    data = photographs(("a", "b", "c", "d", "e", "f", "g"))
    folder = tmp_path / "run"
    train(config(start, net, training=TrainConfig(1, 24, 0.01)), data, folder, cache, start=start)
    assert checkpoint.load(folder / "last").tensors["head.kernel"].shape == (6, 7)


def test_a_backbone_with_a_head_of_its_own_wants_a_new_head(tensors, tmp_path):
    model = {f"backbone.{n}": t for n, t in tensors.items() if not n.startswith("fc.")} | {
        "head.weight": np.ones((9, 6))
    }
    path = written(model, tmp_path)
    with pytest.raises(
        WeightsError, match=r"missing: fc.weight .*\n.*\nunexpected: head.weight .*\n.* give `new_head=True`$"
    ):
        read_start(NET, path)
    start = read_start(NET, path, new_head=True)
    assert "left out 1 tensor with other prefixes: head" in start.notes
    twice = {f"{p}.{n}": t for p in "ab" for n, t in model.items()}
    with pytest.raises(WeightsError) as caught:
        read_start(NET, written(twice, tmp_path))
    assert "--new-head" not in str(caught.value)


def test_other_classes_behind_the_same_last_layer_are_told(imported, tensors, tmp_path):
    start = read_start(NET, imported)
    assert start.notes_for(CLASSES) == start.notes
    assert "the data has the same in another order" in start.notes_for(CLASSES[::-1])[-1]
    assert "the data has others: its outputs are taken by their numbers" in start.notes_for("vwxyz")[-1]
    assert read_start(NET, imported, new_head=True).notes_for("vwxyz") == (
        "the last layer (head.kernel, head.bias) is initialised again",
    )
    of_file = read_start(NET, written(tensors, tmp_path))
    assert of_file.notes_for("vwxyz") == of_file.notes  # a file names no classes


def test_a_checkpoint_without_a_name_of_the_net_is_one_sentence(imported):
    other = check(replace(SMALL, layers=(ConvBn(4, 5, name="first"), GlobalAvgPool(), Dense(5, name="top"))))
    with pytest.raises(WeightsError) as caught:
        read_start(other, imported)
    (problem,) = caught.value.problems
    assert "names is one of the net: it has stem.conv.kernel, " in problem
    assert "wants first.conv.kernel, first.norm.scale, first.norm.bias; give the net's run" in problem


def test_a_checkpoint_of_another_net_is_refused_whole(imported):
    other = check(replace(SMALL, layers=(ConvBn(4, 5, name="stem"), *SMALL.layers[1:-1], Dense(5, name="top"))))
    with pytest.raises(WeightsError) as caught:
        read_start(other, imported)
    assert sorted(caught.value.problems) == [
        "missing: top.bias [5] (top.bias)",
        "missing: top.kernel [6, 5] (top.kernel)",
        "unexpected: head.bias [5]",
        "unexpected: head.kernel [6, 5]",
        "wrong shape: stem.conv.kernel wants [5, 5, 3, 4], got [3, 3, 3, 4] (stem.conv.kernel)",
    ]


def test_images_of_other_channels_are_normalised_by_their_own_statistics(tmp_path):
    grey = check(SMALL.with_input((8, 8, 1)))
    assert read_start(grey, written(drawn(grey), tmp_path)).normalise is None


def test_a_folder_without_a_checkpoint(tmp_path):
    with pytest.raises(UserError, match="best wants a checkpoint, got none; look for its name in"):
        read_start(NET, tmp_path)
