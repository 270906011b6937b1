"""Where a run goes on after anything was lost or altered: from the newest whole checkpoint, and never silently."""

import json
import os
import random
import shutil
import signal
from dataclasses import replace

import pytest

from netc.netspec.check import check
from netc.netspec.errors import NetcError, UserError
from netc.netspec.layers import Dense, Flatten
from netc.netspec.spec import NetSpec
from netc.runtime.data.batches import Normalise
from netc.runtime.run import checkpoint
from netc.runtime.run.config import Saving, read_config
from netc.runtime.run.lock import LockedError, only_writer
from netc.runtime.train import Progress, train
from netc.runtime.weights.pretrained import write_imported
from netc.runtime.weights.read import Weights
from netc.traces.errors import TraceError
from tests.runtime.test_train import PER_EPOCH, Stop, config, die, result, stopper

PICTURES = NetSpec("pictures", (8, 8, 3), (Flatten(), Dense(2, name="head")))
GREY = Normalise((0.5,) * 3, (0.5,) * 3)


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
    with pytest.raises(UserError, match=r"` wants [01] or more, got"):
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
