"""A session: one program on one target, its state on the device."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from netc.codegen.ir import IrError, Module
from netc.codegen.ops.loop import LOOPS
from netc.codegen.program import Program
from netc.codegen.render import render
from netc.codegen.rewrite.form_overrides import NO_OVERRIDES, FormOverrides, digest_of
from netc.codegen.rewrite.lower import lower
from netc.codegen.rewrite.scan_blocks import FEWEST
from netc.codegen.rewrite.select_forms import used
from netc.netspec.errors import NetcError, UserError
from netc.runtime.backends import load
from netc.runtime.backends.protocol import Array, Buffer, Loaded, Source
from netc.runtime.cache.store import Cache
from netc.runtime.compile import compile_cached, made_by
from netc.runtime.files import write_whole
from netc.runtime.target import Target, parse_target

DTYPES = {"f32": np.float32, "f64": np.float64, "i32": np.int32, "ui32": np.uint32, "i1": np.bool_}


@dataclass(frozen=True)
class Prepared:
    """A program made ready for a target: its text, and what was spent on it in seconds.

    `choices` are the forms of convolutions in it that are not what the target's table says.
    """

    program: Program
    target: Target
    source: Source
    sha256: str
    emission: float
    compilation: float
    cached: bool
    choices: FormOverrides = field(default_factory=dict)

    @property
    def step_sha256(self) -> str:
        """The digest of the text without `train_steps`: what a trace's header records.

        K steps in one call are the same K steps, so a trace does not depend on K.
        """
        if self.program.steps_per_call == 1:
            return self.sha256
        module = self.source.module
        rest = replace(module, functions=tuple(f for f in module if f.name != "train_steps"))
        return hashlib.sha256(render(rest).encode()).hexdigest()


def in_use(program: Program, target: Target, choices: FormOverrides) -> FormOverrides:
    """Those of the choices that change this program's text; raises UserError for a form that cannot be used."""
    try:
        return used(program.module, target.family, choices)
    except IrError as error:
        raise UserError(str(error)) from error


def emit_text(program: Program, target: Target, choices: FormOverrides = NO_OVERRIDES) -> Source:
    """Lower and render the program for the target's family of schedules, with forms chosen for single convolutions.

    Raises UserError for a precision that the target's compiler does not take, and for a net without blocks to scan.
    """
    if program.recipe.precision == "bf16" and target.driver == "vulkan":
        raise UserError(
            f"--precision bf16 wants cpu, cuda:SM, rocm:GFX, xla or reference, got {target.word}: IREE 3.12 cannot "
            "compile products of bf16 for Vulkan; leave --precision out"
        )
    module = lower(program.module, target.family, choices, scan=program.recipe.scan_blocks)
    if program.recipe.scan_blocks:
        _check_scanned(program, module, target)
    return Source(module, render(module))


def _check_scanned(program: Program, module: Module, target: Target) -> None:
    nested = (("accumulate", program.recipe.accumulate), ("steps-per-call", program.steps_per_call))
    for name, count in nested:
        if count > 1 and target.engine == "iree":
            raise UserError(
                f"--scan-blocks wants no --{name} on {target.word}, got {count}: IREE 3.12 loses buffers of loops in "
                "loops; leave one of the two out"
            )
    if all(op.kind not in LOOPS or op.attr("apart") for f in module.needed("train_step") for op in f.ops):
        raise UserError(
            f"--scan-blocks wants {FEWEST} or more equal blocks in a row (block0, block1, ..), got "
            f"{program.net.spec.name} without (dropout makes blocks different); leave it out"
        )


def write_manifest(
    path: Path,
    program: Program,
    sha256: str,
    target: str | None,
    choices: FormOverrides = NO_OVERRIDES,
    artefact: Path | None = None,
) -> None:
    """Write what a host without Python needs beside the module whose text has this digest, as JSON.

    `target` is the word of the one that the text is for, None for plain StableHLO. Forms that were measured and not
    the table's are named: with them the text can be made again. Of an artefact it says what made it.
    """
    manifest: dict[str, Any] = {**program.manifest, "module_sha256": sha256}
    if target is not None:
        manifest["target"] = target
    if choices:
        manifest["tuned"] = {"digest": digest_of(choices), "forms": dict(choices)}
    if artefact is not None and target is not None:
        manifest["artefact"] = made_by(artefact, parse_target(target))
    write_whole(path, json.dumps(manifest, indent=1, allow_nan=False) + "\n")


