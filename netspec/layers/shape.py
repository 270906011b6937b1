"""Layers that only move or name elements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from netc.netspec.layer import Layer
from netc.netspec.types import Signature, TensorType


@dataclass(frozen=True)
class Flatten(Layer):
    """y = x with all axes of an example laid out as one, row-major: [H, W, C] -> [H W C]."""

    kind: ClassVar[str] = "flatten"

    def signature(self, x: TensorType) -> Signature:
        """No parameters."""
        return Signature((), (), TensorType((x.size,), x.dtype))


@dataclass(frozen=True)
class Identity(Layer):
    """y = x; the plain shortcut of a residual."""

    kind: ClassVar[str] = "identity"

    def signature(self, x: TensorType) -> Signature:
        """No parameters."""
        return Signature((), (), x)
