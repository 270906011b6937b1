"""Where a run goes on after anything was lost or altered: from the newest whole checkpoint, and never silently."""

import json
import os
import random
import shutil
import signal
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from netc.netspec.augment import Augment
from netc.netspec.check import check
from netc.netspec.errors import NetcError, UserError
from netc.netspec.layers import Dense, Flatten
from netc.netspec.spec import NetSpec
from netc.runtime import train as loop
from netc.runtime.cache.store import Cache
from netc.runtime.compare.replay import replay_of
from netc.runtime.data.batches import Normalise
from netc.runtime.data.errors import DataError
from netc.runtime.data.folder import load_folder
from netc.runtime.data.resize import resized
from netc.runtime.run import checkpoint
from netc.runtime.run.config import Saving, read_config
from netc.runtime.run.lock import LockedError, only_writer
from netc.runtime.train import Progress, train
from netc.runtime.weights.pretrained import write_imported
from netc.runtime.weights.read import Weights
from netc.traces.errors import TraceError
from netc.traces.read import read
from tests.runtime.test_train import EPOCHS, PER_EPOCH, STEPS, Stop, config, die, digits, result, stopper

PICTURES = NetSpec("pictures", (8, 8, 3), (Flatten(), Dense(2, name="head")))
GREY = Normalise((0.5,) * 3, (0.5,) * 3)


