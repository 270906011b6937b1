"""docs/c.md shows what is emitted."""

import re
import textwrap
from pathlib import Path

from netc.codegen.c.folder import c_files
from netc.programs import request_program

PAGE = Path(__file__).parents[3] / "docs" / "c.md"


def test_the_page_shows_what_is_emitted():
    files, _ = c_files(request_program("mnist-mlp").build())
    emitted = files["net.h"] + textwrap.dedent(files["net.c"].replace("\n    ", "\n"))
    shown = re.findall(r"```c\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(shown) == 5
    for text in shown:
        assert text.rstrip() in emitted
