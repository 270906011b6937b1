"""What `netc launch` and the options of processes refuse, before a process is started or met."""

from __future__ import annotations

import pytest


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
            ("train", "mnist-mlp", "--devices", "3", "--coordinator", "h:1", "--process-id", "0", "--processes", "2"),
            "--devices wants a multiple of the 2 processes, got 3",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(netc, words, sentence):
    code, _, err = netc(*words)
    assert code == 2
    assert sentence in err
