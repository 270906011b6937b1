"""softplus, for losses and layers that have it inside."""

from __future__ import annotations

from netc.codegen.builder import Builder
from netc.codegen.ir import Value


def softplus(b: Builder, x: Value) -> Value:
    """log(1 + exp(x)) as max(x, 0) + log1p(exp(-|x|)): nothing overflows, and a small value is not rounded away."""
    size = b.maximum(x, b.unary("neg", x))
    return b.add(b.maximum(x, 0.0), b.unary("log1p", b.unary("exp", b.unary("neg", size))))
