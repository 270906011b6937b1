"""Certify of other people's programs: some rows of the study, and that what the study prints can be believed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture(scope="module")
def foreign():
    """The study's table, imported as when the script is run; only what needs JAX and optax alone."""
    sys.path.insert(0, str(SCRIPTS))
    try:
        from foreign import differences, judge, layers, row  # registers the rows

        yield {"rows": row.ROWS, "judge": judge, "differences": differences, "layers": layers}
    finally:
        sys.path.remove(str(SCRIPTS))
