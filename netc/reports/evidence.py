"""What was checked of a run's gradients: nothing unless it was asked for, and then just that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from netc.codegen.program import build
from netc.netspec.optimizers import OPTIMIZERS
from netc.proofs.taken import taken
from netc.runtime.run.config import RunConfig
from netc.runtime.target import parse_target

if TYPE_CHECKING:
    from netc.proofs_oracle.result import Result

PRIMES = (0, 4, 8, 16)  # as `netc certify` takes more where a bound is too weak; 0 is its own number


@dataclass(frozen=True)
class Kind:
    """What there is of one kind: how many of the oracle's cases agree, and whether Lean took a proof of its rule."""

    name: str
    agree: int
    cases: int
    proven: bool


@dataclass(frozen=True)
class Evidence:
    """`oracle` and `certificate` are sentences, `failed` those of what failed; `same_text`: of the run's own text.

    `kinds` are those of the run's layers, its loss and its optimizer, where they were measured.
    """

    oracle: str
    certificate: str
    holds: bool
    same_text: bool
    failed: tuple[str, ...] = ()
    kinds: tuple[Kind, ...] = ()
    exact: bool = False  # whether the certificate alone holds


def checked(config: RunConfig, module_sha256: str) -> Evidence:
    """Run the oracle on the run's kinds of layers, its loss and its optimizer, and certify the text of its step."""
    from netc.proofs_oracle import oracle  # here, as it wants JAX
    from netc.proofs_oracle.certificate.certify import certify_program
    from netc.proofs_oracle.certificate.statement import Settings
    from netc.proofs_oracle.result import summary

    names = {each.layer.kind: each.layer.kind for each in config.net.walk()} | _names(config)
    results = list(oracle.run([c for c in oracle.checks() if c.kind in names]))
    program = build(
        config.trained_net, config.recipe, config.training.batch, steps_per_call=config.steps_per_call,
        replicas=config.devices,
    )  # fmt: skip
    tries = (certify_program(program, parse_target(config.target), Settings(count)) for count in PRIMES)
    certificate = next(tries)
    while not (certificate.holds or certificate.false or certificate.undecided):
        if (stronger := next(tries, None)) is None:
            break
        certificate = stronger
    return Evidence(
        summary(results), certificate.sentence, certificate.holds and all(r.passed for r in results),
        certificate.sha256 == module_sha256, tuple(r.verdict() for r in results if not r.passed),
        tuple(_kind(kind, name, [r for r in results if r.kind == kind]) for kind, name in names.items()),
        certificate.holds,
    )  # fmt: skip


def _names(config: RunConfig) -> dict[str, str]:
    """The kinds of loss and optimizer, each with its name among proofs."""
    loss, optimizer = config.recipe.loss, config.recipe.optimizer
    words = (
        word
        for word, row in OPTIMIZERS.items()
        if row.cls is type(optimizer) and all(getattr(optimizer, n) == v for n, v in row.says.items())
    )
    return {loss.kind: f"loss:{loss.kind}", optimizer.kind: f"optimizer:{next(words, optimizer.kind)}"}


def _kind(kind: str, name: str, results: Sequence[Result]) -> Kind:
    return Kind(kind, sum(r.passed for r in results), len(results), name in taken())


def stored(certificate: Mapping[str, Any], module_sha256: str) -> Evidence:
    """What a file of `netc certify -o` says: of the run's own text, or of another."""
    same = certificate.get("module_sha256") == module_sha256
    said = f"{certificate.get('subject')}: {certificate.get('verdict')}"
    return Evidence("", said, bool(certificate.get("holds")), same)
