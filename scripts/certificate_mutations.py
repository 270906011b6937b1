"""Edits texts that the certificate accepts, at every attribute, operand and operation, and looks for a false "holds".

    python scripts/certificate_mutations.py [--edits 2000] [--seed 0] [--out docs/measurements/certificate_mutations.md]

The texts are train steps of netc and gradients that JAX derived, all in float64. An edit that MLIR's verifier lets
pass is certified. Where the verdict is "holds", XLA runs the edited text at the very points of the certificate's float
run, and each claimed gradient is compared with central differences of the edited text's own loss. The exit code is 1 if
one certificate is false. 2,000 edits take about ten minutes on two cores.
"""

from __future__ import annotations

import argparse
import random
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from certificate_mutation_texts import NAMES, Subject, subject_of
from jaxlib.mlir import ir as mlir

from netc.netspec.errors import NetcError
from netc.proofs_oracle.certificate import statement
from netc.proofs_oracle.certificate.parse import parse
from netc.proofs_oracle.certificate.points import float_point
from netc.proofs_oracle.certificate.residues import Residues
from netc.proofs_oracle.certificate.run import At, Sides
from netc.proofs_oracle.certificate.statement import Settings, judge
from netc.proofs_oracle.certificate.text import context, module_of

WORDS = (
    ("EQ", "NE", "LT", "LE", "GT", "GE"),
    ("FLOAT", "TOTALORDER"),
    ("SIGNED", "UNSIGNED"),
    ("DEFAULT", "HIGH", "HIGHEST"),
    ("true", "false"),
)
"""Words of attributes that take each other's place."""
ABSENT = {
    "scatter": {"unique_indices": "true", "indices_are_sorted": "true"},
    "gather": {"indices_are_sorted": "true"},
    "reduce_window": {"base_dilations": "array<i64: {2}>", "window_dilations": "array<i64: {2}>"},
    "convolution": {"window_reversal": "array<i1: {true}>"},
    "compare": {"compare_type": "#stablehlo<comparison_type TOTALORDER>"},
    "sort": {"is_stable": "false"},
    "tanh": {"some.meaning": "1 : i32"},
}
"""Attributes that are put where they are not; {v} once for each axis."""
KINDS = (
    ("add", "subtract", "multiply", "maximum", "minimum", "divide", "power", "remainder", "atan2"),
    ("exponential", "log", "tanh", "logistic", "sqrt", "rsqrt", "sine", "cosine", "negate", "floor", "sign", "abs"),
    ("and", "or", "xor"),
)
"""Operations that take each other's place."""
STEPS = (1e-5, 1e-6, 1e-7)
TOLERANCE = 1e-4  # of a directional derivative by central differences in float64: their error is below 1e-6 here


@dataclass(frozen=True)
class Edit:
    """One change of the operation at that place in the order of a walk."""

    place: int
    sort: str
    name: str
    value: str


@dataclass
class Tally:
    """What came of the edits of one text."""

    edits: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    false: list[str] = field(default_factory=list)


# -- edits -----------------------------------------------------------------------------------------------------------


def walk(module: Any) -> list[Any]:
    """Every operation in every body, in order."""
    found: list[Any] = []

    def into(op: Any) -> None:
        found.append(op)
        for region in op.regions:
            for block in region.blocks:
                for inner in block.operations:
                    into(inner.operation)

    for top in module.body.operations:
        into(top.operation)
    return found


def in_scope(op: Any) -> Iterator[Any]:
    """Values that the operation may use, of its own block and of those around."""
    block, here = op.block, op
    while block is not None:
        yield from block.arguments
        for other in block.operations:
            if other.operation == here:
                break
            yield from other.operation.results
        owner = block.owner.operation
        if owner.name.startswith("func"):
            return
        here, block = owner, owner.block


