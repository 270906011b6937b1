"""The normal form of a number, with its proof: a sum of monomials, each a sum over indices of a product of atoms.

Every function gives what a term is equal to and the text of a proof in Lean; None is a proof by reflexivity. Proofs are
printed so that Lean finds all arguments from the left side.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from netc.proofs.exported import Definition
from netc.proofs.terms import MINUS, TRUTHS, Term, add, free, mul, replaced, sums

PRODUCTS = ("mul", "div", "neg")
Proof = str | None
Bound = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Monomial:
    """The sum over `bound`, (index, size) from the outermost, of the product of `factors`."""

    bound: Bound
    factors: tuple[Term, ...]

    @property
    def term(self) -> Term:
        """As a term."""
        return sums(self.bound, mul(*self.factors))


Polynomial = tuple[Monomial, ...]


def term_of(poly: Polynomial) -> Term:
    """The sum of the monomials, nested to the right."""
    return add(*(m.term for m in poly))


# -- proofs ----------------------------------------------------------------------------------------------------------


def chain(*proofs: Proof) -> Proof:
    """One after the other."""
    given = [p for p in proofs if p is not None]
    if not given:
        return None
    text = given[-1]
    for p in reversed(given[:-1]):
        text = f"(trans {p} {text})"
    return text


def both(congruence: str, p: Proof, q: Proof) -> Proof:
    """A proof in each of two parts: add_congr or mul_congr."""
    return None if p is None and q is None else f"({congruence} {p or 'refl'} {q or 'refl'})"


def under(bound: Bound, p: Proof) -> Proof:
    """A proof under sums."""
    for index, _ in reversed(bound):
        p = p and f"(sum_congr (fun {index} => {p}))"
    return p


def back(p: Proof) -> Proof:
    """The other way round."""
    return p and f"(symm {p})"


def append(left: int, right: int) -> Proof:
    """(a1 + .. + an) + b = a1 + (.. + (an + b)), for b of `right` terms."""
    if left == 0:
        return "(zero_add L)"
    if right == 0:
        return "(add_zero L)"
    return None if left == 1 else chain("(add_assoc L)", both("add_congr", None, append(left - 1, right)))


def join_products(left: int, right: int) -> Proof:
    """(a1 .. an) (b1 .. bm) = a1 (.. bm)."""
    if left == 0:
        return "(one_mul L)"
    if right == 0:
        return "(mul_one L)"
    return None if left == 1 else chain("(mul_assoc L)", both("mul_congr", None, join_products(left - 1, right)))


def to_front(place: int, length: int, op: str) -> Proof:
    """Bring one of `length` terms of a nested sum (op add) or product (op mul) to the front."""
    if place == 0:
        return None
    inner = both(f"{op}_congr", None, to_front(place - 1, length - 1, op))
    return chain(inner, f"({op}_comm L)" if length == 2 else f"({op}_left L)")


def permuted(order: list[int], op: str) -> Proof:
    """Put terms in another order: `order` says which old one comes at each place."""
    if len(order) < 2:
        return None
    rest = [i - (i > order[0]) for i in order[1:]]
    return chain(to_front(order[0], len(order), op), both(f"{op}_congr", None, permuted(rest, op)))


def sums_permuted(bound: Bound, order: list[int]) -> Proof:
    """The same of nested sums."""
    if len(order) < 2 or order == sorted(order):
        return None
    steps: list[Proof] = []
    now = list(bound)
    for swap in range(order[0], 0, -1):
        steps.append(under(tuple(now[: swap - 1]), "(sum_comm L)"))
        now[swap - 1], now[swap] = now[swap], now[swap - 1]
    rest = [i - (i > order[0]) for i in order[1:]]
    return chain(*steps, under((now[0],), sums_permuted(tuple(now[1:]), rest)))


def rearranged(m: Monomial, bound: list[int], factors: list[int]) -> tuple[Monomial, Proof]:
    """A monomial with its sums and its factors in another order."""
    new = Monomial(tuple(m.bound[i] for i in bound), tuple(m.factors[i] for i in factors))
    return new, chain(sums_permuted(m.bound, bound), under(new.bound, permuted(factors, "mul")))


def at_place(place: int, length: int, p: Proof) -> Proof:
    """A proof about one factor of a product."""
    if length == 1:
        return p
    if place == 0:
        return both("mul_congr", p, None)
    return both("mul_congr", None, at_place(place - 1, length - 1, p))


def pulled(others: int, inner: tuple[tuple[str, str], ...]) -> Proof:
    """Sums over `inner` of a product, past the first factors, `others` in number, which do not depend on them."""
    steps: list[Proof] = []
    for depth in range(len(inner) - 1, -1, -1):
        one: Proof = None
        for _ in range(others):
            one = chain("(symm (mul_sum L))", both("mul_congr", None, one))
        steps.append(under(inner[:depth], one))
    return chain(*steps)


# -- matching --------------------------------------------------------------------------------------------------------


def alike(x: object, y: object, names: dict[str, str], bound: Mapping[str, str]) -> dict[str, str] | None:
    """`names` with what makes x to y besides, where indices in `bound` may be renamed; None if nothing does.

    An index of a sum may only become one of the same size.
    """
    if not isinstance(x, tuple) or not isinstance(y, tuple):
        return names if x == y else None
    if len(x) != len(y):
        return None
    if x and x[0] == "i":
        if y[0] != "i":
            return None
        if x[1] in names:
            return names if names[x[1]] == y[1] else None
        if x[1] in bound:
            if y[1] in names.values() or bound.get(y[1]) != bound[x[1]]:
                return None
            return {**names, x[1]: y[1]}
        return names if x[1] == y[1] else None
    for a, b in zip(x, y, strict=True):
        if (more := alike(a, b, names, bound)) is None:
            return None
        names = more
    return names


def matched(x: Monomial, y: Monomial) -> tuple[list[int], list[int]] | None:
    """How sums and factors of x must be ordered to be y's, up to names of indices; None if they are no others."""
    if len(x.bound) != len(y.bound) or len(x.factors) != len(y.factors):
        return None
    if sorted(s for _, s in x.bound) != sorted(s for _, s in y.bound):
        return None
    sizes = {**dict(x.bound), **dict(y.bound)}

    def search(place: int, used: frozenset[int], names: dict[str, str]) -> tuple[list[int], dict[str, str]] | None:
        if place == len(y.factors):
            return [], names
        for i, f in enumerate(x.factors):
            if i in used or (more := alike(f, y.factors[place], names, sizes)) is None:
                continue
            if (found := search(place + 1, used | {i}, more)) is not None:
                return [i, *found[0]], found[1]
        return None

    if (found := search(0, frozenset(), {})) is None:
        return None
    factors, names = found
    olds = [name for name, _ in x.bound]
    for name, size in x.bound:  # indices that no factor has
        if name not in names:
            names[name] = next(n for n, s in y.bound if s == size and n not in names.values())
    new = {names[name]: i for i, name in enumerate(olds)}
    return [new[n] for n, _ in y.bound], factors


