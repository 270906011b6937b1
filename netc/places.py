"""Where in a file a value stands that an error speaks of: `mine.toml:7: lr wants a positive number, got -1`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from netc.netspec.errors import UserError

Places = Mapping[str, str]
"""Words, and where their values stand: FILE:LINE."""

_SUBJECT = re.compile(r"`([a-z][a-z0-9_]*)(?:=[^`]*)?`|(?:^|: )([a-z][a-z0-9_]*) want")


@contextmanager
def placed(places: Places, about: str = "") -> Iterator[None]:
    """Let each sentence of a UserError begin with the place of the value that it speaks of, if that came from a file.

    A sentence that names no such word speaks `about` one, or stays as it is.
    """
    try:
        yield
    except UserError as error:
        said = str(error)
        if places and said == (text := "\n".join(map(str, error.args))):
            first, *others = text.split("\n")
            sentences = (_placed(first, places, about), *(_placed(line, places) for line in others))
            error.args = ("\n".join(sentences),)
        raise


def _placed(sentence: str, places: Places, about: str = "") -> str:
    wanted, semicolon, advice = sentence.partition("; ")
    named = [backticked or bare for backticked, bare in _SUBJECT.findall(wanted)]
    word = next((name for name in named if name in places), about if about in places and not named else "")
    if not word or any(sentence.startswith(place) for place in places.values()):
        return sentence
    for name in places.keys() & set(named):  # as the file spells it
        wanted = re.sub(f"`({name}(?:=[^`]*)?)`", r"\1", wanted)
    return f"{places[word]}: {wanted}{semicolon}{advice}"
