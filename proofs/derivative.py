"""The derivative of each value of the forward pass: the ε-part of it on dual numbers, with the proof that it is."""

from __future__ import annotations

from collections.abc import Sequence

from netc.proofs.axes import UnreadError
from netc.proofs.exported import Definition, Exported
from netc.proofs.normal import Normaliser, chain
from netc.proofs.terms import ERF_SLOPE, HALF, MINUS, ONE, TRUTHS, ZERO, Term, add, fresh, mul, replaced, shown


class Derivatives:
    """Of the values of a forward pass, in order: each as a term, whether it is 0, and the lemmas of the file."""

    def __init__(self, exported: Exported, forward: Sequence[Definition]) -> None:
        self.fields = exported.fields
        self.plain = Normaliser(exported.definitions, lambda d: False)
        self.of: dict[str, Term] = {}
        self.constant: set[str] = set()
        self.lemmas: list[str] = []
        for d in forward:
            self._lemma(d)

    def _lift(self, term: Term) -> tuple[str, Term, str]:
        """Of a term on dual numbers: proof of its real part, its ε-part, proof of that."""
        match term:
            case ("ref", name, at):
                if name.startswith("P."):
                    trained = self.fields[name].trained
                    return "refl", ("t", name, at) if trained else ZERO, "refl"
                if name in self.constant:
                    return f"re_{name}", ZERO, f"(d_{name} L)"
                return f"re_{name}", ("t", name, at), "refl"
            case (("add" | "mul" | "max") as head, a, b):
                (ra, ta, ea), (rb, tb, eb) = self._lift(a), self._lift(b)
                real = f"({head}_re {ra} {rb})"
                if head == "add":
                    return real, ("add", ta, tb), f"(add_eps {ea} {eb})"
                new = ("add", ("mul", ta, b), ("mul", a, tb)) if head == "mul" else ("choose", ("gt", a, b), ta, tb)
                return real, new, f"({head}_eps {ra} {rb} {ea} {eb})"
            case ("sum", i, size, a):
                r, t, e = self._lift(a)
                return f"(sum_re (fun {i} => {r}))", ("sum", i, size, t), f"(sum_eps (fun {i} => {e}))"
            case ("largest", i, _, a):
                return f"(largest_re (fun {i} => {self._lift(a)[0]}))", ZERO, ""
            case ("scan", name, size, a, u, at):
                return self._scan(name, size, a, u, at)
            case ("choose", c, a, b):
                truth, (ra, ta, ea), (rb, tb, eb) = self._truth(c), self._lift(a), self._lift(b)
                return f"(choose_re {truth} {ra} {rb})", ("choose", c, ta, tb), f"(choose_eps {truth} {ea} {eb})"
            case ("ind", c):
                return f"(ind_re {self._truth(c)})", ZERO, "ind_eps"
            case ("fn", name, a):
                r, t, e = self._lift(a)
                return f"({name}_re {r})", ("mul", _slope(name, a), t), f"({name}_eps {r} {e})"
        return "refl", ZERO, "refl"

    def _scan(self, name: str, size: str, a: Term, u: Term, at: Term) -> tuple[str, Term, str]:
        (ra, ta, ea), (ru, tu, eu) = self._lift(a), self._lift(u)
        k, inner = fresh(), fresh()
        h = ("scan", inner, size, *(replaced(x, {name: ("i", inner)}) for x in (a, u)), ("i", k))
        slope = ("scan", name, size, a, add(mul(ta, ("before", k, size, h, ("i", name))), tu), at)
        reals = " ".join(f"(fun {name} => {r})" for r in (ra, ru))
        proof = f"(scan_eps L {reals} (fun {name} => {ea}) (fun {name} => {eu}))"
        if ta == tu == ZERO:
            return f"(scan_re {reals})", ZERO, f"(trans {proof} (scan_still L))"
        return f"(scan_re {reals})", slope, proof

    def _truth(self, term: Term) -> str:
        match term:
            case ("ref", name, _):
                return "refl" if name.startswith("P.") else f"re_{name}"
            case (("gt" | "tied") as name, a, b):
                return f"({name}_re {self._lift(a)[0]} {self._lift(b)[0]})"
            case (("equal" | "less" | "and" | "or" | "plus" | "times") as name, i, j):
                name = TRUTHS.get(name, name)
                first, second = self._truth(i), self._truth(j)
                return "refl" if first == second == "refl" else f"(cong2 {name} {first} {second})"
            case ("clamp", size, i):
                inner = self._truth(i)
                return "refl" if inner == "refl" else f"(cong (clamp S.{size}) {inner})"
            case ("not", c):
                return f"(cong not {self._truth(c)})"
        return "refl"

    def _lemma(self, d: Definition) -> None:
        at = "".join(f" {i}" for i in d.at)
        binder = f" {{{at[1:]} : N}}" if d.at else ""
        run = f"{d.name} (dual A) S (along A P D){at}"
        plain = f"{d.name} A S P{at}"
        if d.type != "K":
            self.lemmas.append(f"theorem re_{d.name}{binder} : Same ({run}) ({plain}) := {self._truth(d.body)}")
            return
        if d.body[0] == "scan_back":
            raise UnreadError(d.loc, f"{d.kind} from the end in the forward pass")
        real, slope, proof = self._lift(d.body)
        if d.body[0] == "fn" and d.type == "K":  # exp' = exp is the value itself
            slope = ("mul", _slope(d.body[1], d.body[2], d.term), slope[2])
        self.lemmas.append(f"theorem re_{d.name}{binder} : Same ({run}).re ({plain}) := {real}")
        t = f"t_{d.name} A S P D{at}"
        arrows = "N → " * len(d.at)
        function = f"fun{at} => ({run}).eps" if at else f"({run}).eps"
        self.lemmas.append(
            f"noncomputable def t_{d.name} (A : Arith K) (S : Sizes) (P : Point K) (D : Direction K) : "
            f"{arrows}K := {function}"
        )
        if d.kind == "reduce_max":
            return
        poly, q = self.plain.of(slope)
        if not poly:
            self.constant.add(d.name)
            slope, proof = ZERO, chain(proof, q) or "refl"
        self.of[d.name] = slope
        self.lemmas.append(f"theorem d_{d.name}{binder} (L : Laws A) : Same ({t}) {shown(slope)} := {proof}")


def _slope(name: str, a: Term, value: Term | None = None) -> Term:
    """The derivative of a function at a, as the library writes it; `value` is the function's there."""
    f = value or ("fn", name, a)
    recip = ("fn", "recip", a)
    return {
        "exp": f, "log": recip, "recip": mul(MINUS, ("mul", recip, recip)),
        "sqrt": ("mul", HALF, ("fn", "recip", f)),
        "rsqrt": ("mul", ("mul", MINUS, HALF), mul(f, f, f)),
        "tanh": add(ONE, ("mul", MINUS, ("mul", f, f))), "logistic": mul(f, add(ONE, ("mul", MINUS, f))),
        "sin": ("fn", "cos", a), "cos": ("mul", MINUS, ("fn", "sin", a)),
        "erf": ("mul", ERF_SLOPE, ("fn", "exp", ("mul", MINUS, ("mul", a, a)))),
    }[name]  # fmt: skip
