"""`netc sample` of generative models: a picture, a film, a text, and what is refused; the sampler as text."""

import hashlib
import json
import runpy
import sys

import numpy as np
import pytest
from PIL import Image

import netc as library
from netc.codegen.reverse_process import Drawn
from netc.runtime.cache.store import Cache
from netc.runtime.generate import Drawer
from netc.runtime.measure.tuned import Winner, keep
from netc.runtime.prepare import in_use

IMAGES = """
name = "small-flow"
input = [8, 8, 3]

[[layers]]
kind = "timeCondAdd"
frequencies = 4

[[layers]]
kind = "conv2d"
features = 1
kernel = 3
"""
CONV = "conv 4x8x8x2 3x3x2x1 /1 p1"
"""The convolution in the sampler of two images, with and without their class."""

TOKENS = """
name = "small-mdm"
input = [9]
dtype = "i32"

[[layers]]
kind = "tokenPositionEmbed"
vocabulary = 1001
dim = 6

[[layers]]
kind = "takeTokens"
count = 8

[[layers]]
kind = "dense"
features = 12
"""
SEQUENCES = """
name = "small-branching"
input = [10, 4]

[[layers]]
kind = "dense"
features = 4
"""
RUNS = {
    "sequences": "sequences.toml --data rings --process branching --batch 8 --max-steps 2",
    "images": "images.toml --data digits --process flow --ema 0.9 --batch 64",
    "denoised": "images.toml --data digits --process ddpm --batch 64",
    "tokens": "tokens.toml --data text:book.txt --process masked --batch 8",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("draw")
    (folder / "images.toml").write_text(IMAGES)
    np.savez(folder / "a.npz", x=np.full((20, 10, 3), 0.5, np.float32), y=np.zeros(20, np.int32))
    (folder / "sequences.toml").write_text(SEQUENCES)
    (folder / "tokens.toml").write_text(TOKENS)
    (folder / "book.txt").write_text("abcdefgh\n" * 70)
    return folder


@pytest.fixture
def run(netc, place):
    """`run(name, words..)`: `netc sample` on a run of that name, trained for an epoch."""

    def sample(name, *words):
        if not (place / name).exists():
            code, out, err = netc("train", *RUNS[name].split(), "--target", "reference", "--epochs", "1", "--out", name)
            assert code == 0 and "test loss" in out + err and "accuracy" not in out + err, err
        return netc("sample", name, *words)

    return sample


def test_a_picture_and_a_film(run, place):
    words = ["--class", "7", "--class", "2", "--grid", "2x3", "--steps", "3", "--guidance", "2"]
    code, out, err = run("images", *words, "-o", "a.png", "--gif", "a.gif")
    assert (code, out) == (0, "wrote a.png\nwrote a.gif\n"), err
    with Image.open(place / "a.png") as picture, Image.open(place / "a.gif") as film:
        assert picture.size == film.size == (3 * 33 - 1, 2 * 33 - 1) and film.n_frames == 3
    assert run("images", *words, "-o", "b.png", "--json")[1] == json.dumps(
        {"files": ["b.png"], "labels": [7, 2, 7, 2, 7, 2]}
    ) + "\n"  # fmt: skip
    assert (place / "a.png").read_bytes() == (place / "b.png").read_bytes()  # the same bits twice
    assert run("images", *words, "-o", "c.png", "--seed", "1")[0] == 0
    assert run("images", *words, "-o", "d.png", "--weights", "plain")[0] == 0
    others = [(place / name).read_bytes() for name in ("c.png", "d.png")]
    assert (place / "a.png").read_bytes() not in others


def test_a_text_is_unmasked(run, netc):
    code, out, err = run("tokens", "--samples", "2", "--steps", "4", "--json")
    assert code == 0, err
    texts = [found["text"] for found in json.loads(out)]
    assert len(texts) == 2 and all(len(text) == 8 and set(text) <= set("abcdefgh\n") for text in texts)
    assert run("tokens", "--steps", "8", "--method", "confidence")[0] == 0
    assert run("tokens")[0] == 0  # in as many steps as there are tokens, fewer than usual
    assert netc("emit-mlir", "tokens.toml", "--process", "masked", "--sampler")[0] == 0


def test_sequences_one_a_line(run):
    code, out, err = run("sequences", "--samples", "3", "--steps", "5", "--json")
    assert code == 0, err
    found = [row["elements"] for row in json.loads(out)]
    assert len(found) == 3 and any(found) and all(len(element) == 2 for row in found for element in row)
    lines = run("sequences", "--samples", "3", "--steps", "5")[1].splitlines()
    assert lines == [" ".join(f"{x:.3f},{y:.3f}" for x, y in row) for row in found]


@pytest.mark.parametrize(
    ("name", "words", "sentence"),
    [
        (
            "images",
            "--class 10",
            "--class wants one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, or a number from 0 to 9, got '10'",
        ),
        ("images", "--prompt abc", "--prompt applies to another kind of net, got small-flow, which draws images"),
        ("images", "--method ddim", "--method of `process=flow` wants euler or heun, got 'ddim'"),
        ("images", "--grid 8", "--grid wants rows and columns as in 8x8, got '8'"),
        ("images", "--steps 9999", "--steps wants a number from 1 to 4095 for this run, got 9999"),
        (
            "images",
            "-o picture.txt",
            "a picture wants a name such as samples.png, got picture.txt",
        ),
        ("images", "--guidance=-1", "--guidance wants a number from 0 to 1000, 1 for none, got -1.0"),
        (
            "tokens",
            "--class a",
            "--class applies to another kind of net, got small-mdm, which writes a whole text",
        ),
        (
            "sequences",
            "--gif a.gif",
            "--gif applies to another kind of net, got small-branching, which draws",
        ),
        ("tokens", "--steps 9", "--steps wants a number from 1 to 8 for this run, got 9"),
        ("images", "--grid 300x300", "--grid wants fewer than 65,536 images, got 300x300; give a smaller one"),
    ],
)
def test_what_is_refused(run, name, words, sentence):
    code, _, err = run(name, *words.split())
    assert code == 2 and sentence in " ".join(err.split())


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("images.toml --data digits", "wants a net with an output of [batch, classes]"),
        (
            "tiny-dit --data digits",
            "got tiny-dit with [batch, 8, 8, 1]; give --process flow, which trains a generative",
        ),
        ("tiny-branching --data rings", "no --process was given; give --process branching, which makes what it sees"),
        ("tokens.toml --data text:book.txt", "give --process masked, which trains a generative model"),
        ("tiny-dit --data digits --guidance 2", "did you mean netc sample RUN --guidance?"),
        ("mnist-mlp --data digits --process flow", "choose such a net: tiny-dit, tiny-unet-diffusion"),
        ("tiny-gpt --data text:book.txt --heads 3", "got width 128, which is not divisible by 3 heads"),
        (
            "tokens.toml --data digits --process masked",
            "digits holds images, and the net takes token ids",
        ),
        ("images.toml --data text:book.txt --process flow", "text:book.txt is text, and the net takes images"),
        (
            "sequences.toml --data rings --process branching --input 8x4",
            "learns sequences [N, 8, 3] of numbers, the last 1 where",
        ),
        ("sequences.toml --data text:book.txt --process branching", "text:book.txt holds text, and small-branching of"),
        ("sequences.toml --data digits", "takes none: sequences want --data rings or --data arrays:FILE"),
        (
            "sequences.toml --data arrays:a.npz --process branching",
            "the last of each element 1 where there is one and 0",
        ),
        ("images.toml --data digits --process masked", "--process masked wants a net from token ids [batch, T + 1]"),
        ("images.toml --data digits --process flow --label-count 3", "digits has 10 classes, got --label-count 3"),
    ],
)
def test_what_cannot_be_trained(netc, place, words, sentence):
    code, _, err = netc("train", *words.split(), "--out", "never")
    assert code == 2 and sentence in " ".join(err.split()), err
    assert not (place / "never").exists()


