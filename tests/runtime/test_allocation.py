"""Memory that IREE takes anew at each call is not mapped anew: its page faults would cost as much as a step."""

import subprocess
import sys

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
