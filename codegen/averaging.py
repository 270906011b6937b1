"""The average of the weights, moved on after each step (netspec/averaging.py)."""

from __future__ import annotations

from collections.abc import Mapping

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.quotient import multiple
from netc.netspec.averaging import Averaging
from netc.netspec.types import TensorType


def averaged(
    b: Builder, averaging: Averaging, averages: Mapping[str, Value], new: Mapping[str, Value], step: Value
) -> dict[str, Value]:
    """The averages, slot by slot, after the step of this number, which left the weights `new`."""
    if not averages:
        return {}
    with b.at("optimizer"):
        begins, share = _share(b, averaging, step)
    moved = {}
    for slot, old in averages.items():
        name = slot.partition("/")[2]
        with b.at(name, "update"):
            w = new[name]
            begun = b.select(b.broadcast(begins, TensorType(w.shape, "i1"), ()), w, old)
            # a + s (w - a), not (1 - s) a + s w: the roundings of 1 - s and s would pull a towards 0
            moved[slot] = b.add(begun, b.mul(b.sub(w, begun), b.broadcast(share, w, ())))
    return moved


def _share(b: Builder, averaging: Averaging, step: Value) -> tuple[Value, Value]:
    """Whether the average is these weights, and else which share of the way it moves towards them."""
    if averaging.ema and not averaging.ema_warmup:
        return b.compare("EQ", step, 0), b.scalar(1 - averaging.ema)
    if averaging.ema:
        # 1 - (1 + t) / (10 + t) = 9 / (10 + t)
        rising = b.div(9.0, b.add(b.convert(step, "f32"), 10.0))
        return b.compare("EQ", step, 0), b.maximum(rising, 1 - averaging.ema)
    since = b.maximum(b.sub(step, averaging.swa_start), 0)
    taken = b.convert(since, "f32")
    begins = b.compare("LE", since, 0)
    if (every := averaging.swa_every) == 1:
        return begins, b.div(1.0, b.add(taken, 1.0))
    count, hit = multiple(b, since, every)
    share = b.div(1.0, b.add(b.convert(count, "f32"), 1.0))
    return begins, b.select(hit, share, 0.0)
