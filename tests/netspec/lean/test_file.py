"""A Lean file as a source of specs: which it holds, how one is chosen, and what a message shows."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from netc.netspec.errors import UserError
from netc.netspec.find import find
from netc.netspec.lean import file
from netc.netspec.lean.source import LeanError
from tests.calls import SLOW_MACHINE, calls_of

SOURCE = """import LeanMlir.Spec
/-! Nets for a test. -/
open Layer

def width := 64

/-- Two layers. -/
@[simp] private def small : NetSpec where
  name := "small"
  imageH := 8
  imageW := 8
  layers := [
    .convBn 3 8 3 1 .same,  -- stem
    .globalAvgPool,
    .dense 8 10 .identity,
  ]

namespace Nets
def wide : NetSpec := { small with
  name := s!"wide-{width}"
  layers := [.convBn 3 width 3 1 .same, .globalAvgPool, .dense width 10 .identity] }

theorem wide_is_wide : wide.layers.length = 3 := by
  simp [wide]
end Nets

def untyped := { small with name := "untyped" }
def sized (n : Nat := 4) : NetSpec := { small with name := s!"sized-{n}" }
def mk (n : Nat) : NetSpec := { small with name := s!"mk-{n}" }
def beyond : NetSpec := Id.run do
  return small
def lost : NetSpec := { small with layers := stagez 3 }
def cfg : TrainConfig where
  learningRate := 1 / 1000
  batchSize := 32
  epochs := 10

def main : IO Unit := do
  IO.println s!"{small.name}"
#eval main
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    place = tmp_path / "nets.lean"
    place.write_text(SOURCE, encoding="utf-8")
    return place


def test_the_specs_of_a_file_are_found_and_the_rest_is_passed_over(path: Path) -> None:
    found = file.load(path)
    assert [f.name for f in found.specs] == ["small", "Nets.wide", "untyped", "sized", "beyond", "lost"]
    assert [f.problem is None for f in found.specs] == [True] * 4 + [False] * 2
    assert [f.name for f in found.configs] == ["cfg"]
    assert found.specs[0].doc == "Two layers."
    assert found.specs[1].record is not None
    assert found.specs[1].record.fields["name"][0] == "wide-64"
    assert found.configs[0].record is not None
    assert found.configs[0].record.fields["learningRate"][0] == 0.001


def test_a_net_is_chosen_by_name_or_by_the_end_of_its_name(path: Path) -> None:
    spec = file.find(f"{path}:wide")
    assert spec == file.find(f"{path}:Nets.wide") == find(f"{path}:wide")
    assert (spec.name, spec.input, len(spec.layers)) == ("wide-64", (8, 8, 3), 3)
    assert find(f"{path}:sized").name == "sized-4"


def test_several_and_none_named_lists_them(path: Path) -> None:
    with pytest.raises(UserError) as caught:
        find(str(path))
    lines = str(caught.value).splitlines()
    assert lines[0].endswith("holds 6 specs; choose one as nets.lean:small")
    assert lines[1] == "  small      3 layers, 322 parameters"
    assert lines[5].startswith("  beyond     cannot be read: line 30: a `do` block is beyond what netc reads of Lean")
    assert lines[6].startswith("  lost       cannot be read: line 32: unknown name stagez")


def test_one_alone_needs_no_name(tmp_path: Path) -> None:
    place = tmp_path / "one.lean"
    place.write_text(
        'def one : NetSpec := { name := "one", imageH := 4, imageW := 4, channels := 3, layers := [.globalAvgPool] }'
    )
    assert find(str(place)).name == "one"