def edits_of(text: str) -> list[Edit]:
    """Every edit of a text."""
    found, module = [], module_of(text)  # operations live as long as their module
    for place, op in enumerate(walk(module)):
        if op.name in ("func.func", "func.call"):
            continue
        short = op.name.split(".")[1]
        for index in range(len(op.operands)):
            scope = list(in_scope(op))
            fitting = [i for i, v in enumerate(scope) if v.type == op.operands[index].type and v != op.operands[index]]
            found += [Edit(place, "operand", str(index), str(i)) for i in fitting[-4:] + fitting[:2]]
        found += [Edit(place, "attribute", n, v) for n in op.attributes for v in variants(str(attribute(op, n)))]
        for name, value in ABSENT.get(short, {}).items():
            if name not in op.attributes:
                rank = mlir.RankedTensorType(op.operands[0].type).rank
                each = re.search(r"\{(\w+)\}", value)
                filled = value.replace(each[0], ", ".join([each[1]] * rank)) if each else value
                found.append(Edit(place, "attribute", name, filled))
        for family in KINDS:
            if short in family:
                found += [Edit(place, "operation", short, other) for other in family if other != short]
    return found


def attribute(op: Any, name: str) -> Any:
    """The attribute, or a word for one that jaxlib cannot hold."""
    try:
        return op.attributes[name]
    except TypeError:
        return ""


def variants(text: str) -> Iterator[str]:
    """An attribute with one number or word changed, or two numbers exchanged."""
    body = text.rsplit(" : ", 1)[0]
    for match in re.finditer(r"(?<![\w.])-?\d+\.\d+e[+-]\d+", body):
        for other in (2 * float(match[0]), -float(match[0]), float(match[0]) + 1, 0.0):
            yield text[: match.start()] + f"{other:e}" + text[match.end() :]
    if ".0" in body or "e+" in body or "e-" in body:
        if "[" not in body:
            yield re.sub(r"-?\d+\.\d+e[+-]\d+", "0x7FF0000000000000", text, count=1)
        return
    numbers = list(re.finditer(r"(?<![\w.])-?\d+(?![\w.])", body))
    for match in numbers[:16]:
        for step in (1, -1):
            yield text[: match.start()] + str(int(match[0]) + step) + text[match.end() :]
    for a, b in pairwise(numbers):
        if a[0] != b[0]:
            yield text[: a.start()] + b[0] + text[a.end() : b.start()] + a[0] + text[b.end() :]
    for family in WORDS:
        for match in re.finditer(r"\b(" + "|".join(family) + r")\b", body):
            yield from (text[: match.start()] + w + text[match.end() :] for w in family if w != match[0])


def edited(text: str, edit: Edit) -> str | None:
    """The text with the edit, or None where MLIR refuses it."""
    module = module_of(text)
    op = walk(module)[edit.place]
    try:
        if edit.sort == "operand":
            op.operands[int(edit.name)] = list(in_scope(op))[int(edit.value)]
        elif edit.sort == "attribute":
            op.attributes[edit.name] = mlir.Attribute.parse(edit.value, context())
        else:
            return renamed(text, edit)
        module.operation.verify()
    except (mlir.MLIRError, ValueError):
        return None
    return str(module)


def renamed(text: str, edit: Edit) -> str | None:
    """The text with another operation there: found by its number among those of its name."""
    module = module_of(text)
    ops, whole = walk(module), str(module)
    number = sum(op.name == ops[edit.place].name for op in ops[: edit.place])
    dialect = ops[edit.place].name.split(".")[0]
    places = list(re.finditer(rf"\b{dialect}\.{edit.name}\b", whole))
    if number >= len(places):
        return None
    changed = whole[: places[number].start()] + f"{dialect}.{edit.value}" + whole[places[number].end() :]
    try:
        return str(module_of(changed))
    except NetcError:
        return None


# -- numbers ---------------------------------------------------------------------------------------------------------


