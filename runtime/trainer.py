"""A session with the state that it is at, for loops that go from step to step."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import numpy as np

from netc.codegen.symbolic.program import taken
from netc.netspec.errors import NetcError, UserError
from netc.runtime.backends.protocol import Array, Piece
from netc.runtime.prepare import Prepared
from netc.runtime.session import NO_STATE, Feed, Session, State


class Trainer:
    """The state of a training run on a device, and the module's functions on it. It is loaded at once."""

    def __init__(self, prepared: Prepared, parts: int = 1) -> None:
        self.prepared = prepared
        self.program = prepared.program
        self.session = Session(prepared, parts)
        self.state: State | None = None
        self.upload = self.session.upload
        self.concurrent_upload = self.session.concurrent_upload

    def init(self, seed: int) -> None:
        """Draw the first state from a seed of 64 bits."""
        self.state = self.session.init(seed)

    def restore(self, tensors: Mapping[str, Array]) -> None:
        """Take a state from the host; raises NetcError if a tensor is missing or has another shape."""
        self.state = self.session.restore(tensors)

    def fetch(self) -> dict[str, Array]:
        """The whole state on the host, by name, in order."""
        return self.session.fetch(self._held)

    def pieces(self) -> dict[str, list[Piece]]:
        """What this process is to write of the state, by name, in order, where several have it in pieces."""
        return self.session.pieces(self._held)

    @property
    def _held(self) -> State:
        if self.state is None:
            raise UserError(NO_STATE.format(got="none"))
        return self.state

    def train(self, feed: Feed, metrics: Collection[str] | None = None) -> dict[str, Array]:
        """The steps of a feed; returns the metrics, float32 [steps] each: all, or those of `metrics` that there are."""
        self.state, found = self.session.run(self._held, feed, metrics)
        return found

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
        args, get = self.upload([x], [y], [lr]).calls[0], self.session.loaded.get

        def step() -> float:
            self.state, metrics = self.session.call(self._held, "train_step", args)
            return float(get(metrics[0]))

        return step

    def eval_step(self, x: Array, y: Array, weight: Array, *, averaged: bool = False) -> tuple[float, float, float]:
        """Weighted sums over a batch: (loss, correct, count), of the weights or of their averages."""
        return self.session.evaluate(self._held, x, y, weight, averaged=averaged)

    def sums(self, x: Array, y: Array, weight: Array, *, averaged: bool = False) -> Array:
        """The same float64 [3], and behind them those of the choices among experts, where there are any."""
        return self.session.sums(self._held, x, y, weight, averaged=averaged)

    def no_sums(self) -> Array:
        """The sums of no batch: zeros."""
        return np.zeros(sum(v.type.size for v in self.program.module.function("eval_step").results))

    def predict_part(self, x: Array) -> Array:
        """Logits [n, ..] for n examples, which may be fewer than a batch."""
        wanted = taken(self.program, len(x))
        rest = np.zeros((wanted - len(x), *x.shape[1:]), x.dtype)
        return self.predict(np.concatenate([x, rest]) if len(rest) else x)[: len(x)]

    def predict(self, x: Array) -> Array:
        """Logits [B, classes] for a batch x [B, ..]."""
        return self.session.predict(self._held, x)
