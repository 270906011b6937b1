"""How what netc keeps stands to what each optimizer's paper states: one row for each class of optimizer."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from netc.codegen.optim.adafactor import SMALLEST_SCALE
from netc.codegen.optim.muon import FACTOR, QUINTIC, SMALLEST_NORM
from netc.codegen.optim.shampoo import SMALLEST_TRACE
from netc.netspec.optimizers import (
    SGD,
    Adadelta,
    Adafactor,
    Adagrad,
    Adam,
    Lamb,
    Lion,
    Muon,
    NAdam,
    Optimizer,
    RMSProp,
    ScheduleFree,
    Shampoo,
)
from netc.proofs.exported import KNOWN
from netc.proofs.iterates import newton_root, newton_schulz
from netc.proofs.terms import ONE, Term, add, mul, sums
from netc.proofs.update import Variant, inverse

Kept = Callable[[str], Term]
View = Callable[[Variant, Kept, Term], Term]


@dataclass(frozen=True)
class Literal:
    """A number that the paper has a word for: its value in the variant, and what it is assumed to be, if anything."""

    value: float
    said: str
    meaning: Term | None = None

    @property
    def known(self) -> Term | None:
        """What such a literal is where it is no variable."""
        return KNOWN.get(self.value)


@dataclass(frozen=True)
class Paper:
    """How an optimizer's kept numbers stand to its paper's.

    `definition`: the name in updates.lean, of a variant. `unbiased`: scalars that are 1 - b^t, and b. `views`: a
    number of the paper's, of the kept ones where n updates were made. `first`: what a number of the paper's is before
    any, if not 0. `above`: the sentence for a maximum with a literal that no exact arithmetic needs. `literals`: by the
    names that the definition has for them. `not_zero`: what x (1/x) = 1 is assumed of, and why. `quotients`: kept
    numbers w, of which netc has 1/w where the definition has q/t, t = w q. `iterates`: definitions of sequences, whose
    terms are followed one by one.
    """

    definition: Callable[[Variant], str]
    unbiased: Mapping[str, str] = field(default_factory=dict)
    views: Mapping[str, View] = field(default_factory=dict)
    first: Mapping[str, Callable[[Variant, Kept], Term]] = field(default_factory=dict)
    above: str = ""
    literals: Callable[[Variant], Mapping[str, Literal]] = lambda of: {}
    not_zero: Mapping[str, tuple[Term, str]] = field(default_factory=dict)
    quotients: tuple[str, ...] = ()
    iterates: Mapping[str, Callable[..., object]] = field(default_factory=dict)


def _named(names: str, values: tuple[float, ...], said: str) -> dict[str, Literal]:
    return {n: Literal(v, said) for n, v in zip(names.split(), values, strict=True)}


def _muon(of: Variant) -> dict[str, Literal]:
    factor = FACTOR * math.sqrt(max(of.shape))
    return {
        **_named("a b c", QUINTIC, "of Newton's and Schulz's polynomial"),
        "smallest": Literal(SMALLEST_NORM, "the smallest norm that is divided by"),
        "factor": Literal(factor, "0.2 times the root of the longer side"),
    }


def _shampoo(of: Variant) -> dict[str, Literal]:
    sides = of.optimizer.sides(of.shape)
    power = 2 * sum(map(bool, sides))
    found = {
        "smallest": Literal(SMALLEST_TRACE, "the smallest trace that is divided by"),
        "factor": Literal(FACTOR * math.sqrt(max(of.shape)), "0.2 times the root of the longer side"),
    }
    if not power:
        return {}
    found["near"] = Literal((power + 1) / power, f"{power + 1}/{power}")
    found["share"] = Literal(1 / power, f"1/{power}")
    for name, n in zip(("left", "right"), sides, strict=True):
        if n:
            z = (1 + power) / 2 / (1 + n * of.optimizer.damping)
            found[f"scale_{name}"] = Literal(z, "so large that Newton's iteration converges")
            found[f"start_{name}"] = Literal(z ** (1 / power), f"its root to the power 1/{power}")
    return found


def length(*sizes: str) -> Term:
    """How many numbers there are, as a number."""
    return mul(*(sums((("j", s),), ONE) for s in sizes))


def _adafactor(of: Variant) -> dict[str, Literal]:
    names = [f"n{n}" for n in range(len(of.shape))]
    found = {
        "floor": Literal(SMALLEST_SCALE, "the smallest scale of a parameter"),
        "root_share": Literal(
            1 / math.sqrt(math.prod(of.shape)), "1 over the root of how many numbers the parameter has",
            inverse(("fn", "sqrt", length(*names))),
        ),
    }  # fmt: skip
    if len(of.shape) > 1:
        for name, size in zip(names, of.shape, strict=True):
            found[f"share_{name}"] = Literal(1 / size, f"1 over {name}", inverse(length(name)))
    return found


def _adafactor_definition(of: Variant) -> str:
    return f"adafactor{'_factored' * (len(of.shape) > 1)}{'_absolute' * of.optimizer.absolute}"


def _shampoo_definition(of: Variant) -> str:
    left, right = of.optimizer.sides(of.shape)
    if not left and not right:
        return "adamw"
    return "shampoo" if left and right else f"shampoo_{'left' if left else 'right'}"


MOMENTS = {"correction1": "beta1", "correction2": "beta2"}
LARGEST: Term = ("max", ("ref", "P.correction3", ()), ("ref", "P.lr", ()))
PAPERS: Mapping[type[Optimizer], Paper] = {
    SGD: Paper(lambda of: "sgd_nesterov" if of.optimizer.nesterov else "sgd"),
    Adam: Paper(lambda of: "adamw" if of.optimizer.decoupled else "adam", MOMENTS),
    NAdam: Paper(lambda of: "nadamw" if of.optimizer.decoupled else "nadam", MOMENTS),
    Lion: Paper(lambda of: "lion"),
    Lamb: Paper(lambda of: "lamb", MOMENTS),
    RMSProp: Paper(
        lambda of: f"rmsprop{'_centered' * of.optimizer.centered}{'_inside' * of.optimizer.inside}",
        {"correction1": "alpha"},
        {"v": lambda of, x, n: add(x("v"), mul(of.option("initial"), ("pow", of.option("alpha"), n)))},
        {"v": lambda of, x: of.option("initial")},
        "the mean of the squares is at least the square of the mean, as it is without rounding",
    ),
    Adagrad: Paper(
        lambda of: "adagrad", views={"squares": lambda of, x, n: add(x("squares"), of.option("initial"))},
        first={"squares": lambda of, x: of.option("initial")},
    ),
    Adadelta: Paper(lambda of: "adadelta"),
    Muon: Paper(
        lambda of: "adamw" if len(of.shape) == 1 else "muon", MOMENTS,
        literals=lambda of: _muon(of) if len(of.shape) > 1 else {}, iterates={"newton_schulz": newton_schulz},
    ),
    Adafactor: Paper(_adafactor_definition, views={"count": lambda of, x, n: x("correction1")}, literals=_adafactor),
    Shampoo: Paper(
        _shampoo_definition, MOMENTS, literals=_shampoo,
        iterates={"inverse_fourth_root": newton_root(2), "inverse_square_root": newton_root(1)},
    ),
    ScheduleFree: Paper(
        lambda of: "schedulefree", {"correction2": "beta2"},
        {
            "z": lambda of, x, n: add(x("p"), x("ahead")),
            "total": lambda of, x, n: mul(x("correction1"), x("correction3"), x("correction3")),
            "largest": lambda of, x, n: x("correction3"),
        },
        {"z": lambda of, x: x("p")},
        "the largest rate so far is at least the smallest positive number",
        not_zero={"largest": (LARGEST, "the largest rate so far is not 0, so that x (1/x) = 1")},
        quotients=("correction1",),
    ),
}  # fmt: skip
