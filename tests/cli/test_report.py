"""`netc report`: one page that loads nothing, says what eval says, and shows a user's names as text."""

from __future__ import annotations

import base64
import html
import io
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

import netc as door
from netc.cli.main import _run
from netc.netspec.install import install_extra
from netc.reports.charts import LEFT, POINTS, WIDTH, Axis, Series, chart
from netc.reports.scatter import scatter
from tests.cli.test_evaluate_cli import paint

jinja2 = pytest.importorskip("jinja2")
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
NAME = "<script>alert('x')</script>"  # of a class; of a net and a folder without the slash
SPEC = """name = "<img src=x onerror=alert(1)>"
input = [6, 6, 3]
[[layers]]
kind = "conv2d"
features = 4
kernel = 3
activation = "relu"
[[layers]]
kind = "globalAvgPool"
[[layers]]
kind = "dense"
features = 3
"""
PHONE = 360


class Page(HTMLParser):
    """The tags of a page, what it refers to, and its text."""

    def __init__(self, source):
        super().__init__(convert_charrefs=True)
        self.tags, self.refers, self.images, self.ids, self.text = [], [], [], [], []
        self.feed(source)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        given = dict(attributes)
        self.refers += [v for k, v in given.items() if k in ("src", "href", "srcset", "xlink:href", "action")]
        self.images += [given] if tag == "img" else []
        self.ids += [given["id"]] if "id" in given else []
        assert not [k for k in given if k.startswith("on")]

    def handle_data(self, data):
        self.text.append(data)

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two runs on images of three classes, one of them with a hostile name."""
    place = tmp_path_factory.mktemp("fruits")
    (place / "tiny.toml").write_text(SPEC)
    for channel, label in enumerate(("apple", "<b>pear", "zest & 'peel' \"é")):
        paint(place / "three" / label, channel, count=12)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        words = ("train", "tiny.toml", "--data", "imagefolder:three", "--batch", "4", "--target", "reference")
        assert _run([*words, "--epochs", "3", "--out", "one", "--quiet"]) == 0
        assert _run([*words, "--epochs", "2", "--lr", "0.1", "--out", "<i>two", "--quiet"]) == 0
    return place


@pytest.fixture
def place(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "x")
    return tmp_path / "x"


def read(path):
    source = path.read_text("utf-8")
    assert source.startswith("<!doctype html>")
    return source, Page(source)


def test_a_page_of_one_run(netc, place):
    code, out, err = netc("report", "one")
    assert code == 0 and "wrote one/report.html" in out, err
    source, page = read(place / "one/report.html")
    assert "script" not in page.tags and "link" not in page.tags and "iframe" not in page.tags
    assert all(r.startswith(("#", "data:image/png;base64,")) for r in page.refers)
    assert not re.search(r"url\(|@import|https?:", source)
    assert {r[1:] for r in page.refers if r.startswith("#")} <= set(page.ids) and len(page.ids) == len(set(page.ids))
    assert len(source) < 200_000
    code, out, _ = netc("eval", "one", "--metrics", "all", "--json")
    score = json.loads(out)
    for word in ("top1", "f1", "log-loss"):
        assert f"{word} {score['metrics'][word]:.4f}" in page.words
    assert f"mean loss {score['loss']:.4f}" in page.words
    cells = re.findall(r'<td(?: class=right)? style="--v:[\d.]+">(\d*)</td>', source)
    matrix = [c for row in score["metrics"]["confusion"]["true_by_predicted"] for c in row]
    assert [int(c or 0) for c in cells] == matrix
    digest = door.load("one").trace.header.module_sha256
    assert digest in page.words and "conv2d" in page.words and "schedule.lr 0.001" in page.words
    assert "Not checked for this report" in page.words
    assert re.search(r"waiting for data \d+\.\d% of the time", page.words)


def test_a_matrix_shows_its_zeros_and_few_examples_have_no_temperature(netc, place):
    assert netc("report", "one")[0] == 0
    source, page = read(place / "one/report.html")
    count = json.loads(netc("eval", "one", "--json")[1])["count"]
    assert re.search(r'style="--v:0\.00">0</td>', source)
    assert count < 50 and f"on {count} predictions, is " in page.words and "Divided by a temperature" not in page.words
    assert ".cards dd { margin: 0; overflow-wrap: anywhere;" in source


LINE = """name = "line"
input = [2]
[[layers]]
kind = "dense"
features = 1
"""


def test_a_regression_has_what_was_said_against_what_is_true(netc, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "line.toml").write_text(LINE)
    rows = [f"{i},{i % 7},{2 * i + i % 7}" for i in range(50)]
    (tmp_path / "d.csv").write_text("\n".join(["a,b,y", *rows]) + "\n")
    words = ("--loss", "mse", "--epochs", "1", "--batch", "8", "--target", "reference", "--val", "0.2", "--out", "run")
    code, _, err = netc("train", "line.toml", "--data", "csv:d.csv,label=y", *words)
    assert code == 0, err
    assert netc("report", "run")[0] == 0
    source, _ = read(tmp_path / "run/report.html")
    figure = source.partition("Said (upwards) against true")[2].partition("</figure>")[0]
    assert "What was said against what is true, for 10 test examples." in figure and figure.count("<circle") == 10
    assert scatter([(float("nan"), 1.0)]) is None


def test_the_marks_of_an_axis_differ():
    drawn = chart("big", [Series("a", 0, [(0, 0.98e11), (9, 1.45e11)])], (0, 9))
    texts = [t.text for t in drawn.y]
    assert len(set(texts)) == len(texts) > 2 and "1.2e+11" in texts


def test_the_worst_mistakes_are_pictures_of_the_test_images(netc, place):
    assert netc("report", "one", "--checkpoint", "last", "-o", "r.html", "--mistakes", "100")[0] == 0
    _, page = read(place / "r.html")
    run = door.load("one")
    x, y = run.data_of(None).arrays("test")
    said = run.predict(x, checkpoint="last").argmax(-1)
    wrong = np.flatnonzero(said != y)
    numbers = [int(re.search(r"test example (\d+)", i["alt"])[1]) for i in page.images]
    assert sorted(numbers) == wrong.tolist()
    for number, image in zip(numbers, page.images, strict=True):
        shown = Image.open(io.BytesIO(base64.b64decode(image["src"].partition(",")[2])))
        grown = x[number].repeat(64 // 6, 0).repeat(64 // 6, 1)
        assert np.array_equal(np.asarray(shown.convert("RGB")), grown)


def test_runs_beside_each_other(netc, place):
    code, _, err = netc("report", "one", "<i>two", "-o", "both.html")
    assert code == 0, err
    source, page = read(place / "both.html")
    rows = dict(re.findall(r'<tr><th scope="row">([\w.]+)</th><td class="wrap">(.*?)</tr>', source))
    differing = page.words.partition("What differs")[2].partition("Curves Loss")[0]
    assert "schedule.lr 0.001 0.1" in differing and "schedule.epochs 3 2" in differing
    assert "schedule.batch" not in differing and rows["schedule.batch"].startswith("4</td>")
    assert "Test of one" in page.words and "Test of <i>two" in page.words


def test_a_users_names_are_text(netc, place):
    assert netc("report", "one", "<i>two", "-o", "both.html")[0] == 0
    source, page = read(place / "both.html")
    assert not {"b", "i"} & set(page.tags)
    assert all(image["src"].startswith("data:") for image in page.images)
    assert "<b>pear" in page.words and html.escape("<i>two") in source
    assert "<img src=x onerror=alert(1)>" in page.words and "zest & 'peel' \"é" in page.words


def test_what_report_refuses(netc, place):
    for words, said in (
        (("one", "-o", "r.pdf"), "--out wants a file FILE.html, got r.pdf"),
        (("one", "one"), "report wants different runs, got one of them twice"),
        (("three",), "RUN wants a folder that `netc train` made"),
        (["one"] * 9, "report wants 1 to 8 runs, got 9"),
        (
            ("one", "--profile", "tiny.toml"),
            "--profile wants a file of JSON that netc wrote, got tiny.toml (Expecting value",
        ),
        (("one", "--profile", "one/run.json"), "--profile wants what `netc profile NET --json` printed"),
    ):
        code, out, err = netc("report", *words)
        assert code == 2 and said in err, (words, out, err)
        assert not (place / "one/report.html").exists()


def test_without_jinja2(netc, place, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    code, _, err = netc("report", "one")
    assert code == 2 and f"report wants jinja2, got none; {install_extra('report')}" in err


def test_a_run_whose_data_is_gone_has_a_page_all_the_same(netc, place):
    (place / "three").rename(place / "elsewhere")
    code, _, err = netc("report", "one")
    assert code == 0, err
    _, page = read(place / "one/report.html")
    assert "Not evaluated. " in page.words and "accuracy, last" in page.words and "Gradient norm" in page.words


def test_times_by_layer_come_from_a_profile(netc, place):
    net = door.load("one").config.net.spec.name
    layers = [{"layer": "conv2d0", "ms": {"forward": 1.25, "vjp": 2.0}}, {"layer": "dense2", "ms": {"forward": 0.5}}]
    profile = {"net": net, "batch": 4, "target": "cpu", "steps": 20, "step_ms": 4.5, "layers": layers}
    (place / "p.json").write_text(json.dumps(profile))
    assert netc("report", "one", "--no-eval", "--profile", "p.json")[0] == 0
    _, page = read(place / "one/report.html")
    assert "Times are measured: 20 steps of 4.50 ms on cpu" in page.words and "conv2d0 3.250" in page.words
    assert "Not evaluated. It was not asked for." in page.words
    odd = (
        {"layers": [{"layer": 1, "ms": {}}]},
        {"layers": [{"layer": "a", "ms": [1]}]},
        {"step_ms": "4"},
        {"layers": {}},
    )
    for wrong in odd:
        (place / "p.json").write_text(json.dumps({**profile, **wrong}))
        code, _, err = netc("report", "one", "--no-eval", "--profile", "p.json")
        assert code == 2 and "--profile wants what `netc profile NET --json` printed" in err
        code, _, err = netc("atlas", "tiny.toml", "--batch", "4", "--profile", "p.json", "-o", "a.html")
        assert code == 2 and "--profile wants what `netc profile NET --json` printed" in err
    (place / "p.json").write_text(json.dumps({**profile, "function": "predict"}))
    code, _, err = netc("report", "one", "--no-eval", "--profile", "p.json")
    assert code == 2 and "--profile wants that of a training step, got one of predict; leave `--function` out" in err
    (place / "p.json").write_text(json.dumps({**profile, "batch": 8}))
    code, _, err = netc("report", "one", "--profile", "p.json")
    assert code == 2 and "with batch 4, got <img src=x onerror=alert(1)> with batch 8; measure that" in err


def test_evidence_is_what_was_run(netc, place, monkeypatch):
    pytest.importorskip("jax")
    oracle = pytest.importorskip("netc.proofs_oracle.oracle")
    every = list(oracle.checks())
    few = [next(c for c in every if c.kind == kind) for kind in ("dense", "adam", "crossEntropy", "groupNorm")]
    monkeypatch.setattr(oracle, "checks", lambda: few)
    assert netc("report", "one", "--no-eval", "--check")[0] == 0
    _, page = read(place / "one/report.html")
    own = sum(c.kind != "groupNorm" for c in few)  # the net has no such layer
    assert f"Oracle: {own} cases, " in page.words and "tensors compared: all agree" in page.words
    assert "the backward is the derivative of the forward" in page.words
    assert "It is of the very text that this run's steps were compiled from." in page.words
    assert "dense 1 of 1 the whole step its rule: Lean took the proof" in page.words
    assert "adam 1 of 1 the whole step its rule: Lean took the proof" in page.words
    code, _, err = netc("certify", "tiny.toml", "-o", "c.json")
    assert code == 0, err
    assert netc("report", "one", "--no-eval", "--certificate", "c.json")[0] == 0
    _, page = read(place / "one/report.html")
    assert "It is of another text than the one that this run's steps were compiled from" in page.words


def test_a_run_that_was_never_evaluated_is_looked_at_by_its_last_checkpoint(netc, place, monkeypatch):
    monkeypatch.chdir(place)
    words = {"target": "reference", "batch": 4, "out": "begun", "on_step": lambda done: done.step == 1}
    run = door.train("tiny.toml", "imagefolder:three", **words)
    assert not (place / "begun/best").exists() and run.steps == 2
    assert netc("report", "begun")[0] == 0
    _, page = read(place / "begun/report.html")
    assert "The checkpoint last on" in page.words and "steps 2 (of" in page.words and "accuracy, last" not in page.words


def test_averaged_weights_have_lines_of_their_own(netc, place):
    words = ("train", "tiny.toml", "--data", "imagefolder:three", "--batch", "4", "--target", "reference", "--quiet")
    assert netc(*words, "--epochs", "2", "--ema", "0.9", "--out", "averaged")[0] == 0
    assert netc("report", "averaged", "--no-eval")[0] == 0
    source, page = read(place / "averaged/report.html")
    assert "test loss with averaged weights" in page.words and "test accuracy with averaged weights" in page.words
    trace = door.load("averaged").trace
    assert f"to {100 * trace.evals[-1].averaged_accuracy:.4g} %" in source
    best, lowest = (
        pick(e)
        for pick, e in (
            (lambda e: max(e, key=lambda r: r.averaged_accuracy), trace.evals),
            (lambda e: min(e, key=lambda r: r.averaged_loss), trace.evals),
        )
    )
    assert f"accuracy, best {best.averaged_accuracy:.2%}, epoch {best.epoch + 1}" in page.words
    assert f"test loss, lowest {lowest.averaged_loss:.5g}, epoch {lowest.epoch + 1}" in page.words


def test_runs_of_numbers_and_of_own_arrays(netc, place, monkeypatch):
    monkeypatch.chdir(place)
    x = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
    data = door.Dataset.from_arrays(x, x[:, :2].copy())
    net = door.NetSpec("numbers", (5,), (door.layers.Dense(2),))
    run = door.train(net, data, loss="mse", target="reference", epochs=2, batch=8, out="numbers")
    source = door.report(run, "in-memory.html").read_text("utf-8")
    assert "rmse" in source and "Test accuracy" not in source and "R²" in source
    assert netc("report", "numbers")[0] == 0
    np.savez("numbers.npz", x=x, y=x[:, :2])
    words = ("--data", "arrays:numbers.npz", "--loss", "mse", "--target", "reference", "--epochs", "1", "--batch", "8")
    (place / "numbers.toml").write_text('name = "n"\ninput = [5]\n[[layers]]\nkind = "dense"\nfeatures = 2\n')
    code, out, err = netc("train", "numbers.toml", *words, "--out", "again")
    assert code == 0 and "accuracy" not in out and "n was trained on arrays:numbers.npz, test loss " in out, err
    _, page = read(place / "numbers/report.html")
    assert "Not evaluated. arrays:mine were arrays of a Python program" in page.words


@pytest.mark.skipif(BROWSER is None, reason="wants chromium to draw the page")
def test_a_browser_draws_it_on_a_phone(netc, place):
    """In a frame as wide as a phone nothing sticks out, every chart and picture has a size, and text is not tiny."""
    assert netc("report", "one", "<i>two", "-o", "both.html")[0] == 0
    source = (place / "both.html").read_text("utf-8")
    (place / "frame.html").write_text(
        f'<iframe id=f style="width:{PHONE}px;height:900px;border:0" srcdoc="{html.escape(source)}"></iframe><script>'
        "onload = () => { const d = f.contentDocument, w = d.documentElement.scrollWidth;"
        "const small = [...d.querySelectorAll('main svg, main img')].filter(e => e.getBoundingClientRect().width < 20);"
        "const dark = f.contentWindow.getComputedStyle(d.body).backgroundColor;"
        "document.title = [w, d.querySelectorAll('figure').length, small.length, d.images.length &&"
        "[...d.images].every(i => i.naturalWidth > 0), dark].join('|') }</script>"
    )
    profile = f"--user-data-dir={place / 'browser'}"
    words = [
        BROWSER,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        profile,
        "--dump-dom",
        f"file://{place}/frame.html",
    ]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    title = re.search(r"<title>(.*?)</title>", done.stdout)
    assert title, done.stderr[-2000:]
    width, figures, small, pictures, background = title[1].split("|")
    assert int(width) <= PHONE and int(figures) >= 6 and int(small) == 0 and pictures == "true"
    assert background == "rgb(255, 255, 255)"


def test_charts_leave_out_what_cannot_be_drawn():
    assert chart("nothing", [Series("a", 0, [(0, float("nan"))])], (0, 1)) is None
    drawn = chart("norm", [Series("a", 0, [(0, 0.0), (1, 10.0), (2, float("inf")), (3, 1000.0)])], (0, 3), log=True)
    assert drawn.lines[0].path.count(",") == 2 and [t.text for t in drawn.y] == [
        "10",
        "20",
        "50",
        "100",
        "200",
        "500",
        "1000",
    ]


def test_long_lines_are_joined_and_keep_their_spikes():
    points = [(i, 1.0 if i != 7777 else 50.0) for i in range(20_000)]
    (line,) = chart("loss", [Series("a", 0, points)], (0, 19_999)).lines
    places = [float(y) for y in re.findall(r",([\d.]+)", line.band)]
    assert line.path.count(",") <= POINTS and min(places) == 10 and len(line.band) < 20_000
    assert re.findall(r"[\d.]+", line.path)[0] > "58" and float(re.findall(r"[\d.]+", line.path)[-2]) <= WIDTH > LEFT


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.0931, 2.5), (-3, 1e6), (1e-9, 2e-9), (5, 5), (0, 0)])
def test_ticks_lie_within_the_axis(low, high):
    axis = Axis.over(low, high, False)
    ticks = list(axis.ticks())
    assert 2 <= len(ticks) <= 8 and all(axis.low - 1e-12 <= t <= axis.high + 1e-12 for t in ticks)
