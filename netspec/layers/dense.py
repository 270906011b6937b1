"""Fully connected layers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from netc.netspec.activations import ActivationWord, activation_problems
from netc.netspec.layer import Layer, LayerError, want_positive, want_spread
from netc.netspec.types import Constant, Normal, ParamSpec, Signature, TensorType, batched, he_normal, lecun_uniform


@dataclass(frozen=True)
class Dense(Layer):
    """y[.., j] = act(sum_i x[.., i] kernel[i, j] + bias[j]): an affine map of the last axis.

    `features` is the size of the last axis of y. `inputs`, where given, must equal the size of the last axis of
    x, which is [D], or [T, D] for sequences. The kernel starts normal with standard deviation `std` (transformers:
    0.02), or as suits the activation. Source: Goodfellow et al. 2016, ch. 6.
    """

    kind: ClassVar[str] = "dense"
    aliases: ClassVar[tuple[str, ...]] = ("linear", "fullyConnected")
    features: int
    inputs: int | None = None
    bias: bool = True
    activation: ActivationWord = "identity"
    std: float | None = None

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(features=self.features)
        if self.inputs is not None:
            yield from want_positive(inputs=self.inputs)
        yield from activation_problems(self.activation)
        if self.std is not None:
            yield from want_spread(std=self.std)

    def signature(self, x: TensorType) -> Signature:
        """kernel [inputs, features], bias [features]."""
        if x.rank not in {1, 2}:
            wanted = self.inputs or "features"
            out = TensorType((self.features,), x.dtype)
            raise LayerError(
                f"wants [batch, {wanted}], got {batched(x.shape)}; put GlobalAvgPool() or Flatten() before it", out
            )
        out = TensorType((*x.shape[:-1], self.features), x.dtype)
        if self.inputs is not None and x.shape[-1] != self.inputs:
            wanted = batched((*x.shape[:-1], self.inputs))
            raise LayerError(f"wants {wanted}, got {batched(x.shape)}; set inputs={x.shape[-1]} or leave it out", out)
        inputs = x.shape[-1]
        suited = lecun_uniform(inputs) if self.activation == "identity" else he_normal(inputs)
        init = suited if self.std is None else Normal(self.std)
        params = [ParamSpec("kernel", (inputs, self.features), init)]
        if self.bias:
            params.append(ParamSpec("bias", (self.features,), Constant(0.0), decay=False))
        return Signature(tuple(params), (), out)

    def label(self) -> str:
        """`dense 512->10`."""
        return f"dense {self.inputs}->{self.features}" if self.inputs else f"dense {self.features}"
