"""`netc atlas`: a net's training step as a page to walk through."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from netc.cli.console import say
from netc.cli.lean_config import config_option
from netc.cli.options import complete_net, net_options
from netc.cli.out_path import OUT_FILE
from netc.cli.program import program_request
from netc.cli.recipe_options import recipe_options
from netc.cli.sections import Sectioned


@click.command("atlas", cls=Sectioned)
@click.argument("net", metavar="NET", shell_complete=complete_net)
@net_options
@click.option("--batch", type=int, default=32, show_default=True, help="Batch size.")
@click.option("--depth", type=click.IntRange(min=0), help="Levels of nested layers in the graph.  [default: what fits]")
@click.option("--profile", type=click.Path(path_type=Path), help="What `netc profile --json` printed, for times.")
@click.option("--check", is_flag=True, help="Run the oracle on the net's layers, and certify the text of the step.")
@config_option
@recipe_options
@click.option("-o", "--out", type=OUT_FILE, help="The page to write.  [default: NET-atlas.html]")
def atlas(
    net: str, batch: int, depth: int | None, profile: Path | None, check: bool, out: Path | None, **words: Any
) -> None:
    """Write one training step of NET as a self-contained HTML page to explore.

    The page has the net's graph and, for each layer, its equation, shapes, cost and evidence, and its forward and
    backward text side by side, each line under the algebra of the rule that emitted it.
    """
    from netc.reports.atlas import atlas as write
    from netc.reports.atlas import checked
    from netc.reports.page import read_json
    from netc.runtime.files import file_name

    request = program_request(net, batch)
    page = write(
        request.net, out or Path(f"{file_name(request.net.spec.name)}-atlas.html"), recipe=request.recipe, batch=batch,
        depth=depth, profile=None if profile is None else read_json(profile, "profile"),
        evidence=checked(request.net, request.recipe, batch) if check else None,
    )  # fmt: skip
    say(f"wrote {page} ({page.stat().st_size / 1e3:,.0f} kB)")
