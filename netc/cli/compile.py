"""`netc compile`: a network's training program as an artefact of IREE."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netc.cli.console import say
from netc.cli.lean_config import config_option
from netc.cli.options import BATCH, complete_net, net_options, tuned_choices, tuned_line, tuned_option, warn
from netc.cli.out_path import OUT_FILE
from netc.cli.program import built_program, refuse_untuned_sampler, sampler_option
from netc.cli.recipe_options import memory_budget_option, recipe_options, steps_per_call_option
from netc.cli.sections import Sectioned

if TYPE_CHECKING:
    from netc.netspec.batch import Batch
    from netc.runtime.prepare import Prepared


@click.command("compile", cls=Sectioned)
@click.argument("net", metavar="NET", shell_complete=complete_net)
@net_options
@click.option("--target", default="cpu", show_default=True, help="Target: cpu, cuda:sm_89, rocm:gfx1100, vulkan, ..")
@click.option("--batch", type=BATCH, default=32, show_default=True, help="Batch size.")
@tuned_option
@config_option
@recipe_options
@memory_budget_option
@steps_per_call_option
@sampler_option
@click.option(
    "--profile",
    "profiled",
    is_flag=True,
    help="Also compile it kernel by kernel: print the time by phase and by layer.",
)
@click.option("-o", "-F", "--out", type=OUT_FILE, required=True, help="Output .vmfb file.")
def compile_(
    net: str,
    target: str,
    batch: Batch,
    tuned: bool,
    sampler: bool,
    profiled: bool,
    out: Path,
    **words: Any,
) -> None:
    """Compile NET's training program for a target. The device itself is not needed.

    The manifest OUT.json lists every argument and result in order, and the compiler with its version and flags.
    """
    from netc.cli.views.waiting import watched_cache
    from netc.compiling import save_artefact
    from netc.netspec.errors import UserError
    from netc.programs import within_budget
    from netc.runtime.prepare import prepare
    from netc.runtime.target import parse_target

    where = parse_target(target)
    if not where.ahead:
        raise UserError(
            f"--target wants cpu, cuda:.., rocm:.. or vulkan here, got {target!r}; {target} compiles when it loads"
        )
    refuse_untuned_sampler(sampler=sampler, tuned=tuned)
    choices = tuned_choices(target, tuned=tuned and not sampler)
    fit = partial(within_budget, target=target, forms=choices, note=warn)
    program = built_program(net, sampler=sampler, target=where, ranges=True, fit=fit)
    prepared = prepare(program, where, watched_cache(), choices)
    save_artefact(prepared, out)
    how = "from the cache" if prepared.cached else f"compiled in {prepared.compilation:.1f} s"
    if prepared.choices:
        say(tuned_line(prepared.choices), err=True)
    say(f"{out}  {out.stat().st_size:,} bytes for {target}, {how}")
    if profiled:
        _profile(prepared)


def _profile(prepared: Prepared) -> None:
    """Print where the time of the compile goes."""
    from netc.cli.views import compile_profile as view
    from netc.cli.views.waiting import waiting
    from netc.runtime.measure.compile_profile import compile_profile

    source = prepared.source
    with waiting("compiling kernel by kernel", "compiled") as live:
        found = compile_profile(source.text, source.module, prepared.target, live.more or (lambda said: None))
    view.show(found)
