"""The one place that writes to the terminal: a user's text is shown as it is, and never acted on.

Names of files, classes, nets and layers come from elsewhere. Rich would read `[/y]` in them as markup and `:dog:` as a
picture, and a terminal would obey their escape sequences. So all other modules of the command line print by these
functions, and tests/cli/test_console.py says where one does not.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

JOINERS = "\u200c\u200d"  # which spell words in some scripts, and steer nothing


def printable(text: str) -> str:
    """The text with every control character spelled out: a name from a file must not steer the terminal."""
    return "".join(c if _harmless(c) else repr(c)[1:-1] for c in text)


def _harmless(c: str) -> bool:
    return c.isprintable() or c in JOINERS or unicodedata.category(c) == "Zs"


def say(text: object, *, err: bool = False) -> None:
    """Print one line for a person, on standard output or, with `err`, on standard error."""
    click.echo(printable(str(text)), err=err)


def write(text: str, *, err: bool = False) -> None:
    """Write text for a program as it is, with no end of line of ours: a module, a spec, JSON, a drawn table."""
    click.echo(text, nl=False, err=err)


def terminal(*, stderr: bool = False, **options: Any) -> Console:
    """A console of rich's that takes no text for markup, emoji or something to colour."""
    from rich.console import Console

    return Console(stderr=stderr, markup=False, emoji=False, highlight=False, **options)


def line(console: Console, text: str, style: str = "") -> None:
    """Print one line for a person on a console that draws other things too."""
    from rich.text import Text

    console.print(Text(printable(text), style))
