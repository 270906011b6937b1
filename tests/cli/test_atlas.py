"""`netc atlas`: the page holds the very text of the step, and each line knows its layer, its phase and its rule."""

import json
import re
import shutil
import subprocess
from dataclasses import replace

import pytest
from click.testing import CliRunner

from netc.cli.main import cli
from netc.codegen import builder
from netc.codegen.origins import recorded
from netc.codegen.program import build
from netc.netspec.check import check
from netc.netspec.errors import UserError
from netc.netspec.find import find
from netc.netspec.recipe import Recipe
from netc.reports.algebra import statement_at
from netc.reports.atlas import Evidence, atlas, data_of
from netc.runtime.prepare import emit_text, sha256_of_text
from netc.runtime.target import PLAIN

pytest.importorskip("jinja2")

NET = check(find("mnist-cnn"))


def embedded(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1])


def test_the_page_holds_the_text_of_the_step(tmp_path):
    done = CliRunner().invoke(cli, ["atlas", "mnist-cnn", "--batch", "2", "-o", str(tmp_path / "a.html")])
    assert done.exit_code == 0, done.output
    data = embedded((tmp_path / "a.html").read_text("utf-8"))
    text = emit_text(build(NET, Recipe(), 2), PLAIN).text
    assert data["text"] == sha256_of_text(text)
    body = text.partition("@train_step(")[2].partition("\n  }\n")[0]
    want = [re.sub(r" loc\(#loc\d+\)$", "", row.strip()) for row in body.splitlines()[1:-1]]
    assert [f"%{op[0]} = {op[4]}" for op in data["ops"]] == want


def test_each_layer_has_its_lines_and_each_line_its_rule():
    data = data_of(NET, Recipe(), 2, None)
    phases = {(op[1].split(".")[0], op[2]) for op in data["ops"]}
    for layer in (path for path in (each.path for each in NET.walk()) if "." not in path):
        assert {(layer, "forward"), (layer, "vjp")} <= phases or layer == "flatten"
    assert [op for op in data["ops"] if op[3] < 0] == []
    norm = [op for op in data["ops"] if op[1].endswith("norm") and op[2] == "vjp"]
    said = {tuple(data["algebra"][op[3]]) for op in norm}
    assert any(s[0] == "codegen/layers/norm.py" and s[4].startswith("dx = scale r (dy - mean(dy)") for s in said)
    conv = [op for op in data["ops"] if op[2] == "vjp" and "stablehlo.convolution" in op[4]]
    assert conv  # made by a pass in the place of a conv_input_grad: it has the rule's line, not the pass's
    assert {data["algebra"][op[3]][0] for op in conv} == {"codegen/layers/conv.py"}


def test_the_statement_is_the_line_of_the_source():
    with recorded() as origins:
        program = build(NET, Recipe(), 2)
    assert builder.WATCHERS == []
    ops = program.module.function("train_step").ops
    assert all(op.result in origins for op in ops)
    dot = next(op for op in ops if op.kind == "dot" and op.loc.endswith("(vjp)"))
    said = statement_at(origins[dot.result])
    assert said.file == "codegen/layers/dense.py" and "b.dot(" in said.code and "#" not in said.code
    assert said.comment


def test_what_was_checked_and_measured_is_shown(tmp_path):
    profile = {"net": "mnist-cnn", "batch": 2, "target": "cpu", "steps": 3, "step_ms": 1.5,
               "layers": [{"layer": "conv1", "ms": {"forward": 0.25}}]}  # fmt: skip
    evidence = Evidence({"dense": "12 of 12 pass"}, "the text holds")
    data = data_of(NET, Recipe(), 2, 0, profile, evidence)
    assert data["times"] == {"conv1": {"forward": 0.25}}
    assert data["certificate"] == "the text holds"
    assert {layer["evidence"] for layer in data["layers"] if layer["kind"] == "dense"} == {"12 of 12 pass"}
    with pytest.raises(UserError, match="`profile` wants mnist-cnn with batch 3, got mnist-cnn with batch 2; measure"):
        atlas(NET, tmp_path / "a.html", batch=3, profile=profile)


def test_a_name_ends_no_script(tmp_path):
    spec = replace(find("mnist-mlp"), name="</script><b>x", source="<i>y</i>")
    page = atlas(check(spec), tmp_path / "a.html", batch=2).read_text("utf-8")
    assert "<b>x" not in page and "<i>y" not in page
    assert embedded(page)["net"] == spec.name


def test_a_dense_node_says_what_it_sees(tmp_path):
    page = atlas(check(find("mnist-mlp")), tmp_path / "a.html", batch=2).read_text("utf-8")
    labels = [node[2] for node in embedded(page)["graph"]["nodes"]]
    assert [label for label in labels if label.startswith("dense")] == [
        "dense 784 -> 512", "dense 512 -> 512", "dense 512 -> 10"
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["a.txt", "folder.html"])
def test_another_place_is_refused(name, tmp_path):
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(UserError, match=r"`out` wants a file FILE\.html, got"):
        atlas(NET, tmp_path / name)


def test_resnet34_is_small(tmp_path):
    assert atlas(check(find("resnet34")), tmp_path / "a.html").stat().st_size < 3_000_000


@pytest.mark.skipif(shutil.which("chromium") is None, reason="wants chromium")
@pytest.mark.parametrize("width", [1400, 390])
def test_a_browser_opens_a_layer(width, tmp_path):
    page = atlas(NET, tmp_path / "a.html", batch=2)
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=2000", "--dump-dom"]
    command += [
        f"--window-size={width},900",
        f"--user-data-dir={tmp_path / 'profile'}",
        f"file://{page}#layer/conv1.norm",
    ]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    assert "dbias = sum dy" in shown and 'id="op-' in shown
    assert "conv1.norm: batchNorm" in shown
