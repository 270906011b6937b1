"""Own data at the front door: class ids and names, generators, files of arrays, and what a run goes on with."""

import io
import math
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import netc
from netc import layers as nn
from netc.cli.main import _run
from netc.resuming import refuse_other_data
from netc.training_data import data_for

RNG = np.random.default_rng(0)
NET = netc.NetSpec("mine", (6,), (nn.Dense(8, activation="relu"), nn.Dense(3)))
TEN = netc.NetSpec("ten", (6,), (nn.Dense(8), nn.Dense(10)))
F, L = RNG.standard_normal((40, 6)), np.arange(40) % 3
from_arrays, from_batches = netc.Dataset.from_arrays, netc.Dataset.from_batches


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NETC_CACHE_DIR", str(tmp_path / "cache"))


def train(net, data, **words):
    return netc.train(net, data, **{"target": "reference", "epochs": 2, "out": "run", **words})


def endless(low=0):
    for step in range(99):
        generator = np.random.default_rng(step)
        yield generator.standard_normal((8, 6)), low + generator.integers(0, 3, 8)


def test_a_run_on_a_generator_cannot_go_on():
    data = from_batches(endless(), F[:10], L[:10], steps=5)
    run = train(NET, data, on_epoch=lambda record: True)
    assert run.stopped and run.steps == 5
    for again in (data, from_batches(endless(), F[:10], L[:10], steps=5)):
        with pytest.raises(netc.UserError, match="run was trained on batches from a generator"):
            netc.resume("run", again)
        with pytest.raises(netc.UserError, match="start a new run with a function of the epoch"):
            train(NET, again, auto_resume=True)
    with pytest.raises(netc.DataError, match="a generator can only be read forward, from epoch 1, got epoch 0"):
        train(NET, data, out="second")
    assert not Path("second").exists()


def test_a_net_of_the_zoo_gets_the_classes_of_own_arrays():
    """As many as the highest class id says, and it is told; `classes` keeps another number."""
    x, said = np.zeros((20, 28, 28, 1), np.float32), []
    data = from_arrays(x, np.arange(20) % 4, x[:5], np.arange(5) % 5)
    run = train("mnist-linear", data, epochs=1, out="counted", on_note=said.append)
    assert run.config.net.out.shape == (5,)
    assert said == ["mnist-linear gets 5 outputs, as `y` has class ids from 0 to 4; `classes` says otherwise"]
    said.clear()
    run = train("mnist-linear", data, epochs=1, out="ten", classes=10, on_note=said.append)
    assert run.config.net.out.shape == (10,)
    assert not said


def test_a_run_on_named_data_that_changed_is_refused_in_a_sentence():
    run = train(netc.NetSpec("d", (8, 8, 1), (nn.Flatten(), nn.Dense(10))), "digits", epochs=1)
    found = data_for(run.config, "digits")
    refuse_other_data(run.config, found, run.folder)
    with pytest.raises(netc.UserError, match=r"training part of digits was SHA-256 0{12}, and is .* put it back"):
        refuse_other_data(replace(run.config, train_sha256="0" * 64), found, run.folder)


def test_a_net_keeps_its_classes_unless_the_data_names_them():
    run = train(TEN, from_arrays(F, L, F[:10], L[:10]))
    assert run.config.net.out.shape == (10,) and run.evaluate().count == 10
    stream = from_batches([(F[:8], L[:8]), (F[:8], L[:8] + 7)], F[:10], L[:10])
    assert train(TEN, stream, out="batches").config.net.out.shape == (10,)
    named = from_arrays(F, L, classes=("a", "b", "c"))
    assert train(TEN, named, out="named").config.net.out.shape == (3,)
    assert train(TEN, from_arrays(F, L), classes=4, out="four").config.net.out.shape == (4,)
    digits = train(netc.NetSpec("d", (8, 8, 1), (nn.Flatten(), nn.Dense(4))), "digits", epochs=1, out="digits")
    assert digits.config.net.out.shape == (10,)


@pytest.mark.parametrize("shift", [7, 8, -1, -7])
def test_class_ids_that_a_net_does_not_have_are_refused(shift):
    bad = L + shift
    wrong = (
        rf"`y` wants class ids from 0 to 9, for the 10 classes .* got {bad[:9].min()} to {bad[:9].max()}; give a net"
    )
    late = from_batches([(F[:9], L[:9]), (F[:9], bad[:9])], F[:10], L[:10])
    if shift == 7:
        assert train(TEN, late).steps == 4 and train(TEN, from_arrays(F, bad), out="arrays").steps
        return
    with pytest.raises(netc.DataError, match=wrong):
        train(TEN, late)
    with pytest.raises(netc.DataError, match=wrong):
        train(TEN, from_arrays(F, bad), out="arrays")


def test_own_arrays_are_matched_by_name():
    run = train(NET, from_arrays(F, L, F, L, classes=("a", "b", "c")))
    own = run.evaluate()
    turned = from_arrays(F, 2 - L, F, 2 - L, classes=("c", "b", "a"))
    assert run.evaluate(turned).accuracy == own.accuracy and run.evaluate(turned).loss == own.loss
    assert run.evaluate(turned, by_number=True).loss != own.loss
    more = from_arrays(F, L, F, L, classes=("a", "b", "z"))
    with pytest.raises(netc.DataError, match="of classes that the net does not know: z; it knows a, b, c"):
        run.evaluate(more)
    some = run.evaluate(more, skip_unknown=True)
    assert (some.count, some.left_out, some.missing) == (int((L < 2).sum()), int((L == 2).sum()), ("c",))
    with pytest.raises(netc.DataError, match=r"`y` wants class ids from 0 to 2, .* got 3 to 5"):
        run.evaluate(from_arrays(F, L + 3, F, L + 3))
    with pytest.raises(netc.DataError, match="give `by_number=True` to compare them by number"):
        run.evaluate(from_arrays(F, L, F, L))
    assert run.evaluate(from_arrays(F, L, F, L), by_number=True).loss == own.loss


