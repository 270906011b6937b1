"""Language models of selective state spaces."""

from netc.netspec.layers import Chain, MambaBlock, RMSNorm, TiedHead, TokenPositionEmbed
from netc.netspec.spec import NetSpec


def tiny_mamba(*, layers: int = 4, width: int = 128, context: int = 64) -> NetSpec:
    """Characters: 65 of them, context 64, 4 blocks of width 128 with 16 states a channel; no positions."""
    body = Chain((MambaBlock(16, 2, layers, name="blocks"), RMSNorm(1e-5, name="norm")))
    model = TiedHead(TokenPositionEmbed(65, width, positions=False), body, name="model")
    return NetSpec(
        "tiny-mamba", (context,), (model,),
        "netc's own size, beside tiny-gpt; blocks as in Gu and Dao 2023, figure 3", dtype="i32",
    )  # fmt: skip
