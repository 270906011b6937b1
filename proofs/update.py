"""One update of one parameter, as an optimizer's rule emits it, with numbers for options that tell them apart.

Which options are there and which are 0 decides which operations are emitted; their other values are in literals alone.
So each such choice is a variant, and in a variant each option is a variable.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from itertools import product
from typing import Any

from netc.codegen.builder import Builder
from netc.codegen.ir import Function
from netc.codegen.optim import rule_of
from netc.codegen.program import build
from netc.codegen.slots import SCALAR
from netc.netspec.check import check
from netc.netspec.layers import Dense
from netc.netspec.optimizers import OPTIMIZERS, Adafactor, Muon, Optimizer, Shampoo
from netc.netspec.recipe import Recipe
from netc.netspec.spec import NetSpec
from netc.netspec.types import TensorType
from netc.proofs.export import reached
from netc.proofs.terms import MINUS, ONE, ZERO, Term, add, mul

ABSENT = ("weight_decay", "momentum", "initial")  # 0 leaves operations out
THERE: Mapping[type[Optimizer], tuple[str, ...]] = {Muon: ("momentum",)}  # but here it leaves nothing out
FIXED = ("dense_only",)  # what says which parameters are updated so, and not how
SHAPE = (7,)
# of what updates matrices otherwise: what is said of the parameter, its shape, and options that are whole numbers
SHAPES: Mapping[type[Optimizer], tuple[tuple[str, tuple[int, ...], Mapping[str, int]], ...]] = {
    Muon: (("", SHAPE, {}), ("wide", (3, 5), {}), ("tall", (5, 3), {})),
    Adafactor: (("", SHAPE, {}), ("wide", (3, 5), {"smallest": 3}), ("tall", (5, 3), {"smallest": 3})),
    Shampoo: (
        ("", SHAPE, {}), ("left", (3, 5), {"largest": 4}), ("right", (5, 3), {"largest": 4}), ("matrix", (3, 5), {}),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Variant:
    """An optimizer whose options are numbers that tell them apart, but those that are left out.

    `shape` is the parameter's; `transposed`: the paper has the update of the transposed matrix.
    """

    name: str
    word: str
    optimizer: Any
    shape: tuple[int, ...] = SHAPE
    transposed: bool = False

    @property
    def options(self) -> Mapping[str, float]:
        """The options that are numbers, those that are left out as 0."""
        return {f.name: v for f in fields(self.optimizer) if type(v := getattr(self.optimizer, f.name)) is float}

    @property
    def named(self) -> Mapping[float, Term]:
        """What literals mean: an option, 1 less it, -1 times it, 1 over it."""
        found: dict[float, Term] = {}
        for name, value in self.options.items():
            if value:
                it = ("ref", f"P.{name}", ())
                forms = {value: it, 1 - value: add(ONE, mul(MINUS, it)), -value: mul(MINUS, it), 1 / value: inverse(it)}
                found |= forms
        return found

    def option(self, name: str) -> Term:
        """An option as a term."""
        return ("ref", f"P.{name}", ()) if self.options[name] else ZERO


def inverse(x: Term) -> Term:
    """1/x."""
    return ("fn", "recip", x)


def variants(word: str) -> Iterator[Variant]:
    """Every choice of truth values and of options that are left out, of an optimizer's word."""
    row = OPTIMIZERS[word]
    numbers = [n for n, v in row.options.items() if type(v) is float]
    plain: dict[str, Any] = {name: (2 * n + 3) / 64 for n, name in enumerate(numbers)}
    flags = [n for n, v in row.options.items() if type(v) is bool and n not in FIXED]
    absent = [n for n in numbers if n in ABSENT and n not in THERE.get(row.cls, ())]
    shapes = SHAPES.get(row.cls, (("", SHAPE, {}),))
    for on, (said, shape, whole) in product(product((False, True), repeat=len(absent) + len(flags)), shapes):
        own = dict(zip((*absent, *flags), on, strict=True))
        chosen = {n: plain[n] if own[n] else 0.0 for n in absent} | {n: own[n] for n in flags}
        optimizer = row.make({**plain, **chosen, **whole})
        if not list(optimizer.problems()):
            there = (n for n in own if own[n])
            name = "_".join(filter(None, (word, *there, said))).replace("-", "_")
            yield Variant(name, word, optimizer, shape, said == "tall")


def begin_function(optimizer: Optimizer, shape: tuple[int, ...]) -> Function:
    """What a program's `init` gives first for the moments of such a parameter, and for the scalars, by their names."""
    rows, columns = shape if len(shape) == 2 else (3, *shape)
    own = f"/dense.{'kernel' if len(shape) == 2 else 'bias'}"
    net = check(NetSpec("begin", (rows,), (Dense(columns, name="dense"),)))
    init = build(net, Recipe(optimizer=optimizer), 3).module.function("init")
    scalars = rule_of(optimizer).scalars
    kept = {
        name.removesuffix(own): value
        for name, value in zip(init.result_names, init.results, strict=True)
        if name.endswith(own) or name in scalars
    }
    function = replace(init, results=tuple(kept.values()), result_names=tuple(kept))
    return replace(function, ops=tuple(replace(op, loc="init") for op in reached(function)))


def update_function(optimizer: Optimizer, shape: tuple[int, ...], *, decay: bool = True) -> Function:
    """(p, g, moments, scalars, lr) -> (p, moments, scalars), all after one update, as a train step has it."""
    rule, b = rule_of(optimizer), Builder("update")
    p, g = b.parameter("p", TensorType(shape)), b.parameter("g", TensorType(shape))
    kept = {
        name: b.parameter(name, TensorType(own))
        for name in rule.moments(optimizer)
        if (own := rule.shape(optimizer, name, shape)) is not None
    }
    scalars = {name: b.parameter(name, SCALAR) for name in rule.scalars}
    lr = b.parameter("lr", SCALAR)
    with b.at("optimizer"):
        scalars = rule.advance(b, optimizer, {**scalars, "lr": lr})
    with b.at("p", "update"):
        new, after = rule.update(b, optimizer, p, g, decay, {**kept, **scalars}, lr)
    return b.finish([("p", new), *after.items(), *scalars.items()])
