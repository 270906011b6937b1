"""Give malformed files to every reader of netc, and flip bits in every kind of file that netc writes.

    python scripts/study_malformed.py [--inputs N] [--flips N] [--seed S] [--kinds K,K] [-o FILE.md]

For each kind of file a small right one is made. An input is that file with a few changes: bits flipped, cut short,
parts doubled, moved, taken from another kind, numbers replaced by extreme ones, brackets nested, bytes of zero. The
reader must take it or refuse it by a sentence (NetcError, or TraceError of the traces room) within 2 s of the
processor and 512 MB.
Anything else is a fault: another exception (`traceback`), a longer time (`slow`), more memory (`memory`: MemoryError
under a limit of the address space), or a process that dies (`crash`). The first input of each fault is kept.

A flip is one bit of a file that netc wrote. It must be refused, or, where the reader gives what it gave before, be
without effect. `silent` are the others: read, and another value.

Readers of images and of StableHLO are other people's (Pillow, MLIR): what they raise must become a sentence too.
"""

from __future__ import annotations

import argparse
import gzip
import json
import multiprocessing
import os
import random
import re
import resource
import shutil
import signal
import struct
import sys
import tarfile
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from PIL import Image

from netc.cli.main import _run
from netc.netspec.check import check
from netc.netspec.errors import NetcError
from netc.netspec.lean.file import load as load_lean
from netc.netspec.lean.listing import summaries
from netc.netspec.toml import load as load_toml
from netc.runtime.cache.store import Cache, CacheKey
from netc.runtime.data import cifar
from netc.runtime.data.idx import read_idx
from netc.runtime.data.image_file import decode, survey
from netc.runtime.data.text import load_text
from netc.runtime.measure.tuned import Winner, all_tuned, keep
from netc.runtime.run.checkpoint import load as load_checkpoint
from netc.runtime.run.config import check_spec_file, read_config
from netc.runtime.target import parse_target
from netc.runtime.weights.tensor_file import open_tensors
from netc.traces.errors import TraceError
from netc.traces.floor import MEASURED, Floor, read_floor, write_floor
from netc.traces.read import read, read_timing
from netc.traces.write import Seal, TraceWriter

