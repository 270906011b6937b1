"""What is said while a program compiles: a live line on a terminal, a line at start and end in a pipe."""

import re
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from netc.cli.views.waiting import Waiting, watched_cache
from netc.netspec import layers as nn
from netc.netspec.spec import NetSpec
from netc.netspec.toml import to_toml
from netc.runtime.cache.store import CacheKey

NET = NetSpec("small", (8, 8, 1), (nn.Flatten(), nn.Dense(10)))
KEY = CacheKey("00" * 32, "none 1", "cpu", (), "small b32")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("waiting")
    (place / "small.toml").write_text(to_toml(NET))
    return place


def test_a_pipe_gets_a_line_at_the_start_and_at_the_end_of_what_is_not_cached(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("NETC_CACHE_DIR", str(tmp_path / "cache"))

    def build(path):
        assert capsys.readouterr() == ("", "compiling small b32 for cpu ..\n")
        path.write_bytes(b"compiled")

    watched_cache().get_or_build(KEY, build)
    out, err = capsys.readouterr()
    assert out == "" and re.fullmatch(r"compiled in \d+\.\d s\n", err)
    assert watched_cache().get_or_build(KEY, build).hit
    assert capsys.readouterr() == ("", "")


def test_a_miss_says_what_differs_from_the_nearest_entry(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("NETC_CACHE_DIR", str(tmp_path / "cache"))
    watched_cache().get_or_build(KEY, lambda path: path.write_bytes(b"compiled"))
    capsys.readouterr()
    watched_cache().get_or_build(replace(KEY, compiler="none 2"), lambda path: path.write_bytes(b"compiled"))
    said = capsys.readouterr().err.splitlines()[0]
    assert said == "compiling small b32 for cpu (compiler differs: none 2 here, none 1 there) .."


def test_what_fails_to_compile_has_no_time(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("NETC_CACHE_DIR", str(tmp_path / "cache"))

    def build(path):
        raise ValueError("refused")

    with pytest.raises(ValueError, match="refused"):
        watched_cache().get_or_build(KEY, build)
    assert capsys.readouterr().err == "compiling small b32 for cpu ..\n"


def test_a_terminal_sees_what_is_done_and_its_seconds_and_nothing_of_it_stays():
    screen = StringIO()
    live = Waiting(Console(file=screen, force_terminal=True, color_system=None, width=60), "preparing [/y]")
    live.start()
    assert "preparing [/y] 0:00:00" in screen.getvalue()  # a name is no markup
    live.now("compiling a\x1b[2J for cpu")
    live.stop()
    assert r"compiling a\x1b[2J for cpu 0:00:00" in screen.getvalue()
    assert screen.getvalue().endswith("\x1b[2K")  # the line is erased
    live.stop()


def test_how_far_a_compile_is_stands_behind_what_is_compiled_and_is_drawn_on_a_terminal_alone():
    screen = StringIO()
    live = Waiting(Console(file=screen, force_terminal=True, color_system=None, width=80), "preparing")
    live.now("compiling a for cpu")
    assert live.more is not None
    live.more("kernel 3 of 9")
    live.start()
    live.stop()
    assert "compiling a for cpu: kernel 3 of 9 0:00:00" in screen.getvalue()
    assert Waiting(Console(file=screen), "preparing").more is None


REFUSED = [
    (("train", "--target", "cpu", "--accumulate", "2", "--steps-per-call", "2"), "got both"),
    (("train", "--target", "reference", "--accumulate", "3"), "accumulate"),
    (("train", "--target", "cpu", "--loss", "meanSquaredError"), "another --loss"),
    (("compile", "--target", "vulkan", "--precision", "bf16", "-o", "x.vmfb"), "cannot compile products of bf16"),
    (("memory", "--target", "vulkan", "--precision", "bf16"), "cannot compile products of bf16"),
    (("memory", "--target", "reference"), "wants one with a compiler"),
]


@pytest.mark.parametrize(("words", "sentence"), REFUSED)
def test_what_is_refused_is_refused_before_anything_compiles(netc, words, sentence):
    code, out, err = netc(words[0], "small.toml", *words[1:])
    assert code == 2 and sentence in err
    assert "compiling" not in out + err


def test_a_missing_xla_is_said_before_anything_compiles(netc, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "jax.extend.backend", None)
    code, out, err = netc("train", "small.toml", "--target", "xla", "--out", "none")
    assert code == 2 and "wants jaxlib, got none" in err
    assert "compil" not in out
