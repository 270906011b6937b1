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
from traceback import extract_tb

from netc.netspec.errors import NetcError, UserError

GROUP = "netc.layers"
MARK = "netc_plugin_"
"""What the names of plugins' modules begin with."""
_FAILED: list[UserError] = []  # what is wrong with the first installed plugin that fails
_WAITING: list[Callable[[], object]] = []  # what is done once the oracle is imported


def load_file(path: Path | str) -> None:
    """Import a plugin's file, once; raises UserError if there is none, or one that names what the file raises."""
    path = Path(path)
    name = f"{MARK}{path.stem}"
    if is_loaded(name, path):
        return
    if path.suffix != ".py" or not path.is_file():
        why = "; give a FILE.py or FILE.lean" if path.exists() else ": no such file; check the path"
        raise UserError(f"`plugin` wants a Python file, got {path}{why}")
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    assert spec is not None and spec.loader is not None  # it ends in .py
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, NetcError) or not isinstance(error, Exception):
            raise
        lines = [frame.lineno for frame in extract_tb(error.__traceback__) if frame.filename == spec.origin]
        where = f"{path}, line {lines[-1]}" if lines else f"{path}"
        raise UserError(
            f"`plugin` wants a file that can be imported, got {type(error).__name__} from {where}: {error}; fix it"
        ) from error


def is_loaded(name: str, path: Path) -> bool:
    """Whether the module of that name was made of this file."""
    known = sys.modules.get(name)
    return known is not None and known.__file__ == str(path.resolve())


def loaded_files() -> tuple[str, ...]:
    """The files that `load_file` has imported."""
    named = (module for name, module in sys.modules.items() if name.startswith(MARK))
    return tuple(str(module.__file__) for module in named if module.__file__)


def load_installed() -> tuple[str, ...]:
    """Import the plugins of installed packages, once, and return their names; raises UserError for one that fails."""
    if _FAILED:  # a second try would find half of its rows there
        raise _FAILED[0]
    return _installed()


@lru_cache(maxsize=1)
def _installed() -> tuple[str, ...]:
    from importlib.metadata import entry_points

    found = tuple(entry_points(group=GROUP))
    for point in found:
        try:
            point.load()
        except Exception as error:  # somebody else's code may raise anything
            failed = UserError(
                f"the plugin {point.name} wants to be imported from {point.value}, got {type(error).__name__}: {error}"
                "; fix or uninstall it"
            )
            _FAILED.append(failed)
            raise failed from error
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
