"""`netc data`: the data sets that netc knows by name."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netc.cli.console import say, terminal
from netc.cli.options import json_option, print_json
from netc.cli.out_path import OUT_FOLDER
from netc.cli.spelling import spelled_here
from netc.netspec.counting import counted

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from netc.cli.views.table import Cell
    from netc.runtime.data.catalog import Status


@click.group()
def data() -> None:
    """List, download and tokenize datasets."""


def complete_data(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of the catalogue that begin like that."""
    from click.shell_completion import CompletionItem

    from netc.runtime.data.catalog import DATASETS

    return [CompletionItem(name) for name in DATASETS if name.startswith(incomplete)]


@data.command("ls")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Folder with the datasets' files.")
@json_option
def ls(data_dir: Path | None, as_json: bool) -> None:
    """List the datasets, and where each is or how to get it.

    The last table has the forms in which --data takes your own data, such as imagefolder:PATH.
    """
    from netc.runtime.cache.folders import data_cache
    from netc.runtime.data.catalog import status

    found = status(data_cache(), data_dir=data_dir)
    if as_json:
        print_json([asdict(one) for one in found])
    else:
        _show(found)


def _show(found: tuple[Status, ...]) -> None:
    from netc.cli.views.figures import shape
    from netc.cli.views.table import Column, Styled, print_line, print_table
    from netc.runtime.data.own import OWN_FORMS, own_names

    columns = (
        Column("data", style="cyan"),
        Column("examples", right=True),
        Column("size", right=True),
        Column("classes", right=True),
        Column("here"),
        Column("licence", fit="wrap", style="dim"),
    )
    rows: list[tuple[Cell, ...]] = [
        (
            one.name,
            f"{one.images:,}",
            shape(one.size) if one.size else "text",
            str(one.classes),
            Styled("yes", "green") if one.where else Styled("no", "yellow"),
            one.licence,
        )
        for one in found
    ]
    print_table(columns, rows)
    print_line("")
    places = (Column("data", style="cyan"), Column("where it is, or how to get it", fit="wrap"))
    print_table(
        places, [(one.name, one.where or spelled_here(one.how).removeprefix("get it by one of: ")) for one in found]
    )
    print_line("")
    forms = (Column("your own data", style="cyan"), Column("what it is", fit="wrap"))
    print_table(forms, [(name, form.about) for name, form in zip(own_names(), OWN_FORMS.values(), strict=True)])


@data.command("get")
@click.argument("name", shell_complete=complete_data)
def get(name: str) -> None:
    """Download and verify the dataset NAME, and print its folder.

    Files that are already there and correct are not downloaded again, nor what a package of the operating system holds.
    """
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bars

    from netc.runtime.cache.folders import data_cache
    from netc.runtime.data.catalog import fetch
    from netc.runtime.data.download import Progress

    console = terminal(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(compact=True),
    )
    with Bars(*columns, console=console, disable=not console.is_terminal, transient=True, expand=True) as bars:
        tasks = {}

        def show(progress: Progress) -> None:
            if progress.file not in tasks:
                tasks[progress.file] = bars.add_task(progress.file, total=progress.total)
            bars.update(tasks[progress.file], completed=progress.done)

        folder = fetch(name, data_cache(), progress=show)
    if not folder.is_relative_to(data_cache()):
        say(f"{name} is installed as a package of the operating system; nothing was downloaded", err=True)
    say(folder)


@data.command("tokenize")
@click.argument("texts", metavar="IN..", nargs=-1, required=True)
@click.option("-o", "--out", type=OUT_FOLDER, required=True, help="Folder for the files.")
@click.option("--tokenizer", default="char", show_default=True, help="char, byte, bpe:SIZE or a path.")
@click.option("--shard", type=click.IntRange(1024), default=100_000_000, show_default=True, help="Tokens in a file.")
@click.option("--header", is_flag=True, help="Begin each file as modded-nanoGPT does.")
@json_option
def tokenize(texts: tuple[str, ...], out: Path, tokenizer: str, shard: int, header: bool, as_json: bool) -> None:
    """Write the tokens of texts as .bin files, for --data tokens:DIR.

    IN is a data set of text, such as shakespeare, a text file, or a folder of .txt files.
    """
    from netc.tokenizing import tokenized

    found = tokenized(texts, out, tokenizer, shard=shard, header=header)
    if as_json:
        print_json(asdict(found))
        return
    said = f"{found.train:,} tokens to train on and {found.test:,} for the test, of {found.vocabulary:,} kinds"
    say(f"{out}: {said}, in {counted(found.files, 'file')}; next: netc train tiny-gpt --data tokens:{out}")
