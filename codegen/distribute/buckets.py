"""All-reduces of many small tensors as few of long vectors, each as soon as the last of its tensors is there.

A message costs a latency however short it is, so small gradients of one element type are put into one vector until it
has LARGEST bytes (Li et al. 2020, "PyTorch Distributed", section 3.2.3). To put a tensor there and take its sum out
again costs two copies, so one of ALONE bytes or more is a message by itself: with all of mnist-mlp's gradients in one
vector a step of two CPU devices takes 1.3 times as long (scripts/bench_replicas.py), as XLA joins messages without
copies where it can. Tensors are taken in the order in
which the backward pass makes them, and a sum stands right behind the last of its tensors, so that a compiler can
overlap it with what of the backward is left. Sums of different places do not share one, such as those of two batch
norms and gradients: the former are waited for at once.

It also numbers the channels. Changes no number: addition is by element. Splits no tensor, whatever its size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count

from netc.codegen.builder import Builder
from netc.codegen.ir import Function, Module, Op, Value

LARGEST = 25 << 20  # bytes of a bucket: PyTorch's default
ALONE = 256 << 10  # bytes of a tensor from which copying it takes longer than a message by itself
KIND = "all_reduce"


def buckets(module: Module, largest: int = LARGEST, alone: int = ALONE) -> Module:
    """The module with its all-reduces joined and numbered; itself where that was done, and of one replica."""
    if module.replicas == 1 or all(op.attr("channel") for f in module for op in f.ops if op.kind == KIND):
        return module
    channels = count(1)
    return replace(module, functions=tuple(_joined(f, largest, alone, channels) for f in module))


@dataclass
class _Bucket:
    """Sums that are one: placed behind operation `at`, read first by operation `read`."""

    ops: list[Op]
    at: int
    read: int
    size: int = 0
    dtype: str = ""
    alone: bool = False


def _joined(function: Function, largest: int, alone: int, channels: count[int]) -> Function:
    if not any(op.kind == KIND for op in function.ops):
        return function
    at: dict[int, list[_Bucket]] = {}
    for bucket in _gathered(function, largest, alone):
        at.setdefault(bucket.at, []).append(bucket)
    new: dict[Value, Value] = {}
    b = Builder(function.name)
    for bucket in at.get(-1, []):
        _sum(b, bucket, new, next(channels))
    for n, op in enumerate(function.ops):
        if op.kind != KIND:
            operands = tuple([new.get(v, v) for v in op.operands])
            b.ops.append(op if operands == op.operands else replace(op, operands=operands))
        for bucket in at.get(n, []):
            _sum(b, bucket, new, next(channels))
    return replace(function, ops=tuple(b.ops), results=tuple(new.get(v, v) for v in function.results))


def _gathered(function: Function, largest: int, alone: int) -> Sequence[_Bucket]:
    """The buckets of a function, in the order in which the last of their operands are made."""
    made, read = _made(function), _read(function)
    sums = [op for op in function.ops if op.kind == KIND]
    results = {op.result for op in sums}
    found: list[_Bucket] = []
    for op in sorted(sums, key=lambda op: made[op.operands[0]]):
        (x,), at, first = op.operands, made[op.operands[0]], read[op.result]
        if x in results or x.type.bytes >= alone:  # a sum of a sum stands where it was, behind the other
            found.append(_Bucket([op], made[op.result] if x in results else at, first, alone=True))
            continue
        like = [b for b in found if not b.alone and b.ops[0].loc == op.loc and b.dtype == x.type.dtype]
        fits = [b for b in like if at < b.read and b.size + x.type.bytes <= largest]
        if fits:
            bucket = fits[-1]
            bucket.ops.append(op)
            bucket.at, bucket.read, bucket.size = at, min(bucket.read, first), bucket.size + x.type.bytes
        else:
            found.append(_Bucket([op], at, first, x.type.bytes, x.type.dtype))
    return sorted(found, key=lambda bucket: bucket.at)


def _made(function: Function) -> Mapping[Value, int]:
    """The number of the operation that makes each value; -1 for arguments."""
    numbers = {v: n for n, op in enumerate(function.ops) for v in op.results}
    return {**dict.fromkeys(function.params, -1), **numbers}


def _read(function: Function) -> Mapping[Value, int]:
    """The number of the first operation that reads each value; of the others, what comes after all."""
    first: dict[Value, int] = {v: len(function.ops) for op in function.ops for v in op.results}
    for n, op in reversed([*enumerate(function.ops)]):
        first.update(dict.fromkeys(op.operands, n))
    return first


def _sum(b: Builder, bucket: _Bucket, new: dict[Value, Value], channel: int) -> None:
    """The sum of the vector that the operands of a bucket make, and its parts in the place of their sums."""
    first = bucket.ops[0]
    b.place(first.loc)
    given = [new.get(op.operands[0], op.operands[0]) for op in bucket.ops]
    attrs = {"replicas": first.attr("replicas"), "channel": channel}
    if len(given) == 1:
        new[first.result] = b.op(KIND, given[0], **attrs)
        return
    total = b.op(KIND, b.concatenate([b.reshape(v, (v.type.size,)) for v in given], 0), **attrs)
    start = 0
    for op, v in zip(bucket.ops, given, strict=True):
        new[op.result] = b.reshape(b.rows(total, start, start + v.type.size), v.shape)
        start += v.type.size