class Program:
    """A text on XLA's CPU, and its claim in numbers."""

    def __init__(self, text: str, subject: Subject) -> None:
        from jax.extend.backend import get_backend
        from jaxlib import _jax

        self.subject, client = subject, get_backend("cpu")
        devices = _jax.DeviceList(tuple(client.local_devices()[:1]))
        self.run = client.compile_and_load(text, devices, _jax.CompileOptions())

    def __call__(self, args: Sequence[Any]) -> list[Any]:
        import jax

        return [np.asarray(r) for r in self.run.execute([jax.device_put(a) for a in args])]

    def off(self, args: Sequence[Any], rng: np.random.Generator) -> float:
        """How far the claimed gradients are from differences of the loss, in parts; the least of several steps."""
        results, claim = self(args), self.subject.claim
        directions = {g.of: rng.standard_normal(args[g.of].shape) for g in claim.gradients}
        named = sum(float((self.gradient(g, args, results) * directions[g.of]).sum()) for g in claim.gradients)
        size = sum(float(np.abs(self.gradient(g, args, results) * directions[g.of]).sum()) for g in claim.gradients)
        differences = [(self.loss(args, directions, h) - self.loss(args, directions, -h)) / (2 * h) for h in STEPS]
        return min(abs(named - d) / max(size, abs(d), 1e-6) for d in differences)

    def gradient(self, g: Any, args: Sequence[Any], results: Sequence[Any]) -> Any:
        """As claims.py reads it."""
        value = results[g.result] - (args[g.less] if g.less is not None else 0)
        value = value * float(g.factor) / (args[g.over] if g.over is not None else 1)
        return value - float(g.decay) * args[g.of]

    def loss(self, args: Sequence[Any], directions: dict[int, Any], h: float) -> float:
        """Of the arguments moved along the directions."""
        moved = [a + h * directions[i] if i in directions else a for i, a in enumerate(args)]
        return float(self(moved)[self.subject.claim.outputs[0][0]])


# -- verdicts --------------------------------------------------------------------------------------------------------


class Watched(At):
    """Keeps the numbers of each point at which both sides were equal modulo all primes."""

    kept: ClassVar[list[list[Any]]] = []

    def __init__(self, run: Any, field: Any, numbers: Sequence[Any], *more: Any) -> None:
        super().__init__(run, field, numbers, *more)
        self.numbers = numbers

    def sides(self) -> Sides:
        """As ever."""
        found = super().sides()
        if found.agree and isinstance(self.field, Residues):
            self.kept.append([np.asarray(x) for x in self.numbers])
        return found


KINDS_OF = {"i1": np.bool_, "i32": np.int32, "i64": np.int64, "ui32": np.uint32, "f64": np.float64}


def verdict(text: str, subject: Subject, seed: int) -> tuple[str, list[list[Any]]]:
    """What the certificate says, and the points of its float runs."""
    Watched.kept.clear()
    try:
        function = parse(text)
        found = judge(function.name, function, subject.claim, Settings(3, 1, seed), float_point(subject.limit))
    except NetcError:
        return "refused", []
    if found.verdict != "holds":
        return {"false": "not the derivative"}.get(found.verdict, found.verdict), []
    points = []
    for numbers in Watched.kept:
        held = [np.asarray(x, KINDS_OF[v.type.dtype]) for x, v in zip(numbers, function.params, strict=True)]
        points.append([np.zeros_like(x) if i in subject.claim.zero else x for i, x in enumerate(held)])
    return "holds", points


def tried(subject: Subject, edit: Edit, text: str, seed: int) -> tuple[str, str]:
    """One edit's outcome, and what is to be said of it."""
    said, points = verdict(text, subject, seed)
    if said != "holds":
        return said, ""
    rng = np.random.default_rng(seed)
    try:
        program = Program(text, subject)
    except RuntimeError as error:  # XLA does not compile it
        return "holds, XLA refuses", str(error).splitlines()[0][:100]
    off = max(min(program.off(args, rng) for _ in range(2)) for args in (points[0], points[-1]))
    if off <= TOLERANCE:
        return "holds, XLA agrees", ""
    return (
        "holds, FALSE",
        f"{subject.name}: {edit.sort} {edit.name} of operation {edit.place} -> {edit.value}: off by {off:.1e}",
    )


