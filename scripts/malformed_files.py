"""Every kind of file that netc reads: a small right one, how it is read, and changes that make a wrong one of it."""

from __future__ import annotations

import gzip
import json
import random
import re
import shutil
import struct
import tarfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
from PIL import Image
from pyarrow import parquet

from netc.cli.main import _run
from netc.netspec.check import check
from netc.netspec.errors import NetcError
from netc.netspec.layers import Dense, Flatten
from netc.netspec.lean.file import load as load_lean
from netc.netspec.lean.listing import summaries
from netc.netspec.spec import NetSpec
from netc.netspec.toml import load as load_toml
from netc.netspec.toml import to_toml
from netc.runtime.cache.store import Cache, CacheKey
from netc.runtime.data import cifar
from netc.runtime.data.array_files import read_arrays, read_npy
from netc.runtime.data.csv_file import load_csv
from netc.runtime.data.dataset import Dataset
from netc.runtime.data.idx import read_idx
from netc.runtime.data.image_file import decode, survey
from netc.runtime.data.parquet_file import load_parquet
from netc.runtime.data.shards import load_shards
from netc.runtime.data.text import load_text
from netc.runtime.measure.tuned import Winner, all_tuned, keep
from netc.runtime.run.checkpoint import load as load_checkpoint
from netc.runtime.run.config import check_spec_file, read_config
from netc.runtime.target import parse_target
from netc.runtime.weights.tensor_file import open_tensors
from netc.traces.floor import MEASURED, Floor, read_floor, write_floor
from netc.traces.read import read, read_timing
from netc.traces.write import Seal, TraceWriter

KEY, MARK = CacheKey("a" * 64, "compiler 1", "cpu", ("--fast",), "tiny b4"), "mark.mlir"
NET = to_toml(NetSpec("tiny", (8, 8, 1), (Flatten(), Dense(10))))
LEAN = """def tiny : NetSpec where
  name := "tiny"
  imageH := 8
  imageW := 8
  layers := [ .conv2d 1 4 3 .same .relu, .maxPool 2 2, .flatten, .dense 64 10 .identity ]

def wide (n : Nat) : NetSpec := { tiny with layers := [ .flatten, .dense 64 n .relu, .dense n 10 .identity ] }
def both := [wide 16, wide 32]
"""
TEXT = """module @m {
  func.func public @main(%x: tensor<4x3xf32>, %w: tensor<3x2xf32>) -> (tensor<f32>, tensor<3x2xf32>) {
    %0 = stablehlo.dot_general %x, %w, contracting_dims = [1] x [0]
        : (tensor<4x3xf32>, tensor<3x2xf32>) -> tensor<4x2xf32>
    %z = stablehlo.constant dense<0.0> : tensor<f32>
    %1 = stablehlo.reduce(%0 init: %z) applies stablehlo.add across dimensions = [0, 1]
        : (tensor<4x2xf32>, tensor<f32>) -> tensor<f32>
    %o = stablehlo.constant dense<1.0> : tensor<4x2xf32>
    %2 = stablehlo.dot_general %x, %o, contracting_dims = [0] x [0]
        : (tensor<4x3xf32>, tensor<4x2xf32>) -> tensor<3x2xf32>
    return %1, %2 : tensor<f32>, tensor<3x2xf32>
  }
}
"""


class RefusedError(NetcError):
    """What a reader says by a notice instead of an error."""


@dataclass(frozen=True)
class Kind:
    """A kind of file: where it lies in the folder of samples, how it is read, and whether netc wrote it.

    `read` gives what the reader made of it, as something that can be compared.
    """

    path: str
    read: Callable[[Path], Any]
    written: bool = False


def _refuse(sentence: str) -> None:
    raise RefusedError(sentence)


def _checkpoint(path: Path) -> Any:
    found = load_checkpoint(path.parent)
    return {name: (str(t.dtype), t.shape, t.tobytes()) for name, t in found.tensors.items()}, found.meta


def _cached(path: Path) -> Any:
    entry = Cache(path.parents[3], on_damage=_refuse).lookup(KEY, MARK)
    return entry and (asdict(entry), entry.path.read_bytes())


def _spec_file(path: Path) -> Any:
    check_spec_file(path.parent)
    return check(load_toml(path)).spec


def _sealed_trace(path: Path) -> Any:
    """As a resume reads it: bound by the checkpoint."""
    seal = Seal(**json.loads((path.parents[1] / "seal.json").read_text()))
    header = read(path.parents[1] / "trace-as-it-was.jsonl").header
    with TraceWriter(path, header, json.loads((path.parents[1] / "step.json").read_text()), seal=seal):
        return path.read_bytes()


def _tensors(path: Path) -> Any:
    found = open_tensors(path)
    return {name: found.read(name).tobytes() for name in found.tensors}


