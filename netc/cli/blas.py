"""`netc blas`: the routines of BLAS, listed, written as text, their pullbacks certified."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from netc.cli.console import say, write
from netc.cli.options import json_option, print_json
from netc.cli.out_path import OUT_FILE
from netc.codegen.blas.table import OPTIONS

if TYPE_CHECKING:
    from netc.codegen.blas.table import Routine
    from netc.netspec.types import DType
    from netc.proofs_oracle.certificate.certify import Certificate
    from netc.runtime.target import Target

Command = TypeVar("Command", bound=Callable[..., Any])
SMALL = {"m": 3, "n": 5, "k": 4}
NO_COMPLEX = "float32 and float64; the IR has no complex numbers"


def routine_options(command: Command) -> Command:
    """Add the letters of sizes and of BLAS's options, and the type of the numbers."""
    for name, letters in reversed(list(OPTIONS.items())):
        meaning = "; ".join(f"`{letter}`: {said}" for letter, said in letters.items())
        choice = click.Choice(tuple(letters), case_sensitive=False)
        command = click.option(f"--{name}", type=choice, help=f"{meaning}.")(command)
    for letter in "knm":
        command = click.option(f"-{letter}", letter, type=click.IntRange(1, 2**31 - 1), metavar="N", help="A size.")(
            command
        )
    return click.option("--dtype", type=click.Choice(("f32", "f64")), help="Type of the numbers.  [default: f32]")(
        command
    )


@click.group()
def blas() -> None:
    """19 BLAS routines of levels 1 to 3 as programs. ROUTINE is gemm, or sgemm or dgemm.

    Missing are syr, syr2, syr2k, rotg, rotm, and the banded and packed routines.
    """


@blas.command("ls")
@json_option
def ls(as_json: bool) -> None:
    """List the routines: their sizes and options, what each computes, and whether it has a pullback."""
    from netc.codegen.blas import ROUTINES

    rows = [_about(routine) for routine in ROUTINES.values()]
    if as_json:
        print_json(rows)
        return
    from netc.cli.views.table import Column, print_line, print_table

    columns = (Column("level"), Column("routine", style="cyan"), Column("computes"), Column("sizes"), Column("options"),
               Column("pullback"))  # fmt: skip
    print_table(
        columns,
        [
            (str(row["level"]), row["routine"], row["computes"], " ".join(row["sizes"]), " ".join(row["options"]),
             "yes" if row["pullback"] else "none: an index")
            for row in rows
        ],
    )  # fmt: skip
    print_line(f"of {NO_COMPLEX}")


def _about(routine: Routine) -> dict[str, Any]:
    return {
        "routine": routine.name, "level": routine.level, "computes": routine.equation, "sizes": list(routine.sizes),
        "options": list(routine.options), "operands": [operand.name for operand in routine.operands],
        "results": list(routine.results), "dtypes": ["f32", "f64"], "pullback": routine.differentiable,
    }  # fmt: skip


@blas.command("emit")
@click.argument("routine")
@routine_options
@click.option("--vjp", is_flag=True, help="Write the pullback too, as a function ROUTINE_vjp.")
@click.option("--target", help="Write the text for this target.  [default: portable StableHLO]")
@click.option("-o", "--out", type=OUT_FILE, help="File to write.  [default: standard output]")
def emit(routine: str, dtype: DType | None, vjp: bool, target: str | None, out: Path | None, **words: Any) -> None:
    """Write ROUTINE of these sizes as StableHLO or, with --target c, as C."""
    from netc.codegen.blas.program import blas_module, find_routine
    from netc.codegen.rewrite.lower import lower
    from netc.codegen.text import text_of
    from netc.runtime.files import made_for, write_whole

    row, kind = find_routine(routine, dtype)
    where = _target(target, kind)
    module = lower(blas_module(row, *_given(words), kind, pullback=vjp), where.profile)
    text = text_of(module, where.profile)
    if out is None:
        write(text)
        return
    write_whole(made_for(out), text)
    say(f"{out}  {row.name} in {text.count(chr(10)):,} lines")


@blas.command("certify")
@click.argument("routine", required=False)
@routine_options
@click.option("--target", help="Certify the text for this target.  [default: portable StableHLO]")
@json_option
def certify(routine: str | None, dtype: DType | None, target: str | None, as_json: bool, **words: Any) -> None:
    """Check in exact arithmetic that ROUTINE's pullback is its derivative; without ROUTINE, every one.

    Options that are not given are tried with every letter, and sizes are 3, 5 and 4. The exit code is 0 if all hold,
    otherwise 1.
    """
    from netc.codegen.blas import ROUTINES
    from netc.codegen.blas.program import find_routine
    from netc.netspec.errors import UserError

    sizes, letters = _given(words)
    if routine is None and (sizes or letters):
        raise UserError(
            f"`{next(iter((*sizes, *letters)))}` applies to one routine, got none; name one, or leave it out"
        )
    rows = [row for row in ROUTINES.values() if row.differentiable]
    kind: DType = dtype or "f32"
    if routine is not None:
        row, kind = find_routine(routine, dtype)
        rows = [row]
        sizes = {**{n: size for n, size in SMALL.items() if n in row.sizes}, **sizes}
    where = _target(target, kind)
    found = [made for row in rows for made in _certified(row, sizes, letters, kind, where)]
    if as_json:
        print_json([c.to_json() for c in found])
    else:
        _show(found)
    if not all(c.holds for c in found):
        click.get_current_context().exit(1)


def _certified(
    row: Routine, sizes: Mapping[str, int], letters: Mapping[str, str], kind: DType, where: Target
) -> Iterator[Certificate]:
    """With every letter of the options that are not given."""
    from netc.codegen.blas.program import check_letters
    from netc.proofs_oracle.certificate.routines import certify_routine
    from netc.proofs_oracle.certificate.statement import Settings

    check_letters(row, letters)
    sizes = sizes or {n: size for n, size in SMALL.items() if n in row.sizes}
    for made in itertools.product(*([letters[o]] if o in letters else OPTIONS[o] for o in row.options)):
        yield certify_routine(row, sizes, dict(zip(row.options, made, strict=True)), kind, Settings(4), where)


def _show(found: list[Certificate]) -> None:
    from netc.cli.certify import VERDICTS
    from netc.cli.views.table import Column, Styled, print_line, print_table

    rows = [
        (s.name, f"{s.degree:,}", f"2^{s.failure:.0f}", Styled(*VERDICTS[s.verdict]))
        for c in found
        for s in c.statements
    ]
    print_table(
        (Column("routine", fit="wrap"), Column("degree", right=True), Column("false with", right=True),
         Column("holds")), rows,
    )  # fmt: skip
    for sentence in found[0].assumptions if found else ():
        print_line(f"assumed: {sentence}")


def _given(words: Mapping[str, Any]) -> tuple[dict[str, int], dict[str, str]]:
    """The sizes and the letters that were typed."""
    sizes = {letter: words[letter] for letter in "mnk" if words[letter] is not None}
    return sizes, {name: words[name] for name in OPTIONS if words[name] is not None}


def _target(word: str | None, dtype: DType) -> Target:
    """The target; raises UserError where it has no float64."""
    from netc.netspec.errors import UserError
    from netc.runtime.target import PLAIN, TARGETS, parse_target

    where = PLAIN if word is None else parse_target(word)
    if dtype == "f64" and not (where.f64 or where is PLAIN):
        able = ", ".join(row.form for row in TARGETS.values() if row.f64)
        raise UserError(f"`dtype=f64` wants the target {able}, got {where.word}; use f32, or another `target`")
    return where
