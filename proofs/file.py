"""The file that Lean checks: the library, the program as emitted, the proof, the theorem."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib.resources import files

from netc.proofs.exported import Definition, Exported, Field
from netc.proofs.terms import shown
from netc.proofs.theorem import Proved

LIBRARY = ("library.lean", "dual.lean")
RECURRENCE = "recurrence.lean"
LARGEST = 200  # fields of a structure


def library() -> str:
    """What every file begins with."""
    return "\n".join(_read(name) for name in LIBRARY)


def recurrences() -> str:
    """What a file of a program with scans has besides."""
    return _read(RECURRENCE)


def _read(name: str) -> str:
    return (files("netc.proofs") / "lean" / name).read_text(encoding="utf-8")


def text_of(proved: Proved, said: str, more: Sequence[str] = ()) -> str:
    """One self-contained Lean file. `said` is a sentence or two on what program this is; `more` are other theorems."""
    return whole(proved, said, [*more, _theorem(proved)], derived=True)


def whole(proved: Proved, said: str, last: Sequence[str], *, derived: bool) -> str:
    """The library, the program, the steps, and the theorems `last`. `derived`: whether it is about a derivative."""
    exported = proved.exported
    title = (
        "-- Derivatives: the same program on dual numbers --------------------------------------------------------\n"
    )
    derivatives = [title, *proved.lemmas] if derived else []
    below = [
        "-- The program, operation by operation, over any numbers -----------------------------------------------\n",
        *(definition(d) for d in exported.definitions.values()),
        "\nsection\nvariable {K : Type} {A : Arith K} {S : Sizes} {P : Point K} {D : Direction K}\n",
        *(unfolding(d) for d in exported.definitions.values()),
        *derivatives,
        "end\n",
        _given(proved),
        "section\nvariable {K : Type} {A : Arith K} {S : Sizes} {P : Point K} {D : Direction K}",
        *proved.steps,
        "end\n",
        *last,
    ]
    read = set(re.findall(r"\bS\.(\w+)", "\n".join(below)))  # no other size is in the theorem
    scans = [recurrences()] if any(d.kind == "linear_scan" for d in exported.definitions.values()) else []
    parts = [library(), *scans, f"/- {said} -/\n", sizes_of(exported, read), _point(exported), *below]
    return grouped("\n".join(parts))


def grouped(text: str) -> str:
    """The file with its structures in groups: Lean takes no structure of more than 256 fields."""
    for structure, letter, of in (("Sizes", "S", ""), ("Point", "P", " (K : Type)"), ("Direction", "D", " (K : Type)")):
        head, begin, rest = text.partition(f"structure {structure}{of} where\n")
        fields, gap, rest = rest.partition("\n\n")
        lines = [line for line in fields.split("\n") if line]
        if len(lines) <= LARGEST:
            continue
        parts = [lines[i : i + LARGEST] for i in range(0, len(lines), LARGEST)]
        group = {line.split()[0]: n for n, part in enumerate(parts) for line in part}
        own = [f"structure {structure}{n}{of} where\n" + "\n".join(part) + "\n\n" for n, part in enumerate(parts)]
        argument = " K" if of else ""
        whole = "\n".join(f"  g{n} : {structure}{n}{argument}" for n in range(len(parts)))
        note, _, comment = head.rpartition("/-- ")
        if structure == "Point":
            rest = _grouped_along(rest, group, len(parts))
        text = f"{note}{''.join(own)}/-- {comment}{begin}{whole}{gap}{rest}"

        def name(found: re.Match[str], group: Mapping[str, int] = group, letter: str = letter) -> str:
            return f"{letter}.g{group[found[1]]}.{found[1]}"

        text = re.sub(rf"\b{letter}\.(?!g\d+\b)(\w+)", name, text)
    return text


def _grouped_along(rest: str, group: Mapping[str, int], count: int) -> str:
    """The point along a direction, each group by a definition of its own."""
    note, begin, after = rest.partition("/-- The point, each")
    comment, _, after = after.partition("noncomputable def along ")
    head, _, after = after.partition(" where\n")
    fields, gap, after = after.partition("\n\n")
    parts: list[list[str]] = [[] for _ in range(count)]
    for line in fields.split("\n"):
        if line:
            parts[group[line.split()[0]]].append(line)
    own = [
        f"noncomputable def along{n} {head.replace('Point (Dual', f'Point{n} (Dual')} where\n"
        + "\n".join(part)
        + "\n\n"
        for n, part in enumerate(parts)
    ]
    whole = "\n".join(f"  g{n} := along{n} A P D" for n in range(count))
    return f"{note}{''.join(own)}{begin}{comment}noncomputable def along {head} where\n{whole}{gap}{after}"


def arrows(sizes: tuple[str, ...], result: str) -> str:
    """The type of a tensor: a function of as many natural numbers."""
    return "N → " * len(sizes) + result


def sizes_of(exported: Exported, read: set[str]) -> str:
    """The structure of the sizes that are read."""
    lines = [
        f"  {a.name} : N  -- {a.size} in the program that this was made from"
        for a in exported.axes.sizes
        if a.name in read
    ]
    lines += [f"  {name} : N  -- a place or a step, {n} there" for n, name in exported.offsets.items() if name in read]
    return "\n".join(("/-- The sizes of the axes: any natural numbers. -/", "structure Sizes where", *lines, ""))


def point_line(f: Field) -> str:
    """One field of the point."""
    return f"  {f.name.removeprefix('P.')} : {arrows(f.sizes, f.type)}  -- {f.said} [{', '.join(f.sizes)}]"


def _point(exported: Exported) -> str:
    point, direction, along = [], [], []
    for f in exported.fields.values():
        name = f.name.removeprefix("P.")
        point.append(point_line(f))
        at = "".join(f" i{n}" for n in range(len(f.sizes)))
        value = f"P.{name}{at}"
        if f.type == "K":
            slope = f"(D.{name}{at})" if f.trained else "A.zero"
            value = f"Dual.mk ({value}) {slope}"
        along.append(f"  {name} := {f'fun{at} => ' if at else ''}{value}")
        if f.trained:
            direction.append(f"  {name} : {arrows(f.sizes, f.type)}")
    return "\n".join((
        "/-- What the program reads: parameters, a batch, and its literals, which may be any numbers. -/",
        "structure Point (K : Type) where", *point, "",
        "/-- A direction of the parameters. -/", "structure Direction (K : Type) where", *direction, "",
        "/-- The point, each parameter p as p + ε d. -/",
        "noncomputable def along {K : Type} (A : Arith K) (P : Point K) (D : Direction K) : Point (Dual K) where",
        *along, "",
    ))  # fmt: skip


def definition(d: Definition) -> str:
    """One operation in Lean."""
    function = f"fun {' '.join(d.at)} => " if d.at else ""
    return (
        f"/-- {d.kind}, {d.loc} -/\n"
        f"noncomputable def {d.name} {{K : Type}} (A : Arith K) (S : Sizes) (P : Point K) : "
        f"{arrows(d.sizes, d.type)} :=\n"
        f"  {function}{shown(d.body)}"
    )


def unfolding(d: Definition) -> str:
    """The lemma that it is its meaning."""
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