def _image(path: Path) -> Any:
    survey(path)
    return decode(path, (8, 8, 3)).tobytes()


def _cifar(path: Path) -> Any:
    splits = cifar.read_archive(path) if path.name.endswith(".gz") else cifar.read_folder(path.parent)
    return [(s.pixels.tobytes(), s.labels.tobytes()) for s in splits]


def _table(data: Dataset) -> Any:
    return data.digest, data.classes, data.columns


def _stablehlo(path: Path) -> Any:
    from netc.proofs_oracle.certificate.parse import parse  # in the child: MLIR has threads

    return repr(parse(path.read_bytes()))


KINDS: dict[str, Kind] = {
    "spec, TOML": Kind("net.toml", lambda p: check(load_toml(p)).spec),
    "spec, Lean": Kind("net.lean", lambda p: summaries(load_lean(p))),
    "StableHLO": Kind("net.mlir", _stablehlo),
    "run.json": Kind("run/run.json", lambda p: read_config(p.parent), written=True),
    "spec.toml of a run": Kind("run/spec.toml", _spec_file, written=True),
    "trace": Kind("run/trace.jsonl", read),
    "trace, as resumed": Kind("run/trace.jsonl", _sealed_trace, written=True),
    "wall times": Kind("run/timing.jsonl", read_timing),
    "checkpoint, manifest": Kind("run/last/manifest.json", _checkpoint, written=True),
    "checkpoint, state": Kind("run/last/state.safetensors", _checkpoint, written=True),
    "cache, manifest": Kind(f"cache/v1/entries/{KEY.digest}/manifest.json", _cached, written=True),
    "cache, artefact": Kind(f"cache/v1/entries/{KEY.digest}/artefact", _cached, written=True),
    "tuned forms": Kind("tuned", lambda p: all_tuned(p.parents[1], _refuse), written=True),
    "noise floor": Kind("noise.json", read_floor, written=True),
    "safetensors": Kind("w.safetensors", _tensors),
    "safetensors, index": Kind("w.safetensors.index.json", _tensors),
    "IDX": Kind("images.idx", lambda p: read_idx(p, 3).tobytes()),
    "IDX, gzip": Kind("images.idx.gz", lambda p: read_idx(p, 3).tobytes()),
    "CIFAR, .bin": Kind("cifar/test_batch.bin", _cifar),
    "CIFAR, .tar.gz": Kind("cifar.tar.gz", _cifar),
    "table, CSV": Kind("t.csv", lambda p: _table(load_csv(p, "t", {}))),
    "table, CSV, of images": Kind("images.csv", lambda p: _table(load_csv(p, "t", {}))),
    "shard, tar": Kind("shard.tar", lambda p: _table(load_shards(p, "t", {}))),
    "images in Parquet": Kind("images.parquet", lambda p: _table(load_parquet(p, "t", {}))),
    "table, Parquet": Kind("t.parquet", lambda p: _table(load_parquet(p, "t", {}))),
    "arrays, .npy": Kind("x.npy", lambda p: read_npy(p).tobytes()),
    "arrays, .npz": Kind("xy.npz", lambda p: {name: a.tobytes() for name, a in read_arrays(p).items()}),
    "text": Kind("book.txt", lambda p: load_text(p, "book").train),
    "npz as weights": Kind("w.npz", _tensors),
    **{f"image, {form}": Kind(f"image.{form}", _image) for form in ("png", "jpg", "gif", "bmp", "webp", "tiff", "ppm")},
}


