"""--steps-per-call and --accumulate on the command line: what they emit, and the sentences of who cannot take them."""

import json

import pytest
from click.testing import CliRunner

from netc.cli.emit_mlir import emit_mlir
from netc.cli.train import train
from netc.netspec.errors import SpecError

NET = ["mnist-mlp", "--input", "4x4x1"]


def ran(command, *words):
    result = CliRunner().invoke(command, [*NET, *words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_the_emitted_module_has_them(tmp_path):
    ran(emit_mlir, "--batch", "4", "--steps-per-call", "3", "-o", str(tmp_path / "k"))
    assert "@train_steps(" in (tmp_path / "k" / "mnist-mlp.mlir").read_text()
    assert json.loads((tmp_path / "k" / "mnist-mlp.json").read_text())["steps_per_call"] == 3
    ran(emit_mlir, "--batch", "4", "--accumulate", "2", "-o", str(tmp_path / "n"))
    assert "func.func private @micro_step(" in (tmp_path / "n" / "mnist-mlp.mlir").read_text()
    assert json.loads((tmp_path / "n" / "mnist-mlp.json").read_text())["accumulate"] == 2


def test_ones_change_nothing():
    plain, ones = ran(emit_mlir), ran(emit_mlir, "--steps-per-call", "1", "--accumulate", "1")
    assert plain.output == ones.output


@pytest.mark.parametrize(
    ("command", "words", "kind", "sentence"),
    [
        (emit_mlir, ["--batch", "4", "--accumulate", "3"], SpecError, "equal parts of the batch of 4, got 3"),
        (emit_mlir, ["--steps-per-call", "2", "--accumulate", "2"], SpecError, "got both; leave one of them at 1"),
    ],
)
def test_what_does_not_go_is_a_sentence(command, words, kind, sentence):
    with pytest.raises(kind, match=sentence):
        ran(command, *words)


@pytest.mark.parametrize("word", ["--accumulate", "--steps-per-call"])
def test_none_is_not_a_number_of_parts(word):
    result = ran(train, word, "0")
    assert result.exit_code == 2
    assert "0 is not in the range x>=1" in result.output


def test_the_module_of_several_replicas(tmp_path):
    ran(emit_mlir, "--batch", "4", "--replicas", "2", "-o", str(tmp_path))
    text, manifest = (tmp_path / "mnist-mlp.mlir").read_text(), json.loads((tmp_path / "mnist-mlp.json").read_text())
    assert "mhlo.num_replicas = 2" in text and text.count("stablehlo.all_reduce") == 3
    # of the one large gradient, of what else a step sums, of an evaluation
    assert manifest["replicas"] == 2 and manifest["batch"] == 4
    with pytest.raises(SpecError, match="replicas wants a number of equal parts of the batch of 4, got 3"):
        ran(emit_mlir, "--batch", "4", "--replicas", "3")
