"""Whether gradients are right: measured against JAX, or certified exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from netc.netspec.check import CheckedNet
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
    target: str = "cpu",
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

    `what` is a net, whose train step is checked in the text that is compiled for `target`, with `words` as for
    `netc.compile` (`batch` 2); or anybody's StableHLO, as text or bytecode, of which `function`, `manifest`, `wrt`,
    `updates` and `loss` say what is a gradient of what, or which is found without them. Raises UserError.
    """
    settings = Settings(primes, points, seed)
    if isinstance(what, bytes) or (isinstance(what, str) and "\n" in what):
        return certify_foreign(
            what, function, settings, manifest=manifest, loss=loss, wrt=wrt, scale=scale, limit=ids, updates=updates
        )
    chosen = words if loss is None else {**words, "loss": loss}
    program = request_program(what, default_batch=2, **chosen).build()
    return certify_program(program, parse_target(target), settings)
