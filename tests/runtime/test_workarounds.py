"""Each workaround is needed: its program is refused without it. A newer IREE that takes the program fails this test."""

import importlib.util
import re
import sys

import pytest

from netc.codegen.rewrite.iree.workarounds import WORKAROUNDS
from netc.codegen.rewrite.lower import passes
from netc.codegen.rewrite.profiles import PROFILES
from tests.conftest import ROOT

found = importlib.util.spec_from_file_location("scripts_workarounds", ROOT / "scripts" / "workarounds.py")
script = importlib.util.module_from_spec(found)
sys.modules[script.__name__] = script  # its dataclass looks for it there
found.loader.exec_module(script)

QUICK = [name for name, program in script.PROGRAMS.items() if program.quick]


@pytest.mark.parametrize("name", QUICK)
def test_iree_takes_the_program_with_the_workaround_alone(name):
    program = script.PROGRAMS[name]
    said = script.outcome(program, without=name)
    assert program.says in said, f"IREE no longer needs {name}: delete its row and its pass"
    assert script.outcome(program) == script.FINE


def test_each_row_has_a_program_a_page_and_profiles_that_run_it():
    assert {w.name for w in WORKAROUNDS} == {*script.PROGRAMS, *script.OWN_SCRIPTS}
    assert len({w.name for w in WORKAROUNDS}) == len(WORKAROUNDS)
    for w in WORKAROUNDS:
        assert (ROOT / w.page).is_file() and w.why and w.profiles
        assert {p for p in PROFILES if w.name in dict(passes(p))} == set(w.profiles)
    assert all((ROOT / path).is_file() for path in script.OWN_SCRIPTS.values())


def test_the_page_lists_every_row():
    page = (ROOT / "docs" / "texts.md").read_text(encoding="utf-8").partition("## Workarounds")[2]
    assert re.findall(r"^\| `(\w+)`", page, re.MULTILINE) == [w.name for w in WORKAROUNDS]
