"""`netc certify`: an exact check that a program's gradients are the derivatives of its loss."""

from __future__ import annotations

import ctypes
import json
import os
import sys
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netc.cli.console import say, terminal
from netc.cli.lean_config import config_option
from netc.cli.options import complete_net, json_option, net_options, print_json
from netc.cli.out_path import OUT_FILE
from netc.cli.program import program_request
from netc.cli.recipe_options import recipe_options, replicas_option
from netc.cli.sections import Sectioned
from netc.cli.spelling import spelled_here
from netc.cli.text_files import LossWord, file_options, is_text, manifest_of, program_of, refuse_unused
from netc.netspec.loss import LOSSES

if TYPE_CHECKING:
    from netc.programs import ProgramRequest
    from netc.proofs_oracle.certificate.certify import Certificate
    from netc.proofs_oracle.certificate.statement import Settings, Statement


MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1  # of glibc's malloc.h
VERDICTS = {"holds": ("yes", "green"), "false": ("NO", "bold red"), "undecided": ("undecided", "yellow")}


OF_FILE = frozenset(("manifest", "function", "wrt", "updates", "scale", "ids"))
OF_BOTH = frozenset(("net", "loss", "primes", "points", "seed", "literals", "as_json", "out"))


@click.command(cls=Sectioned)
@click.argument("net", metavar="NET|FILE.mlir", shell_complete=complete_net)
@net_options
@click.option("--target", default="cpu", show_default=True, help="Check the text that is compiled for this target.")
@click.option("--batch", type=click.IntRange(min=1), default=2, show_default=True, help="Batch size.")
@config_option
@recipe_options
@replicas_option
@click.option(
    "--layers", "alone", is_flag=True, help="Check each distinct layer of NET alone instead of the whole text."
)
@click.option(
    "--primes", type=click.IntRange(1, 32), help="Number of primes near 2^26.  [default: 3 or 4, 8, 16, as needed]"
)
@click.option(
    "--points", type=click.IntRange(min=1), default=1, show_default=True, help="Minimum number of random points."
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Random seed of primes and points."
)
@click.option(
    "--literals", type=click.Choice(("rounded", "exact")), default="rounded", show_default=True,
    help="Read 0.33333334 as 1/3, or as the exact dyadic number.",
)  # fmt: skip
@file_options("check")
@click.option("--scale", default="1", metavar="FRACTION", help="For FILE: results are this times the gradients.")
@click.option(
    "--ids",
    type=click.IntRange(min=1),
    help="For FILE: bound of integer inputs.  [default: the size that they index, otherwise 10]",
)
@json_option
@click.option("-o", "--out", type=OUT_FILE, help="Write the certificate to this file, as JSON.")
def certify(
    net: str, target: str, batch: int, alone: bool, primes: int | None,
    points: int, seed: int, literals: str, manifest: Path | None, function: str | None,
    wrt: tuple[str, ...], updates: tuple[str, ...], scale: str, ids: int | None,
    as_json: bool, out: Path | None, **words: Any,
) -> None:  # fmt: skip
    """Check in exact arithmetic, over prime fields, that a backward pass is the derivative of its forward pass.

    For NET, this checks the train step in the text that `netc compile` compiles for the target. FILE.mlir may be any
    StableHLO: --manifest, --wrt or --update say which results are gradients or updates; otherwise they are detected.
    The loss is result 0 or the only scalar result; --loss NUMBER names another one, and --loss none says that there is
    none. The exit code is 0 if the claim holds, otherwise 1.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the primes are spread over threads already
    _keep_memory()
    from netc.proofs_oracle.certificate.statement import Settings

    is_file = is_text(net)
    refuse_unused(net, OF_FILE, OF_BOTH)
    request = None if is_file else program_request(net, batch)

    def judged(count: int) -> Certificate:
        settings = Settings(count, points, seed, literals == "exact")
        if request is None:
            loss = words["loss"] if words["loss"].isdigit() or words["loss"] == "none" else None
            return _file(Path(net), settings, manifest, function, loss, wrt, updates, scale, ids)
        return _net(net, request, target, alone, settings)

    found = judged(primes or 0)
    for count in () if primes else (4, 8, 16):
        if max(len(s.primes) for s in found.statements) >= count:
            continue
        if not found.false and not found.undecided and not found.holds:
            say(f"2^{found.failure:.0f} is too high a chance of error: trying again with {count} primes", err=True)
            found = judged(count)
    if out is not None:
        from netc.runtime.files import made_for, write_whole

        write_whole(made_for(out), json.dumps(found.to_json(), indent=1, allow_nan=False) + "\n")
    if as_json:
        print_json(found.to_json())
    else:
        _show(found)
    if not found.holds:
        click.get_current_context().exit(1)


next(p for p in certify.params if p.name == "loss").type = LossWord(LOSSES)


def _keep_memory() -> None:
    """Let large arrays come from the heap of glibc, where freed ones are taken again.

    Each would be new memory otherwise, and its page faults half of the time of a large text.
    """
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if hasattr(libc, "mallopt"):
        libc.mallopt(MMAP_THRESHOLD, 1 << 30)  # type: ignore[union-attr]
        libc.mallopt(TRIM_THRESHOLD, (1 << 31) - 1)  # type: ignore[union-attr]


def _net(net: str, request: ProgramRequest, target: str, alone: bool, settings: Settings) -> Certificate:
    from netc.proofs_oracle.certificate.certify import certificate_of_layers, certify_layers, certify_program
    from netc.runtime.target import parse_target

    where = parse_target(target)
    program = request.build()
    if not alone:
        return certify_program(program, where, settings)
    return certificate_of_layers(net, settings, tuple(_watched(certify_layers(program, where, settings))))


def _watched(statements: Iterable[Statement]) -> Iterable[Statement]:
    """The statements, with a line on standard error meanwhile."""
    from rich.progress import track

    console = terminal(stderr=True)
    return track(statements, "judging", console=console, transient=True, disable=not console.is_terminal)


def _file(
    path: Path, settings: Settings, manifest: Path | None, function: str | None, loss: str | None,
    wrt: tuple[str, ...], updates: tuple[str, ...], scale: str, ids: int | None,
) -> Certificate:  # fmt: skip
    from netc.netspec.errors import UserError
    from netc.proofs_oracle.certificate.certify import certify_foreign

    described = manifest_of(manifest)
    try:
        factor = Fraction(scale)
    except (ValueError, ZeroDivisionError) as error:
        raise UserError(f"--scale wants a fraction such as 1/10, got {scale!r}") from error
    if not factor:
        raise UserError("--scale wants a number other than 0, got 0")
    return certify_foreign(
        program_of(path), function, settings, manifest=described, loss=loss, wrt=wrt,
        scale=factor, limit=ids, updates=updates,
    )  # fmt: skip


def _show(found: Certificate) -> None:
    from netc.cli.views.table import Column, Styled, print_line, print_table

    right = (Column(heading, right=True) for heading in ("gradients", "degree", "false with"))
    rows = [
        (
            *(s.name, str(len(s.gradients)), f"{s.degree:,}", f"2^{s.failure:.0f}"),
            Styled(*VERDICTS[s.verdict]),
        )
        for s in found.statements
    ]
    print_table((Column("statement", fit="wrap"), *right, Column("holds")), rows)
    for s in found.statements:
        _details(s)
    if found.sha256:
        print_line(f"text: sha256 {found.sha256}")
    for sentence in found.assumptions:
        print_line(f"assumed: {sentence}")
    print_line(spelled_here(found.sentence))


def _details(s: Statement) -> None:

    for name in s.blamed:
        say(f"{'wrong' if s.verdict == 'false' else 'undecided'}: the gradient of {name} in {s.name}")
    if s.why:
        say(f"because: {s.why}")
    if s.never:
        shown = [f"{count:,} of {name}" for name, count in s.never.items()]
        say(
            f"0 at {f'all {s.points} points' if s.points > 1 else 'the one point'}: "
            + ", ".join(shown[:8])
            + (", .." if len(shown) > 8 else "")
        )
    for sentence in s.meaning:
        say(f"read: {sentence}")
    if s.readings:
        say("literals: " + ", ".join(f"{v!r} as {n.text}" for v, n in s.readings.items()))
    if s.functions:
        say("by their differential identities: " + ", ".join(s.functions))
    for sentence in s.identities.sentences:
        say(f"needs: {sentence}")
