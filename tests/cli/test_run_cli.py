"""A run at the command line: saved and ended by signals, by closed outputs, by two at once; and gone on with."""

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from netc.cli.main import _run
from netc.netspec import layers as nn
from netc.netspec.spec import NetSpec
from netc.netspec.toml import to_toml
from netc.runtime.run import checkpoint
from netc.runtime.run.config import read_config

NET = NetSpec("tiny", (8, 8, 1), (nn.Flatten(), nn.Dense(10, name="head")))
NETC = [sys.executable, "-m", "netc"]
WORDS = ["train", "net.toml", "--target", "reference", "--batch", "64", "--epochs", "3"]
LONG = [*WORDS[:-1], "2000"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a net, and with a run that nobody stopped."""
    place = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("NETC_CACHE_DIR", str(place / "cache"))
        (place / "net.toml").write_text(to_toml(NET))
        assert _run([*WORDS, "--quiet", "--out", "whole"]) == 0
    return place


@pytest.fixture
def begin(place):
    """`begin(words..)` starts netc in that folder; it is killed if the test does not wait for it."""
    started = []

    def start(*words, before=(), **options):
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
        env = {**os.environ, "NETC_CACHE_DIR": str(place / "cache")}
        started.append(subprocess.Popen([*before, *NETC, *words], cwd=place, env=env, **options))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def wait_for(ready, process):
    end = time.monotonic() + 600
    while not ready():
        assert process.poll() is None and time.monotonic() < end, process.communicate()
        time.sleep(0.01)


def alive(pid):
    """Whether a process runs: one that ended may stay in the list until its new parent has looked at it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def same(place, name):
    """Whether a run has the trace and the checkpoints of the one that nobody stopped."""
    files = ["trace.jsonl", "run.json", "last/manifest.json", "last/state.safetensors", "best/manifest.json"]
    return all((place / name / f).read_bytes() == (place / "whole" / f).read_bytes() for f in files)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_saves_and_ends_with_its_number(number, place, begin, netc):
    name = f"by-{number.name}"
    process = begin(*LONG, "--out", name)
    wait_for((place / name / "best").exists, process)
    process.send_signal(number)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 128 + number, err
    step = checkpoint.load(place / name / "last").meta["step"]
    assert f"tiny stopped after step {step}, nothing is lost; resume with: netc train --resume {name}" in out
    assert not (place / name / ".lock").exists()
    assert len((place / name / "trace.jsonl").read_text().splitlines()) > step
    assert "Traceback" not in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_while_it_compiles_leaves_nothing(number, place, begin):
    """A compiler that never ends stands in for IREE's."""
    cache, name = place / f"cache-{number.name}", f"unborn-{number.name}"
    code = (
        "import sys, subprocess, pathlib; from netc.runtime import compile as c; real = c._run\n"
        "def forever(command, *rest): return real(['sleep', '61'], *rest)\n"
        "c._run = forever\n"
        "from netc.cli.main import main; main()"
    )
    words = ["train", "net.toml", "--target", "cpu", "--out", name]
    env = {**os.environ, "NETC_CACHE_DIR": str(cache)}
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words], cwd=place, env=env, stderr=subprocess.PIPE, text=True
    )

    def compiler():
        return Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()

    wait_for(compiler, process)
    child = compiler()[0]
    process.send_signal(number)
    assert process.wait(60) == 128 + number
    assert "Traceback" not in process.stderr.read()
    assert not alive(child)
    assert [p.name for p in (cache / "v1" / "tmp").iterdir()] == []
    assert not (place / name).exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_compiler_is_started_leaves_nothing(number, place):
    """The process is there, and Python has not handed it on yet."""
    code = (
        "import os, sys, subprocess; from netc.runtime import compile as c; real = c._run\n"
        "c._run = lambda command, *rest: real(['sleep', '61'], *rest)\n"
        "start = subprocess.Popen._execute_child\n"
        "def late(self, *arguments):\n"
        "    start(self, *arguments)\n"
        "    print(self.pid, flush=True)\n"
        f"    os.kill(os.getpid(), {int(number)})\n"
        "subprocess.Popen._execute_child = late\n"
        "from netc.cli.main import main; main()"
    )
    env = {**os.environ, "NETC_CACHE_DIR": str(place / "cache-late")}
    words = ["train", "net.toml", "--target", "cpu", "--out", "late", "--quiet"]
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=place, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 128 + number
    assert not alive(int(done.stdout.split()[0]))
    assert not (place / "late").exists()


