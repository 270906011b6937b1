"""Measures every way of computing each different convolution of a train step, on this machine and one target.

Forms of one convolution take turns (A B C A B C ..) on inputs that lie on the device; the number is the fastest
call's, or on a busy machine the median CPU time of this process. A form whose result is another than that of the
table's form is no candidate.
"""

from __future__ import annotations

import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from netc.codegen.builder import Builder
from netc.codegen.ir import Function, Module, Op
from netc.codegen.ops import OPS
from netc.codegen.program import Program
from netc.codegen.rewrite.conv_forms import CONV_FORMS, geometry
from netc.codegen.rewrite.dce import dce
from netc.codegen.rewrite.form_overrides import NO_OVERRIDES, FormOverrides, candidates, key_of
from netc.codegen.rewrite.form_tables import ProfileName
from netc.codegen.rewrite.lower import lower
from netc.codegen.rewrite.select_forms import form_of
from netc.codegen.text import text_of
from netc.netspec.errors import UserError
from netc.runtime.backends import check_device, load
from netc.runtime.backends.protocol import Array, Buffer, Loaded, Source
from netc.runtime.cache.store import Cache
from netc.runtime.compile import CompileError, compile_text
from netc.runtime.cpu_levels import runs_here
from netc.runtime.measure.tuned import Winner
from netc.runtime.prepare import Prepared, prepare
from netc.runtime.session import DTYPES
from netc.runtime.target import Target

NEGLIGIBLE = 0.005  # of the convolutions' estimated time
MARGIN = 0.97  # a form replaces the table's own where it takes at most this part of its time
HOPELESS, PATIENCE = 4.0, 0.15  # a form so many times slower than the fastest leaves once it had so many seconds
ROUNDS, MOST_ROUNDS, BUDGET = 5, 200, 0.6  # of turns, and seconds for each form
STEP_ROUNDS, STEP_BUDGET = 7, 5.0
STEP_MARGIN = 0.99
LONGEST_COMPILE = 300.0  # seconds for the forms of one convolution
CLOSE = 1e-3  # relative L2 distance of float32 results of two forms
# for the estimate: flop/s of products, of elementwise taps, and bytes/s; only ratios matter
_PRODUCTS, _ELEMENTWISE, _BYTES = 300e9, 10e9, 8e9

Call = Callable[[], None]
# the clock, the least seconds of a turn, and what is taken of the turns: the fastest by the wall clock; the median of
# CPU time, which others on the machine enlarge little, but which some systems count in ticks
CLOCKS: dict[str, tuple[Callable[[], float], float, Callable[[Sequence[float]], float]]] = {
    "wall": (time.perf_counter, 0.0, min),
    "cpu": (time.process_time, 0.02, statistics.median),
}


@dataclass(frozen=True)
class Convolution:
    """One different convolution of a train step: its op, how often it occurs, its flops, an estimate in seconds."""

    key: str
    op: Op
    count: int
    flops: int
    estimate: float


@dataclass(frozen=True)
class Measured:
    """The forms of one convolution with the fastest time of each in ms; `failed` says why others have none."""

    convolution: Convolution
    table: str
    ms: Mapping[str, float]
    failed: Mapping[str, str] = field(default_factory=dict)

    @property
    def best(self) -> str:
        """The fastest form; the table's own where no other is clearly faster."""
        fastest = min(self.ms, key=lambda form: self.ms[form], default=self.table)
        if self.table not in self.ms or self.ms[fastest] <= MARGIN * self.ms[self.table]:
            return fastest
        return self.table

    def winner(self, form: str) -> Winner:
        """What is kept of it where this form is chosen."""
        return Winner(form, self.table, self.ms.get(form, 0.0), self.ms.get(self.table, 0.0))


@dataclass(frozen=True)
class Trial:
    """The whole train step with some choices: the fastest and the median of its turns in ms."""

    name: str
    choices: FormOverrides
    ms: float
    median_ms: float


