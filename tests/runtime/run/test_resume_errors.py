"""Errors and signals on the way, and runs that go on as another."""

import os
import signal
from dataclasses import replace

import numpy as np
import pytest

from netc.netspec.errors import UserError
from netc.runtime import sums
from netc.runtime.compare.replay import replay_of
from netc.runtime.run import checkpoint, traced
from netc.runtime.run.config import read_config
from netc.runtime.train import Progress, train
from netc.traces.errors import TraceError
from netc.traces.read import read
from tests.runtime.run.test_resume import press, resumed, steps_of, stopped
from tests.runtime.test_train import EPOCHS, PER_EPOCH, STEPS, Stop, config, die, result, stopper


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
    real, calls = sums.eval_batches, []

    def dying(split, **options):
        calls.append(1)
        if len(calls) == epoch + 1:
            press() if epoch % 2 else die()
        yield from real(split, **options)

    with monkeypatch.context() as patch:
        patch.setattr(sums, "eval_batches", dying)
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
    assert f"the run has another end (epochs {EPOCHS + 2} after {EPOCHS}): the trace says so from step" in said
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


@pytest.mark.parametrize("place", ["netc.runtime.run.traced.write_config", "netc.runtime.run.saver.Saver.last"])
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
    with pytest.raises(UserError, match=r"`epochs` wants at least the 2 that .* has started, got 1; give more"):
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
    monkeypatch.setattr(traced, "versions", lambda *engines: {"netc": "9.9", "numpy": "1.0"})
    with pytest.raises(TraceError, match=r"versions .*`same_bits=False`"):
        resumed(data, folder, cache)
    said, _ = resumed(data, folder, cache, same_bits=False)
    assert "other versions compute it" in said
    assert read(folder / "trace.jsonl").changes[0].fields == {"versions": {"netc": "9.9", "numpy": "1.0"}}


# -- images that were damaged or changed -----------------------------------------------------------------------------
