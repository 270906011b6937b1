"""The text that is compiled is the text that is shown, hashed and certified: byte for byte, for each kind of target."""

import hashlib
import json
from pathlib import Path

import pytest

from netc.codegen.text import modules_in
from netc.runtime import compile as compiling
from netc.runtime.backends.xla import XlaLoaded

NET = ("mnist-linear", "--input", "8x8x1")
RUN = (*NET, "--data", "digits", "--batch", "64", "--epochs", "1")


@pytest.fixture
def place(tmp_path):
    return tmp_path


@pytest.fixture
def given(monkeypatch):
    """What compilers are given, in order: the files of iree-compile's commands, the texts for XLA's client."""
    found = []
    run, client = compiling.child.run, XlaLoaded.__init__

    def watched(command, *rest, cwd=None, **options):
        if Path(command[0]).name == "iree-compile":
            found.append((Path(cwd) / command[1]).read_bytes())
        return run(command, *rest, cwd=cwd, **options)

    class Client:
        def __init__(self, real):
            self.real = real

        def compile_and_load(self, text, *rest):
            found.append(text.encode())
            return self.real.compile_and_load(text, *rest)

        def __getattr__(self, name):
            return getattr(self.real, name)

    def opened(self, source):
        client(self, source)
        self._client = Client(self._client)

    monkeypatch.setattr(compiling.child, "run", watched)
    monkeypatch.setattr(XlaLoaded, "__init__", opened)
    return found


def shown(netc, target):
    code, text, _ = netc("emit-mlir", *NET, "--batch", "64", *(("--target", target) if target else ()))
    assert code == 0
    return text


def header_of(netc, place, target):
    code, _, err = netc("train", *RUN, "--target", target, "--out", f"run-{target}")
    assert code == 0, err
    return json.loads((place / f"run-{target}" / "trace.jsonl").read_text().splitlines()[0])


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("target", ["cpu", "xla", "reference"])
def test_a_run_is_of_the_text_that_is_printed(target, netc, place, given):
    text, header = shown(netc, target), header_of(netc, place, target)
    whole = {"cpu": {text}, "xla": set(modules_in(text)), "reference": set()}[target]
    if target == "xla":  # a run calls no `predict`
        whole = {part for part in whole if not part.startswith("module @predict")}
    assert {text.decode() for text in given} == whole
    assert header["module_sha256"] == digest(text)
    assert header["program_sha256"] == digest(shown(netc, None))


@pytest.mark.parametrize("target", ["cuda:sm_80", "rocm:gfx942", "vulkan"])
def test_an_artefact_is_of_the_text_that_is_printed(target, netc, place, given):
    assert netc("compile", *NET, "--batch", "64", "--target", target, "-o", "net.vmfb")[0] == 0
    text = shown(netc, target)
    assert given == [text.encode()]
    manifest = json.loads((place / "net.vmfb.json").read_text())
    assert manifest["module_sha256"] == digest(text)
    assert manifest["program_sha256"] == digest(shown(netc, None))


@pytest.mark.parametrize("target", ["cpu", "xla", "vulkan"])
def test_the_certificate_is_of_the_text_that_is_printed(target, netc, place):
    code, out, _ = netc("certify", *NET, "--batch", "64", "--target", target)
    assert code == 0 and digest(shown(netc, target)) in "".join(out.split())
    (place / "net.mlir").write_text(shown(netc, target))
    code, out, _ = netc("certify", "net.mlir")
    assert code == 0 and digest(shown(netc, target)) in "".join(out.split())
