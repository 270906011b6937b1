"""A session: one program on one target, its state on the device."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from netc.codegen.program import Program
from netc.codegen.render import render
from netc.codegen.rewrite.lower import lower
from netc.netspec.errors import NetcError
from netc.runtime.backends import load
from netc.runtime.backends.protocol import Array, Buffer, Loaded, Source
from netc.runtime.cache import Cache
from netc.runtime.compile import compile_cached
from netc.runtime.files import write_whole
from netc.runtime.target import Target

DTYPES = {"f32": np.float32, "f64": np.float64, "i32": np.int32, "ui32": np.uint32, "i1": np.bool_}


@dataclass(frozen=True)
class Prepared:
    """A program made ready for a target: its text, and what was spent on it in seconds."""

    program: Program
    target: Target
    source: Source
    sha256: str
    emission: float
    compilation: float
    cached: bool


def emit_text(program: Program, target: Target) -> Source:
    """Lower and render the program for the target's family of schedules."""
    module = lower(program.module, target.family)
    return Source(module, render(module))


def write_manifest(path: Path, program: Program, sha256: str, target: str) -> None:
    """Write what a host without Python needs beside the module whose text has this digest, as JSON."""
    manifest = {**program.manifest, "module_sha256": sha256, "target": target}
    write_whole(path, json.dumps(manifest, indent=1, allow_nan=False) + "\n")


def prepare(program: Program, target: Target, cache: Cache) -> Prepared:
    """Lower, render and, for IREE, compile or take from the cache. Raises CompileError or UserError."""
    start = time.perf_counter()
    source = emit_text(program, target)
    emitted = time.perf_counter()
    sha256 = hashlib.sha256(source.text.encode()).hexdigest()
    cached = False
    if target.engine == "iree":
        entry = compile_cached(source.text, target, f"{program.net.spec.name} b{program.batch}", cache)
        source, cached = Source(source.module, source.text, entry.path), entry.hit
    return Prepared(program, target, source, sha256, emitted - start, time.perf_counter() - emitted, cached)


class Session:
    """The state of a training run on a device, and the module's functions on it. Only batches and metrics cross."""

    def __init__(self, prepared: Prepared) -> None:
        self.prepared = prepared
        self.program = prepared.program
        self._loaded: Loaded = load(prepared.source, prepared.target)
        self._kept = len(self.program.kept)
        self._metrics = list(prepared.source.module.function("train_step").result_names[len(self.program.state) :])
        self.state: list[Buffer] = []

    def init(self, seed: int) -> None:
        """Draw the first state from a seed of 64 bits."""
        words = np.array([seed >> 32 & 0xFFFFFFFF, seed & 0xFFFFFFFF], np.uint32)
        self.state = self._loaded.call("init", [self._loaded.put(words)])

    def restore(self, tensors: Mapping[str, Array]) -> None:
        """Take a state from the host; raises NetcError if a tensor is missing or has another shape."""
        state = []
        for slot in self.program.state:
            tensor = tensors.get(slot.name)
            wanted = np.dtype(DTYPES[slot.type.dtype])
            if tensor is None or tensor.shape != slot.type.shape or tensor.dtype != wanted:
                got = "nothing" if tensor is None else f"{tensor.dtype} {list(tensor.shape)}"
                raise NetcError(
                    f"the state wants {slot.name} {slot.type}, got {got}; it belongs to another net or recipe"
                )
            state.append(self._loaded.put(tensor))
        self.state = state

    def fetch(self) -> dict[str, Array]:
        """The whole state on the host, by name, in order."""
        return {s.name: self._loaded.get(v) for s, v in zip(self.program.state, self.state, strict=True)}

    def train_step(self, x: Array, y: Array, lr: float) -> dict[str, np.float32]:
        """One step on a batch x [B, ..] float32, y [B] int32; returns the metrics."""
        put = self._loaded.put
        args = [*self.state, put(x), put(y), put(np.asarray(lr, np.float32))]
        results = self._loaded.call("train_step", args, donate=len(self.state))
        self.state = results[: len(self.state)]
        values = results[len(self.state) :]
        return {n: np.float32(self._loaded.get(v)) for n, v in zip(self._metrics, values, strict=True)}

    def eval_step(self, x: Array, y: Array, weight: Array) -> tuple[float, float, float]:
        """Weighted sums over a batch: (loss, correct, count)."""
        put = self._loaded.put
        results = self._loaded.call("eval_step", [*self.state[: self._kept], put(x), put(y), put(weight)])
        loss, correct, count = (float(self._loaded.get(r)) for r in results)
        return loss, correct, count

    def predict(self, x: Array) -> Array:
        """Logits [B, classes] for a batch x [B, ..]."""
        results = self._loaded.call("predict", [*self.state[: self._kept], self._loaded.put(x)])
        return self._loaded.get(results[0])
