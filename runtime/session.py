"""A session: one program on one target. Every call takes the state and gives the next one; only batches and metrics
cross to the host."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from netc.codegen.program import Program
from netc.codegen.symbolic.program import AnyBatchProgram
from netc.codegen.symbolic.sizes import shown
from netc.netspec.batch import BatchRange
from netc.netspec.errors import NetcError, UserError
from netc.netspec.types import TensorType
from netc.runtime.backends import load
from netc.runtime.backends.protocol import Array, Buffer, InPieces, Loaded, Piece
from netc.runtime.prepare import Prepared

DTYPES = {"f32": np.float32, "f64": np.float64, "i32": np.int32, "ui32": np.uint32, "ui8": np.uint8, "i1": np.bool_}
TAKEN = (
    "a step wants a state, got one that an earlier step took over, whose memory it may have used again; go on with "
    "the state which that step returned, or keep a copy by fetch(state) before it and restore(..) that"
)
NO_TRAINING = (
    "training wants a program of one batch, got one of any, which has init, eval_step and predict; compile with a "
    "number as `batch`"
)
NO_STATE = "a session wants a state, got {got}; make one by init(seed=0), or by restore(tensors)"


@dataclass(eq=False, slots=True)
class State:
    """A training's whole state on the device: parameters, statistics, moments. A step takes it over and returns the
    next; what was taken over is gone.

    `buffers` are in the program's order of slots.
    """

    buffers: list[Buffer] = field(repr=False)
    taken: bool = False


@dataclass(frozen=True, eq=False)
class Feed:
    """What one or more steps take besides the state, on the device.

    `calls` are the arguments (x, y, rate) of one call of `function` each; `rates` [steps] stay on the host.
    """

    function: str
    calls: tuple[tuple[Buffer, Buffer, Buffer], ...]
    rates: Array


class Session:
    """A program's functions on its target, which is loaded by the first of them that is called.

    Raises UserError for what does not fit the program: batches of another size, shape or type, or no state.
    """

    def __init__(self, prepared: Prepared, parts: int = 1) -> None:
        """`parts`: of a batch this session gets one of so many equal ones; other processes get the others."""
        self.prepared = prepared
        self.program: Program = prepared.program
        batches = self.program.range if isinstance(self.program, AnyBatchProgram) else None
        self.any_batch = batches is not None
        held, functions = len(self.program.state), {f.name: f for f in self.program.module}
        self.metrics: tuple[str, ...] = ()
        if batches is None:
            self.metrics = tuple(prepared.source.module.function("train_step").result_names[held:])
        # that of training is the one that every program of one batch has; what only predicts has no y
        whole = next(f for name in ("train_step", "eval_step", "predict") if (f := functions.get(name)))
        types = {name: v.type for name, v in zip(whole.names, whole.params, strict=True)}
        replicas = self.program.replicas
        self._x, self._y = (_Wanted(n, _part(types.get(n, types["x"]), replicas, parts), batches) for n in "xy")
        weight = -1 if batches else self.program.batch // parts
        self._weight = _Wanted("weight", TensorType((weight,)), batches)
        self._kept = len(self.program.kept)
        self._averages = [i for i, slot in enumerate(self.program.state) if slot.role == "average"]

    @cached_property
    def loaded(self) -> Loaded:
        """The module on its device; raises UserError when the device or its library is missing."""
        return load(self.prepared.source, self.prepared.target)

    def init(self, seed: int = 0) -> State:
        """The first state, drawn from a seed of 64 bits."""
        if not isinstance(seed, int | np.integer) or not 0 <= seed < 1 << 64:
            raise UserError(f"`seed` wants an integer from 0 to 2^64 - 1, got {seed!r}; choose one in that range")
        seed = int(seed)
        words = np.array([seed >> 32, seed & 0xFFFFFFFF], np.uint32)
        return State(self.loaded.call("init", [self.loaded.put(words)]))

    def restore(self, tensors: Mapping[str, Array]) -> State:
        """A state of the host's tensors; raises NetcError if one is missing or has another shape."""
        buffers = []
        for slot in self.program.state:
            tensor = tensors.get(slot.name)
            wanted = np.dtype(DTYPES[slot.type.dtype])
            if wanted == np.float64 and tensor is not None and tensor.dtype == np.float32:
                tensor = tensor.astype(wanted)  # weights from elsewhere, which float64 has too
            if tensor is None or tensor.shape != slot.type.shape or tensor.dtype != wanted:
                got = "nothing" if tensor is None else f"{tensor.dtype} {list(tensor.shape)}"
                raise NetcError(
                    f"the state wants {slot.name} {slot.type}, got {got}; it belongs to another net or recipe"
                )
            buffers.append(self.loaded.put(tensor))
        return State(buffers)

    def fetch(self, state: State) -> dict[str, Array]:
        """The whole state on the host, by name, in order."""
        buffers = _buffers(state)
        return {s.name: self.loaded.get(v) for s, v in zip(self.program.state, buffers, strict=True)}

    def pieces(self, state: State) -> dict[str, list[Piece]]:
        """What this process is to write of the state, by name, in order, where several have it in pieces."""
        assert isinstance(self.loaded, InPieces)
        buffers = _buffers(state)
        return {s.name: self.loaded.pieces(v) for s, v in zip(self.program.state, buffers, strict=True)}

    @property
    def concurrent_upload(self) -> bool:
        """Whether another thread may `upload` while this one trains."""
        return self.loaded.concurrent_put

    def upload(self, xs: Sequence[Array], ys: Sequence[Array], lrs: Sequence[float] | Array) -> Feed:
        """Copy batches x [B, ..] and y [B, ..] and their rates to the device, for `run`.

        As many as the program's `steps_per_call` become one call; fewer, or where a loop of the backend would round
        in another way, are a call each, handed over one after the other.
        """
        if self.any_batch:
            raise UserError(NO_TRAINING)
        xs, ys = [self._x.check(x) for x in xs], [self._y.check(y) for y in ys]
        put, rates = self.loaded.put, np.asarray(lrs, np.float32)
        if len(xs) == self.program.steps_per_call > 1 and self.loaded.exact_loops:
            return Feed("train_steps", ((put(np.stack(xs), 1), put(np.stack(ys), 1), put(rates)),), rates)
        calls = tuple((put(x, 0), put(y, 0), put(np.asarray(lr))) for x, y, lr in zip(xs, ys, rates, strict=True))
        return Feed("train_step", calls, rates)

    def run(self, state: State, feed: Feed, metrics: Collection[str] | None = None) -> tuple[State, dict[str, Array]]:
        """The steps of a feed: the next state, and the metrics, float32 [steps] each: all, or those of `metrics`.

        Nothing is waited for between its calls. Where a call has computed its results they are read at once: IREE lays
        all results of a call in one allocation, which a metric that is kept would hold.
        """
        buffers, found, call, at_once = _buffers(state), [], self.loaded.call, self.loaded.synchronous
        held = len(buffers)
        wanted = {n: held + i for i, n in enumerate(self.metrics) if metrics is None or n in metrics}

        def read(values: list[Buffer]) -> list[Array]:
            return [self.loaded.get(v).reshape(-1) for v in values]

        for args in feed.calls:
            results = call(feed.function, [*buffers, *args])
            state.taken, state.buffers, buffers = True, [], results[:held]
            kept = [results[i] for i in wanted.values()]
            found.append(read(kept) if at_once else kept)
        rows = found if at_once else [read(kept) for kept in found]
        joined = rows[0] if len(rows) == 1 else [np.concatenate(column) for column in zip(*rows, strict=True)]
        return State(buffers), dict(zip(wanted, joined, strict=True))

    def call(self, state: State, function: str, args: Sequence[Buffer]) -> tuple[State, list[Buffer]]:
        """Call a function of the training on what lies on the device: the next state, and the metrics there."""
        buffers = _buffers(state)
        results = self.loaded.call(function, [*buffers, *args])
        state.taken = True
        state.buffers = []
        return State(results[: len(buffers)]), results[len(buffers) :]

    def train(self, state: State, x: Array, y: Array, lr: float) -> tuple[State, dict[str, float]]:
        """One step on a batch x [B, ..] and its targets y [B, ..] at the rate `lr`: the next state, and the metrics."""
        _buffers(state)
        state, metrics = self.run(state, self.upload([np.asarray(x)], [self._targets(y)], [_rate(lr)]))
        return state, {n: float(v[0]) for n, v in metrics.items()}

    def evaluate(
        self, state: State, x: Array, y: Array, weight: Array | None = None, *, averaged: bool = False
    ) -> tuple[float, float, float]:
        """Sums over a batch, each example times its `weight` [B] (1 if not given): (loss, correct, count).

        With `averaged`, of the averages in the place of the weights, where the recipe keeps them.
        """
        loss, correct, count = self.sums(state, x, y, weight, averaged=averaged)[:3].tolist()
        return loss, correct, count

    def sums(self, state: State, x: Array, y: Array, weight: Array | None = None, *, averaged: bool = False) -> Array:
        """The same float64 [3], and behind them what an evaluation says of experts: [3 + experts of all layers]."""
        weight = np.ones(len(x) if self.any_batch else self.program.batch, np.float32) if weight is None else weight
        args = (self._x.check(x), self._y.check(self._targets(y)), self._weight.check(weight))
        _same_length(args)  # of any batch no argument's type says how many, and IREE reads beyond the shortest
        buffers = _buffers(state)
        held = [buffers[i] for i in self._averages] if averaged else buffers[: self._kept]
        results = self.loaded.call("eval_step", [*held, *(self.loaded.put(a, 0) for a in args)])
        return np.concatenate([np.ravel(self.loaded.get(r)).astype(np.float64) for r in results])

    def predict(self, state: State, x: Array) -> Array:
        """The net's output [B, ..] for a batch x [B, ..]: of a classifier its logits [B, classes]."""
        held = _buffers(state)[: self._kept]
        return self.loaded.get(self.loaded.call("predict", [*held, self.loaded.put(self._x.check(x), 0)])[0])

    def _targets(self, y: Array) -> Array:
        """The targets, class ids checked to be ids of classes."""
        y = np.asarray(y)
        classes = self.program.net.out.shape[-1] if self.program.net.out.rank else 0
        if self.program.recipe.generation.process and not (classes := self.program.recipe.generation.label_count):
            return y
        if y.size and y.dtype.kind == "i" and not self.program.recipe.check_labels and classes:
            low, high = int(y.min()), int(y.max())
            if low < 0 or high >= classes:
                raise UserError(
                    f"`y` wants class ids from 0 to {classes - 1}, got {low} to {high}; give a net with more "
                    "`classes`, or `check_labels=True` to leave others out"
                )
        return y


