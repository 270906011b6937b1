"""`netc launch`: a training in several processes of this machine."""

from __future__ import annotations

import click

from netc.cli.console import say
from netc.cli.lasting import lasting_output


@click.command("launch", context_settings={"ignore_unknown_options": True})
@click.option(
    "-n", "--processes", "count", type=click.IntRange(min=1), required=True, metavar="N", help="Number of processes."
)
@click.option(
    "--restarts",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="R",
    help="Restart from the last checkpoint up to R times after a process fails or is killed.",
)
@click.option("--elastic", is_flag=True, help="Restart with fewer processes.")
@click.option("--cores", type=click.IntRange(min=1), metavar="K", help="Pin each process to K cores.  [default: none]")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="-- train NET ...")
@click.pass_context
def launch(
    context: click.Context, count: int, restarts: int, elastic: bool, cores: int | None, words: tuple[str, ...]
) -> None:  # fmt: skip
    """Train in N processes that share each batch, on target xla.

    For example, `netc launch -n 2 -- train mnist-mlp --target xla`. If one process fails, is killed or hangs, the
    others stop too. Ctrl-C and SIGTERM are passed on, and the run is saved.
    """
    from netc.netspec.errors import UserError
    from netc.runtime.processes import launch as starter

    if words[:1] != ("train",):
        got = words[0] if words else "nothing"
        raise UserError(f"launch wants `train` and its options after --, got {got}; write netc launch -n 2 -- train ..")
    if elastic and not restarts:
        raise UserError("`elastic` belongs to `restarts`, got none; give `restarts=3`, or leave it out")
    asked = starter.Launch(words[1:], count, restarts, elastic, cores or 0)
    with lasting_output():
        code = starter.launch(asked, say, lambda text: say(text, err=True))
    context.exit(code)
