"""A session: one program on one target, its state on the device."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from netc.netspec.errors import NetcError
from netc.runtime.backends import load
from netc.runtime.backends.protocol import Array, Buffer, Loaded
from netc.runtime.prepare import Prepared

DTYPES = {"f32": np.float32, "f64": np.float64, "i32": np.int32, "ui32": np.uint32, "i1": np.bool_}


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
