"""The latent variable of a variational autoencoder: a layer that draws, with a price on what it tells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from netc.netspec.layer import Layer, LayerError, want_finite
from netc.netspec.layers.norm import channels_of
from netc.netspec.types import Signature, TensorType, batched


@dataclass(frozen=True)
class GaussianSample(Layer):
    """z = m + exp(l / 2) e, x = (m, l) the halves of its channels, e normal; [.., 2 C] -> [.., C].

    In evaluation z = m. Training minimises, besides the loss, `weight` times the Kullback-Leibler divergence of the
    distribution of z from the standard normal one: the mean over the examples of the sum of (m^2 + exp(l) - 1 - l) / 2.
    e is drawn in the program from the step's key and the layer's path, a sum of eight uniforms as initial values are:
    the same bits on every backend. A squared error that is a mean over D elements goes with a weight of 2 s^2 / D, s^2
    the variance of what is left over. Source: Kingma and Welling 2014, eq. 10 and appendix B.
    """

    kind: ClassVar[str] = "gaussianSample"
    adds_to_loss: ClassVar[bool] = True
    weight: float = 1e-3

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_finite(weight=self.weight)
        if self.weight < 0:
            yield f"weight wants a number of at least 0, got {self.weight}"

    def signature(self, x: TensorType) -> Signature:
        """No parameters; draws."""
        channels = channels_of(x)
        out = TensorType((*x.shape[:-1], channels // 2), x.dtype)
        if channels % 2:
            raise LayerError(f"wants a mean and a log variance for each channel, got {batched(x.shape)}; double them")
        return Signature((), (), out, draws=True)

    def label(self) -> str:
        """`gaussianSample 0.001`."""
        return f"gaussianSample {self.weight:g}"