def study(edits: int, seed: int, only: str = "", watch: bool = False) -> dict[str, Tally]:
    """The tally of each text whose name has `only` in it; `edits` are shared out evenly."""
    import jax

    names = [name for name in NAMES if only in name]
    before, statement.At = statement.At, Watched  # type: ignore[misc]
    table: dict[str, Tally] = {}
    try:
        with jax.enable_x64(True):
            for number, name in enumerate(names):
                share = edits // len(names) + (number < edits % len(names))
                table[name] = edited_often(subject_of(name), share, seed)
                if watch:
                    print(f"{name}: {dict(table[name].outcomes)}", flush=True)
    finally:
        statement.At = before  # type: ignore[misc]
    return table


def edited_often(subject: Subject, share: int, seed: int) -> Tally:
    """The tally of one text and so many edits, of all that there are."""
    tally, whole = Tally(), str(module_of(subject.text))
    said, _ = verdict(whole, subject, seed)
    if said != "holds":
        tally.outcomes[f"unedited: {said}"] += 1
        return tally
    pool = edits_of(whole)
    random.Random(f"{subject.name} {seed}").shuffle(pool)
    for edit in pool:
        if tally.edits >= share:
            break
        text = edited(whole, edit)
        if text is None or text == whole:
            continue
        tally.edits += 1
        outcome, why = tried(subject, edit, text, seed)
        tally.outcomes[outcome] += 1
        if outcome == "holds, FALSE":
            tally.false.append(why)
            print(why, flush=True)
    return tally


COLUMNS = ("refused", "not the derivative", "undecided", "holds, XLA agrees", "holds, XLA refuses", "holds, FALSE")


def report(table: dict[str, Tally], seed: int, seconds: float) -> str:
    """A table in Markdown."""
    total = Counter[str]()
    lines = [
        "# Edits of accepted texts",
        "",
        f"`python scripts/certificate_mutations.py --edits {sum(t.edits for t in table.values())} --seed {seed}`:",
        "each edit changes one attribute, operand or operation of a text that is certified. *refused*: the certificate",
        "has no rule for it. *XLA agrees*: the edited text is certified, and its gradients are the central differences",
        "of its own loss at the certificate's points. *XLA refuses*: it does not compile the text, edited in a part",
        "that no claim needs. *FALSE* must be 0.",
        "",
        f"| text | edits | {' | '.join(COLUMNS)} |",
        "|---|" + "---:|" * (len(COLUMNS) + 1),
    ]
    for name, tally in table.items():
        total.update(tally.outcomes)
        lines.append(f"| {name} | {tally.edits} | " + " | ".join(str(tally.outcomes[c]) for c in COLUMNS) + " |")
    edits = sum(t.edits for t in table.values())
    lines.append(f"| all {len(table)} | {edits} | " + " | ".join(str(total[c]) for c in COLUMNS) + " |")
    strange = {k: v for k, v in total.items() if k not in COLUMNS}
    lines += ["", f"Took {seconds:.0f} s." + (f" Beside these: {strange}." if strange else "")]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the study and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--edits", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="texts whose name has this in it")
    parser.add_argument("-o", "--out", type=Path)
    args = parser.parse_args()
    began = time.perf_counter()
    table = study(args.edits, args.seed, args.only, watch=True)
    text = report(table, args.seed, time.perf_counter() - began)
    print(text)
    if args.out:
        args.out.write_text(text, encoding="utf-8")
    raise SystemExit(any(t.false for t in table.values()))


if __name__ == "__main__":
    main()
