"""Theorems about what a text makes of its gradients: a new parameter is p - rate * gradient."""

from __future__ import annotations

from netc.proofs.exported import Exported
from netc.proofs.foreign.step import Step
from netc.proofs.terms import Term, replaced, shown
from netc.proofs.theorem import Proved


def updates(proved: Proved, step: Step) -> tuple[str, ...]:
    """One theorem for each result that is an update: it in terms of the gradient. By definition on both sides."""
    exported = proved.exported
    values = exported.function.results[1:]
    of = dict(zip(step.trained, values, strict=False))
    made: list[str] = []
    for name, new in zip(step.updates, values[len(step.trained) :], strict=True):
        sizes = exported.axes.flat(new)
        at = tuple(f"i{n}" for n in range(len(sizes)))
        left: Term = ("ref", exported.names[new], tuple(("i", i) for i in at))
        right = _down_to(exported, exported.names[of[name]], left)
        binder = f" ({' '.join(at)} : N)" if at else ""
        made.append(
            f"/-- The new {name}: {name} less a rate times the gradient. -/\n"
            f"theorem update{len(made)} {{K : Type}} (A : Arith K) (S : Sizes) (P : Point K){binder} :\n"
            f"    Same {shown(left)}\n      {shown(right)} :=\n  refl\n\n#print axioms update{len(made)}\n"
        )
    return tuple(made)


def _down_to(exported: Exported, gradient: str, term: Term) -> Term:
    """A term with every definition replaced by its body, but the gradient."""
    if term[0] == "ref" and term[1] in exported.definitions and term[1] != gradient:
        d = exported.definitions[term[1]]
        return _down_to(exported, gradient, replaced(d.body, dict(zip(d.at, term[2], strict=True)), renew=False))
    return tuple(_down_to(exported, gradient, x) if isinstance(x, tuple) and x else x for x in term)
