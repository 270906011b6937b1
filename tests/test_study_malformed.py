"""The study of malformed files, small: no reader ends in a traceback, and no flipped bit is read as another value."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "study_malformed.py"


def test_no_malformed_file_ends_in_a_traceback(tmp_path):
    pytest.importorskip("pyarrow")
    words = ["--inputs", "290", "--flips", "40", "--workers", "2", "-o", str(tmp_path / "t.md")]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *words],
        capture_output=True, text=True, check=False, cwd=tmp_path, timeout=300,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    sums = [list(map(int, re.findall(r"\d+", line))) for line in done.stdout.splitlines() if line.startswith("| all")]
    inputs, flips = sums
    assert inputs[0] >= 290 and inputs[0] == inputs[1] + inputs[2] and inputs[2] > 100
    assert flips[0] >= 9 * 40 and flips[0] == flips[1] + flips[2]
    assert (tmp_path / "t.md").read_text() in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["t.md"]


def test_a_reader_that_fails_is_told(tmp_path):
    # a kind whose reader raises what no reader may
    code = (
        f"import runpy, sys; from pathlib import Path; sys.argv = ['x']; sys.path.insert(0, {str(SCRIPT.parent)!r})\n"
        f"s = runpy.run_path({str(SCRIPT)!r})\n"
        "s['KINDS'].clear()\n"
        "def bad(path):\n"
        "    if path.read_bytes().count(b'Once') < 20: raise ZeroDivisionError('oh')\n"
        "s['KINDS']['text'] = s['Kind']('book.txt', bad, written=True)\n"
        "sys.exit(s['main'](['--inputs', '30', '--flips', '64', '--workers', '1']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path, timeout=300,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 1
    assert "text: traceback" in done.stderr and "ZeroDivisionError: oh" in done.stderr
