"""The text of a spec's file."""

from __future__ import annotations

from pathlib import Path

from netc.netspec.errors import UserError


def read_text(path: Path, largest: int, what: str, advice: str) -> str:
    """The UTF-8 text of a file of at most `largest` bytes, without a byte order mark.

    Raises UserError for one that is larger or cannot be read.
    A file that is too large `wants {what}at most ..; {advice}`.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(largest + 1)  # not all of it: /dev/zero has no end, and says that it is empty
        if len(raw) > largest:
            size = path.stat().st_size if path.is_file() else "more"
            raise UserError(f"{path}: wants {what}at most {largest} bytes, got {size}; {advice}")
        return raw.decode("utf-8-sig")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the name") from error
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: wants UTF-8 text, got byte {error.object[error.start]:#04x} at {error.start}; save it as UTF-8"
        ) from error
