"""Memory that IREE takes anew at each call is not mapped anew: its page faults would cost as much as a step."""

import subprocess
import sys
from pathlib import Path

import pytest

# a gigabyte and a half, as the slab of a large net's step; only its first 64 MiB are written
TWICE = """
import ctypes, resource
from netc.runtime.backends.iree import device_of
device_of("local-task")
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = libc.malloc(3 << 29)
    ctypes.memset(block, 1, 64 << 20)
    libc.free(block)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(faults() > 1000, faults() < 100)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mallopt is glibc's")
def test_a_large_slab_keeps_its_pages_between_calls() -> None:
    done = subprocess.run([sys.executable, "-c", TWICE], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["True", "True"]


# a hole below what is still held, as a checkpoint's tensors leave below the state that was made of them
HOLE = """
import ctypes
from netc.runtime.backends.iree import _give_back, device_of
from netc.runtime.measure.race import resident
device_of("local-task")
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
below, above = libc.malloc(128 << 20), libc.malloc(1 << 20)
ctypes.memset(below, 1, 128 << 20)
ctypes.memset(above, 1, 1 << 20)
libc.free(below)
before = resident()
_give_back()
print(before - resident() > 120)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="malloc_trim is glibc's")
def test_what_a_training_was_begun_with_is_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", HOLE], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["True"]


# what malloc gives after the first step of a state of so many rows of 4 KiB
PAGES = """
import ctypes, sys, threading
from pathlib import Path
import numpy as np
from netc.codegen.builder import Builder
from netc.codegen.ir import Module
from netc.codegen.rewrite.lower import lower
from netc.codegen.text import text_of
from netc.netspec.types import TensorType
from netc.runtime.backends.iree import load_iree
from netc.runtime.backends.protocol import Source
from netc.runtime.compile import compile_text
from netc.runtime.target import parse_target

from dataclasses import replace
rows, folder, name = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
b = Builder(name)
state = b.parameter("state", TensorType((rows, 1024)))
step = replace(b.finish([("state", b.add(state, 1.0))]), donated=int(name == "train_step"))
target = parse_target("cpu")
module = lower(Module("pages", (step,)), target.profile)
compile_text(text_of(module, target.profile), target, folder / "pages.vmfb")
loaded = load_iree(Source(module, "", folder / "pages.vmfb"), target)
result = loaded.put(np.zeros((rows, 1024), np.float32))
gathered = 0
for _ in range(3):
    (result,) = loaded.call(name, [result])
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            thread.join()
            gathered += 1
assert loaded.get(result).sum() == 3 * rows * 1024

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
block = libc.malloc(256 << 20)
advised, inside = 0, False
for line in Path("/proc/self/smaps").read_text().splitlines():
    place = line.split()[0]
    if "-" in place:
        begin, end = (int(p, 16) for p in place.split("-"))
        inside = begin <= block + (128 << 20) < end
    elif inside and place == "VmFlags:":
        advised = "hg" in line.split()
print(advised, gathered)
"""


@pytest.mark.skipif(
    not Path("/sys/kernel/mm/transparent_hugepage").exists(), reason="pages of 2 MiB are Linux's, where they are built"
)
@pytest.mark.parametrize(
    ("rows", "name", "advised"),
    [
        (8192, "train_step", "True"), (128, "train_step", "False"), (8192, "predict", "True"),
        (128, "predict", "False"), (8192, "init", "False"),
    ],
)  # fmt: skip
def test_what_moves_much_asks_for_large_pages(rows, name, advised, tmp_path) -> None:
    """Steps of a large state, and what looks at one; `init` would take seconds for it."""
    done = subprocess.run(
        [sys.executable, "-c", PAGES, str(rows), str(tmp_path), name], check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == [advised, "1" if advised == "True" else "0"]
