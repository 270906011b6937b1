"""All replicas of a program evaluated together, operation by operation: the meaning of what they do with each other.

A tensor is one tensor for each replica. Every operation is done by each with its own, but for sums over replicas, in
which they meet. So no replica waits, and nothing of how a network or a compiler adds has a part in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any, Literal, cast

import numpy as np

from netc.codegen.arithmetic import Arithmetic
from netc.codegen.distribute.split import axis_of
from netc.codegen.evaluator import FloatArithmetic, evaluate
from netc.codegen.ir import IrError, Module
from netc.netspec.types import TensorType


class EachReplica:
    """The tensors of the replicas, in the order of their numbers.

    Together they are one along `axis`, or each is the whole where there is none.
    """

    __slots__ = ("axis", "parts")

    def __init__(self, parts: Sequence[Any], axis: int | None = None) -> None:
        self.parts, self.axis = tuple(parts), axis

    def whole(self) -> Any:
        """The one array that they are."""
        return self.parts[0] if self.axis is None else np.concatenate(self.parts, self.axis)

    def __int__(self) -> int:
        """Of an index that all have alike."""
        return int(self.parts[0])


class Lockstep:
    """An arithmetic in which a tensor is an EachReplica over another arithmetic's tensors."""

    def __init__(self, each: Arithmetic, replicas: int) -> None:
        self.each, self.replicas = each, replicas

    def shape(self, x: EachReplica) -> tuple[int, ...]:
        """That of every replica's tensor."""
        return self.each.shape(x.parts[0])

    def all_reduce(self, x: EachReplica) -> EachReplica:
        """The sum of all replicas' tensors, for each, added in the order of their numbers."""
        return EachReplica([reduce(self.each.add, x.parts)] * self.replicas)

    def replica_id(self, type: TensorType) -> EachReplica:  # noqa: A002
        """The number of each replica."""
        return EachReplica([self.each.constant(n, type) for n in range(self.replicas)])

    def concatenate(self, parts: Sequence[EachReplica], dim: int) -> EachReplica:
        """Of each replica's own parts."""
        return EachReplica([self.each.concatenate(own, dim) for own in zip(*(p.parts for p in parts), strict=True)])

    def __getattr__(self, name: str) -> Any:
        """Any other operation: each replica does it with its own operands."""
        own = getattr(self.each, name)

        def done(*args: Any, **kwargs: Any) -> EachReplica:
            def of(n: int) -> Any:
                return own(*(a.parts[n] if isinstance(a, EachReplica) else a for a in args), **kwargs)

            return EachReplica([of(n) for n in range(self.replicas)])

        return done


def dealt(x: Any, replicas: int, axis: int | None) -> EachReplica:
    """An array as the replicas have it: equal parts along an axis, or each the whole."""
    return EachReplica([x] * replicas if axis is None else np.split(x, replicas, axis), axis)


def run_together(
    module: Module, name: str, args: Sequence[EachReplica], dtype: Literal["f32", "f64"] = "f64"
) -> list[EachReplica]:
    """Run a function of a module on all its replicas; floats are computed in `dtype`. Raises IrError for misfits."""
    function, A = module.function(name), FloatArithmetic(dtype)
    if len(args) != len(function.params):
        raise IrError(f"{name} wants {len(function.params)} arguments, got {len(args)}")
    held = []
    for a, p, n in zip(args, function.params, function.names, strict=True):
        held.append(EachReplica([np.asarray(x, A.dtype(p.type.dtype)) for x in a.parts]))
        if {x.shape for x in held[-1].parts} != {p.shape} or len(a.parts) != module.replicas:
            got = " ".join(str(x.shape) for x in a.parts)
            raise IrError(f"{name}: argument {n} wants {p.type} on {module.replicas} replicas, got shapes {got}")
    with np.errstate(all="ignore"):
        results = evaluate(function, held, cast(Arithmetic, Lockstep(A, module.replicas)), module)
    named = zip(results, function.result_names, strict=True)
    return [EachReplica([*map(np.asarray, r.parts)], axis_of(n)) for r, n in named]
