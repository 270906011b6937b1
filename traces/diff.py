"""Whether two runs did the same thing: aligned by step, compared number by number, judged with a stated reason.

What each mode claims, and why, is in docs/traces.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from netc.traces.alike import differing_field, same_program
from netc.traces.errors import TraceError
from netc.traces.floor import MEASURED, Floor, misfit, relative, window_means
from netc.traces.read import Trace
from netc.traces.schema import EvalRecord, averages_of

Array = np.ndarray[Any, Any]

FACTORS: Mapping[str, float | None] = MappingProxyType({"ulp": None, "same-compiler": 2.0, "cross-compiler": 8.0})
"""For each mode: how many times the noise floor two runs may be apart, or None where bits are compared.

Two runs of one compiler are each within the floor of the exact run, so at most two floors apart. For another
compiler the floor itself is an estimate: the largest of a few orders of summation that were tried.
"""

WINDOW = 20  # steps, where no floor says another number
DEVIATIONS = 3.0  # standard deviations that two accuracies may be apart


@dataclass(frozen=True)
class FieldReport:
    """How far one number of the steps is apart.

    `steps` were compared. `first` is the first step whose bits differ, and None if there is none; `at_start`, `median`
    and `worst` are relative differences, of the first step, in the middle and the largest, which is at `worst_step`
    and `worst_ulp` float32 numbers wide. `left_out` says why nothing was compared.
    """

    field: str
    steps: int
    first: int | None = None
    at_start: float = 0.0
    median: float = 0.0
    worst: float = 0.0
    worst_step: int | None = None
    worst_ulp: int = 0
    left_out: str = ""


@dataclass(frozen=True)
class WindowReport:
    """The mean losses of both runs over steps `first` to `last`, and their relative difference."""

    first: int
    last: int
    mean_a: float
    mean_b: float
    relative: float


@dataclass(frozen=True)
class EvalReport:
    """Both runs' evaluation after one step: loss, accuracy, count, and (name, of A, of B) of averaged weights."""

    step: int
    loss_a: float
    loss_b: float
    accuracy_a: float
    accuracy_b: float
    count: int
    averaged: tuple[tuple[str, float, float], ...] = ()


@dataclass(frozen=True)
class Check:
    """One thing that the verdict rests on: what was seen, how much of it was allowed, and what that bound rests on."""

    name: str
    seen: float
    allowed: float
    passed: bool
    reason: str


@dataclass(frozen=True)
class Report:
    """The comparison of two runs. `notes` say what was left out, and why.

    `same_program`: whether the programs are one before any target's forms, and None where a trace does not say.
    """

    mode: str
    steps: int
    fields: tuple[FieldReport, ...]
    windows: tuple[WindowReport, ...]
    evals: tuple[EvalReport, ...]
    checks: tuple[Check, ...]
    notes: tuple[str, ...]
    same_program: bool | None = None

    @property
    def agree(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)

    @property
    def verdict(self) -> str:
        """One sentence: whether they agree, and the first reason why not, or what was found at most."""
        word = "agree" if self.agree else "differ"
        failed = next((check for check in self.checks if not check.passed), None)
        if failed:
            return f"{word} ({self.mode}): {failed.reason}"
        return f"{word} ({self.mode}) over {self.steps} steps: {'; '.join(c.reason for c in self.checks)}"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; a number that is not finite is a string."""
        body = {"agree": self.agree, "verdict": self.verdict, **asdict(self)}
        spelled: dict[str, Any] = _finite(body)
        return spelled


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    return [_finite(v) for v in value] if isinstance(value, list | tuple) else value


def ulps(a: Array, b: Array) -> Array:
    """How many float32 numbers lie between a and b, int64; NaN is 0 from NaN and 2^32 from everything else."""

    def order(x: Array) -> Array:
        bits = np.asarray(x, np.float32).view(np.int32).astype(np.int64)
        return np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)

    nan_a, nan_b = np.isnan(a), np.isnan(b)
    apart = np.abs(order(a) - order(b))
    return np.where(nan_a & nan_b, 0, np.where(nan_a | nan_b, 2**32, apart))


def diff(
    a: Trace, b: Trace, mode: str, floor: Floor | None = None, *, ulp: int = 0, steps: int | None = None
) -> Report:
    """Compare two runs in a mode of `FACTORS`, which but for `ulp` wants the noise floor.

    `ulp`: float32 numbers that may lie between the runs' in the mode `ulp`. `steps`: compare the first so many only.
    Raises TraceError when the runs cannot be compared: they trained something else, have no step in common, or the
    floor is of something else.
    """
    if mode not in FACTORS:
        raise TraceError(f"the mode wants one of {', '.join(FACTORS)}, got {mode!r}")
    field = differing_field(a.header, b.header)
    if field:
        raise TraceError(f"wants two runs of one training, got a different {field}; such runs cannot be compared")
    factor = FACTORS[mode]
    if factor is not None:
        if floor is None:
            raise TraceError(f"the mode {mode} wants a measured noise floor, got none; run netc trace noise")
        if other := misfit(floor, a.header):
            raise TraceError(
                f"wants the noise floor of this training, got that of a different {other}; measure it again"
            )
    pair = _aligned(a, b, steps)
    fields = tuple(_field(pair, name) for name in MEASURED)
    windows = _windows(pair, floor.window if floor else WINDOW)
    evals = _evals(a, b, pair.last)
    checks = [*_lengths(a, b, steps)]
    if factor is None:
        checks += [_ulp_check(pair, evals, ulp)]
    else:
        assert floor is not None
        checks += [*_floor_checks(pair, floor, factor), *_window_checks(windows, floor, factor), *_accuracy(evals)]
    notes = [f"{f.field} is left out: {f.left_out}" for f in fields if f.left_out]
    if factor is not None and floor is not None:
        notes += _unjudged(len(pair.steps), floor, has_accuracy(evals))
    if a.header.versions.get("numpy") != b.header.versions.get("numpy"):
        notes.append("NumPy's versions differ; it promises the same order of the data only within one")
    same = same_program(a, b)
    return Report(mode, len(pair.steps), fields, windows, evals, tuple(checks), tuple(notes), same)


def _unjudged(steps: int, floor: Floor, accuracy: bool) -> list[str]:
    """What no check covers, because no replica was trained so long."""
    single, means = floor.steps, len(floor.means) * floor.window
    if steps <= single:
        return []
    judged = [f"mean losses, up to step {means - 1},"] * (means > single) + ["the accuracy"] * accuracy
    verb = "is" if means <= single else "are"
    rest = f"only {' and '.join(judged)} {verb} judged" if judged else "nothing is judged"
    return [
        f"the floor of single steps was measured over {single}: of the {steps - single} after them {rest};"
        f" netc trace noise with `steps={steps}`, or with `whole` for the means, measures more"
    ]


@dataclass(frozen=True)
class _Pair:
    """The steps that both runs have, and both runs' numbers there, float32."""

    steps: Array
    a: Mapping[str, Array]
    b: Mapping[str, Array]

    @property
    def last(self) -> int:
        return int(self.steps[-1])


