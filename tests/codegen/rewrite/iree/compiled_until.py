"""What IREE has made of a module at a stage of its compile. A helper, not a test."""

import subprocess

import pytest

from netc.codegen.rewrite.lower import lower
from netc.codegen.text import text_of
from netc.runtime.compile import UNCHECKED, compiler_path
from netc.runtime.target import parse_target


def compiled_until(stage, module, without, folder):
    """The text at a stage of `--compile-to`, for AVX-512; the passes `without` are left out."""
    pytest.importorskip("iree.compiler")
    text = folder / "module.mlir"
    text.write_text(text_of(lower(module, "cpu", without=without), "cpu"))
    flags = parse_target("cpu:x86-64-v4").flags
    command = [str(compiler_path()), str(text), UNCHECKED, *flags, f"--compile-to={stage}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