def test_a_message_has_file_line_column_the_line_and_a_caret(path: Path) -> None:
    with pytest.raises(LeanError) as caught:
        find(f"{path}:lost")
    assert str(caught.value).splitlines() == [
        f"{path}:32:46: unknown name stagez; define it in this file with `def`",
        "def lost : NetSpec := { small with layers := stagez 3 }",
        " " * 45 + "^^^^^^",
    ]
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("def x : NetSpec where\n\tname := widht", "spec.lean:2:10: unknown name widht|\tname := widht|\t        ^^^^^"),  # noqa: E501
        ('def x : NetSpec := { name := "日本" ++ zz }', 'spec.lean:1:38: unknown name zz|def x|' + " " * 39 + "^^"),
        ("def x : NetSpec := " + "(" * 200 + "zz", "spec.lean:1:120: wants expressions nested at most 100 deep"),
    ],
)  # fmt: skip
def test_carets(source: str, wanted: str) -> None:
    [found] = file.from_text(source).specs
    for line, begin in zip(str(found.problem).splitlines(), wanted.split("|"), strict=False):
        assert line.startswith(begin)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("smal", "holds no NetSpec smal; did you mean small?"),
        ("zzz", "holds no NetSpec zzz; it has small, Nets.wide"),
        ("mk", "holds no NetSpec mk; it is a function of n: write `def mk1 : NetSpec := mk ..` with values"),
    ],
)
def test_a_name_that_the_file_has_not(path: Path, name: str, sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        find(f"{path}:{name}")
    assert sentence in str(caught.value)


def test_one_ending_of_two_names(tmp_path: Path) -> None:
    place = tmp_path / "a.lean"
    place.write_text(
        "namespace A\ndef x : NetSpec := { layers := [] }\nend A\nnamespace B\ndef x : NetSpec := A.x\nend B"
    )
    with pytest.raises(UserError, match=r"x may be A\.x or B\.x; write the full name"):
        find(f"{place}:x")


def test_a_name_that_is_defined_twice(tmp_path: Path) -> None:
    place = tmp_path / "a.lean"
    place.write_text("def x : NetSpec := { layers := [] }\ndef x : NetSpec := { layers := [] }")
    with pytest.raises(UserError, match="x is defined twice; give one of them another name"):
        find(f"{place}:x")


def test_a_byte_order_mark_is_no_part_of_a_file(tmp_path: Path) -> None:
    place = tmp_path / "a.lean"
    place.write_text(
        '\ufeffdef x : NetSpec where\r\n  name := "x"\r\n  layers := [.dense 4 2 .identity]\r\n', encoding="utf-8"
    )
    assert find(f"{place}:x").name == "x"


def test_what_is_no_lean_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot be read \(No such file or directory\); check the name"):
        find(str(tmp_path / "none.lean"))
    place = tmp_path / "a.lean"
    place.write_bytes(b"def \xff")
    with pytest.raises(UserError, match="wants UTF-8 text, got byte 0xff at 4"):
        find(str(place))
    place.write_text("def x := 1\n")
    with pytest.raises(UserError, match="holds no NetSpec; write `def net : NetSpec where` and its fields"):
        find(str(place))
    place.write_text('def x := "abc\n')
    with pytest.raises(LeanError, match=r"a\.lean:1:10: this string is not closed"):
        find(str(place))
    place.write_text("-" * (file.LARGEST_FILE + 1))
    with pytest.raises(UserError, match="wants at most 1048576 bytes, got 1048577 bytes; split it"):
        find(str(place))


def test_an_alias_of_the_type_and_qualified_types() -> None:
    source = "abbrev Net := NetSpec\ndef a : Net := { layers := [] }\ndef b : LeanMlir.NetSpec := a"
    assert [f.name for f in file.from_text(source).specs] == ["a", "b"]


def test_300_lines_are_read_in_few_calls() -> None:
    """The best of a few, so that a loaded machine passes too; what is measured is the processor's time."""
    block = [
        "/-- A net. -/", "def net{i} : NetSpec where", '  name := s!"net-{{width}}-{i}"', "  imageH := 224",
        "  imageW := 224", "  layers := [", "    .convBn 3 64 7 2 .same,   -- stem",
        *(f"    .residualBlock 64 {64 * j} 3 1, .residualBlock (64 * {j}) 128 4 2," for j in range(1, 9)),
        "    .dense 512 10 .identity,",
        "  ] ++ (List.range 4 |>.map fun i => [.dense width (i + 1) .relu]).flatten", "",
    ]  # fmt: skip
    source = "\n".join(["def width := 64", *(line.format(i=i) for i in range(16) for line in block)])
    assert source.count("\n") > 280
    assert len(file.from_text(source).specs) == 16
    assert calls_of(lambda: file.from_text(source)) < 200_000  # 161,804 in Python 3.11


def test_specs_that_never_end_are_cut_short_together() -> None:
    one = "def f{0} : Nat → Nat | 0 => 0 | n+1 => f{0} n + f{0} n\ndef x{0} : NetSpec := f{0} 30\n"
    source = "".join(map(one.format, range(50))) + "def ok : NetSpec := { layers := [] }"
    start = time.process_time()
    found = file.from_text(source)
    assert time.process_time() - start < SLOW_MACHINE
    assert all("steps" in str(f.problem) for f in found.specs[:50])
