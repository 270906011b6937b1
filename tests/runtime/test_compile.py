"""Targets and the compiler: words that are none, text that is none, and keys that tell everything apart."""

import hashlib
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from netc.codegen.builder import Builder
from netc.codegen.ir import Module
from netc.codegen.rewrite.lower import lower
from netc.codegen.text import text_of
from netc.netspec.errors import UserError
from netc.netspec.types import TensorType
from netc.runtime import compile as module
from netc.runtime import cpu_levels
from netc.runtime.backends import check_device
from netc.runtime.cache.entry import to_manifest
from netc.runtime.cache.store import Cache
from netc.runtime.compile import CompileError, check_pair, compile_cached, compile_text, host_cpu, key_of
from netc.runtime.cpu_levels import LEVELS, runs_here
from netc.runtime.target import TARGETS, parse_target

CPU = parse_target("cpu")
GOOD = """module @m {
  func.func public @f(%arg0: tensor<2xf32>) -> (tensor<2xf32>) {
    %0 = stablehlo.add %arg0, %arg0 : tensor<2xf32>
    return %0 : tensor<2xf32>
  }
}
"""


@pytest.mark.parametrize(
    "word", ["", "gpu", "CPU", "cuda", "cuda:", "cuda:sm_90", "cuda:80", "rocm", "rocm:1100", "rocm:gfx", "xla:cpu",
             "reference:x", "reference:", "xla:", "cpu:a b", "cpu:;rm", "vulkan:\n", "cuda:sm_80\n", " cpu", "cpu:é"],
)  # fmt: skip
def test_unknown_targets(word):
    with pytest.raises(UserError, match="`target` wants ") as caught:
        parse_target(word)
    assert f"got {word!r}" in str(caught.value)


@pytest.mark.parametrize("level", [*LEVELS, ""])
def test_the_table_of_forms_is_that_of_the_hosts_vectors(level, monkeypatch):
    monkeypatch.setattr("netc.runtime.cpu_levels._features", lambda: LEVELS.get(level, frozenset()))
    assert parse_target("cpu").profile == ("cpu-avx2" if level == "x86-64-v3" else "cpu")


@pytest.mark.parametrize(
    ("word", "engine", "family", "driver", "flag"),
    [
        ("cpu", "iree", "cpu", "local-task", "--iree-llvmcpu-target-cpu=host"),
        ("cpu:haswell", "iree", "cpu-avx2", "local-task", "--iree-llvmcpu-target-cpu=haswell"),
        ("cpu:x86-64-v3", "iree", "cpu-avx2", "local-task", "--iree-llvmcpu-target-cpu=x86-64-v3"),
        ("cpu:x86-64-v4", "iree", "cpu", "local-task", "--iree-llvmcpu-target-cpu=x86-64-v4"),
        ("cpu:generic", "iree", "cpu", "local-task", "--iree-llvmcpu-target-cpu=generic"),
        ("cpu:aarch64", "iree", "cpu", "local-task", "--iree-llvmcpu-target-triple=aarch64-linux-gnu"),
        ("cuda:sm_89", "iree", "gpu", "cuda", "--iree-cuda-target=sm_89"),
        ("rocm:gfx942", "iree", "gpu", "hip", "--iree-rocm-target=gfx942"),
        ("rocm:gfx1100", "iree", "gpu", "hip", "--iree-rocm-target=gfx1100"),
        ("vulkan", "iree", "gpu", "vulkan", "--iree-hal-target-device=vulkan"),
        ("vulkan:rdna3", "iree", "gpu", "vulkan", "--iree-vulkan-target=rdna3"),
        ("xla", "xla", "xla", "", None),
        ("reference", "reference", "cpu", "", None),
    ],
)  # fmt: skip
def test_targets(word, engine, family, driver, flag, monkeypatch):
    monkeypatch.setattr("netc.runtime.cpu_levels._features", lambda: LEVELS["x86-64-v4"])
    target = parse_target(word)
    assert (target.word, target.engine, target.profile, target.driver) == (word, engine, family, driver)
    assert (flag in target.flags) if flag else not target.flags
    assert word.partition(":")[0] in TARGETS


