"""`netc weights`: the published weights that fit a net."""

from __future__ import annotations

import click

from netc.cli.console import say
from netc.cli.options import complete_net, json_option, print_json


@click.command("weights")
@click.argument("net", metavar="NET", shell_complete=complete_net)
@json_option
def weights(net: str, as_json: bool) -> None:
    """List the published weights of NET that netc reads, and how to fetch them.

    They are files of the Hugging Face hub; `netc train --pretrained` takes the first that this machine's cache has.
    """
    from netc.netspec.find import find
    from netc.runtime.weights.hub import cached
    from netc.runtime.weights.published import from_torchvision, published

    name = find(net).name
    rows = [(row, cached(row)) for row in published(name)]
    if as_json:
        print_json([
            {"repository": r.repository, "file": r.file, "names": r.project, "cached": p and str(p), "fetch": r.fetch}
            for r, p in rows
        ])  # fmt: skip
        return
    for row, path in rows:
        say(f"{row.repository}: names of {row.project}, {f'in the cache: {path}' if path else f'fetch: {row.fetch}'}")
    if from_torchvision(name):
        say(f"torchvision has weights of {name} too, as a pickle: netc import {name} FILE.pth says how to convert it")
    if not rows and not from_torchvision(name):
        say(f"netc knows of no published weights of {name}")