def test_a_session_evaluates_no_class_ids_that_there_are_not():
    step = netc.compile(NET, batch=4, target="reference")
    x, y = F[:4].astype(np.float32), np.array([0, 1, 2, 3], np.int32)
    with pytest.raises(netc.UserError, match="`y` wants class ids from 0 to 2, got 0 to 3"):
        step.evaluate(step.init(seed=0), x, y)


def test_a_run_goes_on_with_the_same_data_alone():
    train(NET, from_arrays(F, L), on_step=lambda done: True)
    with pytest.raises(netc.UserError, match="run was trained on other arrays"):
        train(NET, from_arrays(F + 1, L), auto_resume=True)
    np.savez("d.npz", x=F, y=L)
    train(NET, "arrays:d.npz", out="file", on_step=lambda done: True)
    np.savez("d.npz", x=F + 1, y=L)
    with pytest.raises(netc.UserError, match="file was trained on other arrays"):
        netc.resume("file")


def test_a_run_that_was_not_evaluated_has_no_accuracy():
    run = train(NET, from_arrays(F, L), on_step=lambda done: True)
    assert run.stopped and run.steps == 1 and math.isnan(run.accuracy) and math.isnan(run.best)


def test_a_file_that_is_no_npz_or_holds_too_much_is_refused():
    np.save("d.npy", F)
    Path("d.npy").rename("d.npz")
    with pytest.raises(netc.DataError, match=r"d.npz wants a .npz of arrays x and y, got one array; write it by np.s"):
        train(NET, "arrays:d.npz")
    np.savez_compressed("bomb.npz", x=np.zeros((40 << 20, 1), np.uint8), y=L)
    with pytest.raises(netc.DataError, match=r"bomb.npz wants at most .* bytes of arrays, got 41,943"):
        train(NET, "arrays:bomb.npz")
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "<f4", "fortran_order": False, "shape": (1 << 60,)})
    with zipfile.ZipFile("lies.npz", "w") as held:
        for name in "xy":
            held.writestr(f"{name}.npy", head.getvalue())
    with pytest.raises(netc.DataError, match=r"lies.npz wants a .npz of arrays, got one that cannot be read"):
        train(NET, "arrays:lies.npz")


def test_image_files_want_a_net_for_images(tmp_path, capsys):
    run = train(NET, from_arrays(F, L), epochs=1)
    (tmp_path / "a.pgm").write_bytes(b"P5 8 8 255\n" + bytes(64))
    with pytest.raises(
        netc.UserError, match=r"predict wants a net for images, got mine, which takes an input of \[6\]"
    ):
        list(run.classify(["a.pgm"]))
    assert _run(["predict", "run", "a.pgm"]) == 2
    assert "predict wants a net for images" in capsys.readouterr().err
    image = netc.NetSpec("d", (8, 8, 1), (nn.Flatten(), nn.Dense(10)))
    assert len([*train(image, "digits", epochs=1, out="d").classify(["a.pgm"])]) == 1


def test_a_folder_does_not_hide_a_net(tmp_path):
    (tmp_path / "mnist-mlp").mkdir()
    assert netc.load("mnist-mlp").name == "mnist-mlp"
    train(NET, from_arrays(F, L), epochs=1, out="mnist-mlp")
    assert isinstance(netc.load("mnist-mlp"), netc.Run)
    (tmp_path / "empty").mkdir()
    with pytest.raises(netc.UserError, match=r"RUN wants a folder that `netc train` made, got empty without run.json"):
        netc.load("empty")


@pytest.mark.parametrize(
    ("what", "words", "sentence"),
    [
        (
            "module {\n}",
            {"bogus": 3, "batch": 7},
            "wants words for a text of StableHLO, got `bogus`, `batch`, as for a n",
        ),
        (
            "module {\n}",
            {"target": "nonsense"},
            "wants words for a text of StableHLO, got `target`, as for a net; leave",
        ),
        (
            NET,
            {"function": "f", "wrt": ("a",), "ids": 3},
            "wants words for a net, got `function`, `wrt`, `ids`, as for",
        ),
        (NET, {"manifest": {"x": 1}, "scale": 2}, "got `manifest`, `scale`, as for a text of StableHLO; leave it out"),
    ],
)
def test_certify_takes_no_words_of_the_other_kind(what, words, sentence):
    with pytest.raises(netc.UserError, match=sentence):
        netc.certify(what, **words)


def test_a_path_to_a_lean_file_states_its_config(tmp_path):
    from netc.lean_words import stated

    path = tmp_path / "a.lean"
    path.write_text(
        'def a : NetSpec where\n  name := "a"\n  imageH := 8\n  imageW := 8\n'
        "  layers := [.flatten, .dense 64 10 .identity]"
        "\n\ndef c : TrainConfig where\n  learningRate := 0.5\n  batchSize := 16\n  epochs := 3\n"
    )
    assert stated(path, None, {}) == stated(str(path), None, {}) and stated(path, None, {}).taken["epochs"] == 3
