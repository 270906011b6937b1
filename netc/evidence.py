"""Whether gradients are right: measured against JAX, or certified exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from netc.netspec.check import CheckedNet
from netc.netspec.errors import UserError
from netc.netspec.spec import NetSpec
from netc.programs import request_program
from netc.proofs_oracle import oracle as checks
from netc.proofs_oracle.certificate.certify import Certificate, certify_foreign, certify_program
from netc.proofs_oracle.certificate.statement import Settings
from netc.proofs_oracle.result import Result
from netc.runtime.target import parse_target


def oracle(pattern: str | None = None, *, seed: int = 0) -> list[Result]:
    """Check the gradients of layers, losses and optimizers against JAX and central differences, in float64.

    `pattern` is part of a kind or a case (`conv2d`, `conv2d/groups`) or a glob; without it everything is checked.
    """
    return list(checks.run(checks.select(pattern), seed=seed))


def certify(
    what: NetSpec | CheckedNet | str | bytes,
    *,
    target: str | None = None,
    primes: int = 4,
    points: int = 1,
    seed: int = 0,
    function: str | None = None,
    manifest: Mapping[str, Any] | None = None,
    loss: str | None = None,
    wrt: Sequence[str] = (),
    updates: Sequence[str] = (),
    scale: Fraction = Fraction(1),  # frozen
    ids: int | None = None,
    **words: Any,
) -> Certificate:
    """Check exactly, over prime fields, that a backward is the derivative of its forward (docs/certificate.md).

    `what` is a net, whose train step is checked in the text that is compiled for `target` (cpu), with `words` as for
    `netc.compile` (`batch` 2); or anybody's StableHLO, as text or bytecode, of which `function`, `manifest`, `wrt`,
    `updates`, `scale`, `ids` and `loss` say what is a gradient of what, or which is found without them. Raises
    UserError, also for a word of the other kind.
    """
    settings = Settings(primes, points, seed)
    of_text: dict[str, Any] = {"function": function, "manifest": manifest, "wrt": wrt, "updates": updates, "ids": ids}
    if isinstance(what, bytes) or (isinstance(what, str) and "\n" in what):
        _refuse("a text of StableHLO", "a net", {"target": target, **words})
        return certify_foreign(
            what, function, settings, manifest=manifest, loss=loss, wrt=wrt, scale=scale, limit=ids, updates=updates
        )
    _refuse("a net", "a text of StableHLO", of_text | {"scale": None if scale == 1 else scale})
    chosen = words if loss is None else {**words, "loss": loss}
    program = request_program(what, default_batch=2, **chosen).build()
    return certify_program(program, parse_target(target or "cpu"), settings)


def _refuse(kind: str, other: str, given: Mapping[str, Any]) -> None:
    """Raise UserError for a word of the other kind."""
    if unused := [f"`{name}`" for name, value in given.items() if value not in (None, (), [])]:
        raise UserError(f"certify wants words for {kind}, got {', '.join(unused)}, as for {other}; leave it out")
