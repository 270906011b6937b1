"""The rate of each parameter, which are trained at all, and from which step on (netspec/groups.py)."""

from __future__ import annotations

from collections.abc import Callable

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


def waiting(b: Builder, step: Value, first: int, old: Value, new: Value) -> Value:
    """A parameter after an update, from the first step that it counts in; before that as it was.

    Only parameters wait. Corrections of moments count all steps, and so do the moments.
    """
    flag = b.broadcast(b.compare("GE", step, first), TensorType(new.shape, "i1"), ())
    return b.select(flag, new, old)