@dataclass(frozen=True)
class Steps:
    """Whole steps: the table's first, then with all chosen forms, then with parts of them."""

    trials: tuple[Trial, ...]

    @property
    def best(self) -> Trial:
        """The fastest; the table's where none is faster by 1%: what was measured apart need not hold together."""
        fastest = min(self.trials, key=lambda t: t.ms)
        return fastest if fastest.ms <= STEP_MARGIN * self.trials[0].ms else self.trials[0]


def check_here(target: Target, by: str = "wall") -> None:
    """Raise UserError unless the target is this machine, and its work is seen by the clock."""
    kind, _, name = target.word.partition(":")
    if target.engine == "c":
        raise UserError("tune chooses forms of convolutions, and C computes each itself; use `target=cpu`")
    if not target.compiled or (kind == "cpu" and name not in ("", "host") and not runs_here(name)):
        raise UserError(
            f"tune measures on this machine and wants cpu, xla, vulkan or a GPU that is here, got {target.word!r}; "
            "use `target=cpu`"
        )
    if by == "cpu" and not target.process_time:
        raise UserError(f"CPU time says nothing about {target.word!r}; measure wall time")
    check_device(target)


def convolutions(program: Program, *, negligible: bool = False) -> tuple[Convolution, ...]:
    """The different convolutions of the train step, the longest estimate first.

    Those whose share of all convolutions' estimated time is below NEGLIGIBLE are left out unless `negligible`.
    """
    found: dict[str, Convolution] = {}
    for op in dce(program.module).function("train_step").ops:
        if op.kind in CONV_FORMS:
            key, flops = key_of(op), OPS[op.kind].flops(op)
            held = found.get(key)
            found[key] = (
                replace(held, count=held.count + 1) if held else Convolution(key, op, 1, flops, _estimate(op, flops))
            )
    total = sum(c.count * c.estimate for c in found.values())
    large = [c for c in found.values() if negligible or c.count * c.estimate >= NEGLIGIBLE * total]
    return tuple(sorted(large, key=lambda c: -c.count * c.estimate))


def _estimate(op: Op, flops: int) -> float:
    _, inputs, _, groups = geometry(op)
    moved = sum(v.type.bytes for v in (*op.operands, op.result))
    return flops / (_ELEMENTWISE if inputs == groups > 1 else _PRODUCTS) + moved / _BYTES


NOTHING: frozenset[str] = frozenset()
# for what IREE's CPU backend does with packed and with bf16 operands; `outer` is 17 times slower on XLA
_FOR_CPU = frozenset({"outer", "widened", "winograd-stacked"})
LEFT_OUT: dict[ProfileName, frozenset[str]] = {"gpu": _FOR_CPU, "xla": _FOR_CPU}
# of a convolution in groups: see codegen/rewrite/group_forms.py
LEFT_OUT_GROUPED: dict[ProfileName, frozenset[str]] = {"gpu": frozenset({"direct"})}


def forms_of(profile: ProfileName, op: Op) -> tuple[str, ...]:
    """The forms that are measured for an op on a class of targets, the table's own first."""
    _, _, _, groups = geometry(op)
    left = LEFT_OUT.get(profile, NOTHING) | (LEFT_OUT_GROUPED.get(profile, NOTHING) if groups > 1 else NOTHING)
    table = form_of(profile, op)
    return (table, *(f for f in candidates(op) if f != table and f not in left))


def module_of(op: Op, profile: ProfileName, forms: Sequence[str]) -> tuple[Module, dict[str, str]]:
    """A lowered module with a function for each form, and form -> the function's name."""
    names = {form: f"f{number}" for number, form in enumerate(forms)}
    return Module("tune", tuple(_alone(op, profile, form, name) for form, name in names.items())), names


