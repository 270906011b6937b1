"""What netc writes as Lean has the types that Lean wants: checked by Lean itself where there is one."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from netc.cli.main import cli
from netc.netspec.errors import UserError
from netc.netspec.find import find
from netc.netspec.lean.signatures import checkable
from netc.netspec.lean.write import to_lean
from netc.netspec.spec import NetSpec
from netc.proofs import lean
from tests.codegen.examples import EXAMPLES


@pytest.fixture
def answer(tmp_path):
    try:
        found = lean.found()
    except UserError as error:
        pytest.fail(str(error))
    if found is None:
        pytest.skip(lean.missing())

    def ask(text: str) -> str:
        path = tmp_path / "spec.lean"
        path.write_text(checkable(text), encoding="utf-8")
        answer = lean.check(path)
        return "taken" if answer.holds else answer.messages

    return ask


def test_every_kind_of_layer_is_taken(answer):
    every = NetSpec("every", (8, 8, 3), tuple(e.layer for e in EXAMPLES.values()))
    assert answer(to_lean(every)) == "taken"


@pytest.mark.parametrize("net", ["gpt2", "tiny-nanochat", "mobilenet_v3_small"])
def test_nets_are_taken(net, answer):
    """Named options after others in order, a number below 0, layers in options, fractions, words."""
    assert answer(to_lean(find(net))) == "taken"


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("784 512 .relu", '"a" 512 .relu', "Application type mismatch"),
        ("784 512 .relu", "784 512", "Application type mismatch"),
        ("784 512 .relu", "784 512 .relu 3", "Named"),
        (".relu", ".rely", "Unknown constant `Activation.rely`"),
        (".dense 512 512", ".dens 512 512", "Unknown constant `Layer.dens`"),
        ("(name :=", "(title :=", "Invalid argument name `title` for function `Layer.dense`"),
        ("imageH", "height", "`height` is not a field of structure `NetSpec`"),
    ],
)
def test_what_is_wrong_is_refused(right, wrong, said, answer):
    text = to_lean(find("mnist-mlp"))
    assert right in text and said in answer(text.replace(right, wrong, 1))


def test_emit_lean_says_what_lean_says(answer):
    found = CliRunner().invoke(cli, ["emit-lean", "mnist-mlp", "--check"])
    assert found.exit_code == 0 and "  ]\nLean takes it, in " in found.output


def test_lists_are_written_out_and_strings_left_alone():
    text = checkable('def a : NetSpec where\n  name := "[a, b] (-1)"\n  input := [1, (-2)]\n  layers := []\n')
    assert 'name := "[a, b] (-1)"' in text and "input := (.cons (1) (.cons ( (.minus 2)) .nil))" in text
    assert "layers := .nil" in text
