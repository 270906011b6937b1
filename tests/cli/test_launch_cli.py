"""What `netc launch` and the options of processes refuse, before a process is started or met."""

from __future__ import annotations

import subprocess
import sys

import pytest

# `netc launch` of a program that writes more than a pipe holds
START = """
import sys
from functools import partial
from netc.cli.main import main
from netc.runtime.processes import launch
words = (sys.executable, "-S", "-c", "for i in range(3000): print(i, 'x' * 40)")
launch.Launch = partial(launch.Launch, program=words)
sys.argv = ["netc", "launch", "-n", "1", "--", "train", "mlp"]
main()
"""

TWO = ("--coordinator", "h:1", "--process-id", "0", "--processes", "2")


@pytest.fixture
def place(tmp_path):
    return tmp_path


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("launch", "-n", "2", "--", "eval", "run"), "launch wants `train` and its options after --, got eval; write"),
        (("launch", "-n", "2"), "after --, got nothing; write netc launch -n 2 -- train"),
        (("launch", "-n", "2", "--elastic", "--", "train", "mlp"), "--elastic belongs to --restarts, got none"),
        (("train", "mnist-mlp", "--process-id", "0"), "belong together, got no --coordinator and --processes"),
        (("train", "mnist-mlp", "--processes", "auto"), "wants the environment of SLURM, Open MPI, torchrun"),
        (
            ("train", "mnist-mlp", "--devices", "3", *TWO),
            "--devices wants a multiple of the 2 processes, got 3",
        ),
        (("train", "mnist-mlp", "--set", "devices=3", *TWO), "--devices wants a multiple of the 2 processes, got 3"),
        (
            ("train", "mnist-mlp", "--mesh", "data=3", *TWO),
            "--mesh wants a multiple of the 2 processes, got data=3, which is 3 devices; give such a mesh",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(netc, words, sentence):
    code, _, err = netc(*words)
    assert code == 2
    assert sentence in err


def test_a_reader_that_leaves_does_not_hold_up_the_processes():
    command = [sys.executable, "-c", START]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as launcher:
        assert launcher.stdout is not None and launcher.stderr is not None
        assert launcher.stdout.readline().startswith(b"[0] 0 x")
        launcher.stdout.close()
        assert launcher.wait(60) == 0
        assert launcher.stderr.read() == b""