def _alone(op: Op, profile: ProfileName, form: str, name: str) -> Function:
    b = Builder(name)
    operands = [b.parameter(f"a{i}", v.type) for i, v in enumerate(op.operands)]
    function = b.finish([("r", b.op(op.kind, *operands, **dict(op.attrs)))])
    return lower(Module("one", (function,)), profile, {key_of(op): form}).function(name)


def measure(convolution: Convolution, target: Target, by: str = "wall") -> Measured:
    """The time of each form of one convolution by the wall or by CPU time (CLOCKS).

    Raises UserError if not even one can be run.
    """
    op = convolution.op
    table, *others = forms_of(target.profile, op)
    module, names = module_of(op, target.profile, (table, *others))
    failed: dict[str, str] = {}
    rng = np.random.default_rng(0)
    arrays: list[Array] = [rng.standard_normal(v.shape, np.float32).astype(DTYPES[v.type.dtype]) for v in op.operands]
    calls: dict[str, Call] = {}
    truth: np.ndarray[tuple[int, ...], np.dtype[np.float64]] | None = None
    with tempfile.TemporaryDirectory(prefix="netc-tune-") as folder:
        for loaded, form, name in _loaded(module, names, target, Path(folder), failed):
            args = [loaded.put(a) for a in arrays]
            try:
                result = np.asarray(loaded.get(loaded.call(name, args)[0]), np.float64)
            except RuntimeError as error:  # the compiler's or the device's own
                failed[form] = str(error).splitlines()[0][:200]
                continue
            if truth is None:
                truth = result
            elif not (distance := float(np.linalg.norm(result - truth))) <= CLOSE * float(np.linalg.norm(truth)):
                failed[form] = f"computes something else: {distance / np.linalg.norm(truth):.1e} away"
                continue
            calls[form] = _call(loaded, name, args)
        if not calls:
            raise UserError(f"no form of {convolution.key} runs on {target.word}: {next(iter(failed.values()))}")
        return Measured(convolution, table, {f: s[0] * 1e3 for f, s in take_turns(calls, by).items()}, failed)


def _call(loaded: Loaded, name: str, args: Sequence[Buffer]) -> Call:
    return lambda: loaded.wait(loaded.call(name, args))


def _loaded(
    module: Module, names: Mapping[str, str], target: Target, folder: Path, failed: dict[str, str]
) -> Iterator[tuple[Loaded, str, str]]:
    """(loaded, form, function) of each form that compiles: all in one module, or one by one where that fails."""
    try:
        loaded = _load(module, target, folder / "all.vmfb")
        yield from ((loaded, form, name) for form, name in names.items())
    except CompileError as error:
        if len(names) == 1:
            failed[next(iter(names))] = str(error)
            return
        for form, name in names.items():
            alone = Module("tune", (module.function(name),))
            yield from _loaded(alone, {form: name}, target, folder, failed)


def _load(module: Module, target: Target, artefact: Path) -> Loaded:
    text = text_of(module, target.profile)
    if not target.ahead:
        return load(Source(module, text), target)
    compile_text(text, target, artefact, LONGEST_COMPILE)
    return load(Source(module, text, artefact), target)


def take_turns(
    calls: Mapping[str, Call], by: str = "wall", rounds: int = ROUNDS, budget: float = BUDGET
) -> dict[str, tuple[float, float]]:
    """What one call of each takes in seconds, and the median turn, A B C A B C ..; each was called before.

    At least so many rounds, then more until each has had its budget in seconds; the HOPELESS leave earlier.
    """
    clock, turn, statistic = CLOCKS[by]
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    repeats = {name: _repeats(call, turn) for name, call in calls.items()}
    going = list(calls)
    for number in range(MOST_ROUNDS):
        for name in going:
            start = clock()
            for _ in range(repeats[name]):
                calls[name]()
            seconds[name].append((clock() - start) / repeats[name])
        slowest = HOPELESS * min(map(statistic, seconds.values()))
        spent = {name: sum(s) * repeats[name] for name, s in seconds.items()}
        going = [n for n in going if statistic(seconds[n]) <= slowest or spent[n] < PATIENCE or len(seconds[n]) < 2]
        if number + 1 >= rounds and sum(spent.values()) > budget * len(calls):
            break
    return {name: (statistic(s), float(np.median(s))) for name, s in seconds.items()}


