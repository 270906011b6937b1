"""What a hostile file costs: no reader takes more than 64 MB and 16 bytes for each byte of the file."""

import gzip
import struct
import subprocess
import sys
import tarfile
import zlib

import pytest

MEASURE = """
import sys
from pathlib import Path
from netc.netspec.errors import NetcError
from netc.traces.errors import TraceError
{imports}

def bytes_of(field):
    line = next(line for line in open("/proc/self/status") if line.startswith(field))
    return int(line.split()[1]) * 1024

path = Path(sys.argv[1])
before = bytes_of("VmRSS")
try:
    kept = {call}
    word = "read"
except (NetcError, TraceError) as error:
    word = type(error).__name__
print(bytes_of("VmHWM") - before, word)
"""


def black_png(side, *, grey=False):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer, row = zlib.compressobj(9), bytes(1 + (1 if grey else 3) * side)
    pixels = b"".join([*(packer.compress(row) for _ in range(side)), packer.flush()])
    header = struct.pack(">IIBBBBB", side, side, 8, 0 if grey else 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def idx_bomb():
    """1 GB of zeros behind a right header, in 1 MB."""
    header = bytes((0, 0, 8, 3)) + struct.pack(">3I", 1 << 10, 1 << 10, 1 << 10)
    return gzip.compress(header) + gzip.compress(bytes(1 << 20), 9) * (1 << 10)


def cifar_bomb(path):
    """A member whose extended header is said to be 4 GB, and much to unpack behind it."""
    member = tarfile.TarInfo("./PaxHeaders/x")
    member.type, member.size = tarfile.XHDTYPE, 1 << 32
    return gzip.compress(member.tobuf(tarfile.USTAR_FORMAT)) + gzip.compress(bytes(1 << 20), 9) * 500


def header_of_tensors(size):
    names = ",".join(f'"t{i}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}' for i in range(size // 60))
    return struct.pack("<Q", len(names) + 2) + b"{" + names.encode() + b"}"


def objects(size):
    return b"[" + b'{"":0},' * (size // 7) + b"0]"


CASES = {
    "an IDX bomb": (lambda p: idx_bomb(), "from netc.runtime.data.idx import read_idx", "read_idx(path, 3)"),
    "a black PNG": (
        lambda p: black_png(9000),
        "from netc.runtime.data.image_file import decode, survey\nfrom PIL import Image\nImage.init()",
        "(survey(path), decode(path, (8, 8, 3)))",
    ),
    "a PNG that may be": (
        lambda p: black_png(2000),
        "from netc.runtime.data.image_file import decode, survey\nfrom PIL import Image\nImage.init()",
        "(survey(path), decode(path, (8, 8, 3)))",
    ),
    "a mask that may be": (
        lambda p: black_png(4000, grey=True),
        "from netc.runtime.data.mask_file import counted, read_mask\nfrom PIL import Image\nImage.init()",
        "counted(read_mask(path)[0])",
    ),
    "a mask that is too large": (
        lambda p: black_png(9000, grey=True), "from netc.runtime.data.mask_file import read_mask", "read_mask(path)",
    ),
    "a CIFAR bomb": (cifar_bomb, "from netc.runtime.data.cifar import read_archive", "read_archive(path)"),
    "a text": (
        lambda p: ("Some é text, of 漢字 and 😀.\n" * 400_000).encode(),
        "from netc.runtime.data.text import load_text",
        'load_text(path, "t")',
    ),
    "a table of numbers": (
        lambda p: b"1,2,3,x\n" * 1_000_000,
        "from netc.runtime.data.csv_file import load_csv",
        'load_csv(path, "t", {})',
    ),
    "a table of short rows": (
        lambda p: b"1,1\n" * 2_000_000, "from netc.runtime.data.csv_file import load_csv", 'load_csv(path, "t", {})',
    ),
    "a table of many classes": (
        lambda p: b"".join(b"1,c%d\n" % i for i in range(1_000_000)),
        "from netc.runtime.data.csv_file import load_csv",
        'load_csv(path, "t", {})',
    ),
    "a table of one row": (
        lambda p: b"12," * 4_000_000, "from netc.runtime.data.csv_file import load_csv", 'load_csv(path, "t", {})',
    ),
    "a table of long rows": (
        lambda p: (b"12," * 170_000 + b"\n") * 3,
        "from netc.runtime.data.csv_file import load_csv",
        'load_csv(path, "t", {})',
    ),
    "a table of names of images": (
        lambda p: b"a.png,1\n" * 500_000, "from netc.runtime.data.csv_file import load_csv", 'load_csv(path, "t", {})',
    ),
    "arrays that say they are large": (
        lambda p: b"\x93NUMPY\1\0v\0" + b"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999,)}".ljust(118),
        "from netc.runtime.data.array_files import read_npy",
        "read_npy(path)",
    ),
    "a trace of newlines": (lambda p: b"\n" * 20_000_000, "from netc.traces.read import read", "read(path)"),
    "a trace of short lines": (
        lambda p: b'{"kind":"header","a":1}\n' * 800_000, "from netc.traces.read import read", "read(path)",
    ),
    "a run.json of objects": (
        lambda p: objects(4_000_000), "from netc.runtime.run.config import read_config", "read_config(path.parent)",
    ),
    "a checkpoint's manifest of objects": (
        lambda p: objects(4_190_000), "from netc.runtime.run.checkpoint import load", "load(path.parent)",
    ),
    "a noise file of objects": (
        lambda p: objects(4_000_000), "from netc.traces.floor import read_floor", "read_floor(path)",
    ),
    "a header of tensors": (
        lambda p: header_of_tensors(4_000_000),
        "from netc.runtime.weights.tensor_file import open_tensors",
        "open_tensors(path)",
    ),
    "a spec of dots": (
        lambda p: b"a." * 500_000 + b"a = 1\n", "from netc.netspec.toml import load", "load(path)",
    ),
    "a spec of tables": (lambda p: b"[[a]]\n" * 170_000, "from netc.netspec.toml import load", "load(path)"),
    "a spec of objects": (
        lambda p: b"a=[" + b"{a=0}," * 170_000 + b"]", "from netc.netspec.toml import load", "load(path)",
    ),
    "a spec of one long word": (lambda p: b"a" * 1_000_000, "from netc.netspec.toml import load", "load(path)"),
    "a Lean file of brackets": (lambda p: b"(" * 1_000_000, "from netc.netspec.lean.file import load", "load(path)"),
    "a Lean file of definitions": (
        lambda p: b"def a := 1\n" * 90_000, "from netc.netspec.lean.file import load", "load(path)",
    ),
}  # fmt: skip
NAMES = {"run.json": "a run.json of objects", "manifest.json": "a checkpoint's manifest of objects"}


@pytest.mark.parametrize("case", CASES)
def test_no_reader_takes_more_than_its_file_allows(tmp_path, case):
    make, imports, call = CASES[case]
    path = tmp_path / next((name for name, of in NAMES.items() if of == case), "file")
    path.write_bytes(make(path))
    code = MEASURE.format(imports=imports, call=call)
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    taken, word = done.stdout.split()
    most = 64_000_000 + 16 * path.stat().st_size
    assert int(taken) < most, f"{int(taken) / 1e6:,.0f} MB of {most / 1e6:,.0f} MB, {word}"