@pytest.mark.parametrize(
    "text",
    [
        "no module at all",
        GOOD[:-40],
        GOOD.replace("add", "adde"),
        GOOD.replace("%0 : tensor<2xf32>", "%0 : tensor<3xf32>"),
        GOOD.replace("%arg0, %arg0", "%arg0, %arg1"),
        "\x00\xff" * 50,
    ],
    ids=["words", "cut", "op", "types", "value", "binary"],
)
def test_invalid_text_is_one_line(text, tmp_path):
    output = tmp_path / "x.vmfb"
    with pytest.raises(CompileError, match=r"iree-compile for cpu failed: .+ \(exit code 1\)") as caught:
        compile_text(text, CPU, output)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


class Done:
    """What a compiler that crashed leaves."""

    def __init__(self, code, stderr=""):
        self.returncode, self.stderr = code, stderr


@pytest.mark.parametrize(
    ("code", "stderr", "sentence"),
    [
        (-11, "", "failed: no message (signal 11)"),
        (-6, "a\nLLVM ERROR: Cannot select: v2i16\nstack dump", "failed: LLVM ERROR: Cannot select: v2i16 (signal 6)"),
        (1, "/tmp/netc-x/m.mlir:3:4: error: what\nnote: more", "failed: error: what (exit code 1)"),
        (1, "error: missing GPU target in x\n", "missing GPU target in x (exit code 1)"),
        (0, "", "failed: no message (exit code 0)"),  # it says that all is well and writes nothing
        (1, "error: " + "x" * 9999, "x (exit code 1)"),
    ],
)
def test_what_the_compiler_says_is_one_line(code, stderr, sentence, monkeypatch, tmp_path):
    monkeypatch.setattr(module.child, "run", lambda *a, **k: Done(code, stderr))
    with pytest.raises(CompileError) as caught:
        compile_text(GOOD, CPU, tmp_path / "x.vmfb")
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_cpu_that_llvm_does_not_know_says_what_to_write(tmp_path):
    with pytest.raises(
        CompileError, match=r"failed: Unknown CPU for .*; give a name that LLVM has, such as cpu:x86-64-v3"
    ):
        compile_text(GOOD, parse_target("cpu:znver99"), tmp_path / "x.vmfb")


def test_the_artefact_does_not_depend_on_the_compilers_checks(monkeypatch, tmp_path):
    compile_text(GOOD, CPU, tmp_path / "unchecked")
    monkeypatch.setattr(module, "UNCHECKED", "--verify=true")
    compile_text(GOOD, CPU, tmp_path / "checked")
    assert (tmp_path / "unchecked").read_bytes() == (tmp_path / "checked").read_bytes()


@pytest.mark.parametrize(
    ("word", "code", "checked", "said"),
    [
        ("cpu", -11, [False, True], r"error: invalid after pass z \(exit code 1\)"),
        ("cpu", -6, [False, True], r"error: invalid after pass z \(exit code 1\)"),
        ("cpu", -9, [False], r"error: first \(signal 9\)"),  # somebody ended it, or memory did
        ("cpu", 1, [False], r"error: first \(exit code 1\)"),
        ("cpu", 0, [False], r"error: first \(exit code 0\)"),
        ("cuda:sm_89", -11, [True], r"error: first \(signal 11\)"),
    ],
)
def test_a_crash_is_run_again_with_the_compilers_checks(word, code, checked, said, monkeypatch, tmp_path):
    commands = []

    def run(command, longest, **kwargs):
        commands.append(command)
        return Done(code, "error: first") if len(commands) == 1 else Done(1, "error: invalid after pass z")

    monkeypatch.setattr(module.child, "run", run)
    with pytest.raises(CompileError, match=said):
        compile_text(GOOD, parse_target(word), tmp_path / "x.vmfb")
    assert ["--verify=false" not in c for c in commands] == checked


def test_a_hanging_compiler_is_stopped(monkeypatch, tmp_path):
    def hang(command, longest, **kwargs):
        raise subprocess.TimeoutExpired(command, longest)

    monkeypatch.setattr(module.child, "run", hang)
    with pytest.raises(CompileError, match="took more than 3600 s; try a smaller net"):
        compile_text(GOOD, CPU, tmp_path / "x.vmfb")


@pytest.mark.parametrize("word", ["xla", "reference"])
def test_only_iree_compiles_ahead(word, tmp_path):
    with pytest.raises(UserError, match=f"compile wants a target that IREE compiles, got '{word}'"):
        compile_text(GOOD, parse_target(word), tmp_path / "x")


def test_a_missing_compiler_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="wants the IREE compiler, got none; pip install iree-base-compiler=="):
        compile_text(GOOD, CPU, tmp_path / "x")


