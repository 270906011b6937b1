"""Certificates: of a net, layer by layer and as the text that is compiled; of any text."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from netc.codegen.ir import Function, Op
from netc.codegen.modules import layer_module, loss_module
from netc.codegen.program import Program
from netc.codegen.rewrite.lower import lower
from netc.codegen.rewrite.precision import at_precision
from netc.netspec.check import CheckedNet
from netc.netspec.layer import Combinator, Composite, Layer
from netc.netspec.types import TensorType
from netc.proofs_oracle.certificate import claims
from netc.proofs_oracle.certificate.bounds import bounds
from netc.proofs_oracle.certificate.factors import scaled
from netc.proofs_oracle.certificate.pairing import how_paired, paired
from netc.proofs_oracle.certificate.points import FloatPoint, float_point
from netc.proofs_oracle.certificate.replicas import peer_of, together, why_alike, with_mean_loss
from netc.proofs_oracle.certificate.run import Claim
from netc.proofs_oracle.certificate.statement import Settings, Statement, judge
from netc.proofs_oracle.certificate.updates import Update, update_of
from netc.runtime.prepare import emit_text
from netc.runtime.target import Target, refuse_c

ASSUMED = (
    "exact arithmetic: float rounding, overflow and what a compiler does with the text are not covered",
    "on these branches: every comparison, maximum and choice goes as in a float64 run at each of the points",
    "a function that is not rational is used only through its differential identity (docs/certificate.md)",
    "literals are read as the numbers that they round, where a reading is listed; else as their exact dyadic values",
    "the keyed hash that gives such functions their values behaves like a random function",
    "the primes were drawn by the seed and divide none of the numbers that decide the identity",
)


COMPOSED = (
    "combinators put the layers' pullbacks together by the chain rule (the check of the whole text needs no such)"
)
ENOUGH = -20  # log2 of the largest probability of an error that still counts as a certificate


@dataclass(frozen=True)
class Certificate:
    """What was checked, of which text, and what came out."""

    subject: str
    sha256: str | None
    settings: Settings
    statements: tuple[Statement, ...]

    @property
    def holds(self) -> bool:
        """Whether every statement does, and the bound is small enough to mean something."""
        return all(s.holds for s in self.statements) and self.failure <= ENOUGH

    @property
    def assumptions(self) -> tuple[str, ...]:
        """One sentence each."""
        return ASSUMED if self.sha256 else (*ASSUMED, COMPOSED)

    @property
    def false(self) -> bool:
        """Whether a gradient is wrong: this is certain."""
        return any(s.verdict == "false" for s in self.statements)

    @property
    def undecided(self) -> bool:
        """Whether the sides differ, but perhaps only by what is not known of a function or a literal."""
        return not self.false and not all(s.holds for s in self.statements)

    @property
    def verdict(self) -> str:
        """One word."""
        return "false" if self.false else "holds" if self.holds else "undecided"

    @property
    def what(self) -> str:
        """What is certified, as a sentence."""
        scaling = next((s.scaling for s in self.statements if s.scaling), "")
        if scaling:
            return f"the gradients are the derivative of the forward, {scaling}"
        if all(s.loss for s in self.statements):
            return "the backward is the derivative of the forward"
        return "the gradients are the derivative of some function; the text returns no loss that could be it"

    @property
    def never(self) -> int:
        """Gradient elements that were 0 at all points."""
        return sum(sum(s.never.values()) for s in self.statements)

    @property
    def life(self) -> str:
        """How many gradient elements said anything: one that is 0 where it was looked at may hide a fault."""
        never = self.never
        points = max((s.points for s in self.statements), default=0)
        if not never:
            return "every gradient element was alive" + (f" at one of {points} points" if points > 1 else "")
        at = f"all {points} points" if points > 1 else "the one point"
        return f"{never:,} of {sum(s.elements for s in self.statements):,} gradient elements were 0 at {at}"

    @property
    def failure(self) -> float:
        """log2 of a bound of the probability that any statement is false and passed."""
        return min(0.0, math.log2(sum(2.0**s.failure for s in self.statements)))

    @property
    def sentence(self) -> str:
        """The verdict as a sentence, with what it rests on."""
        chance = f"the probability that this is an error is below 2^{self.failure:.0f}"
        if self.false:
            of_replicas = (s.why for s in self.statements if s.verdict == "false" and not s.blamed)
            return next(of_replicas, "a gradient is not the derivative")
        if self.undecided:
            return "undecided: a gradient is neither shown to be the derivative nor shown not to be it"
        if self.holds:
            return f"{self.what}; {self.life}; {chance}"
        return f"undecided: no difference was found, but {chance} only; give more `primes`"

    def __str__(self) -> str:
        lines = [f"{s.name}: {s.verdict}, {len(s.gradients)} gradients" for s in self.statements]
        return "\n".join([*lines, self.sentence])

    def to_json(self) -> dict[str, Any]:
        """Plain values, all finite."""
        return {
            "format": 1,
            "subject": self.subject,
            "module_sha256": self.sha256,
            "holds": self.holds,
            "verdict": self.verdict,
            "failure_log2": round(self.failure, 1),
            "seed": self.settings.seed,
            "points": self.settings.points,
            "elements": sum(s.elements for s in self.statements),
            "never_alive": self.never,
            "literals": "exact" if self.settings.exact else "rounded",
            "statements": [_statement(s) for s in self.statements],
            "assumptions": list(self.assumptions),
        }


def _statement(s: Statement) -> dict[str, Any]:
    return {
        "of": s.name,
        "holds": s.holds,
        "verdict": s.verdict,
        "why": s.why,
        "gradients": list(s.gradients),
        "wrong": list(s.wrong),
        "undecided": list(s.blamed) if s.verdict == "undecided" else [],
        "points": s.points,
        "elements": s.elements,
        "never_alive": dict(s.never),
        "read_as": list(s.meaning),
        "primes": list(s.primes),
        "degree_bound": s.degree,
        "failure_log2": round(s.failure, 1),
        "loss": s.loss,
        "scaling": s.scaling,
        "functions": list(s.functions),
        "identities": s.identities.sentences,
        "readings": {repr(v): n.text for v, n in s.readings.items()},
        "operations": s.operations,
        "choices": s.branches,
        "seconds": round(s.seconds, 2),
    }


# -- nets ------------------------------------------------------------------------------------------------------------


def certify_text(
    text: str, name: str, claim: Claim, settings: Settings, limit: int, update: Update | None = None
) -> Certificate:
    """Of one function of a text, its steps undone; integers that index nothing are below `limit` in the float run."""
    function, said = parsed(text, name, settings)
    if update is not None:
        function, said = update.undone(function), (*update.said, *said)
    return certify_function(text, function, claim, settings, _point(function, limit), said)


def parsed(text: str | bytes, name: str | None, settings: Settings) -> tuple[Function, tuple[str, ...]]:
    """The function of a text, and sentences on what in it is read as something else."""
    function, said = read_alone(text, name, settings)
    made = together(function)
    return made.function, (*said, *made.said)


def read_alone(text: str | bytes, name: str | None, settings: Settings) -> tuple[Function, tuple[str, ...]]:
    """The same of one replica alone: where it meets others, the sums are left as they stand."""
    from netc.proofs_oracle.certificate.expanded import with_functions
    from netc.proofs_oracle.certificate.parse import parse

    function = parse(text, name)
    if settings.exact:
        return function, ()
    function, counts = with_functions(function)
    return function, tuple(f"{n} times XLA's rational approximation of {of} as {of}" for of, n in counts.items())


def certify_function(
    text: str | bytes, function: Function, claim: Claim, settings: Settings, point: FloatPoint,
    said: tuple[str, ...] = (),
) -> Certificate:  # fmt: skip
    """Of a function that was parsed from that text."""
    found = judge(function.name, function, claim, settings, point)
    found = replace(found, meaning=(how_read(function, claim), *said, *roundings(function), *found.meaning))
    return Certificate(function.name, _digest(text), settings, (found,))


def _digest(text: str | bytes) -> str:
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()


def roundings(function: Function) -> tuple[str, ...]:
    """A sentence for each kind of rounding to fewer bits: such a step is read as the identity, its sums as exact."""
    return tuple(
        f"{count} {sentence}: what they round is not covered"
        for sentence, of in ROUNDINGS.items()
        if (count := sum(map(of, function.ops)))
    )


ROUNDINGS: Mapping[str, Callable[[Op], bool]] = {
    "conversions to bf16 as the identity": lambda op: op.kind == "convert" and op.result.type.dtype == "bf16",
    "conversions to f16 as the identity": lambda op: op.kind == "convert" and str(op.result.type.dtype) == "f16",
    "reductions of precision as the identity": lambda op: op.kind == "rounded",
    "operations in bf16 or f16 as exact": lambda op: (
        op.kind in ("add", "sub", "mul", "div", "dot", "convolution", "reduce_sum")
        and op.result.type.dtype in ("bf16", "f16")
    ),
}  # fmt: skip


LOST = "no loss is returned: that the gradients are those of one function, which cannot be known, up to a common factor"


def how_read(function: Function, claim: Claim) -> str:
    """A sentence: how gradients are read from results."""
    g = claim.gradients[0]
    zero = f", with {len(claim.zero)} arguments (moments) at 0" if claim.zero else ""
    result = f"result {g.result}" if g.less is None else f"(result {g.result} - {function.names[g.less]})"
    over = f" / {function.names[g.over]}" if g.over is not None else ""
    factor = "" if g.factor == 1 else f"{g.factor} "
    decayed = [function.names[x.of] for x in claim.gradients if x.decay]
    which = ", ".join(decayed[:4]) + (", .." if len(decayed) > 4 else "")
    tail = ", less its weight decay" if len(decayed) == len(claim.gradients) else f", less the weight decay of {which}"
    tail = tail if decayed else ""
    climbs = "; the step goes up the loss" if g.less == g.of and g.factor > 0 and claim.outputs else ""
    return f"gradient of {function.names[g.of]} = {factor}{result}{over}{tail}, and so on{zero}{climbs}" + (
        "" if claim.outputs else f"; {LOST}"
    )


def certify_program(program: Program, target: Target, settings: Settings) -> Certificate:
    """Of `train_step` in the very text that is compiled for the target, each turn of its loops written out.

    Where a batch passes in parts there is another statement, of `micro_step` in that text. Of replicas the statement is
    about all of them together.
    """
    refuse_c(target)
    if program.replicas > 1:
        return _certify_replicas(program, target, settings)
    text, net, count = emit_text(program, target).text, program.net.spec.name, program.recipe.accumulate
    limit = id_limit(program.net)

    def found(function: str, claim: Claim, what: str, update: Update | None = None) -> Certificate:
        made = certify_text(text, function, claim, settings, limit, update)
        return replace(made, subject=net, statements=tuple(replace(s, name=what) for s in made.statements))

    turns = f", {count} parts in turn" if count > 1 else ""
    claim = claims.claim_of_program(program, settings.exact)
    whole = found("train_step", claim, f"train_step of {net}{turns}", update_of(program))
    if count == 1:
        return whole
    part = found("micro_step", claims.claim_of_part(program), f"micro_step of {net}, one of {count} parts")
    return replace(whole, statements=(*part.statements, *whole.statements))


def _certify_replicas(program: Program, target: Target, settings: Settings) -> Certificate:
    """That the gradients which the replicas' optimizer is given are those of the loss of their whole batch."""
    text, name, update = emit_text(program, target).text, program.net.spec.name, update_of(program)
    function, said = read_alone(text, "train_step", settings)
    made, judge_of = together(function), peer_of(program)
    whole = update.undone(made.function)
    claim = claims.claim_of_program(program, settings.exact)
    if judge_of.programs:
        texts = [emit_text(p, target).text for p in judge_of.programs]
        read = {t: read_alone(t, "train_step", settings)[0] for t in dict.fromkeys(texts)}
        whole = with_mean_loss(whole, [read[t] for t in texts], update.results["loss"], program.replicas)
        claim = replace(claim, outputs=((len(whole.results) - 1, None),))
    point = _point(whole, id_limit(program.net))
    found = certify_function(text, whole, claim, settings, point, (*update.said, *said, *made.said, judge_of.sentence))
    (statement,) = found.statements
    why = made.why(program.module.function("train_step").result_names) or why_alike(function)
    statement = replace(statement, name=f"train_step of {name}, {program.replicas} replicas")
    if why and statement.verdict != "false":
        statement = replace(statement, verdict="false", why=why)
    return replace(found, subject=name, statements=(statement,))


