"""Two processes of `netc train` that meet over loopback, sum by Gloo, and are killed, stopped and told other things."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import netc
from netc.runtime.processes.launch import free_port
from netc.traces.read import read

pytest.importorskip("jaxlib")

NET = ("mnist-mlp", "--target", "xla", "--batch", "64", "--epochs", "12", "--seed", "3", "--checkpoint-every", "50")
LIMIT = 300  # seconds; a busy machine takes long to import what a training needs


def launched(folder: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "netc", "launch", "-n", "2", *options, "--", "train", *NET, "--out", str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=LIMIT)
    return process.returncode, out, err


def of_number(launcher: int, number: int) -> int:
    """The process of that number that a launcher started."""
    for task in Path(f"/proc/{launcher}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            words = Path(f"/proc/{child}/cmdline").read_text().split("\0")
            if words[words.index("--process-id") + 1] == str(number):
                return child
    raise AssertionError("no such process")


def until(folder: Path, steps: int, process: subprocess.Popen[str]) -> None:
    """Wait until the trace of a run has so many lines."""
    trace, end = folder / "trace.jsonl", time.monotonic() + LIMIT
    while not (trace.exists() and trace.read_bytes().count(b"\n") > steps):
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """The folder of a run that two processes trained without any trouble."""
    folder = tmp_path_factory.mktemp("two") / "run"
    code, out, err = ended(launched(folder))
    assert code == 0, err
    assert out.count("epoch  12: ") == 1  # process 0 alone tells
    return folder


def test_two_processes_train_as_one_does_at_the_same_batch(two, tmp_path):
    one = netc.train("mnist-mlp", target="xla", batch=64, epochs=12, seed=3, out=tmp_path / "one")
    ours, theirs = read(two / "trace.jsonl"), one.trace
    losses = [[step.loss for step in trace.steps[:40]] for trace in (ours, theirs)]
    np.testing.assert_allclose(*losses, rtol=2e-5)  # of sums in another order, which later steps magnify
    assert abs(ours.evals[-1].accuracy - theirs.evals[-1].accuracy) < 0.02


def test_after_kill_9_the_run_is_begun_again_and_is_byte_for_byte_the_unbroken_one(two, tmp_path):
    process = launched(tmp_path / "run", "--restarts", "1")
    until(tmp_path / "run", 80, process)
    os.kill(of_number(process.pid, 1), signal.SIGKILL)
    code, _, err = ended(process)
    assert code == 0, err
    assert "netc: process 1 was killed by SIGKILL; the others were ended" in err
    assert (tmp_path / "run" / "trace.jsonl").read_bytes() == (two / "trace.jsonl").read_bytes()
    states = [folder / "last" / "state.safetensors" for folder in (tmp_path / "run", two)]
    assert states[0].read_bytes() == states[1].read_bytes()


def test_sigterm_on_one_saves_on_all_and_the_run_goes_on_on_one_device_of_another_target(tmp_path):
    process = launched(tmp_path / "run")
    until(tmp_path / "run", 30, process)
    os.kill(of_number(process.pid, 1), signal.SIGTERM)
    code, out, err = ended(process)
    assert code == 128 + signal.SIGTERM, err
    assert "nothing is lost; resume with: netc train --resume" in out
    steps = netc.Run.open(tmp_path / "run").steps
    assert read(tmp_path / "run" / "trace.jsonl").steps[-1].step == steps - 1
    with pytest.raises(netc.UserError, match="was begun on 2 devices, got `devices=1`"):
        netc.resume(tmp_path / "run", devices=1)
    words = {"devices": 1, "target": "reference", "same_bits": False}
    run = netc.resume(tmp_path / "run", on_step=lambda done: done.step == steps, **words)
    assert run.steps == steps + 1


START = "import sys\nfrom netc.runtime.backends import xla_processes\nxla_processes.HEARTBEAT = 10\n"
START += "xla_processes.REACH = 200\nfrom netc.cli.main import main\nmain()"


def by_hand(folder: Path, *words: tuple[str, ...]) -> list[subprocess.Popen[str]]:
    """Processes that nobody watches, each with words of its own."""
    meeting = ("--coordinator", f"127.0.0.1:{free_port()}", "--processes", str(len(words)), "--out", str(folder))
    return [
        subprocess.Popen(
            [sys.executable, "-c", START, "train", *NET, *own, *meeting, "--process-id", str(index)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) for index, own in enumerate(words)
    ]  # fmt: skip


def test_one_that_hangs_is_missed_and_named_without_a_launcher(tmp_path):
    first, second = by_hand(tmp_path / "run", (), ())
    until(tmp_path / "run", 30, first)
    second.send_signal(signal.SIGSTOP)
    begin = time.monotonic()
    try:
        code, _, err = ended(first)
    finally:
        second.kill()
    assert (code, time.monotonic() - begin < 30) == (75, True), err
    assert "netc: process 1 is gone: it was killed, hangs, or cannot be reached; the run goes on from its last" in err
    second.communicate()


def test_one_with_other_words_is_refused_by_all_before_anything_is_written(tmp_path):
    found = [ended(process) for process in by_hand(tmp_path / "run", (), ("--lr", "0.5"))]
    for code, _, err in found:
        assert code == 2
        assert "netc: process 1 wants the words (SHA-256) of process 0, " in err
    assert not (tmp_path / "run").exists()
