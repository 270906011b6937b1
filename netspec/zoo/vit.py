"""Vision transformers (Dosovitskiy et al. 2021; Touvron et al. 2021 for the small ones), as timm defines them."""

from __future__ import annotations

from dataclasses import dataclass

from netc.netspec.layers import Dense, LayerNorm, PatchEmbed, SelectToken, TransformerEncoder
from netc.netspec.spec import NetSpec

SOURCE = "timm's vision_transformer.py; Dosovitskiy et al. 2021, table 1; Touvron et al. 2021, table 1"
EPSILON = 1e-6
STD = 0.02


@dataclass(frozen=True)
class Sizes:
    """The sizes of a net: all have 12 blocks, and an MLP of 4 times the width."""

    dim: int
    heads: int
    image: int = 224
    patch: int = 16
    classes: int = 1000
    dropout: float = 0.0
    drop_path: float = 0.0


BLOCKS = 12
SIZES: dict[str, Sizes] = {
    "vit_tiny_patch16_224": Sizes(192, 3),
    "vit_small_patch16_224": Sizes(384, 6),
    "vit_base_patch16_224": Sizes(768, 12),
    "deit_tiny_patch16_224": Sizes(192, 3, dropout=0.1, drop_path=0.1),
    "vit_tiny_patch4_32": Sizes(192, 3, image=32, patch=4, classes=10),
}


def vit(name: str) -> NetSpec:
    """Patches with a class token and learned positions, 12 blocks, the norm of the class token, one dense layer."""
    s = SIZES[name]
    return NetSpec(
        name,
        (s.image, s.image, 3),
        (
            PatchEmbed(s.dim, s.patch, dropout=s.dropout, std=STD, name="patch"),
            TransformerEncoder(
                s.heads, 4 * s.dim, BLOCKS, dropout=s.dropout,
                drop_path=(0.0, s.drop_path) if s.drop_path else 0.0, epsilon=EPSILON, std=STD, name="encoder",
            ),
            SelectToken(0, name="class"),
            LayerNorm(EPSILON, name="norm"),
            Dense(s.classes, std=STD, name="head"),
        ),
        SOURCE,
    )  # fmt: skip
