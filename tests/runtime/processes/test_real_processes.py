"""Two processes of `netc train` that meet over loopback, sum by Gloo, and are killed, stopped and told other things."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

import netc
from netc.runtime.processes.launch import Launch, free_port, launch
from netc.runtime.run.checkpoint import load
from netc.traces.read import read

pytest.importorskip("jaxlib")

NET = ("mnist-linear", "--target", "xla", "--batch", "128", "--epochs", "5", "--seed", "3", "--checkpoint-every", "10")
LIMIT = 300  # seconds; a busy machine takes long to import what a training needs

# netc train, with steps that are slow enough to be met, and patience with a machine that is busy
START = """
import time
from netc.runtime.backends import xla_processes
from netc.runtime.processes.group import Stop
from netc.cli.main import main

def now(stop, own=Stop.now):
    time.sleep(0.05)
    return own(stop)

Stop.now = now
xla_processes.HEARTBEAT, xla_processes.REACH = 5, 200
main()
"""
PROGRAM = (sys.executable, "-c", START, "train")


def launched(
    folder: Path, act: Callable[[], None] = lambda: None, words: tuple[str, ...] = (), **options: int
) -> tuple[int, str, str]:
    """The exit code, the output and the errors of two processes, to which a thread does something meanwhile."""
    out, err = [], []
    thread = Thread(target=act)
    thread.start()
    code = launch(Launch((*NET, *words, "--out", str(folder)), 2, program=PROGRAM, **options), out.append, err.append)
    thread.join()
    return code, "\n".join(out), "\n".join(err)


def signalled(folder: Path, number: int) -> Callable[[], None]:
    """What sends process 1 a signal once the run has taken some steps."""

    def act() -> None:
        until(folder, 15)
        os.kill(of_number(1), number)

    return act


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=LIMIT)
    return process.returncode, out, err


def of_number(number: int) -> int:
    """The process of that number among those that this one started."""
    for task in Path("/proc/self/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            words = Path(f"/proc/{child}/cmdline").read_text().split("\0")
            if "--process-id" in words and words[words.index("--process-id") + 1] == str(number):
                return child
    raise AssertionError("no such process")


def until(folder: Path, steps: int) -> None:
    """Wait until the trace of a run has so many lines."""
    trace, end = folder / "trace.jsonl", time.monotonic() + LIMIT
    while not (trace.exists() and trace.read_bytes().count(b"\n") > steps):
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """The folder of a run that two processes trained without any trouble."""
    folder = tmp_path_factory.mktemp("two") / "run"
    code, out, err = launched(folder)
    assert code == 0, err
    assert out.count("epoch   5: ") == 1  # process 0 alone tells
    return folder


def test_two_processes_train_as_one_does_at_the_same_batch(two, tmp_path):
    one = netc.train("mnist-linear", target="xla", batch=128, epochs=5, seed=3, out=tmp_path / "one")
    ours, theirs = read(two / "trace.jsonl"), one.trace
    losses = [[step.loss for step in trace.steps[:40]] for trace in (ours, theirs)]
    np.testing.assert_allclose(*losses, rtol=2e-5)  # of sums in another order, which later steps magnify
    assert abs(ours.evals[-1].accuracy - theirs.evals[-1].accuracy) < 0.02


def test_after_kill_9_the_run_is_begun_again_and_is_byte_for_byte_the_unbroken_one(two, tmp_path):
    run = tmp_path / "run"
    code, _, err = launched(run, signalled(run, signal.SIGKILL), restarts=1)
    assert code == 0, err
    assert "netc: process 1 was killed by SIGKILL; the others were ended" in err
    for name in ("trace.jsonl", "last/state.safetensors"):
        assert (run / name).read_bytes() == (two / name).read_bytes()


def test_sigterm_on_one_of_a_mesh_saves_all_pieces_and_the_run_goes_on_on_one_device_of_another_target(two, tmp_path):
    """Each process writes what it has of the state; the losses are those of two replicas but for the order of sums."""
    run = tmp_path / "run"
    code, out, err = launched(run, signalled(run, signal.SIGTERM), words=("--mesh", "data=2", "--shard", "fsdp"))
    assert code == 128 + signal.SIGTERM, err
    assert "nothing is lost; resume with: netc train --resume" in out
    steps = netc.Run.open(run).steps
    assert read(run / "trace.jsonl").steps[-1].step == steps - 1
    files = sorted(path.name for path in (run / "last").iterdir())
    assert files == ["manifest.json", "state-00000-of-00002.safetensors", "state-00001-of-00002.safetensors"]
    saved = load(run / "last")
    assert saved.meta["mesh"]["split"]["head.kernel"] == ["data", None]
    losses = [[step.loss for step in read(of / "trace.jsonl").steps[:10]] for of in (run, two)]
    np.testing.assert_allclose(*losses, rtol=2e-5)
    with pytest.raises(netc.UserError, match="was started on mesh data=2, shard fsdp, got `devices=1`"):
        netc.resume(run, devices=1)
    words = {"devices": 1, "target": "reference", "same_bits": False}
    again = netc.resume(run, on_step=lambda done: done.step == steps, **words)
    assert again.steps == steps + 1


def by_hand(folder: Path, *words: tuple[str, ...]) -> list[subprocess.Popen[str]]:
    """Processes that nobody watches, each with words of its own."""
    meeting = ("--coordinator", f"127.0.0.1:{free_port()}", "--processes", str(len(words)), "--out", str(folder))
    return [
        subprocess.Popen(
            [*PROGRAM, *NET, *own, *meeting, "--process-id", str(index)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) for index, own in enumerate(words)
    ]  # fmt: skip


def test_one_that_hangs_is_missed_and_named_without_a_launcher(tmp_path):
    first, second = by_hand(tmp_path / "run", (), ())
    until(tmp_path / "run", 15)
    second.send_signal(signal.SIGSTOP)
    begin = time.monotonic()
    try:
        code, _, err = ended(first)
    finally:
        second.kill()
    assert (code, time.monotonic() - begin < 30) == (75, True), err
    assert "netc: process 1 is gone: it was killed, hangs, or cannot be reached; resume the run from its last" in err
    second.communicate()


def test_one_with_other_words_is_refused_by_all_before_anything_is_written(tmp_path):
    found = [ended(process) for process in by_hand(tmp_path / "run", (), ("--lr", "0.5"))]
    for code, _, err in found:
        assert code == 2
        assert "netc: process 1 wants the words (SHA-256) of process 0, " in err
    assert not (tmp_path / "run").exists()
