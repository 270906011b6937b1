"""Language models of selective state spaces."""

from netc.netspec.layers import Chain, MambaBlock, RMSNorm, TiedHead, TokenPositionEmbed
from netc.netspec.spec import NetSpec


def tiny_mamba() -> NetSpec:
    """Characters: 65 of them, context 64, 4 blocks of width 128 with 16 states a channel; no positions."""
    body = Chain((MambaBlock(16, 2, 4, name="blocks"), RMSNorm(1e-5, name="norm")))
    model = TiedHead(TokenPositionEmbed(65, 128, positions=False), body, name="model")
    return NetSpec(
        "tiny-mamba", (64,), (model,),
        "netc's own size, beside tiny-gpt; blocks as in Gu and Dao 2023, figure 3", dtype="i32",
    )  # fmt: skip