def test_ctrl_c_while_the_command_is_imported_shows_no_traceback():
    code = (
        "import sys; sys.argv = ['netc', 'ls']; sys.path.insert(0, '.')\n"
        "import netc.cli.start as start\n"
        "import importlib.abc\n"
        "class Press(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'click': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Press())\n"
        "start.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode in (130, -signal.SIGINT)
    assert done.stderr == ""


def test_a_run_goes_on_when_its_reader_has_gone(place, begin):
    process = begin(*WORDS, "--out", "headless")
    process.stdout.close()
    assert process.wait(60) == 0
    assert process.stderr.read() == ""
    assert same(place, "headless")


def test_a_run_goes_on_when_its_terminal_has_gone_and_it_ignores_that(place, begin):
    """As under nohup: SIGHUP is ignored, and every write fails."""
    ours, theirs = pty.openpty()
    process = begin(
        *WORDS, "--out", "homeless", stdout=theirs, stderr=theirs, stdin=theirs, start_new_session=True,
        before=["sh", "-c", "trap '' HUP; exec \"$@\"", "sh"],
    )  # fmt: skip
    os.close(theirs)
    os.close(ours)
    assert process.wait(600) == 0
    assert same(place, "homeless")


def test_of_two_writers_one_is_refused_with_a_sentence(place, begin):
    process = begin(*LONG, "--out", "two")
    wait_for((place / "two" / "last").exists, process)
    for words in ([*WORDS, "--out", "two"], ["train", "--resume", "two"], [*LONG, "--out", "two", "--auto-resume"]):
        second = begin(*words)
        _, err = second.communicate(timeout=600)
        assert second.returncode == 1
        assert err.startswith(f"netc: two wants one process that writes there, got a second: process {process.pid} on")
    process.terminate()
    assert process.wait(60) == 128 + signal.SIGTERM
    steps = [json.loads(line)["step"] for line in (place / "two" / "trace.jsonl").read_text().splitlines()[1:]]
    assert steps == sorted(steps)


def test_two_that_begin_at_once(place, begin):
    both = [begin(*WORDS, "--out", "at-once") for _ in range(2)]
    said = [process.communicate(timeout=600)[1] for process in both]
    codes = [process.returncode for process in both]
    assert sorted(codes)[0] == 0 and sorted(codes)[1] in (1, 2), said
    assert same(place, "at-once")


def killed(place, begin, name, *words):
    process = begin(*WORDS, "--out", name, *words)
    wait_for(lambda: (place / name / "best").exists() or process.poll() is not None, process)
    process.kill()
    process.wait()


def test_the_same_words_go_on_with_a_run(place, begin, netc):
    killed(place, begin, "again", "--auto-resume")
    code, out, err = netc(*WORDS, "--out", "again", "--auto-resume")
    assert code == 0, err
    assert same(place, "again")
    code, out, _ = netc(*WORDS, "--out", "again", "--auto-resume")
    assert code == 0 and "tiny reached" in out and "epoch" not in out.split("emitted")[1]
    for words, field in (
        (["--epochs", "4"], "schedule.epochs (3 there, 4 here)"), (["--lr", "0.1"], "schedule.lr (0.001 there, 0.1"),
        (["--seed", "1"], "seed (0 there, 1 here)"), (["--optimizer", "sgd"], "recipe.optimizer."),
    ):  # fmt: skip
        code, _, err = netc(*WORDS, "--out", "again", "--auto-resume", *words)
        assert code == 2
        assert "--auto-resume wants the options that started again, got others: " in err and field in err
    (place / "net.toml").write_text(to_toml(NetSpec("tiny", (8, 8, 1), (nn.Flatten(), nn.Dense(10, name="other")))))
    code, _, err = netc(*WORDS, "--out", "again", "--auto-resume")
    (place / "net.toml").write_text(to_toml(NET))
    assert code == 2 and "another net" in err
    assert same(place, "again")


def test_without_a_run_auto_resume_begins_one_under_the_first_name(place, netc):
    for _ in range(2):
        assert netc(*WORDS, "--auto-resume")[0] == 0
    assert [p.name for p in (place / "runs").iterdir()] == ["tiny-digits"]
    assert same(place, "runs/tiny-digits")


def test_a_run_is_extended_and_keeps_what_it_is_told(place, netc):
    shutil.copytree(place / "whole", place / "longer")
    code, out, err = netc("train", "--resume", "longer", "--epochs", "5", "--keep", "2", "--checkpoint-every", "40")
    assert code == 0, err
    assert "the run has another end (epochs 5 after 3): the trace says so from step 66 on" in out
    assert checkpoint.load(place / "longer" / "last").meta["step"] == 110
    assert (place / "longer" / "step-00000088").exists()
    held = read_config(place / "longer")
    assert (held.training.epochs, held.earlier, held.saving.every, held.saving.keep) == (5, ((66, 3),), 40, 2)
    code, _, err = netc("train", "--resume", "longer", "--epochs", "4")
    assert code == 2 and "--epochs wants at least the 5 that longer has started, got 4" in err
    code, _, err = netc("emit-jax", "longer", "-o", "longer.py")
    assert code == 2 and "longer was extended at step 66" in err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["--resume", "whole", "--target", "xla"],
            "was started on reference, got --target xla, which computes different bits",
        ),
        (
            ["--resume", "whole", "--lr", "1"],
            "--resume uses the options of the run, got also --lr; leave it out",
        ),
        (["--resume", "whole", "--auto-resume"], "--auto-resume goes with NET"),
        (["net.toml", "--not-bit-for-bit"], "--not-bit-for-bit goes with --resume or --auto-resume, got neither"),
        (["net.toml", "--keep", "0"], "--keep"),
        ([], "train wants NET or --resume RUN, got neither"),
    ],
)
def test_words_that_do_not_go_together(words, sentence, netc, place):
    before = {p: p.read_bytes() for p in (place / "whole").rglob("*") if p.is_file()}
    code, _, err = netc("train", *words)
    assert code == 2
    assert sentence in " ".join(err.split())
    assert {p: p.read_bytes() for p in (place / "whole").rglob("*") if p.is_file()} == before
