"""Mixtures of experts: perceptrons of which each token takes a few."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from netc.netspec.activations import ActivationWord, activation_problems
from netc.netspec.layer import Composite, Layer, LayerError, want_finite, want_positive, want_spread
from netc.netspec.layers.channels import HalfProduct
from netc.netspec.layers.combine import Chain, Concat
from netc.netspec.layers.dense import Dense
from netc.netspec.layers.gated import gated
from netc.netspec.layers.norm import channels_of
from netc.netspec.layers.tokens import want_tokens
from netc.netspec.types import Signature, TensorType, batched


def balance_problems(balance: float) -> Iterator[str]:
    """Yield a sentence for no factor of a loss."""
    yield from want_finite(balance=balance)
    if balance < 0:
        yield f"balance wants 0 (none) or a positive number, got {balance}"


@dataclass(frozen=True)
class TopKGates(Layer):
    """g[.., e] = exp(x[.., e]) / (sum of exp(x[.., s]) over the `top` largest s), 0 for those not among them.

    With top 1 the sum is over all s: over one alone g would be 1, and the scores would learn nothing from the task. x
    are the scores of E experts, [.., E]; of equal scores those of lower experts count as larger. y is [.., E each]:
    g[.., e] stands in `each` channels in a row. In training balance E sum_e f_e P_e is added to the loss, f_e the share
    of the choices in the batch that fell on e and P_e the mean of softmax(x)[.., e]: it is `balance` where all experts
    are chosen equally often, and grows as choices and probabilities gather on the same few. f has no gradient. Sources:
    Jiang et al. 2024, section 2.1 (softmax of the top); Fedus et al. 2022, eq. 1 and 2 (top 1), 4 to 6 (the loss).
    """

    kind: ClassVar[str] = "topKGates"
    adds_to_loss: ClassVar[bool] = True
    top: int = 2
    balance: float = 0.0
    each: int = 1

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(top=self.top, each=self.each)
        yield from balance_problems(self.balance)

    def signature(self, x: TensorType) -> Signature:
        """No parameters."""
        experts = channels_of(x)
        out = TensorType((*x.shape[:-1], experts * self.each), x.dtype)
        if self.top > experts:
            raise LayerError(f"wants at least top={self.top} channels, got {batched(x.shape)}; lower top", out)
        return Signature((), (), out)

    def label(self) -> str:
        """`topKGates 2`."""
        return f"topKGates {self.top}"


@dataclass(frozen=True)
class MixtureOfExperts(Composite):
    """y = sum_e g_e out_e(act(gate_e(x)) * up_e(x)), g the topKGates of router(x): tokens [T, D], each by itself.

    Each of `experts` is a gatedMlp of `mlp` features, of which a token takes the `top`; the others have weight 0. All
    are computed, in three products of all experts side by side: no token is dropped, and no capacity set, but the work
    is that of all experts. `balance` is the factor of the auxiliary loss. Sources: Jiang et al. 2024, section 2.1; for
    top 1 Fedus et al. 2022, section 2.1.
    """

    kind: ClassVar[str] = "mixtureOfExperts"
    aliases: ClassVar[tuple[str, ...]] = ("moe",)
    mlp: int
    experts: int = 8
    top: int = 2
    activation: ActivationWord = "swish"
    balance: float = 0.01
    std: float = 0.02

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(mlp=self.mlp, experts=self.experts, top=self.top)
        if self.top > self.experts:
            yield f"top wants at most experts={self.experts}, got {self.top}"
        yield from activation_problems(self.activation)
        yield from balance_problems(self.balance)
        yield from want_spread(std=self.std)

    def expand(self, x: TensorType) -> Layer:
        """The hidden features of all experts, times their gates, through one product that adds them up."""
        _, width = want_tokens(self, x)
        gates = (
            Dense(self.experts, bias=False, std=self.std, name="router"),
            TopKGates(self.top, self.balance, self.mlp, name="gates"),
        )
        hidden = Chain(gated(self.experts * self.mlp, self.activation, False, self.std), name="hidden")
        both = Concat((hidden, Chain(gates, name="chosen")), name="both")
        return Chain((both, HalfProduct(name="weighed"), Dense(width, bias=False, std=self.std, name="out")))

    def label(self) -> str:
        """`mixtureOfExperts 2 of 8 x 128`."""
        return f"mixtureOfExperts {self.top} of {self.experts} x {self.mlp}"
