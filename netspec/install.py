"""The command that installs one of netc's extras, for errors about a package that is missing."""

from __future__ import annotations

import importlib.metadata
import json
import shlex
from urllib.parse import urlsplit
from urllib.request import url2pathname


def install_extra(extra: str) -> str:
    """`pip install 'netc[oracle]'`, or for a checkout that was installed with `-e` that checkout's line.

    pip writes down where a distribution came from in `direct_url.json` (PEP 610).
    """
    try:
        origin = json.loads(importlib.metadata.distribution("netc").read_text("direct_url.json") or "{}")
    except importlib.metadata.PackageNotFoundError:
        origin = {}
    if origin.get("dir_info", {}).get("editable"):
        checkout = url2pathname(urlsplit(origin["url"]).path)
        return f"pip install -e {shlex.quote(f'{checkout}[{extra}]')}"
    return f"pip install 'netc[{extra}]'"
