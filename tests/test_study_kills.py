"""The study of killed runs, small: what it counts as lost, spoiled or silent is none."""

import subprocess
import sys


def test_a_few_kills_pairs_and_flips(pytestconfig, tmp_path):
    script = pytestconfig.rootpath / "scripts" / "study_kills.py"
    command = [
        sys.executable,
        str(script),
        "--kills",
        "6",
        "--flips",
        "1",
        "--pairs",
        "1",
        "-o",
        str(tmp_path / "t.md"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if line.startswith("|")]
    kills = {row[0].split()[0]: row[1:] for row in rows[2:6]}
    assert set(kills) == {"KILL", "TERM", "two"}
    assert all(int(times) >= 1 and runs == equal for times, runs, equal, *_ in kills.values())
    assert {row[0] for row in rows[8:]} >= {
        "run.json",
        "spec.toml",
        "timing.jsonl",
        "trace.jsonl",
        "last/manifest.json",
    }
    assert done.stdout in (tmp_path / "t.md").read_text()