SECONDS, BYTES = 2.0, 512 << 20
KEY, MARK = CacheKey("a" * 64, "compiler 1", "cpu", ("--fast",), "tiny b4"), "mark.mlir"
NET = """name = "tiny"
input = [8, 8, 1]

[[layers]]
kind = "flatten"

[[layers]]
kind = "dense"
features = 10
"""
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
    %0 = stablehlo.dot_general %x, %w, contracting_dims = [1] x [0] : (tensor<4x3xf32>, tensor<3x2xf32>) -> tensor<4x2xf32>
    %z = stablehlo.constant dense<0.0> : tensor<f32>
    %1 = stablehlo.reduce(%0 init: %z) applies stablehlo.add across dimensions = [0, 1] : (tensor<4x2xf32>, tensor<f32>) -> tensor<f32>
    %o = stablehlo.constant dense<1.0> : tensor<4x2xf32>
    %2 = stablehlo.dot_general %x, %o, contracting_dims = [0] x [0] : (tensor<4x3xf32>, tensor<4x2xf32>) -> tensor<3x2xf32>
    return %1, %2 : tensor<f32>, tensor<3x2xf32>
  }
}
"""  # noqa: E501


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
    picture = Image.fromarray(rng.integers(0, 255, (12, 10, 3), np.uint8))
    for name, kind in KINDS.items():
        if name.startswith("image, "):
            picture.save(root / kind.path)


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


class _SlowError(BaseException):
    """The time is over; no reader may catch it."""


@contextmanager
def bounded(seconds: float) -> Iterator[None]:
    """Raise `_SlowError` after so long on the processor, or ten times as long on the clock: a machine may be busy."""

    def over(number: int, frame: FrameType | None) -> None:
        raise _SlowError

    timers = ((signal.SIGPROF, signal.ITIMER_PROF, seconds), (signal.SIGALRM, signal.ITIMER_REAL, 10 * seconds))
    for number, timer, after in timers:
        signal.signal(number, over)
        signal.setitimer(timer, after)
    try:
        yield
    finally:
        for _, timer, _ in timers:
            signal.setitimer(timer, 0)


def verdict(kind: Kind, path: Path, seconds: float = SECONDS) -> tuple[str, Any]:
    """What became of one file: (`read`, value), (`refused`, sentence), or a fault and its description."""
    started = time.process_time()
    try:
        with bounded(seconds):
            found = kind.read(path)
    except (NetcError, TraceError) as error:
        found, word = str(error), "refused"
    except _SlowError:
        return "slow", "".join(traceback.format_stack(limit=3))
    except MemoryError:
        return "memory", traceback.format_exc(limit=-3)
    except (Exception, RecursionError):  # noqa: BLE001  # this is what is looked for
        return "traceback", traceback.format_exc(limit=-4)
    else:
        word = "read"
    return ("slow", word) if time.process_time() - started > seconds else (word, found)


@dataclass(frozen=True)
class Job:
    """So many inputs, or flips, for one kind."""

    kind: str
    count: int
    seed: int
    flips: bool


def work(job: Job, samples: Path, keep_in: Path, told: Any) -> None:
    """Do a job in a copy of the samples, and send what became of the files, by word."""
    kind, rng = KINDS[job.kind], random.Random(f"{job.seed} {job.kind} {job.flips}")
    root = Path(tempfile.mkdtemp(prefix="netc-malformed-"))
    words: Counter[str] = Counter()
    notes: dict[str, str] = {}
    try:
        warnings.simplefilter("ignore")  # Pillow's, about what it then refuses or reads
        shutil.copytree(samples, root, dirs_exist_ok=True)
        path = location_of(kind, root)
        content = path.read_bytes()
        first, value = verdict(kind, path, 60)  # it imports what it needs
        if first != "read" and "npz" not in job.kind:  # which is refused with the line that converts it
            raise SystemExit(f"the sample of {job.kind} is not read: {value}")
        held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (held + BYTES, held + BYTES))
        others = [location_of(other, root).read_bytes()[:5000] for other in KINDS.values()]
        bits = rng.sample(range(8 * len(content)), min(job.count, 8 * len(content))) if job.flips else []
        for number in range(job.count):
            if job.flips:
                bit = bits[number % len(bits)]
                data = bytearray(content)
                data[bit // 8] ^= 1 << bit % 8
                made = bytes(data)
            else:
                made = malformed(content, others, rng)
            path.write_bytes(made)
            (keep_in / "last").write_bytes(made)  # of a process that dies
            word, found = verdict(kind, path)
            if job.flips and word == "read":
                word = "without effect" if found == value else "silent"
            if word not in ("read", "refused", "without effect") and word not in notes:
                stem = re.sub(r"\W+", "-", f"{job.kind} {word}")
                (keep_in / stem).write_bytes(made)
                notes[word] = f"{keep_in / stem}\n{found if word != 'silent' else ''}"
            words[word] += 1
            path.write_bytes(content)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    told.send((words, notes))


def run(jobs: list[Job], workers: int, keep_in: Path) -> dict[Job, tuple[Counter[str], dict[str, str]]]:
    """Each job in a process of its own, so many at a time; one that dies counts as a crash."""
    fork = multiprocessing.get_context("fork")
    samples = Path(tempfile.mkdtemp(prefix="netc-samples-"))
    found: dict[Job, tuple[Counter[str], dict[str, str]]] = {}
    running: dict[Job, tuple[Any, Any]] = {}
    try:
        make_samples(samples)
        waiting = list(reversed(jobs))
        while waiting or running:
            while waiting and len(running) < workers:
                job = waiting.pop()
                own = keep_in / re.sub(r"\W+", "-", f"{job.kind} {'flips' if job.flips else 'inputs'}")
                own.mkdir(parents=True, exist_ok=True)
                ours, theirs = fork.Pipe(duplex=False)
                child = fork.Process(target=work, args=(job, samples, own, theirs))
                child.start()
                theirs.close()
                running[job] = child, ours
            for job, (child, ours) in list(running.items()):
                if not ours.poll(0.05) and child.is_alive():
                    continue
                try:
                    found[job] = ours.recv()
                except EOFError:
                    found[job] = Counter(crash=1), {"crash": f"exit code {child.exitcode}, {keep_in}"}
                child.join()
                del running[job]
    finally:
        shutil.rmtree(samples, ignore_errors=True)
    return found


FAULTS = ("traceback", "slow", "memory", "crash")
INPUT_COLUMNS, FLIP_COLUMNS = ("read", "refused", *FAULTS), ("refused", "without effect", "silent", *FAULTS)


def table(found: dict[Job, tuple[Counter[str], dict[str, str]]], flips: bool) -> list[str]:
    """Markdown: a row for each kind, and the sums."""
    columns = FLIP_COLUMNS if flips else INPUT_COLUMNS
    rows = [(job.kind, words) for job, (words, _) in found.items() if job.flips == flips]
    rows.sort(key=lambda row: list(KINDS).index(row[0]))
    rows.append(("all", sum((words for _, words in rows), Counter())))
    head = f"| file | {'flips' if flips else 'inputs'} | " + " | ".join(columns) + " |"
    lines = [
        f"| {name} | {words.total():,} | " + " | ".join(f"{words[c]:,}" for c in columns) + " |" for name, words in rows
    ]
    return [head, "|---" + "|---:" * (len(columns) + 1) + "|", *lines]


def main(arguments: list[str] | None = None) -> int:
    """Run the study; returns 1 where there was a fault or a silent flip."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=20_000, help="malformed inputs in all")
    parser.add_argument("--flips", type=int, default=1_000, help="flipped bits for each kind of file that netc writes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", help="only kinds that contain one of these words, with commas between")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("-o", "--out", type=Path, help="write the tables here too")
    given = parser.parse_args(arguments)
    chosen = [k for k in KINDS if not given.kinds or any(word in k for word in given.kinds.split(","))]
    each = -(-given.inputs // len(chosen)) if given.inputs else 0
    jobs = [Job(k, each, given.seed, flips=False) for k in chosen if each]
    jobs += [Job(k, given.flips, given.seed, flips=True) for k in chosen if KINDS[k].written and given.flips]
    keep_in = Path(tempfile.mkdtemp(prefix="netc-faults-"))
    started = time.perf_counter()
    found = run(jobs, given.workers, keep_in)
    lines = [*table(found, flips=False), "", *table(found, flips=True), ""]
    lines.append(
        f"Seed {given.seed}, {time.perf_counter() - started:.0f} s, at most {SECONDS:g} s and {BYTES >> 20} MB each."
    )
    print("\n".join(lines))
    faults = [(job, word, note) for job, (_, notes) in found.items() for word, note in notes.items()]
    for job, word, note in faults:
        print(f"\n{job.kind}{', flip' if job.flips else ''}: {word}, {note}", file=sys.stderr)
    if given.out:
        given.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    if not faults:
        shutil.rmtree(keep_in)
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
