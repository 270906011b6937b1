"""CUDA C++ given to nvcc, which makes PTX of it or says what is wrong: no GPU is needed."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from netc.netspec.errors import NetcError
from netc.runtime.c_compiler import ran, refusal

LONGEST = 300  # seconds


def checked_by_nvcc(text: str) -> str | None:
    """What nvcc made of the text, in a sentence; None if there is no nvcc on PATH. Raises NetcError if it refuses."""
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        return None
    with tempfile.TemporaryDirectory(prefix="netc-") as folder:
        source, made = Path(folder) / "kernel.cu", Path(folder) / "kernel.ptx"
        source.write_text(text, encoding="utf-8")
        try:
            refused = refusal(ran([nvcc, "-ptx", "-Werror", "all-warnings", "-o", str(made), str(source)], LONGEST))
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NetcError(f"nvcc cannot run: {error}; fix it, or leave out the check") from error
        if refused:
            raise NetcError(f"nvcc refuses the kernel: {refused}; report this with the kernel")
        ptx = made.read_text(encoding="utf-8")
    target = re.search(r"^\.target (\S+)", ptx, re.MULTILINE)
    return f"nvcc takes it: {ptx.count(chr(10))} lines of PTX for {target[1] if target else 'its target'}"
