"""Other people's programs: a table of steps, by family, that `netc certify` is asked about."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterable

from foreign.row import ROWS, Row

# family -> its modules, and the library that it needs beside JAX and optax
MODULES = {
    "tutorial": (("tutorials", "tutorial_models", "tutorial_steps"), None),
    "activations": (("functions",), None),
    "losses": (("functions",), None),
    "images": (("images",), None),
    "sequences": (("sequences",), None),
    "tokens": (("tokens",), None),
    "transforms": (("transforms",), None),
    "optax steps": (("steps",), None),
    "updates": (("updates",), None),
    "flax linen": (("flax_linen",), "flax"),
    "flax nnx": (("flax_nnx",), "flax"),
    "equinox": (("equinox_steps",), "equinox"),
    "by hand": (("by_hand",), None),
    "planted": (("planted", "planted_ops"), None),
    "texts": (("texts",), None),
}
FAMILIES = tuple(MODULES)


def missing() -> list[str]:
    """Libraries whose rows are left out."""
    return sorted({need for _, need in MODULES.values() if need and importlib.util.find_spec(need) is None})


def load(families: Iterable[str] = FAMILIES) -> dict[str, Row]:
    """Fill the table with the rows of these families, and of no library that is missing."""
    for family in families:
        modules, need = MODULES[family]
        if need not in missing():
            for module in modules:
                importlib.import_module(f"foreign.{module}")
    return ROWS
