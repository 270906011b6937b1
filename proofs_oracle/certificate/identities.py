"""Identities between functions that are not rational: all true, in sets that are tried from the weakest on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from netc.proofs_oracle.certificate.reading import Number

ZERO, ONE = Number(Fraction(0), "0"), Number(Fraction(1), "1")
FIXED: dict[str, tuple[tuple[int, Number], ...]] = {
    "exp": ((0, ONE),),
    "cos": ((0, ONE),),
    "log": ((1, ZERO), (2, Number(Fraction(1), "log(2)", ln2=1))),
    "sqrt": ((1, ONE),),
    "rsqrt": ((1, ONE),),
    "logistic": ((0, Number(Fraction(1, 2), "1/2")),),
}
"""function -> (operand, value) .. : where a function that is not rational has a value that is known."""

SENTENCES = {
    "quotient": "rsqrt' = -rsqrt(x) / (2 x)",
    "over": "sqrt' = sqrt(x) / (2 x)",
    "joined": "rsqrt(x) = 1/sqrt(x)",
    "additive": "exp(a + b) = exp(a) exp(b), log(a b) = log(a) + log(b), exp(log(t)) = t = log(exp(t)), "
    "logistic = exp / (1 + exp), tanh = (exp² - 1) / (exp² + 1)",
    "tied": "exp(-x) = 1/exp(x), logistic(x) = 1/(1 + exp(-x))",
}


@dataclass(frozen=True)
class Identities:
    """Which true identities the functions that are not rational obey here.

    `quotient`: d rsqrt(x) = -rsqrt(x) / (2 x) dx instead of -rsqrt(x)³ / 2 dx. `over`: d sqrt(x) = sqrt(x) / (2 x) dx
    instead of dx / (2 sqrt(x)).
    `tied`: exp(-x) = 1/exp(x) and logistic(x) = 1/(1 + exp(-x)), instead of two functions that know nothing of each
    other. `additive`: exp turns sums into products, log products into sums, each undoes the other, and logistic and
    tanh are fractions of exp. `joined`: rsqrt(x) = 1/sqrt(x).
    """

    quotient: bool = False
    tied: bool = False
    additive: bool = False
    joined: bool = False
    over: bool = False

    @property
    def sentences(self) -> list[str]:
        """Those beyond the usual ones."""
        return [sentence for name, sentence in SENTENCES.items() if getattr(self, name)]


def sets_of_identities(kinds: set[str]) -> list[Identities]:
    """The sets of true identities that are tried in turn, from the weakest on."""
    growing = kinds & {"exp", "logistic", "tanh", "log", "log1p", "expm1"}
    tied = [Identities(tied=True)] if {"exp", "logistic"} <= kinds else []
    ways = [Identities(), *tied, *([Identities(additive=True)] if growing else [])]
    return [
        replace(way, quotient=quotient, over=over, joined=joined)
        for way in ways
        for over in ((False, True) if "sqrt" in kinds else (False,))
        for joined in ((False, True) if {"sqrt", "rsqrt"} <= kinds else (False,))
        for quotient in ((False, True) if "rsqrt" in kinds else (False,))
    ]
