"""scripts/check_word.py: nothing is missing of what there is, and what a new word lacks is said."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def check_word(*words):
    """What it prints, and its exit code."""
    command = [sys.executable, str(ROOT / "scripts" / "check_word.py"), *words]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return found.stdout + found.stderr, found.returncode


def test_nothing_is_missing():
    words = ("activation", "optimizer", "schedule", "loss", "layer", "data")
    assert check_word(*words) == ("nothing is missing\n", 0)


def test_what_a_new_word_lacks(tmp_path):
    (tmp_path / "mish.py").write_text(
        "from netc.netspec.activations import ACTIVATIONS, Function\n"
        "ACTIVATIONS.add('mish', Function('x tanh(log(1 + exp(x)))'))\n"
    )
    said, code = check_word("activation/mish", "--plugin", str(tmp_path / "mish.py"))
    assert code == 1 and "3 missing" in said
    assert "missing activation/mish: its rule: TABLE['mish'] in codegen/layers/activation.py" in said
    said, code = check_word("activation/mish")
    assert code == 2 and "its row is missing: activation wants one of identity, relu" in said
