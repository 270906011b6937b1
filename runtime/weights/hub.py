"""Files of the Hugging Face hub on this machine: its cache, and the package that fetches into it where there is one.

The cache's layout is the hub's own: HF_HOME/hub/models--OWNER--NAME with refs/main, which holds a revision, and
snapshots/REVISION/FILE. Nothing is read but that one file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from netc.netspec.errors import UserError
from netc.runtime.files import read_regular
from netc.runtime.weights.published import Published, published

LONGEST_REF = 200  # bytes
OFFLINE = frozenset({"1", "on", "yes", "true"})


def cache_folder() -> Path:
    """Where the hub keeps its files: HF_HUB_CACHE, else HF_HOME/hub, else ~/.cache/huggingface/hub."""
    if folder := os.environ.get("HF_HUB_CACHE"):
        return Path(folder).expanduser()
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    return Path(home).expanduser() / "hub"


def cached(row: Published) -> Path | None:
    """The file in the cache: of the revision that `main` names there, or else the newest that has it; None without."""
    folder = cache_folder() / f"models--{row.repository.replace('/', '--')}"
    try:
        revision = read_regular(folder / "refs" / "main", LONGEST_REF).decode("ascii", "replace").strip()
    except OSError:
        revision = ""
    if revision and "/" not in revision and (path := folder / "snapshots" / revision / row.file).is_file():
        return path
    newest = sorted(_others(folder, row.file), key=lambda path: path.stat().st_mtime, reverse=True)
    return newest[0] if newest else None


def _others(folder: Path, name: str) -> Iterator[Path]:
    snapshots = folder / "snapshots"
    if snapshots.is_dir():
        yield from (each / name for each in snapshots.iterdir() if (each / name).is_file())


def fetched(net: str) -> Path:
    """The first published file of a net's weights that the cache has; else huggingface_hub fetches the first of all.

    Nothing is fetched where HF_HUB_OFFLINE is set. Raises UserError.
    """
    rows = published(net)
    if not rows:
        raise UserError(
            f"`pretrained` wants a net whose weights are published, got {net}; start from a file by `init`, or from "
            "random weights"
        )
    for row in rows:
        if path := cached(row):
            return path
    lines = " or ".join(row.fetch for row in rows[:2])
    if os.environ.get("HF_HUB_OFFLINE", "").lower() in OFFLINE:
        raise UserError(f"`pretrained` wants {rows[0].repository} in {cache_folder()}, got none; fetch it by: {lines}")
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError as error:
        raise UserError(
            f"`pretrained` wants {rows[0].repository} in {cache_folder()}, got none, and no package huggingface_hub; "
            f"fetch it by: {lines}"
        ) from error
    try:
        return Path(hf_hub_download(rows[0].repository, rows[0].file))
    except (HfHubHTTPError, OSError, ValueError) as error:
        said = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise UserError(
            f"`pretrained` wants {rows[0].repository}, which could not be fetched ({said}); try: {lines}"
        ) from error
