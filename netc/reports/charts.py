"""Curves as SVG paths: what the template draws, in units of the picture."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 440, 250  # small, so that its text is still read where a phone makes it smaller
LEFT, RIGHT, TOP, BOTTOM = 58, 10, 10, 30  # margins
POINTS = 300  # of a line; more are joined in groups, whose least and greatest are drawn as a band
TICKS = 6

Point = tuple[float, float]


@dataclass(frozen=True)
class Series:
    """A line to draw: its name, which of the colours, its points; `dots` marks each point, `dashed` is for a second."""

    label: str
    colour: int
    points: Sequence[Point]
    dots: bool = False
    dashed: bool = False


@dataclass(frozen=True)
class Drawn:
    """A line as paths: through the means, around the least and greatest, and its marks."""

    label: str
    colour: int
    path: str
    band: str
    dots: tuple[Point, ...]
    dashed: bool


@dataclass(frozen=True)
class Tick:
    """A mark of an axis: where, and its text."""

    at: float
    text: str


@dataclass(frozen=True)
class Chart:
    """A picture: its heading, a sentence that says the same, lines, and the ticks of both axes."""

    title: str
    about: str
    lines: tuple[Drawn, ...]
    x: tuple[Tick, ...]
    y: tuple[Tick, ...]
    width: int = WIDTH
    height: int = HEIGHT

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, right, top and bottom of the axes."""
        return LEFT, self.width - RIGHT, TOP, self.height - BOTTOM


def chart(
    title: str, series: Sequence[Series], over: tuple[float, float], *, log: bool = False, percent: bool = False
) -> Chart | None:
    """The chart of what can be drawn, finite numbers, positive ones on a logarithmic axis, for x `over` a range.

    None if there is nothing to draw.
    """
    kept = [(s, [p for p in s.points if math.isfinite(p[1]) and (p[1] > 0 or not log)]) for s in series]
    kept = [(s, points) for s, points in kept if points]
    if not kept:
        return None
    ys = [y for _, points in kept for _, y in points]
    x, y = Axis.over(*over, False), Axis.over(min(ys), max(ys), log)
    lines = tuple(_drawn(s, points, x, y) for s, points in kept)
    said = (f"{s.label} goes from {number(p[0][1], percent)} to {number(p[-1][1], percent)}" for s, p in kept)
    return Chart(
        title, f"{title}: {'; '.join(said)}.", lines,
        tuple(Tick(x.place(v, LEFT, WIDTH - RIGHT), f"{v:,.0f}") for v in x.ticks() if v == int(v)),
        ticks(y, HEIGHT - BOTTOM, TOP, percent=percent),
    )  # fmt: skip


@dataclass(frozen=True)
class Axis:
    """A range of numbers, on a linear or a logarithmic scale."""

    low: float
    high: float
    log: bool

    @classmethod
    def over(cls, low: float, high: float, log: bool) -> Axis:
        """The axis over these numbers, a little longer where they are all one."""
        if low == high:
            low, high = (low / 2, high * 2) if log else (low - (abs(low) / 2 or 0.5), high + (abs(high) / 2 or 0.5))
        return cls(low, high, log)

    def place(self, value: float, start: float, end: float) -> float:
        """Where a number lies on a line from `start` to `end`."""
        low, high, at = (
            (math.log(v) for v in (self.low, self.high, value)) if self.log else (self.low, self.high, value)
        )
        return round(start + (at - low) / (high - low) * (end - start), 1)

    def ticks(self) -> Iterator[float]:
        """Round numbers within the range; on a logarithmic axis powers of ten, where it is short 2 and 5 times them."""
        if self.log:
            first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            step = max(1, -(-(last - first) // TICKS))
            times = (1, 2, 5) if last - first <= 2 else (1,)
            found = [m * 10.0**e for e in range(first, last + 1, step) for m in times]
            yield from (v for v in found if self.low * (1 - 1e-9) <= v <= self.high * (1 + 1e-9))
            return
        raw = (self.high - self.low) / TICKS
        power = 10 ** math.floor(math.log10(raw))
        gap = next(power * m for m in (1, 2, 5, 10) if power * m >= raw * (1 - 1e-9))
        first = math.ceil(self.low / gap - 1e-9)
        yield from (round(i * gap, 12) for i in range(first, math.floor(self.high / gap + 1e-9) + 1))


def ticks(axis: Axis, start: float, end: float, *, percent: bool = False) -> tuple[Tick, ...]:
    """The marks of an axis, with as many digits as tell them apart."""
    values = list(axis.ticks())
    texts = [number(v, percent) for v in values]
    digits = 1
    while len(set(texts)) < len(texts) and digits < 15:
        texts = [f"{v:.{digits}e}" if max(map(abs, values)) >= 1e5 else f"{v:.{digits + 4}g}" for v in values]
        digits += 1
    return tuple(Tick(axis.place(v, start, end), text) for v, text in zip(values, texts, strict=True))


def number(value: float, percent: bool = False) -> str:
    """A number as a chart says it: three or four digits."""
    if percent:
        return f"{value:.4g} %"
    return f"{value:.0e}" if value and not 1e-3 <= abs(value) < 1e5 else f"{value:.4g}"


def _drawn(s: Series, points: list[Point], x: Axis, y: Axis) -> Drawn:
    groups = list(_groups(points))

    def put(px: float, py: float) -> Point:
        return x.place(px, LEFT, WIDTH - RIGHT), y.place(py, HEIGHT - BOTTOM, TOP)

    middle = [put(g[len(g) // 2][0], sum(v for _, v in g) / len(g)) for g in groups]
    band: list[Point] = []
    if len(points) > len(groups):
        band = [put(g[len(g) // 2][0], max(v for _, v in g)) for g in groups]
        band += [put(g[len(g) // 2][0], min(v for _, v in g)) for g in reversed(groups)]
    marks = tuple(middle) if s.dots and len(middle) <= POINTS else ()
    return Drawn(s.label, s.colour, _path(middle), _path(band) + "Z" if band else "", marks, s.dashed)


def _groups(points: Sequence[Point]) -> Iterator[Sequence[Point]]:
    size = max(1, -(-len(points) // POINTS))
    yield from (points[i : i + size] for i in range(0, len(points), size))


def _path(points: Iterable[Point]) -> str:
    return "M" + "L".join(f"{x:g},{y:g}" for x, y in points)


@dataclass(frozen=True)
class Bar:
    """A bin of a reliability diagram: the box of its accuracy, the place of its mean probability, and its words."""

    left: float
    width: float
    top: float
    height: float
    said: float
    text: str


def reliability(bins: Sequence[dict[str, float]]) -> tuple[Bar, ...]:
    """The bins that hold something, in a square of 100 units."""
    wide = 100 / len(bins)
    return tuple(
        Bar(
            round(i * wide, 2), round(wide, 2), round(100 - 100 * b["accuracy"], 2), round(100 * b["accuracy"], 2),
            round(100 - 100 * b["confidence"], 2),
            f"{b['count']:,} said with {b['confidence']:.1%} on average: {b['accuracy']:.1%} right",
        )
        for i, b in enumerate(bins)
        if b["count"]
    )  # fmt: skip
