"""Documents in a sequence of tokens, as data of the program: where each token's own one begins."""

from __future__ import annotations

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.rules import Scope
from netc.netspec.documents import Documents
from netc.netspec.types import TensorType


def ends(b: Builder, x: Value, end: int) -> Value:
    """t + 1 for a token t of x [B, T] that ends a document, 0 for the others."""
    return b.select(b.compare("EQ", x, end), b.add(b.iota(1, x.shape), 1), 0)


def begins(b: Builder, x: Value, end: int) -> Value:
    """Where the document of each token of x [B, T] begins, i32 [B, T]: behind the last end before it, or at 0."""
    with b.at("documents"):
        wide = TensorType((*x.shape, x.shape[1]), "i32")
        earlier = b.compare("LT", b.iota(2, wide.shape), b.iota(1, wide.shape))
        behind = b.select(earlier, b.broadcast(ends(b, x, end), wide, (0, 2)), 0)
        return b.op("reduce_max", behind, b.scalar(0, "i32"), dims=(2,))


def begins_of(b: Builder, documents: Documents, x: Value) -> Value | None:
    """The same of a recipe's documents; None where they are not kept apart."""
    return None if documents.end is None else begins(b, x, documents.end)


def next_begin(b: Builder, x: Value, end: int, position: Value) -> Value:
    """Where the document of the token after x[:, position] begins, i32 [B]."""
    with b.at("documents"):
        known = b.compare("LE", b.iota(1, x.shape), b.broadcast(position, x, ()))
        return b.op("reduce_max", b.select(known, ends(b, x, end), 0), b.scalar(0, "i32"), dims=(1,))


def places(b: Builder, scope: Scope) -> Value:
    """The place of each token in its own document, i32 [B, T]; of one token while a sequence is written."""
    first, at = scope.begins, scope.decoding
    assert first is not None
    if at is None or at.whole:
        return b.sub(b.iota(1, first.shape), first)
    return b.sub(b.broadcast(at.position, first, ()), first)
