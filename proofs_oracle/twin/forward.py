"""How a net is said in JAX, as text: the tables of all families, and the forward pass that they write.

They are written from the layers' equations and not from the rules of codegen/layers: the script is a twin whose
gradients come from JAX. A kind without text is an error that names the layer.
"""

from __future__ import annotations

from collections.abc import Callable

from netc.netspec.check import CheckedNet
from netc.netspec.layer import Layer
from netc.proofs_oracle.twin import attention, combine, experts, images, norm, stochastic, tokens, windows
from netc.proofs_oracle.twin.spelling import RELU6
from netc.proofs_oracle.twin.writer import CombinatorText, LeafText, Writer

FUNCTIONS: dict[str, str] = {
    "relu6": RELU6,
    **images.FUNCTIONS,
    **norm.FUNCTIONS,
    **stochastic.FUNCTIONS,
    **tokens.FUNCTIONS,
    **attention.FUNCTIONS,
    **windows.FUNCTIONS,
    **experts.FUNCTIONS,
    **combine.FUNCTIONS,
}
"""The functions that leaves and combinators may call, by the name by which they do."""

LEAVES: dict[type[Layer], LeafText] = {
    **images.LEAVES,
    **norm.LEAVES,
    **stochastic.LEAVES,
    **tokens.LEAVES,
    **attention.LEAVES,
    **windows.LEAVES,
    **experts.LEAVES,
}
COMBINATORS: dict[type[Layer], CombinatorText] = combine.COMBINATORS


def forward_text(net: CheckedNet, frozen: Callable[[str], bool] = lambda path: False) -> tuple[str, str]:
    """The functions that the forward pass calls, and its lines, which read x, p, stats, training and write x and new.

    Of a net that draws they read key, too. Layers whose paths are `frozen` are as in evaluation. Raises UserError
    naming the first layer that has no text.
    """
    writer = Writer(net.spec.name, LEAVES, COMBINATORS, FUNCTIONS, frozen)
    out = writer.write(net.spec.body, "", net.x, "x", "x")
    assert out == "x"
    return writer.called(), "\n".join(writer.lines)
