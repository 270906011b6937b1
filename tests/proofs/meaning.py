"""What the exporter's terms mean, in float64 and by themselves: a second reading, which knows nothing of the IR."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from netc.codegen.ir import Op
from netc.proofs.exported import Exported
from netc.proofs.terms import Term

NUMBERS = {
    "zero": 0.0, "one": 1.0, "minus": -1.0, "half": 0.5, "lowest": -math.inf, "erf_slope": 2 / math.sqrt(math.pi),
}  # fmt: skip
TWO = {
    "add": lambda a, b: a + b, "mul": lambda a, b: a * b, "max": max, "gt": lambda a, b: a > b,
    "equal": lambda a, b: a == b, "less": lambda a, b: a < b, "plus": lambda a, b: a + b, "times": lambda a, b: a * b,
}  # fmt: skip
FUNCTIONS = {
    "exp": math.exp, "log": math.log, "recip": lambda x: 1 / x, "rsqrt": lambda x: 1 / math.sqrt(x), "tanh": math.tanh,
    "logistic": lambda x: 1 / (1 + math.exp(-x)), "erf": math.erf,
}  # fmt: skip


def value(term: Term, held: Mapping[str, Any], sizes: Mapping[str, int], at: Mapping[str, int]) -> Any:
    head = term[0]
    if head in NUMBERS:
        return NUMBERS[head]
    if head in TWO:
        return TWO[head](*(value(t, held, sizes, at) for t in term[1:]))
    if head in ("sum", "largest"):
        parts = (value(term[3], held, sizes, {**at, term[1]: n}) for n in range(sizes[term[2]]))
        return sum(parts) if head == "sum" else max(parts, default=-math.inf)
    if head in ("scan", "scan_back"):
        return recurrence(term, held, sizes, at)
    if head in ("choose", "ind"):
        chosen, other = term[2:] if head == "choose" else (("one",), ("zero",))
        return value(chosen if value(term[1], held, sizes, at) else other, held, sizes, at)
    if head == "fn":
        return FUNCTIONS[term[1]](value(term[2], held, sizes, at))
    if head == "ref":
        return held[term[1]][tuple(value(i, held, sizes, at) for i in term[2])]
    if head == "clamp":
        return min(value(term[2], held, sizes, at), sizes[term[1]] - 1)
    if head == "size":
        return sizes[term[1]]
    return at[term[1]] if head == "i" else term[1]


def recurrence(term: Term, held: Mapping[str, Any], sizes: Mapping[str, int], at: Mapping[str, int]) -> Any:
    head, index, size, a, u, t = term
    until, found = value(t, held, sizes, at), 0.0
    for n in range(until + 1) if head == "scan" else range(sizes[size] - 1, until - 1, -1):
        here = {**at, index: n}
        found = value(a, held, sizes, here) * found + value(u, held, sizes, here)
    return found


def chosen(op: Op, x: Any) -> Any:
    """[N, P, Q, C, H, W]: whether a window of a pool takes its maximum from a pixel, the first of several."""
    image, (n, p, q, c) = op.operands[0].shape, op.result.shape
    values, found = x.reshape(image), np.zeros((n, p, q, c, *image[1:3]), bool)
    for window in np.ndindex(n, p, q, c):
        seen = [
            (h, w)
            for h, w in np.ndindex(*image[1:3])
            if all(
                0 <= pixel + low - stride * out < size
                for pixel, out, size, stride, (low, _) in zip(
                    (h, w), window[1:3], op.attr("kernel"), op.attr("stride"), op.attr("padding"), strict=True
                )
            )
        ]
        at = max(seen, key=lambda s: values[window[0], s[0], s[1], window[3]])
        found[(*window, *at)] = True
    return found


def run(exported: Exported, given: Mapping[str, Any]) -> dict[str, Any]:
    """Every definition, as an array over its sizes; `given` are the fields, in the shapes of the program."""
    sizes = {**{a.name: a.size for a in exported.axes.sizes}, **{o: n for n, o in exported.offsets.items()}}
    tables = {name: dict(attrs)["value"] for (attrs, _), name in exported.tables.items()}
    held = {}
    for name, f in exported.fields.items():
        if not name.startswith("P.chosen"):
            found = tables.get(name) or (given[f.said] if f.said in given else float(f.said.split()[2]))
            held[name] = np.asarray(found).reshape(tuple(sizes[s] for s in f.sizes))
    for d in exported.definitions.values():
        if d.kind == "max_pool":
            name = f"P.chosen_{d.name}"
            sizes_of = tuple(sizes[s] for s in exported.fields[name].sizes)
            held[name] = chosen(d.op, held[exported.names[d.op.operands[0]]]).reshape(sizes_of)
        shape = tuple(sizes[s] for s in d.sizes)
        out = np.empty(shape, object)
        for index in np.ndindex(shape):
            out[index] = value(d.body, held, sizes, dict(zip(d.at, index, strict=True)))
        held[d.name] = out
    return held
