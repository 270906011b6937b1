"""The page of nested boxes: widths, names that must be escaped, nothing from outside."""

import re

import pytest

from netc.traces.flame import Slice, Table, flame

SLICES = [
    Slice(("a", "b"), "first", 3.0, "up", "a.b"),
    Slice(("a",), "second", 1.0, "down", ""),
    Slice(("<script>",), "third & last", 4.0, "up", '"quoted"'),
]


@pytest.fixture
def page():
    return flame("a step", ["one line"], SLICES, ("up", "down"), "ms", [Table("rows", ("x", "y"), [("1", "2")])])


def test_boxes_are_as_wide_as_what_they_hold(page):
    titles = re.findall(r'flex-grow:([\d.]+)" title="([^"]*)"', page)
    widths = {title.split(":")[0]: float(width) for width, title in titles}
    # thousandths of the box around
    assert widths == {
        "all": 1000, "a": 500, "b": 750, "first": 1000, "second": 250, "&lt;script&gt;": 500, "third &amp; last": 1000,
    }  # fmt: skip
    assert "first: 3 ms, 37.5 %\na.b" in page


def test_names_are_escaped_and_nothing_comes_from_outside(page):
    assert "<script" not in page
    assert "&quot;quoted&quot;" in page
    assert not re.search(r"https?:|src=|url\(|@import", page)


def test_boxes_close(page):
    assert page.count("<div") == page.count("</div>")
    assert "<td>1</td><td>2</td>" in page


def test_tones_are_named_and_few(page):
    assert '<span class="t1">down</span>' in page
    with pytest.raises(ValueError, match="at most 4 tones"):
        flame("x", [], [], list("abcde"), "ms")