@pytest.mark.parametrize("name", ["images", "denoised", "tokens"])
def test_the_jax_twin_of_a_process_agrees(run, netc, place, monkeypatch, name):
    """Whole runs, their noise or masks drawn anew by the script: by `trace diff`, which asks for no accuracy."""
    assert run(name, "--steps", "1")[0] == 0
    assert netc("emit-jax", name, "-o", f"{name}-twin.py")[0] == 0
    monkeypatch.setattr(sys, "argv", ["twin", "--out", f"{name}.jsonl"])
    runpy.run_path(f"{name}-twin.py", run_name="__main__")
    code, out, err = netc("trace", "diff", name, f"{name}.jsonl")
    assert code == 0 and "the runs agree (cross-compiler)" in out and "accuracy" not in out, out + err


def test_the_text_of_a_sampler_is_that_of_sample_whatever_is_tuned(run, netc, place, monkeypatch, tmp_path):
    assert run("images", "--grid", "1x1", "--steps", "1", "-o", "a.png")[0] == 0
    trained = library.load("images")
    drawn = Drawn(2, 50, guided=True)
    plain = Drawer.of_run(trained.config, trained.weights(), "xla", Cache(), drawn).prepared
    assert in_use(plain.program, plain.target, {CONV: "im2col"})
    monkeypatch.setenv("NETC_CACHE_DIR", str(tmp_path))
    keep(plain.target, tmp_path, "small-flow b2", {CONV: Winner("im2col", "direct", 1.0, 2.0)}, pytest.fail)
    assert Drawer.of_run(trained.config, trained.weights(), "xla", Cache(), drawn).prepared.sha256 == plain.sha256
    words = ("images/spec.toml", "--process", "flow", "--label-count", "10", "--sampler", "--batch", "2")
    code, out, err = netc("emit-mlir", *words, "--target", "xla", "-o", "text")
    assert code == 0 and "tuned" not in out + err, err
    assert hashlib.sha256((place / "text/small-flow.sampler.mlir").read_bytes()).hexdigest() == plain.sha256
    assert json.loads((place / "text/small-flow.sampler.json").read_text())["module_sha256"] == plain.sha256
    for command in (("emit-mlir", "--target", "xla"), ("compile", "-o", "a.vmfb")):
        code, _, err = netc(*command, *words, "--no-tuned")
        assert code == 2 and "--no-tuned is for a training, got --sampler, which has no tuned forms" in err, err


def test_the_sampler_as_text(netc, place):
    code, out, err = netc("emit-mlir", "images.toml", "--process", "flow", "--label-count", "10", "--sampler")
    assert code == 0, err
    assert "func.func public @sample(" in out or "func.func @sample(" in out
    assert "stablehlo.while" in out
