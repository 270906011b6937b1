"""The loss by chunks of tokens: a loop over a function that holds the logits of one chunk, and not those of all.

    z = head(h, W), l = loss(z, t)      of one chunk of n tokens: h [n, D], t [n], z [n, vocabulary]
    dz = loss*(d), (dh, dW) = head*(dz)
    sum of dW over the chunks; l, dh and what is right are rows of [tokens / n, n, ..]

The head's gradient is a sum over tokens, so the chunks' own sums add up to it; all else is of each token by itself. The
largest such sum is carried from turn to turn. Any other (a bias's) is a row too, summed in the end: on IREE a loop that
writes its rows in place carries one value (docs/upstream-issues/loops.md). The pullback of a chunk runs in its own
turn, before the next chunk's logits are there: d, the share of a token in the mean, is known before the loss is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from netc.codegen.builder import Builder
from netc.codegen.heads import Head, split
from netc.codegen.ir import Function, Value
from netc.codegen.labels import judge_masked
from netc.codegen.losses import emit_loss, hits, mean_of_each
from netc.codegen.rules import Emitted, Scope
from netc.codegen.slots import KEY, SCALAR
from netc.codegen.steps import Derived
from netc.netspec.check import CheckedNet
from netc.netspec.loss import Loss
from netc.netspec.recipe import Recipe
from netc.netspec.types import TensorType

TRAINED, JUDGED = "loss_chunk", "eval_chunk"  # the names of the functions that are looped over
SHARE = "share"  # of each label that is a class in the mean loss


@dataclass(frozen=True)
class JudgedChunk:
    """Of each token [n]: the loss, whether the likeliest class is its own, and whether its label is a class."""

    each: Value
    right: Value
    good: Value | None
    pull: Callable[[Value], Value]


@dataclass(frozen=True)
class ChunkedLoss:
    """The loss of a net whose head is looped over. `frozen` are the names of parameters without a gradient."""

    net: CheckedNet
    recipe: Recipe
    frozen: Collection[str] = ()

    @property
    def _chunk(self) -> int:
        return self.recipe.chunked_loss

    @cached_property
    def _head(self) -> tuple[Head, int]:
        """The net's head, and the width of the vectors that it takes."""
        b = Builder("head")
        held = {name: b.parameter(name, TensorType(shape)) for name, shape in self.net.shapes.items()}
        key = b.parameter("key", KEY)
        x = b.parameter("x", TensorType((1, *self.net.x.shape), self.net.x.dtype))
        trunk, head = split(b, self.net.spec.body, Scope(held, held, True, key=key), x)
        return head, trunk.y.shape[-1]

    @property
    def _names(self) -> list[str]:
        """The head's parameters that are trained, the largest first."""
        own = [n for n in self._head[0].params if n not in self.frozen]
        return sorted(own, key=lambda n: -TensorType(self.net.shapes[n]).size)

    def _given(self, b: Builder) -> tuple[Value, Value, dict[str, Value]]:
        head, width = self._head
        h = b.parameter("h", TensorType((self._chunk, width)))
        ids = b.parameter("y", TensorType((self._chunk,), "i32"))
        return h, ids, {n: b.parameter(n, TensorType(self.net.shapes[n])) for n in head.params}

    def _logits(self, b: Builder, held: Mapping[str, Value], h: Value, training: bool) -> Emitted:
        return self._head[0].emit(b, Scope(held, held, training), b.reshape(h, (1, *h.shape)))

    def _judge(self, b: Builder, loss: Loss, y: Value, ids: Value) -> JudgedChunk:
        z = b.reshape(y, y.shape[1:])
        right = hits(b, z, ids)
        if self.recipe.check_labels:
            masked = judge_masked(b, loss, z, ids)
            return JudgedChunk(masked.each, right, b.convert(masked.good, "f32"), masked.pull)
        judged = emit_loss(b, loss, z, ids)
        return JudgedChunk(judged.each, right, None, lambda d: judged.pull(b.broadcast(d, ids, ())))

    @cached_property
    def trained(self) -> Function:
        """(gradient; h [n, D], y [n]; parameters, share) -> (gradient and this chunk's; dh, loss, right, others)."""
        b = Builder(TRAINED)
        names = self._names
        sums = {n: b.parameter(f"gradient/{n}", TensorType(self.net.shapes[n])) for n in names[:1]}
        h, ids, held = self._given(b)
        share = b.parameter(SHARE, SCALAR)
        out = self._logits(b, held, h, True)
        with b.at("loss"):
            row = self._judge(b, self.recipe.loss, out.y, ids)
        with b.at("loss", "vjp"):
            dz = b.reshape(row.pull(share), out.y.shape)
        dh, own = out.pull(dz)
        with b.at("loss", "vjp"):
            results = [(f"gradient/{n}", b.add(total, own[n])) for n, total in sums.items()]
            results += [("dh", b.reshape(dh, h.shape)), ("each", row.each), ("right", row.right)]
            results += [(f"gradient/{n}", own[n]) for n in names[1:]]
        return replace(b.finish(results), private=True)

    @cached_property
    def judged(self) -> Function:
        """(h [n, D], y [n]; parameters) -> (loss, right, and whether the label is a class, of each)."""
        b = Builder(JUDGED)
        h, ids, held = self._given(b)
        out = self._logits(b, held, h, False)
        with b.at("loss"):
            row = self._judge(b, self.recipe.loss.evaluated, out.y, ids)
        good = [] if row.good is None else [("good", row.good)]
        return replace(b.finish([("each", row.each), ("right", row.right), *good]), private=True)

    def derive(self, b: Builder, held: Mapping[str, Value], scope: Scope, x: Value, y: Value, share: Value) -> Derived:
        """The share of x [B, T], y [B, T] in the mean loss and in its gradient; `share` is that of one token."""
        trunk, head = split(b, self.net.spec.body, scope, x)
        names = self._names
        zeros = [b.constant(0, held[n].type) for n in names[:1]]
        constants = [*(held[n] for n in head.params), share]
        stacked = self._stacked(b, trunk.y, y)
        found = b.loop(self.trained, stacked[0].shape[0], zeros, stacked, constants, apart=False)
        carried, (dh, each, right, *rows) = found[: len(zeros)], found[len(zeros) :]
        with b.at("loss"):
            loss = b.mul(b.sum(each, (0, 1)), share)
            correct = b.mul(b.sum(right, (0, 1)), 1 / self.net.x.shape[0])
        _, grads = trunk.pull(b.reshape(dh, trunk.y.shape))
        with b.at("loss", "vjp"):  # a matrix that the net has in both gets the sum of both
            sums = dict(zip(names, [*carried, *(b.sum(v, (0,)) for v in rows)], strict=True))
            both = {n: b.add(grads[n], total) if n in grads else total for n, total in sums.items()}
        return Derived(loss, correct, {**grads, **both}, trunk.state)

    def judge(
        self, b: Builder, held: Mapping[str, Value], scope: Scope, x: Value, y: Value
    ) -> tuple[tuple[Value, Value | None, Callable[[], Value]], Mapping[str, Value]]:
        """Of each example [B]: the mean loss of its tokens, what of it counts if labels are checked, what is right.

        And the states of the layers before the head.
        """
        trunk, head = split(b, self.net.spec.body, scope, x)
        constants, stacked = [held[n] for n in head.params], self._stacked(b, trunk.y, y)
        found = b.loop(self.judged, stacked[0].shape[0], [], stacked, constants, apart=False)
        with b.at("loss"):
            each, right, *good = (mean_of_each(b, b.reshape(v, y.shape)) for v in found)
        return (each, good[0] if good else None, lambda: right), trunk.state

    def _stacked(self, b: Builder, h: Value, y: Value) -> list[Value]:
        chunks = (y.type.size // self._chunk, self._chunk)
        return [b.reshape(h, (*chunks, h.shape[-1])), b.reshape(y, chunks)]
