"""What a file states where its numbers do not follow from one another: counted, and never computed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from netc.netspec.layer import signature_of
from netc.netspec.layers import TransformerDecoder
from netc.netspec.layers.counted import Counted
from netc.netspec.types import ParamSpec, TensorType


@dataclass(frozen=True)
class Stated(Counted):
    """Stands where one size arrives and the file states another, which is `shape`; it has no parameters.

    No file writes it and no program holds it: it lets a net be counted as its file's numbers give it.
    """

    kind: ClassVar[str] = "stated"
    shape: tuple[int, ...]

    def output(self, x: TensorType) -> TensorType:
        """The size that the file states."""
        return TensorType(self.shape, x.dtype)

    def tensors(self, x: TensorType) -> Iterator[ParamSpec]:
        """None."""
        return iter(())

    def label(self) -> str:
        """`stated 9216`."""
        return f"stated {'x'.join(map(str, self.shape))}"


@dataclass(frozen=True)
class DecoderBlocks(Counted):
    """The blocks of a transformerDecoder without queries of its own: those and its memory are two inputs."""

    kind: ClassVar[str] = "decoderBlocks"
    heads: int
    mlp: int
    blocks: int

    def output(self, x: TensorType) -> TensorType:
        """The queries' type."""
        return x

    def tensors(self, x: TensorType) -> Iterator[ParamSpec]:
        """Those of the decoder with one query, but for the query."""
        whole = TransformerDecoder(self.heads, self.mlp, self.blocks, 1, norm_first=False)
        return (p for p in signature_of(whole, x).params if p.name != "queries.tokens")

    def label(self) -> str:
        """`decoderBlocks h8 mlp 2048 x6`."""
        return f"decoderBlocks h{self.heads} mlp {self.mlp} x{self.blocks}"
