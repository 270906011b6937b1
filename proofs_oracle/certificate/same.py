"""Whether a function that was read of a text computes what the text does, at one drawn point, in float64."""

from __future__ import annotations

import numpy as np

from netc.codegen.evaluator import FloatArithmetic, evaluate
from netc.codegen.ir import Function
from netc.netspec.errors import UserError
from netc.netspec.types import DType
from netc.proofs_oracle.certificate.bounds import bounds
from netc.proofs_oracle.certificate.dual import Dual, FloatRunError
from netc.proofs_oracle.certificate.identities import Identities
from netc.proofs_oracle.certificate.points import FIRST, ROUNDING, drawn, float_point
from netc.proofs_oracle.certificate.reals import Reals
from netc.proofs_oracle.certificate.residues import Array, ZeroDivisorError
from netc.proofs_oracle.certificate.run import At, Claim, Run, needed

CLOSE = 1e-6  # of a result's largest element; ROUNDING of all results': a bias before a norm has a gradient of 0


class _Unrounded(FloatArithmetic):
    """As in the certificate and in the theorem, a conversion of floats changes no number."""

    def convert(self, x: Array, dtype: DType) -> Array:
        """Another element type."""
        return super().convert(x, "f32" if dtype == "bf16" else dtype)


def same(text: Function, read: Function) -> None:
    """Raises UserError where the results of `text` and of `read`, which has its arguments, differ at a point.

    It is the text's own sizes that are tried, so this is one evaluation of the text more.
    """
    run, rng = Run(text, Claim((), ())), np.random.default_rng(0)
    point = float_point(10, bounds(text))
    for change in FIRST:
        numbers = drawn(run, point, rng, change)
        try:
            wanted = _of_text(run, numbers)
        except (FloatRunError, ZeroDivisorError):
            continue
        if all(np.isfinite(w).all() for w in wanted):
            break
    else:
        raise UserError("prove wants a text with finite results at one of four random points, got none")
    args = [np.asarray(n, np.float64) if n.dtype.kind == "f" else n for n in numbers]
    with np.errstate(all="ignore"):
        found = evaluate(read, args, _Unrounded("f64"))
    scale = max(float(np.abs(w).max(initial=0.0)) for w in wanted)
    for name, f, w in zip(read.result_names, found, wanted, strict=True):
        top = float(np.abs(w).max(initial=0.0))
        if not (np.abs(f - w) <= CLOSE * top + ROUNDING * scale).all():
            raise UserError(
                f"prove wants a text that it reads as it computes, got {name} with other numbers at a random point; "
                "this is a fault of netc: report the text, and use `netc certify`, which reads it otherwise"
            )


def _of_text(run: Run, numbers: list[Array]) -> list[Array]:
    """Its results in float64, by the meanings that the certificate has of each operation."""
    text = run.function
    at = At(run, Reals(1), numbers, np.random.default_rng(0), Identities(), True, tangents=False)
    env = run.evaluate(at.A, needed(text, text.results), at.args, ())
    return [v.real if isinstance(v, Dual) else np.asarray(v) for v in (env[r] for r in text.results)]