@pytest.fixture(scope="module")
def data():
    return digits()


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return Cache(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    """Nothing here pulls the plug."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture(scope="module")
def whole(data, cache, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    train(config(), data, folder, cache)
    return folder


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "run"


def often(every=1, keep=3):
    return config(saving=Saving(every, 0, keep))


def stopped(at, data, folder, cache, how=die, begun=None):
    """A run that stopped after so many steps."""
    progress, _ = stopper(at, how)
    try:
        train(begun or config(), data, folder, cache, progress=progress)
    except Stop:
        assert how is die


def resumed(data, folder, cache, begun=None, **options):
    """What was said, and how it ended."""
    said = []
    outcome = train(
        begun or read_config(folder), data, folder, cache, resume=True, progress=Progress(noted=said.append), **options
    )
    return " ".join(said), outcome


def press():
    os.kill(os.getpid(), signal.SIGINT)


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place // 8 % len(content)] ^= 1 << place % 8
    path.write_bytes(content)


def steps_of(folder):
    """The checkpoints that are there and their steps."""
    names = [p.name for p in folder.iterdir() if p.is_dir()]
    return {n: checkpoint.load(folder / n).meta["step"] for n in sorted(names)}


def without_best(folder):
    return {n: step for n, step in steps_of(folder).items() if n != "best"}


# -- checkpoints within an epoch -------------------------------------------------------------------------------------


def test_checkpoints_every_few_steps_and_the_last_few_are_kept(data, folder, cache, whole):
    stopped(11, data, folder, cache, begun=often(2, keep=3))
    assert without_best(folder) == {"last": 10, "step-00000006": 6, "step-00000008": 8}
    assert resumed(data, folder, cache)[0] == ""
    assert without_best(folder) == {"last": 12, "step-00000008": 8, "step-00000010": 10}
    assert result(folder) == result(whole)


def test_a_kill_between_the_renames_loses_none_of_those_that_are_kept(data, folder, cache, whole):
    stopped(11, data, folder, cache, begun=often(2, keep=3))
    (folder / "step-00000008").rename(folder / ".last.old")  # it was `last`, and the next one has taken its place
    resumed(data, folder, cache)
    assert without_best(folder) == {"last": 12, "step-00000008": 8, "step-00000010": 10}
    shutil.copytree(folder / "step-00000008", folder / "step-00000006")  # and before one too many was removed
    resumed(data, folder, cache)
    assert without_best(folder) == {"last": 12, "step-00000008": 8, "step-00000010": 10}
    assert result(folder) == result(whole)


def test_fewer_are_kept_from_then_on(data, folder, cache, whole):
    stopped(7, data, folder, cache, begun=often(1, keep=4))
    assert len(steps_of(folder)) == 5
    resumed(data, folder, cache, begun=often(0, keep=1))
    assert set(steps_of(folder)) == {"best", "last"}
    assert read_config(folder).saving == Saving(0, 0, 1)
    assert result(folder) == result(whole)


def test_checkpoints_after_minutes(data, folder, cache, monkeypatch):
    now = iter(range(0, 10_000, 60))
    monkeypatch.setattr("netc.runtime.run.saver.time.monotonic", lambda: next(now))
    stopped(4, data, folder, cache, begun=config(saving=Saving(0, 2, 1)))
    assert 0 < steps_of(folder)["last"] < PER_EPOCH


@pytest.mark.parametrize("wrong", [(-1, 1, 1), (0, -1, 1), (0, 0, 0)])
def test_numbers_of_checkpoints_that_cannot_be(wrong):
    with pytest.raises(UserError, match="checkpoints want 0 or more steps and minutes, and 1 or more to keep, got"):
        Saving(*wrong)


def test_several_steps_a_call_save_between_calls(data, folder, cache, whole):
    stopped(4, data, folder, cache, begun=replace(often(1, keep=1), steps_per_call=3))
    assert steps_of(folder) == {"last": 3}
    resumed(data, folder, cache)
    assert result(folder) == result(whole)


# -- what was damaged ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [checkpoint.STATE, checkpoint.MANIFEST])
@pytest.mark.parametrize("gone", [True, False])
def test_a_damaged_checkpoint_is_replaced_by_the_one_before(name, gone, data, folder, cache, whole):
    stopped(11, data, folder, cache, begun=often(2))
    if gone:
        shutil.rmtree(folder / "last")
    else:
        flip(folder / "last" / name, 999)
    said, _ = resumed(data, folder, cache)
    assert "last wants a checkpoint, got none" in said if gone else f"last/{name} wants" in said
    assert said.endswith("going on from " + str(folder / "step-00000008") + ", after step 7")
    assert result(folder) == result(whole)


def test_the_best_one_is_a_checkpoint_too(data, folder, cache, whole):
    stopped(7, data, folder, cache)
    flip(folder / "last" / checkpoint.STATE, 5000)
    said, _ = resumed(data, folder, cache)
    assert f"going on from {folder / 'best'}, after step 3" in said
    assert result(folder) == result(whole)


def test_two_damaged_ones_and_a_third(data, folder, cache, whole):
    stopped(11, data, folder, cache, begun=often(2, keep=4))
    for name in ("last", "step-00000008", "best"):
        flip(folder / name / checkpoint.STATE, 5000)
    said, _ = resumed(data, folder, cache)
    assert f"going on from {folder / 'step-00000006'}, after step 5" in said
    assert f"{folder / 'best'} is gone: the best of the epochs to come takes its place" in said
    assert result(folder)[0] == result(whole)[0]
    assert without_best(folder) == {"last": 12, "step-00000006": 6, "step-00000010": 10, "step-00000008": 8}
    assert steps_of(folder)["best"] in (8, 12)


def test_a_damaged_best_is_said_and_set_anew(data, folder, cache, whole):
    stopped(7, data, folder, cache)
    flip(folder / "best" / checkpoint.STATE, 5000)
    said, _ = resumed(data, folder, cache)
    assert "best/state.safetensors wants SHA-256" in said and "takes its place" in said
    assert result(folder)[0] == result(whole)[0]
    assert result(folder)[1]["last"] == result(whole)[1]["last"]
    assert steps_of(folder)["best"] in (8, 12)


def test_an_altered_trace_is_refused_and_nothing_is_touched(data, folder, cache, whole):
    stopped(9, data, folder, cache)
    whole_trace = (folder / "trace.jsonl").read_bytes()
    lines = whole_trace.splitlines(keepends=True)
    # a digit of a loss: a line that parses, and that only the digest knows to be another
    lines[2] = lines[2].replace(b'"loss": 2', b'"loss": 3')
    (folder / "trace.jsonl").write_bytes(b"".join(lines))
    best = (folder / "best" / checkpoint.STATE).read_bytes()
    flip(folder / "best" / checkpoint.STATE, 5000)
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    with pytest.raises(TraceError, match=r"trace\.jsonl: wants its first \d+ bytes to have SHA-256 .*altered"):
        resumed(data, folder, cache)
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before
    (folder / "trace.jsonl").write_bytes(whole_trace)
    (folder / "best" / checkpoint.STATE).write_bytes(best)
    resumed(data, folder, cache)
    assert result(folder) == result(whole)


@pytest.mark.parametrize("name", ["run.json", "spec.toml"])
def test_every_flip_of_what_the_run_is_is_refused(name, data, folder, cache, whole):
    shutil.copytree(whole, folder)
    held = config(train_sha256="")
    for place in range(0, 8 * (folder / name).stat().st_size, 41):
        content = (folder / name).read_bytes()
        flip(folder / name, place)
        with pytest.raises(UserError, match=name.replace(".", r"\.")):
            train(held, data, folder, cache, resume=True)
        (folder / name).write_bytes(content)


def test_no_random_flip_is_silent(data, folder, cache, whole, tmp_path):
    """In any byte of any file that netc wrote: the resume names the file, or ends with the right bits and has said so.

    Not said is only what is cut off and computed again: the trace after the checkpoint.
    """
    stopped(11, data, tmp_path / "kept", cache, begun=often(3, keep=2))
    bound = checkpoint.load(tmp_path / "kept" / "last").meta["trace"]["bytes"]
    files = [p for p in sorted((tmp_path / "kept").rglob("*")) if p.is_file()]
    assert len(files) == 4 + 3 * 2
    draws, outcomes = random.Random(5), {"refused": 0, "said": 0, "cut off": 0}
    for _ in range(200):
        path = draws.choice(files)
        place = draws.randrange(8 * path.stat().st_size)
        name = path.relative_to(tmp_path / "kept")
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(tmp_path / "kept", folder)
        flip(folder / name, place)
        try:
            said, _ = resumed(data, folder, cache)
        except (NetcError, TraceError) as error:
            assert str(folder / name) in str(error), (name, place)
            outcomes["refused"] += 1
            continue
        assert result(folder)[0] == result(whole)[0], (name, place)
        assert result(folder)[1]["last"] == result(whole)[1]["last"], (name, place)
        tail = name.name == "trace.jsonl" and place // 8 >= bound
        tail |= name.name == "timing.jsonl"  # its lines after the last seal go too
        assert tail or str(folder / name.parent) in said, (name, place)
        outcomes["cut off" if tail else "said"] += 1
    assert min(outcomes["refused"], outcomes["said"]) > 20, outcomes


def test_what_a_killed_save_left_goes_at_the_next_start(data, folder, cache, whole):
    stopped(7, data, folder, cache)
    shutil.copytree(folder / "last", folder / ".last.old")
    shutil.copytree(folder / "last", folder / ".best.new-0123456789abcdef")
    (folder / ".run.json.new-0123456789abcdef").write_text("{")
    (folder / ".lock").write_text("1 elsewhere\n")
    resumed(data, folder, cache)
    assert sorted(p.name for p in folder.iterdir()) == sorted(p.name for p in whole.iterdir())
    assert result(folder) == result(whole)


def test_a_locked_run_is_left_alone(data, folder, cache):
    stopped(7, data, folder, cache)
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    with only_writer(folder):
        for options in ({"resume": True}, {}):
            with pytest.raises(LockedError, match="wants one process that writes there, got a second"):
                train(config(), data, folder, cache, **options)
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before


def test_a_run_of_before_the_digests_goes_on(data, folder, cache, whole):
    """Its checkpoints bind no trace and were made after the evaluation; its run.json has no digest."""
    stopped(6, data, folder, cache, press)
    for name in ("last", "best"):
        held = checkpoint.load(folder / name)
        meta = {k: v for k, v in held.meta.items() if k not in ("trace", "evaluated")}
        checkpoint.save(folder, name, held.tensors, meta)
    table = json.loads((folder / "run.json").read_text())
    del table["run_sha256"]
    (folder / "run.json").write_text(json.dumps(table))
    times = (folder / "timing.jsonl").read_text().splitlines(keepends=True)
    (folder / "timing.jsonl").write_text("".join(line for line in times if '"seal"' not in line))
    assert resumed(data, folder, cache)[0] == ""
    assert result(folder)[0] == result(whole)[0]
    assert result(folder)[1] == result(whole)[1]


def test_imported_weights_are_written_by_one_writer(folder):
    with only_writer(folder), pytest.raises(LockedError):
        write_imported(
            check(PICTURES), Weights({}, "nobody", "0" * 64, GREY, ()), folder, classes="ab",
            normalise=GREY, batch=1, target="reference",
        )  # fmt: skip
    assert not folder.exists()


# -- errors on the way -----------------------------------------------------------------------------------------------


def test_an_error_costs_no_step(data, folder, cache, whole):
    def fail():
        raise OSError(5, "Input/output error")

    said = []
    progress, _ = stopper(7, fail)
    progress.noted = said.append
    with pytest.raises(OSError, match="Input/output"):
        train(config(), data, folder, cache, progress=progress)
    assert steps_of(folder) == {"best": 4, "last": 7}
    assert said == [f"the state after step 6 is saved; {folder} can be resumed"]
    resumed(data, folder, cache)
    assert result(folder) == result(whole)


def test_an_error_in_the_middle_of_a_call_saves_no_state_that_is_ahead_of_the_trace(data, folder, cache, whole):
    def fail():
        raise OSError(5, "Input/output error")

    progress, _ = stopper(6, fail)
    with pytest.raises(OSError, match="Input/output"):
        train(config(steps_per_call=3), data, folder, cache, progress=progress)
    assert steps_of(folder) == {"best": 4, "last": 4}
    resumed(data, folder, cache)
    assert result(folder) == result(whole)


def test_a_full_disk_costs_what_came_after_the_last_checkpoint(data, folder, cache, whole, monkeypatch):
    from netc.traces import write

    with monkeypatch.context() as patch, pytest.raises(TraceError, match="No space left"):

        class Full:
            def __init__(self, file):
                self.file, self.written = file, 0

            def write(self, line):
                self.written += len(line)
                if self.written > 1100:
                    raise OSError(28, "No space left on device")
                return self.file.write(line)

            def __getattr__(self, name):
                return getattr(self.file, name)

        real_init = write._Stream.__init__

        def init(self, path, kept):
            real_init(self, path, kept)
            if path.name == "trace.jsonl":
                self._file = Full(self._file)

        patch.setattr(write._Stream, "__init__", init)
        train(config(), data, folder, cache)
    resumed(data, folder, cache)
    assert result(folder) == result(whole)


def test_last_is_saved_before_the_epoch_is_told(data, folder, cache):
    seen = []

    def evaluated(record):
        meta = checkpoint.load(folder / "last").meta
        seen.append((record.step + 1, meta["step"], meta["evaluated"], meta["last"] == np.float32(record.accuracy)))

    train(config(), data, folder, cache, progress=Progress(evaluated=evaluated))
    assert [s[:3] for s in seen] == [(4, 4, True), (8, 8, True), (12, 12, True)]


@pytest.mark.parametrize("epoch", range(EPOCHS))
def test_a_death_or_a_stop_while_evaluating_costs_no_epoch(epoch, data, folder, cache, whole, monkeypatch):
    real, calls = loop.eval_batches, []

    def dying(split, **options):
        calls.append(1)
        if len(calls) == epoch + 1:
            press() if epoch % 2 else die()
        yield from real(split, **options)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "eval_batches", dying)
        if epoch % 2:
            assert train(config(), data, folder, cache).interrupted
        else:
            with pytest.raises(Stop):
                train(config(), data, folder, cache)
    meta = checkpoint.load(folder / "last").meta
    assert (meta["step"], meta["evaluated"]) == (PER_EPOCH * (epoch + 1), False)
    resumed(data, folder, cache)
    assert result(folder) == result(whole)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_signals_of_schedulers_and_terminals_save_and_stop(number, data, folder, cache, whole):
    handler = signal.getsignal(number)

    def twice():
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)  # a scheduler may send several

    progress, _ = stopper(6, twice)
    outcome = train(config(), data, folder, cache, progress=progress)
    assert (outcome.steps, outcome.interrupted, outcome.signal) == (6, True, number)
    assert signal.getsignal(number) is handler
    resumed(data, folder, cache)
    assert result(folder) == result(whole)


def test_a_signal_that_is_ignored_stays_ignored(data, folder, cache):
    old = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        progress, _ = stopper(6, lambda: os.kill(os.getpid(), signal.SIGHUP))
        assert not train(config(), data, folder, cache, progress=progress).interrupted
    finally:
        signal.signal(signal.SIGHUP, old)


# -- a run that goes on as another -----------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [0, 6, 8, STEPS])
def test_a_run_is_extended(at, data, folder, cache, whole):
    """With a constant rate the steps are those of a run that was to be so long; the trace says where it changed."""
    constant = replace(config().training, decay="constant")
    longer = config(training=replace(constant, epochs=EPOCHS + 2))
    train(longer, data, folder.parent / "long", cache)
    if at:
        stopped(at, data, folder, cache, press, config(training=constant))
    else:
        with pytest.raises(Stop):
            train(config(training=constant), data, folder, cache, progress=Progress(started=lambda a, b: die()))
    said, outcome = resumed(data, folder, cache, longer)
    assert outcome.steps == STEPS + 2 * PER_EPOCH
    assert "the run has another number of epochs: the trace says so from step" in said
    ours, theirs = read(folder / "trace.jsonl"), read(folder.parent / "long" / "trace.jsonl")
    assert (ours.steps, ours.evals) == (theirs.steps, theirs.evals)
    assert ours.headers[-1] == theirs.header
    assert [c.step for c in ours.changes] == ([at] if at else [])
    assert read_config(folder).earlier == (((at, EPOCHS),) if at else ())
    assert (
        checkpoint.load(folder / "last").tensors.keys()
        == checkpoint.load(folder.parent / "long" / "last").tensors.keys()
    )
    assert result(folder)[1] == result(folder.parent / "long")[1]


def test_an_extended_run_that_is_stopped_goes_on_bit_for_bit_and_is_replayed_at_its_own_rates(data, folder, cache):
    longer = config(training=replace(config().training, epochs=EPOCHS + 1))
    for name in ("once", "often"):
        stopped(6, data, folder / name, cache, press)
    resumed(data, folder / "once", cache, longer)
    progress, _ = stopper(9, press)
    train(longer, data, folder / "often", cache, resume=True, progress=progress)
    said, _ = resumed(data, folder / "often", cache)
    assert said == ""
    assert result(folder / "often") == result(folder / "once")
    held = read_config(folder / "once")
    rates = [step.lr for step in replay_of(held, data, folder / "once").steps()]
    assert rates == [np.float32(step.lr) for step in read(folder / "once" / "trace.jsonl").steps]


@pytest.mark.parametrize("place", ["netc.runtime.train.write_config", "netc.runtime.run.saver.Saver.last"])
def test_a_death_while_a_run_is_extended_leaves_no_mark(place, data, folder, cache, monkeypatch):
    longer = config(training=replace(config().training, epochs=EPOCHS + 1))
    for name in ("once", "killed"):
        stopped(6, data, folder / name, cache, press)
    resumed(data, folder / "once", cache, longer)
    with monkeypatch.context() as patch, pytest.raises(Stop):
        patch.setattr(place, lambda *arguments: die())
        resumed(data, folder / "killed", cache, longer)
    # its run.json says already that it is longer, or else it is told so once more
    resumed(data, folder / "killed", cache, longer if "write_config" in place else None)
    assert result(folder / "killed") == result(folder / "once")


def test_fewer_epochs_than_were_begun_are_refused(data, folder, cache):
    stopped(6, data, folder, cache, press)
    shorter = config(training=replace(config().training, epochs=1))
    with pytest.raises(UserError, match=r"`epochs` wants at least the 2 that .* has begun, got 1; give more"):
        resumed(data, folder, cache, shorter)


def test_another_engine_goes_on_only_on_request(data, folder, cache, whole):
    stopped(6, data, folder, cache, press)
    other = replace(read_config(folder), target="xla")
    before = (folder / "run.json").read_bytes()
    with pytest.raises(
        TraceError, match=r"target \(reference there, xla here\).*or go on all the same with `same_bits=False`"
    ):
        resumed(data, folder, cache, other)
    assert (folder / "run.json").read_bytes() == before
    said, outcome = resumed(data, folder, cache, other, same_bits=False)
    assert outcome.steps == STEPS and "the run has another target: the trace says so from step 6 on" in said
    trace = read(folder / "trace.jsonl")
    assert [h.target for h in trace.headers] == ["reference", "xla"]
    reference = read(whole / "trace.jsonl")
    assert trace.steps[:6] == reference.steps[:6]
    np.testing.assert_allclose(
        [s.loss for s in trace.steps], [s.loss for s in reference.steps], rtol=1e-4
    )  # float32 sums in other orders, 12 steps
    assert resumed(data, folder, cache)[0] == ""


def test_other_versions_go_on_only_on_request(data, folder, cache, monkeypatch):
    stopped(6, data, folder, cache, press)
    monkeypatch.setattr(loop, "versions", lambda *engines: {"netc": "9.9", "numpy": "1.0"})
    with pytest.raises(TraceError, match=r"versions .*`same_bits=False`"):
        resumed(data, folder, cache)
    said, _ = resumed(data, folder, cache, same_bits=False)
    assert "other versions compute it" in said
    assert read(folder / "trace.jsonl").changes[0].fields == {"versions": {"netc": "9.9", "numpy": "1.0"}}


# -- images that were damaged or changed -----------------------------------------------------------------------------


def pictures(root):
    """Two classes, 16 images each to train on and 3 to test on."""
    draws = np.random.default_rng(0)
    for part, count in (("train", 16), ("val", 3)):
        for label in "ab":
            (root / part / label).mkdir(parents=True)
            for i in range(count):
                pixels = draws.integers(0, 255, (16, 16, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / part / label / f"{i}.png")


def of_pictures(root):
    return resized(load_folder(root, "imagefolder:x"), (8, 8, 3))


def picture_config():
    return config(net=check(PICTURES), augment=Augment(), training=replace(config().training, batch=8))


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.fixture
def root(tmp_path):
    pictures(tmp_path / "pictures")
    return tmp_path / "pictures"


def test_a_damaged_test_image_is_found_before_the_first_step(root, folder, cache):
    cut(root / "val" / "b" / "2.png")
    with pytest.raises(DataError, match=r"val/b/2\.png: wants a whole image"):
        train(picture_config(), of_pictures(root), folder, cache)
    assert not folder.exists()


@pytest.mark.parametrize("mend", ["remove", "repair"])
def test_a_test_image_that_is_damaged_later_costs_no_epoch(mend, root, folder, cache, monkeypatch):
    """The evaluation fails with a sentence; the image is mended or removed; the run goes on, and says what changed."""
    train(picture_config(), of_pictures(root), folder.parent / "whole", cache)
    data = of_pictures(root)

    def failing(*arguments):
        raise DataError("val/b/2.png: wants a whole image, got OSError: truncated; repair or remove the file")

    with monkeypatch.context() as patch, pytest.raises(DataError, match="repair or remove the file"):
        patch.setattr(loop, "sums", failing)
        train(picture_config(), data, folder, cache)
    assert checkpoint.load(folder / "last").meta["step"] == PER_EPOCH
    if mend == "remove":
        (root / "val" / "b" / "2.png").unlink()
    else:
        Image.new("RGB", (16, 16)).save(root / "val" / "b" / "2.png")
    said, outcome = resumed(of_pictures(root), folder, cache)
    assert "the test part of the data changed; the training part is the same: the trace says so from step 4 on" in said
    ours, theirs = read(folder / "trace.jsonl"), read(folder.parent / "whole" / "trace.jsonl")
    assert ours.steps == theirs.steps and outcome.steps == len(theirs.steps)
    assert ours.headers[-1].data_sha256 == of_pictures(root).digest != theirs.header.data_sha256
    assert {e.count for e in ours.evals} == {5 if mend == "remove" else 6}


def test_other_training_images_are_refused(root, folder, cache):
    stopped(6, of_pictures(root), folder, cache, press, picture_config())
    Image.new("RGB", (16, 16)).save(root / "train" / "b" / "2.png")
    with pytest.raises(TraceError, match=r"data_sha256 "):
        resumed(of_pictures(root), folder, cache)
    assert json.loads((folder / "run.json").read_text())["train_sha256"] != of_pictures(root).train_digest
