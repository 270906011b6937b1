"""Scripts that measure nets one after the other: what one of them cannot do is said, and the next goes on."""

import importlib.util

from netc.netspec.errors import UserError
from tests.conftest import ROOT

found = importlib.util.spec_from_file_location("scripts_merged_pages", ROOT / "scripts" / "merged_pages.py")
script = importlib.util.module_from_spec(found)
found.loader.exec_module(script)


def test_the_reason_of_a_net_that_fails_is_printed_and_the_next_is_measured(capsys):
    def refused():
        raise UserError("`batch` wants 1 or more, got 0")

    results = [{"net": "a"}, {"net": "c"}]
    work = [("a", lambda: results[0]), ("b", refused), ("c", lambda: results[1])]
    assert list(script.one_by_one(work)) == results
    said = capsys.readouterr()
    assert said.out == "b: `batch` wants 1 or more, got 0\n"
    assert [line.split()[1] for line in said.err.splitlines()] == ["a", "b", "c"]