def id_limit(net: CheckedNet) -> int:
    """Integers that index nothing are below the number of classes."""
    return max(2, net.out.shape[-1])


def parts(net: CheckedNet) -> Iterator[tuple[str, Layer, TensorType]]:
    """Every layer that has a pullback of its own, once for each input type: where it is first, itself, its input."""
    seen: set[tuple[Layer, TensorType]] = set()
    for each in net.walk():
        bare = replace(each.layer, name=None)
        if isinstance(bare, Combinator | Composite) or (bare, each.x) in seen:
            continue
        seen.add((bare, each.x))
        yield each.path, bare, each.x


def certify_layers(program: Program, target: Target, settings: Settings) -> Iterator[Statement]:
    """Of every different layer at its real shapes, and of the loss: the rules as the target's passes leave them.

    Of a batch in parts a layer sees one part.
    """
    net, limit = program.net, id_limit(program.net)
    batch = program.batch // program.recipe.accumulate
    for path, layer, x in parts(net):
        made = at_precision(layer_module(layer, x, batch), program.recipe.precision)
        function = lower(made, target.profile).function("vjp")
        claim = claims.claim_of_layer(function)
        if claim.gradients:
            found = judge(
                f"{layer.label()} on {x} (first at {path})", function, claim, settings, _point(function, limit)
            )
            yield replace(found, meaning=(*roundings(function), *found.meaning))
    function = lower(loss_module(program.recipe.loss, net.out, batch), target.profile).function("vjp")
    claim, point = claims.claim_of_loss(function), _point(function, limit)
    yield judge(f"loss {program.recipe.loss.kind}", function, claim, settings, point)


