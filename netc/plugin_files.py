"""A plugin's file, in Python or in Lean."""

from __future__ import annotations

from pathlib import Path


def load_plugin(path: Path | str) -> None:
    """Import a Python file that adds words, or add the functions of a Lean file that have a derivative as activations.

    Once. Raises UserError if there is no such file, or one that names what is wrong in it.
    """
    if Path(path).suffix == ".lean":
        from netc.kernels.activation import load_lean

        load_lean(path)
        return
    from netc.netspec.plugins import load_file

    load_file(path)
