"""What users called their files, classes, nets and layers is shown as it is: never markup, emoji or an escape."""

import ast
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import netc.cli
from netc.cli.console import line, printable, say, terminal
from netc.cli.views.table import Column, print_line, print_table

SOURCES = sorted(Path(netc.cli.__path__[0]).glob("*.py"))
PRINTERS = {"console.py": {"Console", "echo", "secho", "print"}, "table.py": {"print"}}


def test_only_the_console_module_prints():
    """By another way to the terminal a name is read as markup or obeyed: say, write, line and print_table are safe."""
    found = {}
    for path in SOURCES:
        calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        names = {f.attr if isinstance(f, ast.Attribute) else getattr(f, "id", "") for f in calls}
        printing = names & {"Console", "echo", "secho", "print", "rprint", "style"} - PRINTERS.get(path.name, set())
        found |= {path.name: printing} if printing else {}
    assert found == {}


NAMES = ["x[/y]z", "br[ack]et", ":dog:", "[bold]", "1.5 True http://x", "a\u3000b", "\u0646\u200c\u0647"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_shown_as_it_is(name, capsys):
    for show in (say, print_line, lambda text: print_table([Column("name")], [(text,)])):
        show(name)
        assert name in capsys.readouterr().out
    screen = io.StringIO()
    line(terminal(file=screen, force_terminal=True, soft_wrap=True), name)
    assert screen.getvalue() == f"{name}\n"


@pytest.mark.parametrize(
    ("name", "shown"),
    [("a\x1b[31mb", r"a\x1b[31mb"), ("a\nb", r"a\nb"), ("\u202etxt", r"\u202etxt"), ("\udcff", r"\udcff")],
)
def test_a_control_character_is_spelled_out(name, shown, capsys):
    assert printable(name) == shown
    say(name)
    assert capsys.readouterr().out == f"{shown}\n"


@pytest.fixture
def place(tmp_path):
    (tmp_path / "tiny.toml").write_text(
        'name = "x[/y]z :dog:"\ninput = [4, 4, 3]\n'
        '[[layers]]\nkind = "flatten"\n[[layers]]\nkind = "dense"\nfeatures = 2\nname = "h[e]ad :cat:"\n'
    )
    for label in ("br[ack]et", "be\x1b[31mll"):
        folder = tmp_path / "p[/q]r :dog:" / label
        folder.mkdir(parents=True)
        for number in range(5):
            Image.fromarray(np.full((4, 4, 3), 50 * number, np.uint8)).save(folder / f"[b{number}].png")
    return tmp_path


def test_odd_names_from_end_to_end(netc, place):
    data = "imagefolder:p[/q]r :dog:"
    code, out, err = netc(
        *("train", "tiny.toml", "--data", data, "--target", "reference", "--epochs", "1", "--batch", "4"),
        *("--out", "r[/u]n"),
    )
    assert code == 0, err
    assert "x[/y]z :dog:: 98 parameters" in out and f"{data}: 8 training" in out
    assert "netc eval r[/u]n" in out
    code, out, err = netc("predict", "r[/u]n", f"{data.partition(':')[2]}/br[ack]et/[b1].png")
    assert code == 0 and r"be\x1b[31mll" in out and "br[ack]et" in out and "/[b1].png: " in out, err
    code, out, err = netc("show", "tiny.toml")
    assert code == 0 and "h[e]ad :cat:" in out, err
    code, out, err = netc("eval", "no\x1b[31m[/z]")
    assert code == 2 and r"no\x1b[31m[/z]" in err
    assert "\x1b" not in out + err


def test_what_was_typed_is_not_obeyed_either(netc, place):
    for words in (
        ("train", "x", "--dat\x1b[31ma"),
        ("sh\x1b[31mow",),
        ("show", "no\x1b[31mnet"),
        ("show", "tiny.toml", "a\x1b"),
    ):
        code, out, err = netc(*words)
        assert code == 2 and "\x1b" not in out + err and err
