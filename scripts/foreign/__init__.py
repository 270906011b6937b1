"""Other people's programs: a table of steps, by family, that `netc certify` is asked about."""

from __future__ import annotations

import importlib
import importlib.util

from foreign.row import ROWS as ROWS

# family -> its module, and the library that it needs beside JAX and optax
MODULES = {
    "tutorial": ("tutorials", None),
    "activations": ("functions", None),
    "losses": ("functions", None),
    "images": ("layers", None),
    "sequences": ("layers", None),
    "tokens": ("layers", None),
    "optax steps": ("steps", None),
    "flax linen": ("flax_linen", "flax"),
    "flax nnx": ("flax_nnx", "flax"),
    "equinox": ("equinox_steps", "equinox"),
    "by hand": ("by_hand", None),
    "planted": ("planted", None),
    "texts": ("texts", None),
}
FAMILIES = tuple(MODULES)


def missing() -> list[str]:
    """Libraries whose rows are left out."""
    return sorted({need for _, need in MODULES.values() if need and importlib.util.find_spec(need) is None})


for _module, _need in MODULES.values():
    if _need is None or importlib.util.find_spec(_need):
        importlib.import_module(f"foreign.{_module}")
