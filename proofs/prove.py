"""Prove a program: from the emitted module to a file and Lean's answer."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from netc.codegen.builder import Builder
from netc.codegen.ir import Function
from netc.codegen.module_emitter import ModuleEmitter
from netc.codegen.program import Program
from netc.netspec.errors import NetcError, UserError
from netc.netspec.install import install_extra
from netc.netspec.layer import Layer
from netc.netspec.loss import Loss
from netc.netspec.recipe import Recipe
from netc.netspec.types import TensorType
from netc.proofs.axes import UnreadError
from netc.proofs.blame import NotProvenError
from netc.proofs.file import text_of
from netc.proofs.foreign.step import Claimed, Step, step_of
from netc.proofs.foreign.updates import updates
from netc.proofs.layer import layer_function, loss_function
from netc.proofs.lean import Checked, check, lean
from netc.proofs.rewrites import equal
from netc.proofs.theorem import Proved, proved

LAWS = "the laws of a commutative ring, and that no number is greater than itself"
WITHOUT = "does not depend on any axioms"
UNKNOWN = re.compile(r": error: [Uu]nknown option [`']?([\w.]+)")


@dataclass(frozen=True)
class Proof:
    """What was proven of which program, and the file that says it. `said`: what is assumed of a text besides."""

    subject: str
    proved: Proved
    text: str
    seconds: float
    said: tuple[str, ...] = ()

    @property
    def lines(self) -> int:
        """Of the file."""
        return self.text.count("\n")

    @property
    def assumptions(self) -> tuple[str, ...]:
        """One sentence each."""
        return (LAWS, *self.said, *(said for _, said in self.proved.assumed.found.values()))

    @property
    def gradients(self) -> tuple[str, ...]:
        """The parameters whose gradients the theorem is about."""
        return tuple(f.said for f in self.proved.exported.fields.values() if f.trained)

    @property
    def operations(self) -> int:
        """How many the file has."""
        return len(self.proved.exported.definitions)

    @property
    def sizes(self) -> int:
        """How many sizes are variables."""
        return len(self.proved.exported.axes.sizes)

    def to_json(self, checked: Checked | None) -> dict[str, Any]:
        """Plain values."""
        return {
            "format": 1,
            "subject": self.subject,
            "gradients": list(self.gradients),
            "sizes": self.sizes,
            "operations": self.operations,
            "lines": self.lines,
            "assumptions": list(self.assumptions),
            "seconds": round(self.seconds, 2),
            "checked": None if checked is None else {"holds": checked.holds, "seconds": round(checked.seconds, 2)},
        }


def prove(program: Program) -> Proof:
    """The theorem and its proof. Raises UserError for a program with an operation that is not proven yet.

    Raises NetcError where a gradient could not be shown to be the derivative.
    """
    start = time.perf_counter()
    function, trained = gradient_function(program)
    said = "as its train step computes them: before the forms of a target, of which the certificate speaks."
    return _proof(program.net.spec.name, function, trained, f"The loss and the gradients of NAME {said}", start)


def prove_layer(layer: Layer, x: TensorType, batch: int) -> Proof:
    """The theorem about one layer's rule: the derivative of <dy, y> is <dx, d x> + <dp, d p>, for any dy.

    `x` is the type of one example. Raises as `prove` does.
    """
    start = time.perf_counter()
    function, trained = layer_function(layer, x, batch)
    return _proof(layer.kind, function, trained, "The rule of the layer NAME: <dy, y> and its gradients.", start)


def prove_loss(loss: Loss, out: TensorType, batch: int) -> Proof:
    """The same of a loss's rule: the mean loss, and its gradient to the net's output. Raises as `prove` does."""
    start = time.perf_counter()
    function, trained = loss_function(loss, out, batch)
    return _proof(loss.kind, function, trained, "The rule of the loss NAME.", start)


def prove_text(
    name: str,
    function: Function,
    loss: int,
    claims: Sequence[Claimed],
    zero: Collection[int] = (),
    compare: Callable[[Function, Function], None] | None = None,
) -> Proof:
    """The theorem about somebody's text, as the certificate's reader has it; the numbers are those of `step_of`.

    `compare` is given the text with the results that matter and the function that was read of it, and raises UserError
    where they differ: the room of the certificate has the text's own meaning, so it is the caller who compares.
    Raises UserError and NetcError as `prove` does, with the text's lines as places.
    """
    start = time.perf_counter()
    with told(name):
        step = step_of(function, loss, claims, zero)
    if compare is not None:
        compare(step.source, step.function)
    said = "The loss and the gradients of the text NAME, whose lines are the places."
    return _proof(name, step.function, step.trained, said, start, step)


def prove_rewrite(name: str) -> Proof:
    """The theorem that what a pass makes is equal to the operation. Raises NetcError where no proof is found."""
    start = time.perf_counter()
    with told(name):
        found, text = equal(name)
    return Proof(name, found, text, time.perf_counter() - start)


def _proof(
    name: str, function: Function, trained: tuple[str, ...], said: str, start: float, step: Step | None = None
) -> Proof:
    with told(name):
        found = proved(function, trained, step.layers if step else None)
    more = updates(found, step) if step else ()
    assumed = step.said if step else ()
    whole = "\n".join((said.replace("NAME", name), *(f"Assumed of the text: {sentence}." for sentence in assumed)))
    return Proof(name, found, text_of(found, whole, more), time.perf_counter() - start, assumed)


@contextmanager
def told(name: str) -> Iterator[None]:
    """What cannot be proven, as an error for users."""
    try:
        yield
    except UnreadError as error:
        raise UserError(
            f"prove wants operations that it has a meaning for, got {error}, in {name}; `netc certify` checks such a "
            "net at random points, and docs/proofs.md lists what is proven"
        ) from error
    except NotProvenError as error:
        raise NetcError(f"{name}: {error}; `netc certify` says whether it is") from error
    except RecursionError as error:
        raise NetcError(f"{name}: its terms are too deep for the search; `netc certify` handles such a net") from error


def gradient_function(program: Program) -> tuple[Function, tuple[str, ...]]:
    """(state, x, y) -> (loss, the gradient of each trained parameter), and the names of these.

    It is the beginning of the program's own train step: that is checked, operation by operation.
    """
    recipe, plain = program.recipe, Recipe()
    words = ("accumulate", "check_labels", "precision")
    if others := [f"`{w}`" for w in words if getattr(recipe, w) != getattr(plain, w)]:
        wanted = ", ".join(f"`{w}`" for w in words)
        raise UserError(f"prove wants a step without {wanted}, got {', '.join(others)}; leave it out")
    step = program.module.function("train_step")
    maker = ModuleEmitter(program.net, program.recipe, program.batch, program.state)
    b = Builder(step.name)
    given = dict(
        zip(step.names, (b.parameter(n, v.type) for n, v in zip(step.names, step.params, strict=True)), strict=True)
    )
    derived = maker.accumulation.derive(b, given, given["x"], given["y"])
    function = b.finish([("loss", derived.loss), *derived.grads.items()])
    if listed(function) != listed(replace(step, ops=step.ops[: len(function.ops)])):
        raise UserError(
            f"prove wants a train step that starts with its gradients, got another one of {program.net.spec.name}; "
            "leave out options that change the step"
        )
    return function, tuple(derived.grads)


def listed(function: Function) -> list[str]:
    """Its operations in order, a line each, with their operands by number, the parameters first."""
    numbers = {v: i for i, v in enumerate(function.params)}
    lines = []
    for op in function.ops:
        lines.append(f"{op} of {[numbers[v] for v in op.operands]} at {op.loc}")
        numbers.update({v: len(numbers) for v in op.results})
    return lines


class Written(Protocol):
    """A proof as a file has it."""

    @property
    def text(self) -> str:
        """The file."""


def checked(proof: Written, path: Path) -> Checked:
    """Lean's answer about the file that the proof was written to.

    Raises UserError without a Lean, or with one that does not know an option that the file begins with.
    It must say of each theorem whose axioms the proof's text asks for, and of one at least, that it rests on none.
    """
    found = check(path)
    if unknown := UNKNOWN.search(found.messages):
        raise UserError(
            f"a Lean that knows the option {unknown[1]} is wanted, as 4.35.0 does, got {lean().said}, which does not; "
            f"bring it up to date, or take it off PATH and {install_extra('lean')}"
        )
    asked, said = len(re.findall(r"^#print axioms ", proof.text, re.MULTILINE)), found.messages.count(WITHOUT)
    if found.holds and not 0 < asked == said:
        why = f"Lean said of {said} of the {asked} theorems whose axioms are asked for that they rest on none"
        return Checked(False, f"{found.messages}\n{why}".strip(), found.seconds)
    return found
