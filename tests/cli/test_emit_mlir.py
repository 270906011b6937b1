"""`netc emit-mlir`: what it writes for nobody's target and for one, under which names, and who accepts it."""

import json
import sys
from hashlib import sha256

import pytest
from jaxlib.mlir.dialects import stablehlo

from tests.codegen.witness import context

NET = """name = "Small net: no. 1"
input = [6, 6, 2]

[[layers]]
kind = "conv2d"
name = "c"
features = 3
activation = "gelu"

[[layers]]
kind = "maxPool"
name = "p"

[[layers]]
kind = "globalAvgPool"
name = "g"

[[layers]]
kind = "dense"
name = "d"
features = 12
"""
BLOCKS = """name = "blocks"
input = [2, 4]

[[layers]]
kind = "dense"
name = "stem"
features = 4

[[layers]]
kind = "transformerEncoder"
name = "encoder"
heads = 2
mlp = 3
blocks = 5
activation = "relu"

[[layers]]
kind = "globalAvgPool"
name = "g"

[[layers]]
kind = "dense"
name = "d"
features = 12
"""
TEXT, MANIFEST = "Small_net__no._1.mlir", "Small_net__no._1.json"


@pytest.fixture
def place(tmp_path):
    (tmp_path / "small.toml").write_text(NET)
    (tmp_path / "blocks.toml").write_text(BLOCKS)
    return tmp_path


def test_the_files_are_named_as_the_net_is(netc, place):
    assert netc("emit-mlir", "mnist-linear", "--batch", "2", "-o", "out")[0] == 0
    assert sorted(p.name for p in (place / "out").iterdir()) == ["mnist-linear.json", "mnist-linear.mlir"]
    assert netc("emit-mlir", "small.toml", "--batch", "2", "-o", "out")[0] == 0
    text = (place / "out" / TEXT).read_text()
    manifest = json.loads((place / "out" / MANIFEST).read_text())
    assert manifest["module_sha256"] == sha256(text.encode()).hexdigest()
    assert "target" not in manifest


def test_without_a_target_it_is_plain(netc):
    code, plain, err = netc("emit-mlir", "small.toml", "--batch", "2")
    assert (code, err) == (0, "")
    for word in ("chlo.", "cf.", "scf.", "arith.", "tensor.extract", "optimization_barrier"):
        assert word not in plain
    for word in ("stablehlo.convolution", "stablehlo.reduce_window", "stablehlo.select_and_scatter", "func.call @erf_"):
        assert word in plain
    assert stablehlo.serialize_portable_artifact_str(plain, stablehlo.get_minimum_version())
    code, of_cpu, _ = netc("emit-mlir", "small.toml", "--batch", "2", "--target", "cpu")
    assert code == 0 and of_cpu != plain and "chlo.erf" in of_cpu


def test_a_target_is_named_in_the_manifest(netc, place):
    assert netc("emit-mlir", "small.toml", "--target", "xla", "-o", ".")[0] == 0
    assert json.loads((place / MANIFEST).read_text())["target"] == "xla"


@pytest.mark.parametrize("more", [(), ("--precision", "bf16"), ("--optimizer", "sgd")])
def test_certify_accepts_what_was_emitted(netc, more):
    assert netc("emit-mlir", "small.toml", "--batch", "2", "-o", ".", *more)[0] == 0
    code, out, err = netc("certify", TEXT, "--manifest", MANIFEST)
    assert (code, err) == (0, "")
    assert "the backward is the derivative of the forward" in out
    assert "times XLA's rational approximation of erf as erf" in out


