"""A field in an error of the lower rooms is the flag of the command that ran; a library user never reads a flag."""

import ast
import re
from pathlib import Path

import click
import pytest

import netc
from netc.cli.main import COMMANDS, cli
from netc.cli.spelling import parameters_of, spelled

NAMES = ("netspec", "codegen", "runtime", "traces", "proofs", "proofs_oracle")
ROOMS = [Path(netc.__path__[0]).parent / room for room in NAMES]


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("`classes` wants 10", "--classes wants 10"),
        ("give `classes=10`", "give --classes 10"),
        ("give `data=text:a b.txt`", "give --data text:a b.txt"),
        ("or `flip=False`", "or --no-flip"),
        ("or `flip=True`", "or --flip"),
        ("or `remat=True`", "or --remat"),
        ("or `same_bits=False`", "or --not-bit-for-bit"),
        ("a smaller `input`", "a smaller --input"),
        ("`net` wants", "NET wants"),
        ("`hidden` is no option, run `netc doctor`", "`hidden` is no option, run `netc doctor`"),
    ],
)
def test_fields_become_flags_of_the_command(text, flags):
    command = cli.get_command(click.Context(cli), "train")
    assert spelled(text, parameters_of(command, ["train"])) == flags


def test_a_command_of_a_group_has_its_own_flags():
    command = cli.get_command(click.Context(cli), "trace")
    assert spelled("give `steps=3`", parameters_of(command, ["trace", "noise"])) == "give --steps 3"
    assert spelled("give `steps=3`", parameters_of(command, ["trace", "plot"])) == "give `steps=3`"


def test_the_lower_rooms_name_no_flag():
    flags = set()
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        called = [command, *getattr(command, "commands", {}).values()]
        flags |= {o for c in called for p in c.params for o in p.opts if o.startswith("--")}
    longest_first = "|".join(sorted(map(re.escape, flags), key=len, reverse=True))
    known = re.compile(rf"(?<![\w-])({longest_first})(?![\w-])")
    found = [f"{path}: {text}" for path in _files() for text in _sentences(path) if known.search(text)]
    assert not found, "name the field in backticks; netc/cli/spelling.py makes a flag of it:\n" + "\n".join(found)


def _files():
    emitted = {"template.py", "step.py"}  # of the twin: text of a script that has flags of its own
    door = Path(netc.__file__).parent.glob("*.py")
    return [*door, *(path for room in ROOMS for path in room.rglob("*.py") if path.name not in emitted)]


def _sentences(path):
    """Every string with a space in it, but for docstrings and whole commands (`netc oracle --target vulkan`)."""
    tree = ast.parse(path.read_text())
    docs = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            text = re.sub(r"(netc|pip) [a-z][^;,)]*", "", node.value)
            if " " in text:
                yield text