def make_samples(root: Path) -> None:
    """A small right file of every kind."""
    from safetensors.numpy import save_file

    rng = np.random.default_rng(0)
    (root / "net.toml").write_text(NET)
    (root / "net.lean").write_text(LEAN)
    (root / "net.mlir").write_text(TEXT)
    words = ["train", str(root / "net.toml"), "--target", "reference", "--batch", "256", "--epochs", "2", "--quiet"]
    if _run([*words, "--out", str(root / "run")]):
        raise SystemExit("the sample run failed")
    meta = json.loads((root / "run/last/manifest.json").read_text())["meta"]
    (root / "seal.json").write_text(json.dumps(meta["trace"]))
    (root / "step.json").write_text(json.dumps(meta["step"]))
    shutil.copy(root / "run/trace.jsonl", root / "trace-as-it-was.jsonl")
    Cache(root / "cache").get_or_build(KEY, lambda path: path.write_bytes(MARK.encode() + rng.bytes(3000)))
    winner = Winner("im2col", "direct", 1.5, 2.0)
    keep(parse_target("cpu"), root, "tiny", {"conv f32 8x8x4 k3": winner}, _refuse)
    floor = Floor(
        net="tiny", spec_sha256="0" * 64, data_sha256="1" * 64, recipe={"lr": 0.001}, seed=0, batch=4, twins=("a", "b"),
        steps=2, differences=dict.fromkeys(MEASURED, (1e-07, 2e-07)), window=1, means=(1e-7, 1e-7), gradient=1e-6,
        gradient_of="dense1.kernel", doubling=None,
    )  # fmt: skip
    write_floor(root / "noise.json", floor)
    tensors = {"a.weight": rng.normal(size=(4, 3)).astype(np.float32), "a.bias": np.zeros(4, np.float16)}
    save_file(tensors, root / "w.safetensors")
    index = {"metadata": {}, "weight_map": dict.fromkeys(tensors, "w.safetensors")}
    (root / "w.safetensors.index.json").write_text(json.dumps(index))
    np.savez(root / "w.npz", **tensors)
    raw = bytes((0, 0, 8, 3)) + struct.pack(">3I", 5, 6, 7) + rng.bytes(5 * 6 * 7)
    (root / "images.idx").write_bytes(raw)
    (root / "images.idx.gz").write_bytes(gzip.compress(raw))
    (root / "cifar").mkdir()
    for name in cifar.FILES:
        (root / "cifar" / name).write_bytes(rng.bytes(cifar.RECORD))
    with tarfile.open(root / "cifar.tar.gz", "w:gz") as archive:
        archive.add(root / "cifar", "cifar-10-batches-bin")
    (root / "book.txt").write_text("Once upon a time é 漢 😀\r\n" * 20)
    (root / "t.csv").write_text('a,b,"c"\n' + "".join(f"{i},{i / 7},k{i % 3}\n" for i in range(30)))
    (root / "images.csv").write_text("file,kind\n" + "".join(f"one.png,k{i % 2}\n" for i in range(10)))
    np.save(root / "x.npy", np.arange(12, dtype=np.float32).reshape(4, 3))
    np.savez(root / "xy.npz", x=np.zeros((4, 3), np.float32), y=np.zeros(4, np.int64))
    picture = Image.fromarray(rng.integers(0, 255, (12, 10, 3), np.uint8))
    for name, kind in KINDS.items():
        if name.startswith("image, "):
            picture.save(root / kind.path)
    picture.save(root / "one.png")
    with tarfile.open(root / "shard.tar", "w") as archive:
        for i in range(6):
            archive.add(root / "one.png", f"k{i % 2}/{i}.png")
    content = (root / "one.png").read_bytes()
    columns = {"image": [content] * 6, "label": [0, 1] * 3}
    parquet.write_table(pyarrow.table(columns), root / "images.parquet", row_group_size=4)
    parquet.write_table(pyarrow.table({"a": np.arange(9.0), "kind": list("ababababa")}), root / "t.parquet")


def location_of(kind: Kind, root: Path) -> Path:
    """The sample's file; of a folder, the file in it."""
    path = root / kind.path
    return next(path.glob("*.json")) if path.is_dir() else path


EXTREMES = (
    b"0", b"-1", b"4294967296", b"99999999999999999999999", b"1e999", b"NaN", b"-Infinity", b"null", b"[]", b"{}",
    b'""', b"true", b"2147483647", b"0.5",
)  # fmt: skip
WORDS = (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0", b"\0\0\0\x80", b"\x10\0\0\0")
NESTS = (b"[", b"{", b"(", b'{"":', b"[[a]]\n", b"a.", b"((fun x => ", b"\x00", b"\n", b'"', b"\xff\xfe", b"\x1b[31m")


def malformed(content: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """The content with one to four changes."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at, end = sorted(rng.randrange(len(data) + 1) for _ in range(2))
        change = rng.randrange(9)
        if change == 0:
            data = bytearray(content)
            for _ in range(rng.choice((1, 1, 2, 8, 64))):
                if data:
                    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        elif change == 1:
            del data[at:]
        elif change == 2:
            del data[at : min(end, at + 64)]
        elif change == 3:
            data[at:at] = data[at : min(end, at + 512)] * rng.choice((1, 1, 2, 100))
        elif change == 4:
            data[at:at] = rng.choice(NESTS) * rng.choice((1, 2, 100, 20_000))
        elif change == 5:
            data[at : at + 16] = rng.randbytes(rng.choice((1, 4, 16, 300)))
        elif change == 6:
            other = rng.choice(others)
            data[at:end] = other[: rng.randrange(len(other) + 1)]
        elif change == 7 and (numbers := list(re.finditer(rb"-?[0-9][0-9.e+-]*|true|false|null|\"[^\"\n]*\"", data))):
            found = rng.choice(numbers)
            data[found.start() : found.end()] = rng.choice(EXTREMES)
        elif change == 8 and len(data) >= 4:
            at = rng.randrange(len(data) - 3)
            data[at : at + 4] = rng.choice(
                (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0", b"\0\0\0\x80", b"\x10\0\0\0")
            )
    return bytes(data)