def behind_barriers(kind="barrier"):
    b = Builder("f")
    y = b.parameter("x", TensorType((8, 8)))
    for function in ("tanh", "exp"):
        y = b.op(kind, b.unary(function, y))
    return Module("m", (b.finish([("y", b.unary("tanh", y))]),))


@pytest.mark.parametrize("word", ["cpu", "vulkan"])
def test_barriers_keep_dispatches_apart_and_the_host_waits_for_none(word, tmp_path):
    target = parse_target(word)
    scheduled = replace(target, flags=(*target.flags, "--compile-to=stream"))
    compile_text(text_of(lower(behind_barriers(), target.profile), target.profile), scheduled, tmp_path / "x")
    text = (tmp_path / "x").read_text(errors="replace")
    assert text.count("stream.cmd.dispatch") == 3
    assert text.count("stream.cmd.execute") == 1
    compile_text(text_of(lower(behind_barriers("neg"), target.profile), target.profile), scheduled, tmp_path / "x")
    assert (tmp_path / "x").read_text(errors="replace").count("stream.cmd.dispatch") == 1


def looping(apart):
    """Eight turns that carry a tensor and a key, and give a row each."""
    b = Builder("turn")
    x, key = b.parameter("x", TensorType((64,))), b.parameter("key", TensorType((2,), "ui32"))
    y = b.unary("tanh", x)
    callee = replace(b.finish([("y", y), ("key", b.add(key, key)), ("row", y)]), private=True)
    b = Builder("f")
    values = [b.parameter(n, v.type) for n, v in zip(callee.names, callee.params, strict=True)]
    x, key, rows = b.loop(callee, 8, values, apart=apart)
    row = b.unary("tanh", b.reshape(b.rows(rows, 3, 4), (64,)))
    return Module("m", (callee, b.finish([("x", x), ("key", key), ("row", row)])))


@pytest.mark.parametrize("apart", [True, False], ids=["blocks", "for"])
def test_what_a_loop_carries_is_not_copied_in_every_turn(apart, tmp_path):
    target = parse_target("cpu")
    scheduled = replace(target, flags=(*target.flags, "--compile-to=stream"))
    text = text_of(lower(looping(apart), "cpu"), "cpu")
    loose = re.sub(
        r'"flow.tensor.barrier"\((%[\w#]+)\) .* : \((.*)\) -> .*', r"stablehlo.reshape \1 : (\2) -> \2", text
    )

    def copies(module):
        """How often a row, or what is carried, is copied; and a whole buffer."""
        compile_text(module, scheduled, tmp_path / "x")
        sizes = re.findall(r"stream.cmd.copy .*, %c(\d+) :", (tmp_path / "x").read_text(errors="replace"))
        return sizes.count("256"), sizes.count("2048")

    rows, whole = copies(text)
    assert rows <= 1 and whole == 0
    # IREE makes more of its own accord; where it no longer does, the text need not say where the values lie
    assert sum(copies(loose)) > rows


