"""What mkdocs adds to the site when it builds it: the atlas of a small net, made by netc as it is now."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

NET, PAGE = "mnist-cnn", "mnist-cnn-atlas.html"


def on_files(files: Any, *, config: Any) -> Any:
    """Add the page, which docs/atlas.md links to."""
    from mkdocs.structure.files import File

    from netc.programs import resolve
    from netc.reports.atlas import atlas

    with tempfile.TemporaryDirectory() as folder:
        page = atlas(resolve(NET), Path(folder) / PAGE)
        files.append(File.generated(config, PAGE, content=page.read_text("utf-8")))
    return files
