"""Tables on the terminal: fitted to its width there, plain and whole in a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from netc.cli.console import line, printable, say, terminal, write

if TYPE_CHECKING:
    from rich.console import OverflowMethod
    from rich.text import Text

GAP = 3  # between columns
NARROWEST = 12  # that a column which can be cut or wrapped becomes


@dataclass(frozen=True)
class Column:
    """A heading. `right` aligns numbers; `fit` is what happens where the terminal is too narrow.

    keep: never cut; cut: ends in an ellipsis; wrap: goes on in the next line.
    """

    heading: str
    right: bool = False
    fit: str = "keep"
    style: str = ""


@dataclass(frozen=True)
class Styled:
    """A cell with a style of its own (rich's words: `red`, `bold`, `dim`)."""

    text: str
    style: str


Cell = str | Styled


def _text(cell: Cell) -> Text:
    from rich.text import Text

    return Text(printable(cell.text), cell.style) if isinstance(cell, Styled) else Text(printable(cell))


def print_table(columns: Sequence[Column], rows: Iterable[Sequence[Cell]], footer: Sequence[Cell] = ()) -> None:
    """Print a table on standard output, with a last row of totals where there is one."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    screen = terminal()
    heads = tuple(_text(column.heading) for column in columns)
    feet = tuple(map(_text, footer)) or (Text(""),) * len(columns)
    body = [tuple(map(_text, row)) for row in rows]
    widest = [max(text.cell_len for text in texts) for texts in zip(heads, feet, *body, strict=True)]
    widths = _fitted(columns, widest, screen.width - GAP * (len(columns) - 1)) if screen.is_terminal else widest
    table = Table(
        box=box.SIMPLE if screen.is_terminal else None,
        show_edge=False,
        pad_edge=False,
        show_footer=bool(footer),
        header_style="bold",
        footer_style="bold",
    )
    for column, head, foot, width in zip(columns, heads, feet, widths, strict=True):
        overflow: OverflowMethod = "ellipsis" if column.fit == "cut" else "fold"
        table.add_column(
            head,
            foot,
            justify="right" if column.right else "left",
            style=column.style,
            no_wrap=column.fit != "wrap",
            overflow=overflow,
            width=width,
        )
    for row in body:
        table.add_row(*row)
    # A console that is wide enough for the fitted widths: rich would else take the excess from any column.
    console = terminal(width=sum(widths) + GAP * len(widths))
    with console.capture() as capture:
        console.print(table)
    lines = capture.get().splitlines()
    write("".join(f"{row if screen.is_terminal else row.rstrip()}\n" for row in lines))


def _fitted(columns: Sequence[Column], widest: Sequence[int], room: int) -> list[int]:
    """The columns' widths where there is room for so many characters: what is cut gives way first, then what wraps."""
    widths = list(widest)
    for fit in ("cut", "wrap"):
        for index, column in enumerate(columns):
            excess = sum(widths) - room
            if column.fit == fit and excess > 0:
                widths[index] = max(widths[index] - excess, min(NARROWEST, widths[index]))
    return widths


def print_line(text: str, style: str = "") -> None:
    """Print a line; it is coloured on a terminal only, and wrapped between words there."""
    screen = terminal()
    if screen.is_terminal:
        line(screen, text, style)
    else:
        say(text)
