"""A net that is told a time, judged or written without a process: the command says what is missing."""

import pytest


@pytest.fixture
def place(tmp_path):
    return tmp_path


@pytest.mark.parametrize(
    ("net", "words", "said"),
    [
        ("tiny-dit", "", "--process flow --label-count 10 gives one"),
        ("tiny-mdm", "", "--process masked gives one"),
        ("tiny-mdm", "--process masked", None),
        ("dit_s_2", "", None),  # which no process fits: 8 channels for 4
        ("mnist-mlp", "", None),
    ],
)
def test_the_command_says_which_process(netc, net, words, said):
    code, _, err = netc("emit-mlir", net, "--batch", "1", "-o", "text", *words.split())
    assert code == 0, err
    assert ("takes a time" in err) == bool(said) and (said or "") in " ".join(err.split())
