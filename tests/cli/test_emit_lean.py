"""`netc emit-lean`: to standard output or a file, of any net, and read back. What `netc show` says of a Lean file."""

from __future__ import annotations

import json

from click.testing import CliRunner

from netc.cli.emit_lean import emit_lean
from netc.cli.emit_mlir import emit_mlir
from netc.cli.show import show
from netc.netspec.errors import UserError
from netc.netspec.find import find
from netc.netspec.lean import file
from netc.netspec.toml import to_toml


def run(*words: str) -> str:
    result = CliRunner().invoke(emit_lean, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_a_zoo_net_goes_to_standard_output():
    text = run("resnet34")
    assert '.residualBlock 64 128 4 2 (name := "stage2"),' in text
    (found,) = file.from_text(text).specs
    assert found.name == "resnet34"


def test_a_toml_spec_with_changes_goes_to_a_file_and_reads_back(tmp_path):
    toml, lean = tmp_path / "net.toml", tmp_path / "Net.lean"
    toml.write_text(to_toml(find("mnist-cnn")), encoding="utf-8")
    said = run(toml, "--classes", "7", "-o", lean)
    assert said.startswith(f"{lean}  ") and said.endswith(f"bytes; view it with: netc show {lean}\n")
    assert file.find(str(lean)) == find("mnist-cnn").with_classes(7)


def test_a_file_that_exists_is_kept(tmp_path):
    """It may be somebody's own, with more in it than one net."""
    lean = tmp_path / "Net.lean"
    lean.write_text("-- mine\n", encoding="utf-8")
    result = CliRunner().invoke(emit_lean, ["mnist-cnn", "-o", str(lean)])
    assert (
        str(result.exception) == f"-o wants a new file, got {lean}, which exists; give another name, or remove it first"
    )
    assert lean.read_text(encoding="utf-8") == "-- mine\n"


def test_the_command_is_registered():
    from netc.cli.main import COMMANDS

    assert COMMANDS["emit-lean"][:2] == ("emit_lean", "emit_lean")


UNET = """
def small : NetSpec where
  name := "small"
  imageH := 8
  imageW := 8
  layers := [.unetDown 3 4, .convBn 4 8 3 1 .same, .unetUp 8 4, .conv2d 4 2 1 .same .identity]

def counted : NetSpec where
  name := "counted"
  imageH := 8
  imageW := 1
  layers := [.evoformerBlock 32 16 2, .structureModule 48 16 2]
"""


def shown(path, name: str, *words: str) -> str:
    return CliRunner().invoke(show, [f"{path}:{name}", *words], catch_exceptions=False).output


def test_show_says_where_the_meaning_is_the_published_networks(tmp_path):
    path = tmp_path / "Nets.lean"
    path.write_text(UNET, encoding="utf-8")
    assert "unetUp: bilinear up-sampling, as the original computes it" in shown(path, "small")
    assert "unetUp" in json.loads(shown(path, "small", "--json"))["reading"][0]
    assert "reading" not in json.loads(CliRunner().invoke(show, ["mnist-mlp", "--json"]).output)


def test_what_is_only_counted_is_shown_and_fails_where_it_is_emitted(tmp_path):
    path = tmp_path / "Nets.lean"
    path.write_text(UNET, encoding="utf-8")
    text = shown(path, "counted")
    assert "evoformerBlock 32/16 x2" in text and "FLOPs are not known: evoformerBlock cannot be emitted yet" in text
    result = CliRunner().invoke(emit_mlir, [f"{path}:counted", "--loss", "meanSquaredError"])
    assert isinstance(result.exception, UserError)
    assert str(result.exception).startswith("evoformerBlock cannot be emitted yet, only shown and counted; ")