def _aligned(a: Trace, b: Trace, limit: int | None) -> _Pair:
    theirs = {record.step: record for record in b.steps}
    both = [(x, theirs[x.step]) for x in a.steps if x.step in theirs][:limit]
    if not both:
        raise TraceError("wants runs with steps in common, got none; were they trained at all?")
    names = (*MEASURED, "lr")
    columns = [{n: np.array([getattr(p[i], n) for p in both], np.float32) for n in names} for i in (0, 1)]
    return _Pair(np.array([x.step for x, _ in both]), columns[0], columns[1])


def _field(pair: _Pair, name: str) -> FieldReport:
    a, b = pair.a[name], pair.b[name]
    absent = [word for word, x in (("A", a), ("B", b)) if np.isnan(x).all()]
    if absent and name != "loss":
        return FieldReport(name, 0, left_out=f"{' and '.join(absent)} did not record it, as on GPU targets")
    apart, off = ulps(a, b), relative(a, b)
    first = np.flatnonzero(apart)
    worst = int(off.argmax())
    return FieldReport(
        name, len(a), int(pair.steps[first[0]]) if len(first) else None, float(off[0]), float(np.median(off)),
        float(off[worst]), int(pair.steps[worst]), int(apart[worst]),
    )  # fmt: skip


def _windows(pair: _Pair, size: int) -> tuple[WindowReport, ...]:
    means = [window_means(x["loss"], size) for x in (pair.a, pair.b)]
    apart = relative(*means)
    rows = zip(pair.steps[::size], pair.steps[size - 1 :: size], *means, apart, strict=False)
    return tuple(WindowReport(int(f), int(l), float(x), float(y), float(r)) for f, l, x, y, r in rows)


def _evals(a: Trace, b: Trace, last: int) -> tuple[EvalReport, ...]:
    theirs: dict[int, EvalRecord] = {record.step: record for record in b.evals}
    both = [(x, theirs[x.step]) for x in a.evals if x.step in theirs and x.step <= last]
    return tuple(
        EvalReport(x.step, x.loss, y.loss, x.accuracy, y.accuracy, min(x.count, y.count), averages_of(x, y))
        for x, y in both
    )


def has_accuracy(evals: tuple[EvalReport, ...]) -> bool:
    """Whether something was right in some evaluation; of a generative model or a regression nothing ever is."""
    return any(e.accuracy_a or e.accuracy_b for e in evals)


# -- what the verdict rests on ----------------------------------------------------------------------------------------


def _lengths(a: Trace, b: Trace, limit: int | None) -> list[Check]:
    counts = [len(t.steps) if limit is None else min(len(t.steps), limit) for t in (a, b)]
    if counts[0] == counts[1]:
        return []
    fewer = min(counts)
    reason = f"A has {counts[0]} steps and B {counts[1]}; compare {fewer} of them, or finish the shorter run"
    return [Check("steps", max(counts), fewer, False, reason)]