def same_polynomial(x: Polynomial, y: Polynomial) -> tuple[bool, Proof]:
    """Whether x and y have the same monomials, and the proof that x = y."""
    if len(x) != len(y):
        return False, None
    order, inner = [], []
    for wanted in y:
        found = next(((i, how) for i, m in enumerate(x) if i not in order and (how := matched(m, wanted))), None)
        if found is None:
            return False, None
        order.append(found[0])
        inner.append(rearranged(x[found[0]], *found[1])[1])
    return True, chain(permuted(order, "add"), each(inner))


def each(proofs: list[Proof]) -> Proof:
    """A proof for each term of a nested sum."""
    if not proofs:
        return None
    return proofs[0] if len(proofs) == 1 else both("add_congr", proofs[0], each(proofs[1:]))


# -- normal forms ----------------------------------------------------------------------------------------------------


class Normaliser:
    """Brings terms to their normal form. `opens(definition)` says which definitions are replaced by their bodies."""

    def __init__(
        self,
        definitions: Mapping[str, Definition],
        opens: Callable[[Definition], bool],
        again: Mapping[str, Term] | None = None,
    ) -> None:
        self.definitions, self.opens = definitions, opens
        self.again = again or {}  # what values of the backward pass are besides: known.py
        self.derivatives: Mapping[str, Term] = {}  # of the values whose derivative is to be replaced

    def body(self, term: Term) -> Term:
        """The body of a definition at a reference's indices."""
        d = self.definitions[term[1]]
        return replaced(d.body, dict(zip(d.at, term[2], strict=True)))

    def of(self, term: Term) -> tuple[Polynomial, Proof]:
        """The normal form of a number, and the proof that it is equal."""
        match term:
            case ("zero",):
                return (), None
            case ("one",):
                return (Monomial((), ()),), None
            case ("add", a, b):
                (pa, qa), (pb, qb) = self.of(a), self.of(b)
                return (*pa, *pb), chain(both("add_congr", qa, qb), append(len(pa), len(pb)))
            case ("mul", a, b):
                (pa, qa), (pb, qb) = self.of(a), self.of(b)
                poly, q = product(pa, pb)
                return poly, chain(both("mul_congr", qa, qb), q)
            case ("sum", index, size, a):
                poly, q = self.of(a)
                out, spread = summed((index, size), poly)
                return out, chain(under(((index, size),), q), spread)
            case ("max", a, b):
                poly, q = self.of(("choose", ("gt", a, b), a, b))
                return poly, chain("max_is", q)
            case ("choose", c, a, b):
                return self._choice(c, a, b)
            case ("ind", c):
                c, q = self.truth(c)
                return (Monomial((), (("ind", c),)),), q and f"(ind_congr {q})"
            case ("fn", name, a):
                a, q = self.atom(a)
                return (Monomial((), (("fn", name, a),)),), q and f"(cong A.{name} {q})"
            case ("ref", name, at) if name in self.again:
                known = replaced(self.again[name], dict(zip(self.definitions[name].at, at, strict=True)))
                poly, q = self.of(known)
                return poly, chain(f"(again_{name} L H)", q)
            case ("ref", name, _) if name in self.definitions and self._open(name):
                poly, q = self.of(self.body(term))
                return poly, chain(f"{name}_is", q)
            case ("t", name, at) if name in self.derivatives:
                d = self.definitions[name]
                poly, q = self.of(replaced(self.derivatives[name], dict(zip(d.at, at, strict=True))))
                return poly, chain(f"(d_{name} L)", q)
        return (Monomial((), (term,)),), None

    def _open(self, name: str) -> bool:
        d = self.definitions[name]
        if d.kind == "linear_scan":  # recurrences.py speaks of it
            return False
        # products of the forward pass are seen through, so that a pullback may use any of their factors
        return d.alias or (d.kind in PRODUCTS and not d.backward and not d.whole) or self.opens(d)

    def _choice(self, c: Term, a: Term, b: Term) -> tuple[Polynomial, Proof]:
        c, q = self.truth(c)
        (pa, qa), (pb, qb) = self.of(a), self.of(b)
        parts = None
        if q or qa or qb:
            parts = f"(choose_all {q or 'refl'} {qa or 'refl'} {qb or 'refl'})"
        hit = (Monomial((), (("ind", c),)),)
        left, ql = product(hit, pa)
        if not pb:
            return left, chain(parts, "(choose_zero L)", ql)
        missed = (Monomial((), ()), Monomial((), (MINUS, ("ind", c))))
        right, qr = product(missed, pb)
        return (*left, *right), chain(
            parts, "(choose_split L)", both("add_congr", ql, qr), append(len(left), len(right))
        )

    def atom(self, term: Term) -> tuple[Term, Proof]:
        """A number, or an index, without what only moves it."""
        if term[0] == "ref" and term[1] in self.definitions and self.definitions[term[1]].alias:
            found, q = self.atom(self.body(term))
            return found, chain(f"{term[1]}_is", q)
        if term[0] == "clamp":
            found, q = self.atom(term[2])
            return ("clamp", term[1], found), q and f"(cong (clamp S.{term[1]}) {q})"
        return term, None

    def truth(self, term: Term) -> tuple[Term, Proof]:
        """A truth value without references; max(a, b) > b is a > b."""
        match term:
            case ("ref", name, _) if name in self.definitions:
                found, q = self.truth(self.body(term))
                return found, chain(f"{name}_is", q)
            case ("gt", a, b):
                (a, qa), (b, qb) = self.atom(a), self.atom(b)
                proof = both("gt_congr", qa, qb)
                if a[0] == "ref" and a[1] in self.definitions and self.definitions[a[1]].kind == "max":
                    _, x, y = self.body(a)
                    (x, qx), (y, qy) = self.atom(x), self.atom(y)
                    if y == b:
                        q = chain(f"{a[1]}_is", f"(max_congr {qx or 'refl'} {qy or 'refl'})")
                        return ("gt", x, y), chain(proof, f"(gt_congr {q} refl)", "(gt_max L)")
                return ("gt", a, b), proof
            case ("tied", a, b):
                (a, qa), (b, qb) = self.atom(a), self.atom(b)
                return ("tied", a, b), both("tied_congr", qa, qb)
            case (("equal" | "less") as relation, i, j):
                (i, qi), (j, qj) = self.atom(i), self.atom(j)
                return (relation, i, j), both(f"cong2 {relation}", qi, qj)
            case (("and" | "or") as name, a, b):
                (a, qa), (b, qb) = self.truth(a), self.truth(b)
                return (name, a, b), both(f"cong2 {TRUTHS[name]}", qa, qb)
            case ("not", c):
                c, q = self.truth(c)
                return ("not", c), q and f"(cong not {q})"
        return term, None


