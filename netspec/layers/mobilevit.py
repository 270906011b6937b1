"""MobileViT: a transformer over the patches of an image, between convolutions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from netc.netspec.activations import ActivationWord
from netc.netspec.layer import Composite, Layer, LayerError, want_positive, want_rank
from netc.netspec.layers.combine import Chain, Concat
from netc.netspec.layers.conv import Conv2d, ConvBn
from netc.netspec.layers.norm import LayerNorm
from netc.netspec.layers.shape import Identity
from netc.netspec.layers.stochastic import Rates
from netc.netspec.layers.swin import WindowMerge, WindowPartition
from netc.netspec.layers.transformer import TransformerEncoder
from netc.netspec.types import TensorType, batched


@dataclass(frozen=True)
class MobileVitBlock(Composite):
    """y = conv3x3([x, conv1x1(fold(norm(transformer(unfold(conv1x1(conv3x3(x)))))))]), [H, W, C] -> [H, W, C].

    The 3x3 convolutions and the last 1x1 are convBn with `activation`; the first 1x1 has neither bias nor norm and
    gives `dim` channels. unfold makes patch² groups of tokens, one for each place inside a patch; a token attends to
    the tokens of its group, that is to the pixels at its place in all patches. The transformer is transformerEncoder
    with `heads`, `mlp`, `blocks` and `activation`; its norms and the one after it have epsilon 1e-5. H and W must be
    multiples of `patch`. Source: Mehta and Rastegari 2022, fig. 1b; details of timm's MobileVitBlock.
    """

    kind: ClassVar[str] = "mobileVitBlock"
    dim: int
    heads: int
    mlp: int
    blocks: int
    patch: int = 2
    dropout: float = 0.0
    attention_dropout: float = 0.0
    drop_path: Rates = 0.0
    activation: ActivationWord = "swish"
    std: float = 0.02

    def _transformer(self) -> TransformerEncoder:
        return TransformerEncoder(
            self.heads, self.mlp, self.blocks, groups=self.patch**2, dropout=self.dropout,
            attention_dropout=self.attention_dropout, drop_path=self.drop_path, activation=self.activation,
            epsilon=1e-5, std=self.std, name="transformer",
        )  # fmt: skip

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(dim=self.dim, patch=self.patch)
        if self.patch >= 1:
            yield from self._transformer().problems()
        if self.dim >= 1 and self.heads >= 1 and self.dim % self.heads:
            yield f"dim wants a multiple of heads={self.heads}, got {self.dim}"

    def expand(self, x: TensorType) -> Layer:
        """x beside convBn, conv2d, windowPartition, transformerEncoder, layerNorm, windowMerge, convBn; then convBn."""
        want_rank(self, x, 3, "H, W, C", "give an image")
        height, width, channels = x.shape
        if height % self.patch or width % self.patch:
            raise LayerError(f"wants sides that are multiples of {self.patch}, got {batched(x.shape)}; change patch", x)
        body = Chain(
            (
                ConvBn(channels, 3, 1, "same-symmetric", activation=self.activation, name="local"),
                Conv2d(self.dim, 1, 1, "valid", bias=False, name="widen"),
                WindowPartition(self.patch, across=True, name="unfold"),
                self._transformer(),
                LayerNorm(1e-5, name="norm"),
                WindowMerge(height, width, self.patch, across=True, name="fold"),
                ConvBn(channels, 1, 1, "valid", activation=self.activation, name="narrow"),
            ),
            name="body",
        )
        return Chain((
            Concat((Identity(name="shortcut"), body), name="both"),
            ConvBn(channels, 3, 1, "same-symmetric", activation=self.activation, name="fuse"),
        ))  # fmt: skip

    def label(self) -> str:
        """`mobileVitBlock 144 h4 mlp 288 x2`."""
        return f"mobileVitBlock {self.dim} h{self.heads} mlp {self.mlp} x{self.blocks}"
