"""erf in float64, for texts that have no such operation: Cephes' rational approximations, as XLA has them.

For |x| <= 1 it is x T(x^2) / U(x^2); beyond, sign(x) (1 - exp(-x^2) P(|x|) / Q(|x|)), where 6 stands for all beyond it,
whose erf is 1. Source: Moshier, Cephes, ndtr.c (after Cody 1969). Highest power first.
"""

from __future__ import annotations

from netc.codegen.builder import Builder
from netc.codegen.ir import Value

LIMIT = 6.0
T = (9.60497373987051638749, 9.00260197203842689217e1, 2.23200534594684319226e3, 7.00332514112805075473e3,
     5.55923013010394962768e4)  # fmt: skip
U = (1.0, 3.35617141647503099647e1, 5.21357949780152679795e2, 4.59432382970980127987e3, 2.26290000613890934246e4,
     4.92673942608635921086e4)  # fmt: skip
P = (2.46196981473530512524e-10, 5.64189564831068821977e-1, 7.46321056442269912687, 4.86371970985681366614e1,
     1.96520832956077098242e2, 5.26445194995477358631e2, 9.34528527171957607540e2, 1.02755188689515710272e3,
     5.57535335369399327526e2)  # fmt: skip
Q = (1.0, 1.32281951154744992508e1, 8.67072140885989742329e1, 3.54937778887819891062e2, 9.75708501743205489753e2,
     1.82390916687909736289e3, 2.24633760818710981792e3, 1.65666309194161350182e3,
     5.57535340817727675546e2)  # fmt: skip


def erf_float64(b: Builder, x: Value) -> Value:
    """erf(x) of float64 numbers, right to a few units of the last place."""
    size = b.maximum(x, b.unary("neg", x))
    far, square = b.minimum(size, LIMIT), b.mul(x, x)
    low = b.minimum(square, 1.0)
    inner = b.div(b.mul(x, _polynomial(b, T, low)), _polynomial(b, U, low))
    tail = b.mul(b.unary("exp", b.unary("neg", b.mul(far, far))), b.div(_polynomial(b, P, far), _polynomial(b, Q, far)))
    outer = b.sub(1.0, tail)
    signed = b.select(b.compare("LT", x, 0.0), b.unary("neg", outer), outer)
    return b.select(b.compare("LE", size, 1.0), inner, signed)


def _polynomial(b: Builder, factors: tuple[float, ...], x: Value) -> Value:
    total = b.constant(factors[0], x.type)
    for factor in factors[1:]:
        total = b.add(b.mul(total, x), factor)
    return total
