"""`netc compile`: what its manifest says of the artefact."""

import json
from hashlib import sha256
from importlib.metadata import version

import pytest

from netc.runtime.measure import compile_profile
from netc.runtime.target import parse_target


@pytest.fixture
def place(tmp_path):
    return tmp_path


def test_the_manifest_names_what_made_the_artefact(netc, place, monkeypatch):
    found = compile_profile.CompileProfile(1.0, (compile_profile.KernelCompile("k", "head", 0.5),))
    monkeypatch.setattr(compile_profile, "compile_profile", lambda text, module, target, now: found)
    words = ("mnist-linear", "--input", "2x2x1", "--batch", "1")
    code, out, _ = netc("compile", *words, "--check-labels", "-o", "linear.vmfb", "--profile")
    assert code == 0 and "1.00 s to join operations into 1 kernels" in out
    manifest = json.loads((place / "linear.vmfb.json").read_text())
    artefact, made = (place / "linear.vmfb").read_bytes(), manifest["artefact"]
    assert (made["sha256"], made["bytes"]) == (sha256(artefact).hexdigest(), len(artefact))
    assert (made["compiler"], made["compiler_version"]) == ("iree-base-compiler", version("iree-base-compiler"))
    assert (manifest["target"], made["driver"]) == ("cpu", "local-task")
    assert made["flags"] == list(parse_target("cpu").flags)
    assert made["host_cpu"]
    assert manifest["functions"]["train_step"]["results"][-1]["name"] == "bad_labels"
    assert netc("emit-mlir", *words, "--check-labels", "--target", "cpu", "-o", ".")[0] == 0
    text = json.loads((place / "mnist-linear.json").read_text())
    assert text["module_sha256"] == manifest["module_sha256"]
    assert "artefact" not in text
