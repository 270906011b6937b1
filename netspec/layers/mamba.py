"""Selective state spaces."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from netc.netspec.layer import Composite, Layer, LayerError, want_copies, want_positive
from netc.netspec.layers.activation import Activation
from netc.netspec.layers.channels import HalfProduct
from netc.netspec.layers.combine import Chain, Concat, Repeat, Residual
from netc.netspec.layers.conv1d import Conv1d
from netc.netspec.layers.dense import Dense
from netc.netspec.layers.norm import RMSNorm
from netc.netspec.layers.shape import Identity
from netc.netspec.layers.split import Split
from netc.netspec.layers.tokens import want_tokens
from netc.netspec.types import Constant, ParamSpec, Signature, TensorType, Uniform, batched

STEP_START = -4.6  # softplus of it is 0.01, the middle of the steps with which Mamba starts (0.001 to 0.1, log-uniform)


@dataclass(frozen=True)
class SelectiveScan(Layer):
    """y[t, e] = sum_n C[t, n] h[t, e, n] + skip[e] u[t, e], h[t] = exp(delta A) h[t - 1] + delta B u, h before 0 is 0.

    The input [T, 2 E + 2 N] holds u [E], step [E], B [N], C [N] side by side for each t; the output is [T, E], and
    N = `state`. delta[t, e] = softplus(step[t, e] + step_bias[e]), A[e, n] = -exp(log_rate[e, n]). Rates start
    log-uniform in [1/N, N]. Source: Gu and Dao 2023, eq. 2 to 4 and algorithm 2 (B discretised by Euler's rule).
    """

    kind: ClassVar[str] = "selectiveScan"
    state: int = 16

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(state=self.state)

    def signature(self, x: TensorType) -> Signature:
        """log_rate [E, N], step_bias [E], skip [E]."""
        length, width = want_tokens(self, x)
        inner = (width - 2 * self.state) // 2
        if inner < 1 or width % 2:
            raise LayerError(
                f"wants [batch, T, 2 E + {2 * self.state}], got {batched(x.shape)}; give u, step, B, C side by side"
            )
        params = (
            ParamSpec("log_rate", (inner, self.state), Uniform(math.log(self.state)), decay=False, output=0),
            ParamSpec("step_bias", (inner,), Constant(STEP_START), decay=False),
            ParamSpec("skip", (inner,), Constant(1.0), decay=False),
        )
        return Signature(params, (), TensorType((length, inner), x.dtype))

    def label(self) -> str:
        """`selectiveScan N16`."""
        return f"selectiveScan N{self.state}"


@dataclass(frozen=True)
class MambaBlock(Composite):
    """`layers` times x + out(s(swish(conv(u))) swish(z)), (u, z) = in(rmsNorm(x)): [T, D] -> [T, D].

    `in` gives u and z of E = expand D channels; conv is causal and depthwise with `kernel` taps; s is selectiveScan
    with `state` numbers a channel, whose step, B and C are linear in its input: the step through `rank` channels
    (D / 16, rounded up, if not given). No dense layer has a bias. The
    gate is the published one; there is no other activation to choose. Source: Gu and Dao 2023, section 3.4 and fig. 3.
    """

    kind: ClassVar[str] = "mambaBlock"
    state: int = 16
    expansion: int = 2
    layers: int = 1
    kernel: int = 4
    rank: int | None = None
    epsilon: float = 1e-5

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(state=self.state, expansion=self.expansion, kernel=self.kernel)
        yield from want_copies(layers=self.layers)
        if self.rank is not None:
            yield from want_positive(rank=self.rank)
        yield from RMSNorm(self.epsilon).problems()

    def expand(self, x: TensorType) -> Layer:
        """Residuals around norm, in, the two halves, their product, out."""
        _, width = want_tokens(self, x)
        inner, rank = self.expansion * width, self.rank or -(-width // 16)
        steps = Split((Dense(inner, bias=False, name="step"), Identity(name="bc")), (rank, 2 * self.state))
        selected = Chain((Dense(rank + 2 * self.state, bias=False, name="select"), steps), name="selected")
        left = Chain((
            Conv1d(inner, self.kernel, groups=inner, activation="swish", name="conv"),
            Concat((Identity(name="u"), selected), name="inputs"),
            SelectiveScan(self.state, name="scan"),
        ), name="left")  # fmt: skip
        body = Chain((
            RMSNorm(self.epsilon, name="norm"),
            Dense(2 * inner, bias=False, name="in"),
            Split((left, Activation("swish", name="right")), name="halves"),
            HalfProduct(name="product"),
            Dense(width, bias=False, name="out"),
        ))  # fmt: skip
        return Repeat(Residual(body), self.layers)

    def label(self) -> str:
        """`mambaBlock N16 e2 x4`."""
        return f"mambaBlock N{self.state} e{self.expansion} x{self.layers}"