def summed(bound: tuple[str, str], poly: Polynomial) -> tuple[Polynomial, Proof]:
    """The sum over an index of a polynomial."""
    if not poly:
        return (), "(sum_zero L)"
    out = tuple(Monomial((bound, *m.bound), m.factors) for m in poly)
    proof: Proof = None
    for _ in poly[1:]:
        proof = chain("(sum_add L)", both("add_congr", None, proof))
    return out, proof


def product(a: Polynomial, b: Polynomial) -> tuple[Polynomial, Proof]:
    """The product of two polynomials."""
    if not a:
        return (), "(zero_mul L)"
    if not b:
        return (), "(mul_zero L)"
    if len(a) == 1:
        return _times(a[0], b)
    first, q = _times(a[0], b)
    rest, r = product(a[1:], b)
    return (*first, *rest), chain("(add_mul L)", both("add_congr", q, r), append(len(first), len(rest)))


def _times(a: Monomial, b: Polynomial) -> tuple[Polynomial, Proof]:
    first, q = _monomials(a, b[0])
    if len(b) == 1:
        return (first,), q
    rest, r = _times(a, b[1:])
    return (first, *rest), chain("(mul_add L)", both("add_congr", q, r))


def _monomials(a: Monomial, b: Monomial) -> tuple[Monomial, Proof]:
    """The product of two monomials, whose indices have different names."""
    if a.bound:
        inner, q = _monomials(Monomial(a.bound[1:], a.factors), b)
        return Monomial((a.bound[0], *inner.bound), inner.factors), chain("(sum_mul L)", under(a.bound[:1], q))
    if b.bound:
        inner, q = _monomials(a, Monomial(b.bound[1:], b.factors))
        return Monomial((b.bound[0], *inner.bound), inner.factors), chain("(mul_sum L)", under(b.bound[:1], q))
    return Monomial((), (*a.factors, *b.factors)), join_products(len(a.factors), len(b.factors))


def independent(factor: Term, index: str) -> bool:
    """Whether a factor does not have that index."""
    return index not in free(factor)