def certificate_of_layers(subject: str, settings: Settings, statements: Sequence[Statement]) -> Certificate:
    """The statements of a net's layers as one certificate; it belongs to no text."""
    return Certificate(subject, None, settings, tuple(statements))


def certify_foreign(  # what a command line knows of a text
    text: str | bytes,
    name: str | None,
    settings: Settings,
    *,
    manifest: Mapping[str, Any] | None,
    loss: str | None,
    wrt: Sequence[str],
    scale: Fraction,
    limit: int | None,
    updates: Sequence[str] = (),
) -> Certificate:
    """Of anybody's text: by our manifest, by the numbers of results and arguments, or by what is found by itself.

    `limit`: integers of the float run are below it; None: below what they index.
    """
    function, said = read_alone(text, name, settings)
    if manifest is not None:
        claim, update = claims.claim_of_manifest(manifest, function, settings.exact)
        named = tuple(str(e["name"]) for e in manifest["functions"][function.name]["arguments"])
        function = replace(function, names=named)
    made = together(function)
    function, said = made.function, (*said, *made.said)
    point = _point(function) if limit is None else float_point(limit)
    if manifest is not None:
        if update is not None:
            function, said = update.undone(function), (*update.said, *said)
        point = _point(function) if limit is None else point
    elif wrt or updates:
        claim = claims.claim_of_words(function, loss, wrt, updates, scale)
    else:
        claim = paired(function, loss, settings, point)
        said = (how_paired(function, claim), *said)
    if all(g.factor == 1 for g in claim.gradients if g.free):
        claim = scaled(function, claim, settings, point)
    found = certify_function(text, function, claim, settings, point, said)
    if manifest is not None and update is None and found.false and any(g.less is None for g in claim.gradients):
        return replace(found, statements=tuple(replace(s, verdict="undecided", why=NO_DECAY) for s in found.statements))
    return found


NO_DECAY = (
    "the moments are no multiples of the gradients, and the manifest does not say the optimizer, whose weight decay "
    "may be in them: write it again by `netc emit-mlir`"
)


def _point(function: Function, limit: int = 10) -> FloatPoint:
    """Integers stay below what they index, else below `limit`."""
    return float_point(limit, bounds(function))
