"""The rate of each parameter, which are trained at all, and from which step on (netspec/groups.py)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.netspec.check import CheckedNet
from netc.netspec.groups import Groups
from netc.netspec.types import ParamSpec, TensorType


def trained_of(net: CheckedNet, groups: Groups) -> tuple[ParamSpec, ...]:
    """The parameters that are trained, in the net's order."""
    return tuple(p for p in net.params if not groups.is_frozen(p.name))


def rates(b: Builder, net: CheckedNet, groups: Groups, lr: Value) -> Callable[[str], Value]:
    """The rate of a parameter by its name; each that there is is computed once."""
    factors = groups.factors(net)
    with b.at("optimizer"):
        scaled = {f: b.mul(lr, f) for f in sorted(set(factors.values()))}
    return lambda name: scaled[factors[name]] if name in factors else lr


def waiting(
    b: Builder, step: Value, first: int, old: Mapping[str, Value], new: Mapping[str, Value]
) -> dict[str, Value]:
    """What an update changed, from the first step that it counts in; before that the old values."""
    counts = b.compare("GE", step, first)
    found = {}
    for name, value in new.items():
        flag = b.broadcast(counts, TensorType(value.shape, "i1"), ())
        found[name] = b.select(flag, value, old[name])
    return found
