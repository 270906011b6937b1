"""`netc recipes`: the trainings that netc ships, each a file for `netc train --config`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from netc.cli.console import write
from netc.cli.options import json_option, print_json

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


@click.group()
def recipes() -> None:
    """List the recipes that netc ships, or show one as a file to start from."""


def complete_recipe(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of recipes that begin like that."""
    from click.shell_completion import CompletionItem

    from netc.config_file import recipe_names

    return [CompletionItem(name) for name in recipe_names() if name.startswith(incomplete)]


@recipes.command("ls")
@json_option
def ls(as_json: bool) -> None:
    """List the recipes, and what each is for."""
    from netc.cli.views.table import Column, print_line, print_table
    from netc.config_file import read_recipe, recipe_about, recipe_names

    nets = {name: read_recipe(name).words.get("net", "any") for name in recipe_names()}
    rows = [(name, str(getattr(net, "name", net)), recipe_about(name)) for name, net in nets.items()]
    if as_json:
        print_json([{"recipe": name, "net": net, "about": about} for name, net, about in rows])
        return
    columns = (Column("recipe", style="cyan"), Column("net"), Column("about", fit="wrap"))
    print_table(columns, rows)
    print_line("")
    print_line("Train with one: netc train --recipe NAME, or netc train NET --recipe NAME.")


@recipes.command("show", short_help="Print the file of a recipe.")
@click.argument("recipe", metavar="NAME", shell_complete=complete_recipe)
def show(recipe: str) -> None:
    """Print the file of a recipe: `netc recipes show digits > mine.toml`, then `netc train --config mine.toml`."""
    from netc.config_file import recipe_text

    write(recipe_text(recipe))