def prepare(program: Program, target: Target, cache: Cache, choices: FormOverrides = NO_OVERRIDES) -> Prepared:
    """Lower, render and, for IREE, compile or take from the cache. Raises CompileError or UserError.

    `choices` may name forms of convolutions that this program does not have; `Prepared.choices` are those in use.
    """
    start = time.perf_counter()
    choices = in_use(program, target, choices)
    source = emit_text(program, target, choices)
    emitted = time.perf_counter()
    sha256 = hashlib.sha256(source.text.encode()).hexdigest()
    cached = False
    if target.engine == "iree":
        entry = compile_cached(source.text, target, f"{program.net.spec.name} b{program.batch}", cache)
        source, cached = Source(source.module, source.text, entry.path), entry.hit
    return Prepared(program, target, source, sha256, emitted - start, time.perf_counter() - emitted, cached, choices)


@dataclass(frozen=True, eq=False)
class Feed:
    """What one or more steps take besides the state, on the device.

    `calls` are the arguments (x, y, rate) of one call of `function` each; `rates` [steps] stay on the host.
    """

    function: str
    calls: tuple[tuple[Buffer, Buffer, Buffer], ...]
    rates: Array


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

    @property
    def concurrent_upload(self) -> bool:
        """Whether another thread may `upload` while this one trains."""
        return self._loaded.concurrent_put

    def upload(self, xs: Sequence[Array], ys: Sequence[Array], lrs: Sequence[float] | Array) -> Feed:
        """Copy batches x [B, ..] and y [B, ..] and their rates to the device, for `train`.

        As many as the program's `steps_per_call` become one call; fewer, or where a loop of the backend would round
        in another way, are a call each, handed over one after the other.
        """
        put, rates = self._loaded.put, np.asarray(lrs, np.float32)
        if len(xs) == self.program.steps_per_call > 1 and self._loaded.exact_loops:
            return Feed("train_steps", ((put(np.stack(xs)), put(np.stack(ys)), put(rates)),), rates)
        calls = tuple((put(x), put(y), put(np.asarray(lr))) for x, y, lr in zip(xs, ys, rates, strict=True))
        return Feed("train_step", calls, rates)

    def train(self, feed: Feed, metrics: Collection[str] | None = None) -> dict[str, Array]:
        """The steps of a feed; returns the metrics, float32 [steps] each: all, or those of `metrics` that there are.

        Nothing is waited for between its calls.
        """
        held, found = len(self.state), []
        for args in feed.calls:
            results = self._loaded.call(feed.function, [*self.state, *args], donate=held)
            self.state = results[:held]
            found.append(results[held:])
        get = self._loaded.get
        wanted = self._metrics if metrics is None else metrics
        if len(found) == 1:
            return {n: get(v).reshape(-1) for n, v in zip(self._metrics, found[0], strict=True) if n in wanted}
        columns = zip(self._metrics, zip(*found, strict=True), strict=True)
        return {n: np.concatenate([get(v).reshape(-1) for v in vs]) for n, vs in columns if n in wanted}

    def train_step(self, x: Array, y: Array, lr: float) -> dict[str, np.float32]:
        """One step on a batch x [B, ..] float32, y [B] int32; returns the metrics."""
        return {n: np.float32(v[0]) for n, v in self.train(self.upload([x], [y], [lr])).items()}

    def train_steps(self, xs: Array, ys: Array, lrs: Array) -> dict[str, Array]:
        """K steps in one call, on batches xs [K, B, ..] and ys [K, B, ..] at rates lrs [K]; each metric is [K].

        The same bits as K calls of `train_step`. Raises NetcError unless K is the program's `steps_per_call`.
        """
        count = self.program.steps_per_call
        if count == 1 or not len(xs) == len(ys) == len(lrs) == count:
            raise NetcError(
                f"train_steps wants the steps_per_call that the program was built with, {count} and above 1, "
                f"got {len(xs)} batches, {len(ys)} targets and {len(lrs)} rates"
            )
        return self.train(self.upload(list(xs), list(ys), lrs))

    def repeated(self, x: Array, y: Array, lr: float) -> Callable[[], float]:
        """A step on one batch that stays on the device, for benchmarks: each call trains on and gives the loss."""
        put, get, held = self._loaded.put, self._loaded.get, len(self.state)
        args = [put(x), put(y), put(np.asarray(lr, np.float32))]

        def step() -> float:
            results = self._loaded.call("train_step", [*self.state, *args], donate=held)
            self.state = results[:held]
            return float(get(results[held]))

        return step

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
