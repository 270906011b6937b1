"""Normalisations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from netc.netspec.layer import Layer, LayerError
from netc.netspec.types import Constant, ParamSpec, Signature, StateSpec, TensorType, batched


@dataclass(frozen=True)
class BatchNorm(Layer):
    """y = scale (x - mean) / sqrt(var + epsilon) + bias, for each channel c (the last axis).

    In training mean and var are those of the batch over all other axes (var divided by the count n). The running
    statistics, which evaluation uses, move by `running <- (1 - momentum) running + momentum batch`, with the
    variance divided by n - 1 (n = 1: by 1). Source: Ioffe and Szegedy 2015; conventions of torch.nn.BatchNorm2d.
    """

    kind: ClassVar[str] = "batchNorm"
    epsilon: float = 1e-5
    momentum: float = 0.1

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        if not self.epsilon > 0:
            yield f"epsilon wants a positive number, got {self.epsilon}"
        if not 0 <= self.momentum <= 1:
            yield f"momentum wants a number from 0 to 1, got {self.momentum}"

    def signature(self, x: TensorType) -> Signature:
        """scale [C], bias [C]; states mean [C], var [C]."""
        if x.rank == 0:
            raise LayerError(f"wants [batch, .., channels], got {batched(x.shape)}; give it at least one axis")
        shape = (x.shape[-1],)
        return Signature(
            (
                ParamSpec("scale", shape, Constant(1.0), decay=False),
                ParamSpec("bias", shape, Constant(0.0), decay=False),
            ),
            (StateSpec("mean", shape, Constant(0.0)), StateSpec("var", shape, Constant(1.0))),
            x,
        )
