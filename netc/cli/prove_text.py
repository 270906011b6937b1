"""`netc prove FILE.mlir`: the reader and the claims are the certificate's, the theorem is about what they found."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from netc.cli.text_files import manifest_of, program_of

if TYPE_CHECKING:
    from netc.proofs.prove import Proof


def prove_file(
    path: Path, *, manifest: Path | None = None, function: str | None = None, loss: str | None = None,
    wrt: Sequence[str] = (), updates: Sequence[str] = (),
) -> tuple[Proof, str]:  # fmt: skip
    """The proof about a text, and a sentence on which results are whose gradients.

    Raises UserError for a text that is no training step, has an operation without a meaning or is read as it does not
    compute, NetcError where no proof
    is found.
    """
    from netc.netspec.errors import UserError
    from netc.proofs.foreign.step import Claimed
    from netc.proofs.prove import prove_text
    from netc.proofs_oracle.certificate.bounds import bounds
    from netc.proofs_oracle.certificate.claims import claim_of_manifest, claim_of_words
    from netc.proofs_oracle.certificate.pairing import how_paired, paired
    from netc.proofs_oracle.certificate.parse import parse
    from netc.proofs_oracle.certificate.points import float_point
    from netc.proofs_oracle.certificate.same import same
    from netc.proofs_oracle.certificate.statement import Settings

    if loss == "none":
        raise UserError("prove wants the loss among the results, got --loss none; let the step return it, too")
    if loss is not None and not loss.isdigit():
        raise UserError(
            f"for a text, --loss wants the number of the result that is the loss, got {loss}; or leave it out"
        )
    described = manifest_of(manifest)
    step = parse(program_of(path), function)
    if described is not None:
        claim, _ = claim_of_manifest(described, step, False)
        said = "by the manifest"
    elif wrt or updates:
        claim = claim_of_words(step, loss, wrt, updates, Fraction(1))
        said = "as said"
    else:
        claim = paired(step, loss, Settings(), float_point(10, bounds(step)))
        said = how_paired(step, claim)
    if not claim.outputs:
        raise UserError(f"prove wants the loss among the results, got {path.name} without; let the step return it, too")
    claims = [Claimed(g.of, g.result, g.less is not None) for g in claim.gradients]
    return prove_text(path.name, step, claim.outputs[0][0], claims, claim.zero, same), said
