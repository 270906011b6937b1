"""Runs are drawn into a PNG, an SVG or a page that needs nothing else."""

import re

import pytest

from netc.traces.errors import TraceError
from netc.traces.plot import figure, plot
from tests.traces.test_diff import HEADER, trace

RUNS = [("a", trace()), ("<b>", trace(factor=lambda s: 1 + 1e-5 * (s % 2))), ("gpu", trace(norms=False))]

BEGINNINGS = {"png": b"\x89PNG\r\n\x1a\n", "svg": b"<?xml", "html": b"<!doctype html>"}


@pytest.mark.parametrize("ending", BEGINNINGS)
def test_a_picture_is_drawn(tmp_path, ending):
    pytest.importorskip("matplotlib")
    plot(RUNS, tmp_path / f"runs.{ending}")
    assert (tmp_path / f"runs.{ending}").read_bytes().startswith(BEGINNINGS[ending])


def test_a_page_holds_its_picture_and_escapes_names(tmp_path):
    pytest.importorskip("matplotlib")
    plot(RUNS, tmp_path / "runs.html")
    page = (tmp_path / "runs.html").read_text()
    assert "data:image/png;base64," in page
    assert not re.findall(r"https?://|<script", page)
    assert "&lt;b&gt;" in page
    assert HEADER.module_sha256[:12] in page
    assert "90.00%" in page


def test_one_run_is_drawn_too(tmp_path):
    pytest.importorskip("matplotlib")
    plot(RUNS[:1], tmp_path / "one.png")
    assert (tmp_path / "one.png").stat().st_size > 1000


def test_what_cannot_be_drawn_says_so(tmp_path):
    with pytest.raises(TraceError, match=r"plot wants a file ending in \.png, \.svg, \.html, got"):
        plot(RUNS, tmp_path / "runs.pdf")
    with pytest.raises(TraceError, match="plot wants a run with at least one step"):
        plot([("empty", trace(steps=0))], tmp_path / "runs.png")


def test_a_name_is_no_mathematics(tmp_path):
    pytest.importorskip("matplotlib")
    name = r"a$\frac$b"
    drawn = figure([(name, trace()), (f"{name}2", trace())])
    drawn.savefig(tmp_path / "names.png")
    assert [text.get_text().replace(r"\$", "$") for text in drawn.axes[0].get_legend().get_texts()] == [
        name,
        f"{name}2",
    ]
