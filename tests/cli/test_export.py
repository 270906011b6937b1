"""`netc export` from end to end: each file is opened by what it was written for, and says what `netc predict` says."""

import json

import numpy as np
import pytest
import safetensors.numpy
from PIL import Image

from netc.netspec.errors import UserError
from netc.netspec.preprocess import Preprocess
from netc.runs import Run
from netc.runtime.backends import load
from netc.runtime.backends.protocol import Source
from netc.runtime.run import checkpoint
from netc.runtime.target import parse_target
from tests.cli.test_import import CLASSES, IMPORT, NET, netc, place  # noqa: F401

LEVELS = ("--mean", "0.5,0.25,0.5", "--std", "0.25,0.5,0.5", "--interpolation", "bicubic")
RESIZING = {"crop_pct": 0.0, "interpolation": "bicubic"}


@pytest.fixture
def run(place):  # noqa: F811
    netc(*IMPORT, "-o", "got", "--class-names", "names.txt", *LEVELS)
    return place


def pixels(place):  # noqa: F811
    path = next((place / "images" / "val" / "a").iterdir())
    return np.asarray(Image.open(path))[None]


def test_weights_go_out_and_come_back(run):
    (run / "out").mkdir()
    said = netc("export", "got", "--safetensors", "out/w.safetensors")
    assert "tensors by names of torchvision and timm" in said
    want, got = (safetensors.numpy.load_file(run / path) for path in ("w.safetensors", "out/w.safetensors"))
    assert got.keys() == want.keys()
    floats = [n for n in want if not n.endswith("num_batches_tracked")]
    assert all(got[n].tobytes() == want[n].tobytes() and got[n].shape == want[n].shape for n in floats)
    netc("import", "small.toml", "out/w.safetensors", "-o", "again", "--target", "reference")
    assert all(Run.open(run / name).config.preprocess == Preprocess(**RESIZING) for name in ("got", "again"))
    first, second = (checkpoint.load(run / name / "best") for name in ("got", "again"))
    assert all((first.tensors[p.name] == second.tensors[p.name]).all() for p in NET.params)
    assert {w: second.meta[w] for w in ("classes", "normalise")} == {w: first.meta[w] for w in ("classes", "normalise")}


def test_netcs_own_names(run):
    netc("export", "got", "--safetensors", "own.safetensors", "--names", "netc")
    assert set(safetensors.numpy.load_file(run / "own.safetensors")) == {s.name for s in (*NET.params, *NET.state)}
    assert "names of netc" in netc("import", "small.toml", "own.safetensors", "-o", "again", "--target", "reference")


def test_an_onnx_model_takes_pixels(run):
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    said = netc("export", "got", "--onnx", "m.onnx", "--batch", "1")
    assert "from pixels ui8[1, 8, 8, 3] to logits" in said
    session = runtime.InferenceSession(str(run / "m.onnx"), providers=["CPUExecutionProvider"])
    (got,) = session.run(None, {"pixels": pixels(run)})
    np.testing.assert_allclose(got, Run.open(run / "got").predict(pixels(run)), atol=1e-5)
    told = session.get_modelmeta().custom_metadata_map
    assert (json.loads(told["netc.classes"]), json.loads(told["netc.preprocess"])) == (list(CLASSES), RESIZING)


def test_an_artefact_holds_weights_and_normalisation(run):
    netc("export", "got", "--vmfb", "m.vmfb", "--target", "cpu")
    manifest = json.loads((run / "m.vmfb.json").read_text())
    (argument,) = manifest["functions"]["predict"]["arguments"]
    assert argument == {"name": "pixels", "role": "data", "shape": [1, 8, 8, 3], "dtype": "ui8"}
    assert (manifest["classes"], manifest["weights"]) == (list(CLASSES), "inside")
    assert manifest["preprocessing"]["resize"].startswith("excluded")
    assert manifest["preprocessing"].items() >= RESIZING.items()
    from netc.exporting import Source as Saved
    from netc.runtime.export.frozen import freeze
    from netc.runtime.run.config import normalise_of

    opened = Run.open(run / "got")
    saved = Saved.open(opened.config, opened.folder, "best").saved
    cpu = parse_target("cpu")
    frozen = freeze(NET, saved.tensors, cpu, batch=1, normalise=normalise_of(saved))
    assert manifest["module_sha256"] == frozen.manifest["module_sha256"]
    loaded = load(Source(frozen.module, frozen.text, run / "m.vmfb"), cpu)
    (got,) = loaded.call("predict", [loaded.put(pixels(run))])
    np.testing.assert_allclose(loaded.get(got), opened.predict(pixels(run)), atol=1e-5)


BAD = {
    "nothing": ((), "export wants a file to write, got none; name one by `safetensors`, `onnx` or `vmfb`"),
    "names alone": (("--onnx", "m.onnx", "--names", "timm"), "`names` belongs to `safetensors`, got no"),
    "ending": (("--onnx", "m.vmfb"), r"`onnx` wants a name that ends in \.onnx, got m\.vmfb"),
    "folder": (("--vmfb", "images"), "--vmfb wants a file, got the folder images"),
    "target": (("--vmfb", "m.vmfb"), "`target` wants cpu, cuda:.., rocm:.. or vulkan for `vmfb`, got reference"),
    "two": (("--safetensors", "two.safetensors", "--vmfb", "m.vmfb"), "for `vmfb`, got reference"),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_fault_is_a_sentence_and_nothing_is_written(fault, run):
    words, sentence = BAD[fault]
    before = sorted(run.rglob("*"))
    with pytest.raises(UserError, match=sentence):
        netc("export", "got", *words)
    assert sorted(run.rglob("*")) == before


def test_the_missing_package_is_named(run, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UserError, match=r"`onnx` wants the package onnx, got none; pip install .*onnx"):
        netc("export", "got", "--onnx", "m.onnx")
    assert not (run / "m.onnx").exists()


def test_a_language_model_goes_out_and_comes_back(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    from netc.netspec.check import check
    from netc.netspec.find import find
    from netc.runtime.weights.names import naming_for
    from netc.runtime.weights.write import named_tensors, write_tensors
    from tests.runtime.weights.drawn_weights import drawn

    net = check(find("tiny-gpt"))
    write_tensors(tmp_path / "g.safetensors", named_tensors(net, drawn(net), naming_for("tiny-gpt", None)), {})
    said = netc("import", "tiny-gpt", "g.safetensors", "-o", "gpt", "--target", "reference")
    assert "names of netc\nnext: netc eval gpt --data DATA" in said
    netc("export", "gpt", "--safetensors", "again.safetensors")
    first, second = (safetensors.numpy.load_file(tmp_path / f"{n}.safetensors") for n in ("g", "again"))
    assert all((first[n] == second[n]).all() for n in first)
