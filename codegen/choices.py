"""How evenly tokens choose among experts: in a step the shares of the fullest and of the emptiest expert."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.rules import CHOICES
from netc.netspec.check import CheckedNet
from netc.netspec.layers import TopKGates
from netc.netspec.layers.norm import channels_of

METRICS = ("expert_most", "expert_least")


def experts_of(net: CheckedNet, frozen: Collection[str]) -> int:
    """How many experts there are in all layers together, but for those in frozen layers, whose choices are not told."""
    gates = [at for at in net.walk() if isinstance(at.layer, TopKGates)]
    still = [at for at in gates if not any(f"{at.path}.".startswith(f"{name}.") for name in frozen)]
    return sum(channels_of(at.x) for at in still)


def joined(b: Builder, state: Mapping[str, Value], axis: int = 0) -> Value | None:
    """The shares of all experts of all layers, one after the other, out of a net's states; None without experts."""
    found = [value for name, value in state.items() if name.endswith(CHOICES)]
    return b.concatenate(found, axis) if found else None


def said(b: Builder, choices: Value) -> dict[str, Value]:
    """The largest and the smallest share of a layer's choices that fell on one expert, over all layers."""
    with b.at("experts"):
        most = b.max_over(choices, (0,))
        least = b.unary("neg", b.max_over(b.unary("neg", choices), (0,)))
    return dict(zip(METRICS, (most, least), strict=True))
