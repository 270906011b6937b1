"""The certificate of a routine of BLAS: that its pullback, in the text for a target, is its derivative."""

from __future__ import annotations

from dataclasses import replace

from netc.codegen.blas.program import blas_module, check_letters, check_room, check_sizes
from netc.codegen.blas.table import Letters, Routine, Sizes
from netc.codegen.rewrite.lower import lower
from netc.codegen.text import text_of
from netc.netspec.types import DType
from netc.proofs_oracle.certificate.certify import Certificate, certify_text
from netc.proofs_oracle.certificate.run import Claim, Gradient
from netc.proofs_oracle.certificate.statement import Settings
from netc.runtime.target import PLAIN, Target, refuse_c

MOST_BYTES = 1 << 24
"""Of all operands: what a routine computes is computed in exact arithmetic, 17 s of it for gemm of 1000, 1000, 1000."""


def claim_of_routine(routine: Routine) -> Claim:
    """Of `<name>_vjp`: arguments operands, then cotangents of the results; results, then gradients of the operands."""
    operands, results = len(routine.operands), len(routine.results)
    outputs = tuple((i, operands + i) for i in range(results))
    return Claim(outputs, tuple(Gradient(i, results + i) for i in range(operands)))


def certify_routine(
    routine: Routine, sizes: Sizes, letters: Letters, dtype: DType, settings: Settings, target: Target = PLAIN
) -> Certificate:
    """Of the text that is compiled for the target; raises UserError for what the routine does not take."""
    refuse_c(target)
    sizes, letters = check_sizes(routine, sizes), check_letters(routine, letters)
    check_room(routine, sizes, letters, dtype, MOST_BYTES, "the certificate")
    module = lower(blas_module(routine, sizes, letters, dtype, pullback=True), target.profile)
    name = f"{routine.name}_vjp"
    text = text_of(module, target.profile)
    said = "".join(f" {option}={letter}" for option, letter in letters.items())
    found = certify_text(text, name, claim_of_routine(routine), settings, 2)
    statements = tuple(replace(s, name=f"{routine.name}{said}") for s in found.statements)
    return replace(found, subject=routine.name, statements=statements)
