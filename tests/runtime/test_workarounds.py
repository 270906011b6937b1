"""Each workaround is needed: its program is refused without it. A newer IREE that takes the program fails this test."""

import ast
import importlib.util
import re
import sys
from dataclasses import replace

import pytest

from netc.codegen.rewrite.iree.workarounds import WORKAROUNDS
from netc.codegen.rewrite.lower import passes
from netc.codegen.rewrite.profiles import PROFILES
from netc.codegen.rewrite.xla.fences import KEPT
from netc.netspec import layers as nn
from netc.netspec.recipe import Recipe
from netc.netspec.spec import NetSpec
from tests.conftest import ROOT

found = importlib.util.spec_from_file_location("scripts_workarounds", ROOT / "scripts" / "workarounds.py")
script = importlib.util.module_from_spec(found)
sys.modules[script.__name__] = script  # its dataclass looks for it there
found.loader.exec_module(script)


@pytest.mark.parametrize("name", script.PROGRAMS)
def test_iree_takes_the_program_with_the_workaround_alone(name):
    program = script.PROGRAMS[name]
    said = script.outcome(program, without=name)
    assert program.says in said, f"IREE no longer needs {name}: delete its row and its pass"
    assert script.outcome(program) == script.FINE


def test_the_second_stage_of_a_long_sum_is_parted_too():
    narrow = nn.ConvBn(16, kernel=1, activation="identity")
    net = NetSpec("net", (40, 40, 8), (narrow, nn.ConvBn(96, kernel=1), nn.GlobalAvgPool(), nn.Dense(4)))
    program = script.PROGRAMS["part_joined_sums"]
    program = replace(program, make=lambda: script._step(net, Recipe(norms=False), 16), function="train_step")
    assert program.says in script.outcome(program, without="part_joined_sums")
    assert script.outcome(program) == script.FINE


def test_each_row_has_a_program_a_page_and_profiles_that_run_it():
    assert [w.name for w in WORKAROUNDS] == [*script.PROGRAMS]
    assert len({w.name for w in WORKAROUNDS}) == len(WORKAROUNDS)
    for w in WORKAROUNDS:
        assert (ROOT / w.page).is_file() and w.why and w.profiles
        kept = {"xla"} if w.name in {fence.name for fence in KEPT} else set()  # test_xla_fences.py
        kept |= {"cpu-avx2"} if "cpu" in w.profiles else set()
        assert {p for p in PROFILES if w.name in dict(passes(p))} == {*w.profiles, *kept}


def test_the_page_lists_every_row():
    page = (ROOT / "docs" / "texts.md").read_text(encoding="utf-8").partition("## Workarounds")[2]
    named = [w.name for w in WORKAROUNDS] + [fence.name for fence in KEPT]
    assert re.findall(r"^\| `(\w+)`", page, re.MULTILINE) == named


def test_every_other_barrier_is_argued_for():
    """A function that emits one is a workaround's pass, or docs/design-notes.md says what it means there."""
    notes = (ROOT / "docs" / "design-notes.md").read_text(encoding="utf-8").partition("**Barriers of a form.**")[2]
    argued = set(re.findall(r"`(\w+)`", notes.partition("\n\n")[0]))
    emitting = {
        function.name
        for path in (ROOT / "codegen").rglob("*.py")
        if path.parent.name != "iree" and path.name != "walk.py"  # which has behind_barriers
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(function, ast.FunctionDef)
        if any(_puts_a_barrier(call) for call in ast.walk(function) if isinstance(call, ast.Call))
    }
    assert emitting == argued


def _puts_a_barrier(call: ast.Call) -> bool:
    match call:
        case ast.Call(func=ast.Attribute(attr="op"), args=[ast.Constant("barrier"), *_]):
            return True
        case ast.Call(func=ast.Name("behind_barriers")):
            return True
    return False