def _ulp_check(pair: _Pair, evals: tuple[EvalReport, ...], allowed: int) -> Check:
    found: list[tuple[int, str, int]] = []
    most = 0
    for name in (*MEASURED, "lr"):
        apart = ulps(pair.a[name], pair.b[name])
        most = max(most, int(apart.max()))
        beyond = np.flatnonzero(apart > allowed)
        if len(beyond):
            found.append((int(pair.steps[beyond[0]]), name, int(apart[beyond[0]])))
    for e in evals:
        rows = (("eval loss", e.loss_a, e.loss_b), ("accuracy", e.accuracy_a, e.accuracy_b))
        for name, x, y in (*rows, *e.averaged):
            apart_e = int(ulps(np.array(x, np.float32), np.array(y, np.float32)))
            most = max(most, apart_e)
            if apart_e > allowed:
                found.append((e.step, name, apart_e))
    if not found:
        words = "every number is the same, bit for bit" if most == 0 else f"no number is more than {most} ULP apart"
        return Check("ulp", most, allowed, True, words)
    step, name, apart_first = min(found, key=lambda entry: entry[0])
    reason = f"the first divergence is at step {step}: {name} is {apart_first} ULP apart, {allowed} are allowed"
    return Check("ulp", most, allowed, False, reason)


def _floor_checks(pair: _Pair, floor: Floor, factor: float) -> list[Check]:
    """The first step against the floor there, and every step that was measured against what was seen up to it."""
    checks = []
    for name in MEASURED:
        a, b = pair.a[name], pair.b[name]
        if name != "loss" and (np.isnan(a).all() or np.isnan(b).all()):
            continue
        off = relative(a, b)
        envelope = floor.envelope(name)
        judged = pair.steps < len(envelope)
        if not judged.any():
            continue
        seen, bound = off[judged], factor * envelope[pair.steps[judged]]
        beyond = np.flatnonzero(seen > bound)
        where = int(beyond[0]) if len(beyond) else int((seen / bound).argmax())
        step = int(pair.steps[judged][where])
        share = seen[where] / (bound[where] / factor)
        allowed = f"{factor:g} are allowed, the floor there is {bound[where] / factor:.2g}"
        said = f"{name} is {seen[where]:.2g} apart at step {step}, {share:.2g} times the noise floor ({allowed})"
        checks.append(Check(name, float(seen[where]), float(bound[where]), not len(beyond), said))
    rates = ulps(pair.a["lr"], pair.b["lr"])
    if rates.max() > 1:  # a schedule in another language may round its last bit elsewhere
        step = int(pair.steps[np.flatnonzero(rates > 1)[0]])
        checks.insert(0, Check("lr", float(rates.max()), 1, False, f"the learning rates differ from step {step} on"))
    return sorted(checks, key=lambda check: check.passed)


def _window_checks(windows: tuple[WindowReport, ...], floor: Floor, factor: float) -> list[Check]:
    rows = [(w, factor * float(spread)) for w, spread in zip(windows, floor.spread(), strict=False)]
    if not rows:
        return []
    w, bound = max(rows, key=lambda row: row[0].relative / row[1])
    reason = (
        f"the mean loss of steps {w.first} to {w.last} is {w.relative:.2g} apart, {w.relative / bound * factor:.2g}"
        f" times the spread of the replicas ({factor:g} are allowed)"
    )
    return [Check("mean loss", w.relative, bound, w.relative <= bound, reason)]


def _accuracy(evals: tuple[EvalReport, ...]) -> list[Check]:
    """The last evaluation that both have: two binomial draws of the same chance.

    p is the pooled share with Agresti and Coull's two more of either kind, so that a perfect score has a spread too.
    The runs see the same images, which makes them more alike than two draws: the bound errs on the wide side.
    """
    if not has_accuracy(evals):
        return []
    e = evals[-1]
    n = max(e.count, 1)
    p = ((e.accuracy_a + e.accuracy_b) * n + 4) / (2 * n + 8)
    bound = DEVIATIONS * math.sqrt(2 * p * (1 - p) / n)
    apart = abs(e.accuracy_a - e.accuracy_b)
    reason = (
        f"the final accuracies {e.accuracy_a:.2%} and {e.accuracy_b:.2%} are {apart:.2%} apart,"
        f" {DEVIATIONS:g} standard deviations of {n} images are {bound:.2%}"
    )
    return [Check("accuracy", apart, bound, apart <= bound, reason)]


def first_difference(a: Trace, b: Trace) -> int | None:
    """The first step at which the bits of two runs differ in a number that both recorded, or None."""
    pair = _aligned(a, b, None)
    firsts = [f.first for name in MEASURED for f in (_field(pair, name),) if not f.left_out and f.first is not None]
    return min(firsts, default=None)
