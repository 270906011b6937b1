"""The file that Lean checks: the library, the program as emitted, the proof, the theorem."""

from __future__ import annotations

from importlib.resources import files

from netc.proofs.export import Definition, Exported
from netc.proofs.terms import shown
from netc.proofs.theorem import Proved

LIBRARY = "library.lean"


def text_of(proved: Proved, said: str) -> str:
    """One self-contained Lean file. `said` is a sentence or two on what program this is."""
    exported = proved.exported
    library = (files("netc.proofs") / "lean" / LIBRARY).read_text(encoding="utf-8")
    parts = [
        library,
        f"/- {said} -/\n",
        _sizes(exported),
        _point(exported),
        "-- The program, operation by operation, over any numbers -----------------------------------------------\n",
        *(_definition(d) for d in exported.definitions.values()),
        "\nsection\nvariable {K : Type} {A : Arith K} {S : Sizes} {P : Point K} {D : Direction K}\n",
        *(_unfolding(d) for d in exported.definitions.values()),
        "-- Derivatives: the same program on dual numbers --------------------------------------------------------\n",
        *proved.lemmas,
        "end\n",
        _given(proved),
        "section\nvariable {K : Type} {A : Arith K} {S : Sizes} {P : Point K} {D : Direction K}",
        *proved.steps,
        "end\n",
        _theorem(proved),
    ]
    return "\n".join(parts)


def _arrows(sizes: tuple[str, ...], result: str) -> str:
    return "N → " * len(sizes) + result


def _sizes(exported: Exported) -> str:
    lines = [f"  {a.name} : N  -- {a.size} in the program that this was made from" for a in exported.axes.sizes]
    return "\n".join(("/-- The sizes of the axes: any natural numbers. -/", "structure Sizes where", *lines, ""))


def _point(exported: Exported) -> str:
    point, direction, along = [], [], []
    for f in exported.fields.values():
        name = f.name.removeprefix("P.")
        sizes = ", ".join(f.sizes)
        point.append(f"  {name} : {_arrows(f.sizes, f.type)}  -- {f.said} [{sizes}]")
        at = "".join(f" i{n}" for n in range(len(f.sizes)))
        value = f"P.{name}{at}"
        if f.type == "K":
            slope = f"(D.{name}{at})" if f.trained else "A.zero"
            value = f"Dual.mk ({value}) {slope}"
        along.append(f"  {name} := {f'fun{at} => ' if at else ''}{value}")
        if f.trained:
            direction.append(f"  {name} : {_arrows(f.sizes, f.type)}")
    return "\n".join((
        "/-- What the program reads: parameters, a batch, and its literals, which may be any numbers. -/",
        "structure Point (K : Type) where", *point, "",
        "/-- A direction of the parameters. -/", "structure Direction (K : Type) where", *direction, "",
        "/-- The point, each parameter p as p + ε d. -/",
        "noncomputable def along {K : Type} (A : Arith K) (P : Point K) (D : Direction K) : Point (Dual K) where",
        *along, "",
    ))  # fmt: skip


def _definition(d: Definition) -> str:
    function = f"fun {' '.join(d.at)} => " if d.at else ""
    return (
        f"/-- {d.kind}, {d.loc} -/\n"
        f"noncomputable def {d.name} {{K : Type}} (A : Arith K) (S : Sizes) (P : Point K) : "
        f"{_arrows(d.sizes, d.type)} :=\n"
        f"  {function}{shown(d.body)}"
    )


def _unfolding(d: Definition) -> str:
    binder = f" {{{' '.join(d.at)} : N}}" if d.at else ""
    return f"theorem {d.name}_is{binder} : Same {shown(d.term)} {shown(d.body)} := refl"


def _given(proved: Proved) -> str:
    lines = [f"  {name} : {claim}  -- {said}" for name, (claim, said) in proved.assumed.found.items()]
    return "\n".join((
        "/-- What is assumed besides the laws of a commutative ring. -/",
        "structure Given {K : Type} (A : Arith K) (S : Sizes) (P : Point K) where", *lines, "",
    ))  # fmt: skip


def _theorem(proved: Proved) -> str:
    last = sum(s.startswith("theorem main") for s in proved.steps) - 1
    loss = proved.exported.names[proved.exported.function.results[0]]
    return (
        "/-- The derivative of the loss along any direction of the parameters is the sum, over all parameters, of\n"
        "<emitted gradient, direction>. -/\n"
        "theorem gradients_are_the_derivative {K : Type} (A : Arith K) (L : Laws A) (S : Sizes) (P : Point K)\n"
        "    (D : Direction K) (H : Given A S P) :\n"
        f"    Same ({loss} (dual A) S (along A P D)).eps\n      {proved.statement} :=\n"
        f"  main{last} L H\n\n"
        "#print axioms gradients_are_the_derivative\n"
    )