def test_an_architecture_is_compiled_for_and_run_elsewhere(monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    with pytest.raises(UserError, match=r"`target=cpu:aarch64` runs on aarch64, got a machine of x86_64; compile it"):
        check_device(parse_target("cpu:aarch64"))
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    check_device(parse_target("cpu:aarch64"))


def test_a_level_runs_where_its_features_are(monkeypatch, tmp_path):
    said = "flags\t\t: fpu sse2 cx16 popcnt sse4_1 sse4_2 ssse3 avx2 bmi1\n"
    monkeypatch.setattr(Path, "read_text", lambda path, **how: said)
    monkeypatch.setattr(cpu_levels, "_features", cpu_levels._features.__wrapped__)  # read anew
    found = [name for name in (*LEVELS, "znver4") if runs_here(name)]
    assert found == ["generic", "x86-64", "x86-64-v2"]


def test_two_versions_do_not_go_together(monkeypatch):
    monkeypatch.setattr(module, "version_of", lambda name: {module.COMPILER: "3.13.0", module.RUNTIME: "3.12.0"}[name])
    with pytest.raises(UserError, match=r"of one version, got 3.13.0 and 3.12.0; pip install iree-base"):
        check_pair()


def test_a_runtime_without_its_compiler_runs_what_was_compiled_elsewhere(monkeypatch):
    """A cache that was carried: the key is that of the compiler of the runtime's version."""
    before = key_of(GOOD, parse_target("cuda:sm_89"), "")
    held = module.version_of(module.RUNTIME)
    monkeypatch.setattr(module, "version_of", lambda name: {module.COMPILER: None, module.RUNTIME: held}[name])
    check_pair()
    assert key_of(GOOD, parse_target("cuda:sm_89"), "") == before
    monkeypatch.setattr(module, "version_of", lambda name: None)
    with pytest.raises(UserError, match="of one version, got None and None"):
        check_pair()


def test_keys_tell_text_target_and_flags_apart():
    words = ("cpu", "cpu:haswell", "cuda:sm_80", "cuda:sm_89", "vulkan", "rocm:gfx942")
    keys = [key_of(text, parse_target(w), "label") for text in (GOOD, GOOD + "\n") for w in words]
    assert len({k.digest for k in keys}) == len(keys)
    assert key_of(GOOD, CPU, "one").digest == key_of(GOOD, CPU, "two").digest  # the label is for people
    # artefacts of texts as they were are none of these
    assert module.HANDED_OVER in key_of(GOOD, CPU, "one").flags
    assert any(host_cpu() in flag for flag in key_of(GOOD, CPU, "x").flags)
    assert not any("host=" in flag for flag in key_of(GOOD, parse_target("cpu:haswell"), "x").flags)


def test_the_second_time_is_a_hit_and_two_compiles_agree(compiled, tmp_path):
    first, second = (compile_cached(GOOD, CPU, "good", compiled) for _ in "12")
    assert not first.hit
    assert second.hit
    compile_text(GOOD, CPU, tmp_path / "again.vmfb")
    assert (tmp_path / "again.vmfb").read_bytes() == second.path.read_bytes()


def test_a_failed_compile_leaves_no_entry(compiled):
    before = len(compiled.entries())
    with pytest.raises(CompileError):
        compile_cached("nothing", CPU, "bad", compiled)
    assert len(compiled.entries()) == before


def test_an_artefact_bears_its_key_and_no_other(tmp_path):
    key = key_of(GOOD, CPU, "")
    compile_text(GOOD, CPU, tmp_path / "x.vmfb")
    content = (tmp_path / "x.vmfb").read_bytes()
    assert module.mark_of(key).encode() in content
    assert module.mark_of(key_of(GOOD, parse_target("vulkan"), "")).encode() not in content


def test_an_artefact_of_another_text_under_a_fitting_manifest_is_compiled_again(tmp_path):
    said = []
    cache = Cache(tmp_path / "cache", on_damage=said.append)
    kept = compile_cached(GOOD, CPU, "m", cache)
    content = kept.path.read_bytes()
    compile_text(GOOD.replace("stablehlo.add", "stablehlo.multiply"), CPU, kept.path)
    foreign = kept.path.read_bytes()
    assert foreign != content
    changed = replace(kept, bytes=len(foreign), sha256=hashlib.sha256(foreign).hexdigest())
    kept.path.with_name("manifest.json").write_bytes(to_manifest(changed))
    again = compile_cached(GOOD, CPU, "m", cache)
    assert not again.hit and again.path.read_bytes() == content
    assert len(said) == 1 and "was compiled from another program, or for another target" in said[0]


LOAD = """
import os, sys
import numpy as np
from netc.codegen.builder import Builder
from netc.codegen.ir import Module
from netc.netspec.types import TensorType
from netc.runtime.backends.iree import load_iree
from netc.runtime.backends.protocol import Source
from netc.runtime.target import parse_target

def refuse(event, arguments):  # a test may run as a user who may write to anything
    if event == "open" and str(arguments[0]).endswith(".vmfb") and arguments[2] & (os.O_WRONLY | os.O_RDWR):
        raise PermissionError(13, "Permission denied", arguments[0])

sys.addaudithook(refuse)
from pathlib import Path
b = Builder("f")
x = b.parameter("x", TensorType((2,)))
module = Module("m", (b.finish([("y", b.add(x, x))]),))
loaded = load_iree(Source(module, "", Path(sys.argv[1])), parse_target("cpu"))
print(loaded.get(loaded.call("f", [loaded.put(np.array([1, 2], np.float32))])[0]).tolist())
"""


def test_an_artefact_is_loaded_from_a_file_that_cannot_be_written(tmp_path):
    compile_text(GOOD, CPU, tmp_path / "x.vmfb")
    words = [sys.executable, "-c", LOAD, str(tmp_path / "x.vmfb")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.stdout == "[2.0, 4.0]\n", done.stderr
