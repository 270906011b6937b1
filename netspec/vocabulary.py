"""A vocabulary: the words of one kind of thing, each with its row, and what else people call them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, field, fields
from typing import Any, Generic, TypeVar

from netc.netspec.errors import UserError
from netc.netspec.nearest import fold, near
from netc.netspec.plugins import load_installed

Row = TypeVar("Row")


def option(default: Any, about: str, *, flag: str = "", later: bool = False) -> Any:
    """A field of a row that is an option: `about` is its line of help, `flag` its name on a command line if another.

    `later`: it came after records of this class were first written; they leave it out where it has its default, so that
    the header of a trace that does not use it is what it always was.
    """
    return field(default=default, metadata={"help": about, "flag": flag, "later": later})


def part(default: Any) -> Any:
    """A field that is itself a dataclass of options, whose names are flat words beside those of its holder.

    It came later: records leave it out where it is `default`.
    """
    return field(default=default, metadata={"part": type(default), "later": True})


def option_parts_of(cls: Any) -> dict[str, type]:
    """The fields of a dataclass that are parts, by name, each with its class."""
    return {f.name: f.metadata["part"] for f in fields(cls) if "part" in f.metadata}


def options_of(cls: Any) -> dict[str, Field[Any]]:
    """The fields of a dataclass that are options, by name."""
    return {f.name: f for f in fields(cls) if "help" in f.metadata}


def default_of(f: Field[Any]) -> Any:
    """The default of a field, or MISSING."""
    return f.default if f.default_factory is MISSING else f.default_factory()


class Vocabulary(Mapping[str, Row], Generic[Row]):
    """Rows by their words, in the order in which they were added. Adding a row is all that a new word needs.

    `what` is what a row is: `optimizer`. As a mapping it knows the words alone; `word` and `find` also take aliases,
    and any word in other capitals or with other hyphens and underscores: `SGD`, `leaky_relu`, `LayerNorm`.
    """

    def __init__(self, what: str, many: str = "") -> None:
        self.what = what
        self.many = many  # how a message names the words, where they are too many to list
        self._rows: dict[str, Row] = {}
        self._short: dict[str, str] = {}  # word -> its shortest alias
        self._words: dict[str, str] = {}  # what may be given, folded -> the word
        self._meant: dict[str, str] = {}  # what is none, folded -> the word that comes nearest in what it does

    def __getitem__(self, word: str) -> Row:
        return self._rows[word]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, word: str, row: Row, *aliases: str) -> Row:
        """Add a row and return it; raises UserError if the vocabulary has the word, or an alias, already."""
        names = {fold(name): name for name in (word, *aliases)}
        for folded, name in names.items():
            if folded in self._words:
                raise UserError(f"{self.what} {name!r} exists already; choose another word")
        self._rows[word] = row
        if aliases:
            self._short[word] = min(aliases, key=len)
        self._words |= dict.fromkeys(names, word)
        return row

    def hint(self, word: str, *names: str) -> None:
        """Let the message about these names, which mean nearly the same and are no aliases, propose the word."""
        self._meant |= {fold(name): word for name in names}

    def word(self, given: object) -> str | None:
        """The word that was meant, if it is one, an alias, or a word spelled otherwise; of installed plugins, too."""
        if not isinstance(given, str):
            return None
        folded = fold(given)
        if folded not in self._words:
            load_installed()
        return self._words.get(folded)

    def find(self, given: object, name: str = "") -> Row:
        """The row of a word or alias; raises UserError, which calls what was given `name`."""
        word = self.word(given)
        if word is None:
            raise UserError(self.problem(given, name))
        return self._rows[word]

    def problem(self, given: object, name: str = "") -> str:
        """The sentence that refuses a word: what was wanted, what came, and which words are near."""
        known = self.many or f"one of {', '.join(self)}"
        near = self.near(given)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        return f"{name or self.what} wants {known}, got {_shown(given)}{hint}"

    def with_short(self, word: str) -> str:
        """The word, with its shortest alias where that is half as long: `meanSquaredError (mse)`."""
        short = self._short.get(word, word)
        return f"{word} ({short})" if 2 * len(short) < len(word) else word

    def near(self, given: object) -> tuple[str, ...]:
        """The words, at most three, of which one may have been meant."""
        if not isinstance(given, str):
            return ()
        if (meant := self._meant.get(fold(given))) is not None:
            return (meant,)
        return tuple(dict.fromkeys(self._words[name] for name in near(given, self._words)))


def _shown(given: object) -> str:
    if given is None:
        return "nothing"
    text = repr(given) if not isinstance(given, int) or abs(given) < 1 << 64 else "an enormous number"
    return text if len(text) <= 80 else f"{text[:80]}.."
