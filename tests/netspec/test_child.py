"""A limit on a process's work: a busy machine does not reach it, and what hangs or works too long is ended."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from netc.netspec import child

SPIN = "import time\nwhile time.process_time() < {0}: pass\nprint('done')"


def python(text: str) -> list[str]:
    return [sys.executable, "-S", "-c", text]


def test_what_it_says_is_captured_and_it_is_given_its_input():
    done = child.run(python("import sys; print(sys.stdin.read()); sys.exit(3)"), 60, given="some", text=True)
    assert (done.returncode, done.stdout, done.stderr) == (3, "some\n", "")


def test_other_processes_do_not_use_up_its_time(monkeypatch):
    """The clock is past the limit three times over before it is done; its work is not."""
    monkeypatch.setattr(child, "descent", lambda pid: {pid: next(spent)})
    spent = iter((0.01, 0.02, 0.03))
    begin = time.monotonic()
    done = child.run(python("import time; time.sleep(0.3); print('done')"), 0.1, text=True)
    assert done.stdout == "done\n" and time.monotonic() - begin >= 0.3


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (SPIN.format(30), "works"),
        ("import time; time.sleep(30)", "hangs"),
        (f"import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', {SPIN.format(30)!r}])", "lets work"),
    ],
    ids=lambda value: value.split()[0],
)
def test_what_takes_too_long_is_ended(text, why):
    begin = time.monotonic()
    with pytest.raises(subprocess.TimeoutExpired):
        child.run(python(text), 0.2)
    assert time.monotonic() - begin < 20, why


def test_it_ends_where_nothing_is_known_of_processes(monkeypatch, tmp_path):
    monkeypatch.setattr(child, "PROC", tmp_path)
    with pytest.raises(subprocess.TimeoutExpired):
        child.run(python("import time; time.sleep(30)"), 0.1)