@dataclass(frozen=True)
class _Wanted:
    """What an argument must be: `type` counts the batch."""

    name: str
    type: TensorType
    batches: BatchRange | None = None

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """As NumPy has it."""
        return np.dtype(DTYPES[self.type.dtype])

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Of the whole batch."""
        return self.type.shape

    def check(self, given: Any) -> Array:
        """The array; raises UserError where it does not fit."""
        if type(given) is np.ndarray and given.dtype is self.dtype and given.shape == self.shape:
            return given  # in a loop of steps: as quick as can be
        array = np.asarray(given)
        if self.batches is not None and array.shape[1:] == self.shape[1:] and array.ndim:
            batch = self.batches.check(self.name, len(array))
            return _Wanted(self.name, TensorType((batch, *self.shape[1:]), self.type.dtype)).check(array)
        if array.dtype == self.dtype and array.shape == self.shape:
            return array
        # NumPy's own integers are int64
        exact = self.dtype.kind == array.dtype.kind == "i" and array.shape == self.shape
        if exact and np.array_equal(narrow := array.astype(self.dtype), array):
            return narrow
        kind = self.dtype.name
        sentence = f"`{self.name}` wants {kind} {_shown(self.type.shape)}, got {array.dtype} {list(array.shape)}"
        if array.shape[1:] == self.type.shape[1:] and array.shape[:1] != self.type.shape[:1] and array.ndim:
            raise UserError(f"{sentence}; the program was compiled for batches of {self.type.shape[0]}: give one of "
                            f"that size, or compile with `batch={array.shape[0]}`")  # fmt: skip
        if array.shape != self.type.shape:
            raise UserError(f"{sentence}; reshape it, or change the net's `input`")
        raise UserError(f"{sentence}; convert it by .astype(np.{kind})")


def _shown(shape: Sequence[int]) -> str:
    return "[" + ", ".join(map(str, shown(shape))) + "]"


def _same_length(args: tuple[Array, Array, Array]) -> None:
    if len({len(a) for a in args}) > 1:
        x, y, weight = map(len, args)
        raise UserError(
            f"`evaluate` wants as many targets and weights as examples, got {x} in `x`, {y} in `y` and {weight} in "
            "`weight`; give one of each for each example"
        )


def _part(t: TensorType, replicas: int, parts: int) -> TensorType:
    """The type of one of so many parts of what the replicas have together; of any batch, itself."""
    return TensorType((t.shape[0] if t.shape[0] < 0 else replicas * t.shape[0] // parts, *t.shape[1:]), t.dtype)


def _rate(given: float) -> float:
    """A learning rate; raises UserError for what is no number."""
    value = np.asarray(given)
    if value.shape or value.dtype.kind not in "fiu":
        raise UserError(f"`lr` wants a number, got {given!r}; give one, such as lr=1e-3")
    return float(value)


def _buffers(state: State | None) -> list[Buffer]:
    """The state's tensors; raises UserError where there is none."""
    if not isinstance(state, State):
        raise UserError(NO_STATE.format(got="none" if state is None else type(state).__name__))
    if state.taken:
        raise UserError(TAKEN)
    return state.buffers
