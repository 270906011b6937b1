"""The launcher, of programs that do nothing but what is to be seen: fail, stand still, obey a signal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from netc.runtime.processes import launch as starter
from netc.runtime.processes.launch import Launch, launch

ME = "import os, sys, signal, time, json\nme = int(sys.argv[sys.argv.index('--process-id') + 1])\n"


@pytest.fixture
def run(monkeypatch):
    """Launch processes of a program text: exit code, the lines of the output and those of errors."""
    for name, seconds in (("TICK", 0.005), ("STANDING", 0.05), ("LAST_WORDS", 0.05), ("BLAME", 0.2)):
        monkeypatch.setattr(starter, name, seconds)

    def start(text, words=(), count=2, **options):
        out, err = [], []
        asked = Launch(tuple(words), count, program=(sys.executable, "-S", "-c", ME + text), **options)
        return launch(asked, out.append, err.append), out, err

    return start


def test_lines_stand_behind_their_number_and_a_sentence_of_all_once(run):
    text = "print('step', me)\nprint('[Gloo] Rank 0 is')\nprint('netc: no', file=sys.stderr)"
    code, out, err = run(text)
    assert (code, sorted(out)) == (0, ["[0] step 0", "[1] step 1"])
    assert [line[3:] for line in err] == [" netc: no"]


@pytest.mark.parametrize(
    ("act", "code", "sentence"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", 137, "process 1 was killed by SIGKILL"),
        ("os.kill(os.getpid(), signal.SIGSTOP)", 1, "process 1 stands still"),
        ("sys.exit(2)", 2, "process 1 ended with exit code 2"),
    ],
)
def test_one_at_fault_ends_all_and_is_named(run, act, code, sentence):
    found, _, err = run(f"if me == 1:\n    {act}\ntime.sleep(60)")
    assert found == code
    assert err[-1].startswith(f"netc: {sentence}") and err[-1].endswith("; the others were ended")


def test_one_that_lost_the_others_is_not_at_fault(run):
    code, _, err = run("time.sleep(0.1 * (me == 1))\nsys.exit(75 if me == 0 else 3)")
    assert (code, err[-1]) == (3, "netc: process 1 ended with exit code 3; the others were ended")


def test_a_signal_is_passed_on_and_their_exit_code_is_the_launchers(run, tmp_path):
    text = "signal.signal(15, lambda *_: sys.exit(143))\nopen(f'{sys.argv[1]}/{me}', 'w').close()\ntime.sleep(60)"

    def end() -> None:
        while len(list(tmp_path.iterdir())) < 2:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=end).start()
    code, _, err = run(text, [str(tmp_path)])
    assert (code, err) == (143, [])


ORPHAN = """
import os, sys, time
from netc.runtime.processes.launch import Launch, end_with_launcher, launch
if "--process-id" not in sys.argv:
    launch(Launch((), 1, program=(sys.executable, "-c", sys.argv[1], sys.argv[1])), print, print)
end_with_launcher()
print(os.getpid(), flush=True)
time.sleep(60)
"""


def test_a_process_is_told_to_end_where_its_launcher_is_killed():
    with subprocess.Popen([sys.executable, "-uc", ORPHAN, ORPHAN], stdout=subprocess.PIPE, text=True) as launcher:
        assert launcher.stdout is not None
        child = int(launcher.stdout.readline().removeprefix("[0] "))
        launcher.kill()
        end = time.monotonic() + 20
        while _runs(child):
            assert time.monotonic() < end
            time.sleep(0.01)


def _runs(pid: int) -> bool:
    """Whether a process is there, and no zombie that nobody has asked for."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    return False


FAILS_ONCE = """
if "--auto-resume" not in sys.argv:
    known = os.environ["NETC_LAUNCHED"]
    if me == 0:
        open(known, "w").write('{"folder": "/runs/a", "batch": 32, "devices": DEVICES}')
    while me == 1 and not os.path.exists(known) or me != 1:
        time.sleep(0.01)
    time.sleep(0.05)
    os.kill(os.getpid(), 9)
print(sys.argv[1:], flush=True)
"""


def test_a_run_is_begun_again_from_its_checkpoint_with_fewer(run):
    """Of 3 processes 2 are left, which divide the batch of 32."""
    code, out, err = run(FAILS_ONCE.replace("DEVICES", "0"), ["mlp", "--lr", "0.1"], count=3, restarts=1, elastic=True)
    assert code == 0
    assert err[-1] == "netc: restarting with 2 of 3 processes, restarts left: 0"
    again = next(line for line in out if line.startswith("[1]"))
    said = "['mlp', '--lr', '0.1', '--auto-resume', '--out', '/runs/a', '--not-bit-for-bit', '--coordinator', "
    assert again.startswith(f"[1] {said}") and again.endswith("'--process-id', '1', '--processes', '2']")


@pytest.mark.parametrize(("devices", "left"), [(6, 2), (9, 1)])
def test_fewer_processes_divide_the_devices_that_were_asked_for_too(run, devices, left):
    """By an option, a configuration or a mesh."""
    code, _, err = run(FAILS_ONCE.replace("DEVICES", str(devices)), ["mlp"], count=3, restarts=1, elastic=True)
    assert (code, err[-1]) == (0, f"netc: restarting with {left} of 3 processes, restarts left: 0")


def test_what_failed_before_there_was_a_run_is_begun_again_by_the_same_words(run, tmp_path):
    """Those that go on with an earlier run: without them it would be refused, or begun from nothing."""
    text = f"""
first = not os.path.exists("{tmp_path}/once")
open("{tmp_path}/once", "w").close()
sys.exit(75 if first else print(sys.argv[1:3]))
"""
    words = ["--auto-resume", "--not-bit-for-bit"]
    code, out, _ = run(text, words, count=1, restarts=1)
    assert (code, out) == (0, [f"[0] {words}"])


def test_a_mistake_is_not_made_again(run):
    code, _, err = run("sys.exit(2)", restarts=3)
    assert code == 2
    assert not any("again" in line for line in err)