def _repeats(call: Call, turn: float) -> int:
    if not turn:
        return 1
    start = time.perf_counter()
    call()
    return max(1, math.ceil(turn / (time.perf_counter() - start)))


def measure_steps(
    program: Program,
    target: Target,
    cache: Cache,
    choices: FormOverrides,
    by: str = "wall",
    watch: Callable[[str], None] = lambda text: None,
) -> Steps:
    """The whole train step by the table and with these choices, in turns.

    What a compiler joins with a convolution differs by its form, so that the fastest alone may be slow in the step.
    Where the step is not faster, each (operation, form) is tried by itself, then those together that do help. Raises
    CompileError.
    """

    def trials(tried: dict[str, FormOverrides]) -> tuple[Trial, ...]:
        return _trials(program, target, cache, {"table": NO_OVERRIDES, **tried}, by, watch)

    first = trials({"all chosen": choices})
    parts: dict[str, dict[str, str]] = {}
    for key, form in choices.items():
        parts.setdefault(f"{key.partition(' ')[0]} as {form}", {})[key] = form
    if Steps(first).best.choices or len(parts) == 1:
        return Steps(first)
    alone = trials(dict(parts))
    tried = [*first, *_scaled(first[0], alone)]
    good = [t.name for t in alone[1:] if t.ms <= alone[0].ms]
    if 1 < len(good) < len(parts):
        together = {key: form for name in good for key, form in parts[name].items()}
        tried += _scaled(first[0], trials({"those that help": together}))
    return Steps(tuple(tried))


def _scaled(table: Trial, later: Sequence[Trial]) -> list[Trial]:
    """Later trials but for their table's, in the mood that the machine was in at the first."""
    scale = table.ms / later[0].ms
    return [replace(t, ms=t.ms * scale, median_ms=t.median_ms * scale) for t in later[1:]]


def _trials(
    program: Program,
    target: Target,
    cache: Cache,
    tried: Mapping[str, FormOverrides],
    by: str,
    watch: Callable[[str], None],
) -> tuple[Trial, ...]:
    calls = {}
    for name, choices in tried.items():
        watch(f"a whole step: {name}")
        calls[name] = step_of(prepare(program, target, cache, choices))
    turns = take_turns(calls, by, STEP_ROUNDS, STEP_BUDGET)
    return tuple(Trial(name, tried[name], turns[name][0] * 1e3, turns[name][1] * 1e3) for name in tried)


def step_of(prepared: Prepared) -> Call:
    """One train step on a batch that lies on the device; it was called twice."""
    loaded, program = load(prepared.source, prepared.target), prepared.program
    rng = np.random.default_rng(0)
    batch = []
    for value in program.module.function("train_step").params[len(program.state) :]:
        random = rng.standard_normal(value.shape) if value.type.dtype == "f32" else np.zeros(value.shape)
        batch.append(loaded.put(np.asarray(random * (1e-3 if not value.shape else 1), DTYPES[value.type.dtype])))
    held = [loaded.call("init", [loaded.put(np.zeros(2, np.uint32))])]

    def step() -> None:
        results = loaded.call("train_step", [*held[0], *batch])
        loaded.wait(results)
        held[0] = results[: len(program.state)]

    for _ in range(2):
        step()
    return step


def gflops(measured: Measured, form: str) -> float:
    """GFLOP/s of a form, by the convolution's own flops."""
    ms = measured.ms.get(form, math.inf)
    return measured.convolution.flops / ms / 1e6 if ms > 0 else 0.0
