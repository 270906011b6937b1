"""Plugins: Python files and installed packages that add rows to the vocabularies when they are imported.

A package names its module under the entry point group `netc.layers`. Installed plugins are imported when a word is met
that nothing else knows, or when all words are listed; docs/extending.md shows a plugin.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from netc.netspec.errors import UserError

GROUP = "netc.layers"
_WAITING: list[Callable[[], object]] = []  # what is done once the oracle is imported


def load_file(path: Path | str) -> None:
    """Import a plugin's file, once; raises UserError if there is none. What the file itself raises comes through."""
    path = Path(path)
    name = f"netc_plugin_{path.stem}"
    known = sys.modules.get(name)
    if known is not None and known.__file__ == str(path.resolve()):
        return
    if path.suffix != ".py" or not path.is_file():
        raise UserError(f"`plugin` wants a Python file, got {path}")
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    assert spec is not None and spec.loader is not None  # it ends in .py
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise


@lru_cache(maxsize=1)
def load_installed() -> tuple[str, ...]:
    """Import the plugins of installed packages, once, and return their names; raises UserError for one that fails."""
    from importlib.metadata import entry_points

    found = tuple(entry_points(group=GROUP))
    for point in found:
        try:
            point.load()
        except ImportError as error:
            raise UserError(
                f"the plugin {point.name} wants to be imported from {point.value}, got: {error}; mend or uninstall it"
            ) from error
    return tuple(point.name for point in found)


def for_oracle(add: Callable[[], object]) -> Callable[[], object]:
    """Call `add`, which adds references, once the oracle is imported: a plugin is read without JAX before that."""
    if "netc.proofs_oracle.references" in sys.modules:
        add()
    else:
        _WAITING.append(add)
    return add


def oracle_is_here() -> None:
    """Call what `for_oracle` was given."""
    load_installed()
    while _WAITING:
        _WAITING.pop(0)()
