"""Linear recurrences: what a scan along an axis means, its derivative, and the step of a proof back through it.

The pullback of h[t] = a[t] h[t - 1] + u[t] is g[t] = a[t + 1] g[t + 1] + w[t], from the end, where w is the cotangent
of h: <w, dh> = <g h[t - 1], da> + <g, du>. That is a theorem of lean/recurrence.lean. What is seen here is that the
backward pass has such a g, and that its factors are a one step later, and the h that it multiplies one step before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from netc.codegen.ir import Op, Value
from netc.proofs.assumed import Assumptions
from netc.proofs.axes import UnreadError
from netc.proofs.exported import Definition, Exported, Indices
from netc.proofs.normal import Polynomial
from netc.proofs.terms import Term, add, fresh, mul, replaced, shown


def linear_scan(e: Exported, op: Op, at: Indices) -> Term:
    """h[t] = a[t] h[t - 1] + u[t], or from the end g[t] = a[t] g[t + 1] + u[t]."""
    axis = op.attr("axis")
    if len(sizes := e.axes.names(op.result)[axis]) != 1:
        raise UnreadError(op.loc, "a scan of one step, or along an axis that is split")
    name = fresh()
    inner = [(("i", name),) if n == axis else own for n, own in enumerate(at)]
    a, u = (e.at(v, inner) for v in op.operands)
    return ("scan_back" if op.attr("reverse") else "scan", name, sizes[0], a, u, at[axis][0])


@dataclass(frozen=True)
class Through:
    """The step back through a scan: a lemma, what it says is equal along `time`, and the scan from the end."""

    lemma: str
    proof: str
    time: str
    right: Term
    back: Definition


class Scans:
    """The scans of a program, forward and back."""

    def __init__(self, exported: Exported, assumed: Assumptions) -> None:
        self.exported, self.assumed = exported, assumed
        self.backward = [d for d in exported.definitions.values() if d.kind == "linear_scan" and d.backward]

    def through(self, h: Definition, pair: Polynomial, slope: Term) -> Through | None:
        """The step back through h from <w, dh>, if it is that, and if the backward pass has it.

        `slope`: the derivative of h.
        """
        first, *more = pair
        w = first.factors[0]
        if more or len(first.factors) != 2 or w[0] != "ref" or w[2] != h.term[2] or h.body[0] != "scan":
            return None
        cotangent = self.exported.definitions[w[1]]
        for g in self.backward:
            found = self._pair(h, cotangent, g)
            if found is not None:
                return self._lemma(h, cotangent, g, *found, slope)
        return None

    def _pair(self, h: Definition, cotangent: Definition, g: Definition) -> tuple[Definition, Definition] | None:
        """The factors of g, and h one step before, if g is what goes back through h."""
        factors, given = g.op.operands
        if (
            g.sizes != h.sizes
            or g.body[0] != "scan_back"
            or self.exported.names[given] != cotangent.name
            or _axis(g) != _axis(h)
        ):
            return None
        later = self._shifted(factors, h.op.operands[0], _axis(h), 1)
        earlier = next((d for d in self._pads() if self._is_shifted(d, h.op.result, _axis(h), -1)), None)
        return (later, earlier) if later is not None and earlier is not None else None

    def _pads(self) -> Iterator[Definition]:
        return (d for d in self.exported.definitions.values() if d.kind == "pad" and d.backward)

    def _shifted(self, value: Value, of: Value, axis: int, by: int) -> Definition | None:
        d = self.exported.definitions.get(self.exported.names[value])
        return d if d is not None and d.kind == "pad" and self._is_shifted(d, of, axis, by) else None

    def _is_shifted(self, pad: Definition, of: Value, axis: int, by: int) -> bool:
        """Whether it has at t what `of` has at t + by, and 0 where that is none."""
        cut = self.exported.definitions.get(self.exported.names[pad.op.operands[0]])
        if cut is None or cut.kind != "slice" or cut.op.operands[0] is not of:
            return False
        own, padded, steps = dict(cut.op.attrs), dict(pad.op.attrs), of.shape[axis]
        rank = len(of.shape)

        def along(n: int, other: int = 0) -> tuple[int, ...]:
            return tuple(n if i == axis else other for i in range(rank))

        first, last = (1, 0) if by == 1 else (0, 1)
        limit = tuple(n - last if i == axis else n for i, n in enumerate(of.shape))
        return (
            (tuple(own["start"]), tuple(own["limit"]), tuple(own["stride"])) == (along(first), limit, (1,) * rank)
            and (tuple(padded["low"]), tuple(padded["high"])) == (along(last), along(first))
            and not any(padded["interior"])
            and steps > 1
        )

    def _lemma(
        self, h: Definition, w: Definition, g: Definition, later: Definition, earlier: Definition,
        slope: Term,
    ) -> Through:  # fmt: skip
        """<w, dh> = <g h[t - 1], da> + <g, du> along time, at any other indices, with its proof."""
        _, _, size, _, _, (_, time) = h.body
        shorter = self.exported.axes.names(later.op.operands[0])[_axis(h)][0]
        one = self.exported.offset(1)
        longer = self.assumed.ask(
            f"longer_{size}_{shorter}", (), f"Same S.{size} (N.succ S.{shorter})", f"{size} is {shorter} + 1"
        )
        step = self.assumed.ask(
            f"one_{one[1]}", (), f"Same {shown(one)} (N.succ N.zero)", f"{one[1]}, by which a slice begins later, is 1"
        )

        def at(d: Definition) -> Term:
            """It at h's indices, which are in the same order."""
            return ("ref", d.name, h.term[2])

        def function(term: Term, name: str = time) -> str:
            return f"(fun {name} => {shown(term)})"

        a, u = (_read(h.body, n) for n in (0, 1))
        _, (_, da, _), du = _read(slope, 1)
        others = [i for i in h.at if i != time]
        binder = f" {{{' '.join(others)} : N}}" if others else ""
        left = ("sum", time, size, mul(at(w), ("t", h.name, h.term[2])))
        right = add(("sum", time, size, mul(at(g), at(earlier), da)), ("sum", time, size, mul(at(g), du)))
        name = f"through_{h.name}"
        proof = (
            f"trans (sum_congr (fun {time} => mul_congr refl (d_{h.name} L)))\n    (through_scan L (n := S.{size})"
            f" (a := {function(a)}) (u := {function(u)})\n      (w := {function(at(w))}) (s := {function(da)})"
            f" (r := {function(du)})\n      (later := {function(at(later))}) (earlier := {function(at(earlier))})\n"
            f"      (fun _ below => later_is L (a := {function(a)}) {longer} {step} below)\n"
            f"      (fun _ below => earlier_is L (h := {function(h.term)}) {longer} {step} below))"
        )
        lemma = (
            f"/-- {h.loc} -/\ntheorem {name}{binder} (L : Laws A) (H : Given A S P) :\n    Same {shown(left)}\n"
            f"      {shown(right)} :=\n  {proof}"
        )
        return Through(lemma, f"({name} L H)", time, right, g)


def _axis(d: Definition) -> int:
    axis: int = d.op.attr("axis")
    return axis


def _read(body: Term, n: int) -> Term:
    """What a scan reads, at the time that it is at."""
    _, name, _, *functions, time = body
    return replaced(functions[n], {name: time})