@pytest.mark.parametrize(
    "more",
    [
        ("--accumulate", "2"), ("--steps-per-call", "3"), ("--scan-blocks",), ("--remat",), ("--check-labels",),
        ("--accumulate", "2", "--scan-blocks", "--remat", "--check-labels"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_certify_accepts_every_option(netc, place, more):
    if "--scan-blocks" not in more:  # which takes five at least
        (place / "blocks.toml").write_text(BLOCKS.replace("blocks = 5", "blocks = 2"))
    assert netc("emit-mlir", "blocks.toml", "--batch", "2", "-o", ".", *more)[0] == 0
    looped = {"--accumulate", "--steps-per-call", "--scan-blocks"} & set(more)
    assert ("stablehlo.while" in (place / "blocks.mlir").read_text()) == bool(looped)
    code, out, _ = netc("certify", "blocks.mlir", "--manifest", "blocks.json")
    assert code == 0, out
    assert "the backward is the derivative of the forward" in out


def test_certify_does_not_take_another_approximation_for_erf(netc, place):
    assert netc("emit-mlir", "small.toml", "--batch", "2", "-o", ".")[0] == 0
    text = (place / TEXT).read_text()
    assert text.count("-0.000213374055278905") >= 1
    (place / TEXT).write_text(text.replace("-0.000213374055278905", "-0.000213375055278905"))
    code, out, _ = netc("certify", TEXT, "--manifest", MANIFEST)
    assert code == 1 and "as erf" not in out


def test_no_tuned_without_a_target_is_a_sentence(netc):
    code, _, err = netc("emit-mlir", "small.toml", "--no-tuned")
    assert code == 2
    assert "--no-tuned belongs to --target, got none" in err


def test_bytecode_is_a_portable_artifact_that_jaxlib_and_certify_read(netc, place):
    code, out, _ = netc("emit-mlir", "small.toml", "--batch", "2", "--bytecode", "-o", ".")
    assert code == 0
    artefact = (place / TEXT).with_suffix(".mlirbc").read_bytes()
    version = stablehlo.get_minimum_version()
    assert artefact.startswith(b"ML\xefR") and f"StableHLO_v{version}".encode() in artefact[:64]
    assert f"of StableHLO {version}" in " ".join(out.split())
    module = stablehlo.deserialize_portable_artifact(context(), artefact)
    read = {str(f.attributes["sym_name"].value) for f in module.body.operations}
    assert {"init", "train_step", "eval_step", "predict"} <= read
    code, out, _ = netc("certify", TEXT.replace(".mlir", ".mlirbc"), "--manifest", MANIFEST)
    assert code == 0 and "the backward is the derivative of the forward" in out


@pytest.mark.parametrize("words", [("--target", "cpu", "-o", "."), ()])
def test_bytecode_is_of_plain_stablehlo_in_a_file(netc, words):
    code, _, err = netc("emit-mlir", "small.toml", "--bytecode", *words)
    assert code == 2 and "--bytecode wants -o and no --target" in " ".join(err.split())


def test_bytecode_without_jaxlib_says_what_to_install(netc, monkeypatch):
    monkeypatch.setitem(sys.modules, "jaxlib.mlir.dialects", None)
    code, _, err = netc("emit-mlir", "small.toml", "--bytecode", "-o", ".")
    assert code == 2 and "--bytecode wants jaxlib, got none; pip install" in " ".join(err.split())


def test_a_text_for_any_batch_has_no_training_and_says_its_range(netc, tmp_path):
    (tmp_path / "net.toml").write_text(NET)
    assert netc("emit-mlir", "net.toml", "--batch", "1..64", "-o", "any")[0] == 0
    manifest = json.loads((tmp_path / "any" / MANIFEST).read_text())
    assert (manifest["batch"], list(manifest["functions"])) == (
        {"least": 1, "most": 64}, ["init", "eval_step", "predict"],
    )  # fmt: skip
    assert manifest["functions"]["predict"]["arguments"][-1]["shape"] == ["batch", 6, 6, 2]
    assert "func.func public @predict" in (tmp_path / "any" / TEXT).read_text()
    code, _, err = netc("emit-mlir", "net.toml", "--batch", "64..1")
    assert code == 2 and "--batch wants a number of examples, dynamic, or a range as in 1..64" in err
    code, _, err = netc("emit-mlir", "net.toml", "--batch", "dynamic", "--replicas", "2")
    assert code == 2 and "wants a number as" in err
