"""Rewrites: that what a pass puts in the place of an operation is equal to it, for all sizes and numbers.

What is exported is the pass's own output, made beside the operation in one function, whose results come in pairs. Each
pair is brought to one normal form; no derivative is in it. Of a form in forms.py each place of the result is a theorem.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import product

from netc.codegen.builder import Builder
from netc.codegen.ir import Module, Value
from netc.codegen.ops.window import Pair
from netc.codegen.rewrite.conv_forms import CONV_FORMS
from netc.codegen.rewrite.products import sum_before_products
from netc.codegen.rewrite.winograd import (
    FORWARD,
    REVERSED,
    Line,
    gradient_line,
    image_line,
    kernel_line,
    output_line,
    tap_line,
)
from netc.netspec.types import TensorType
from netc.proofs.assumed import Assumptions
from netc.proofs.blame import NotProvenError
from netc.proofs.export import export
from netc.proofs.file import whole
from netc.proofs.forms import AT_SIZES, FREE
from netc.proofs.normal import Normaliser, Proof, chain, same_polynomial, term_of
from netc.proofs.terms import Term, restart, shown
from netc.proofs.theorem import Proved
from netc.proofs.tidy import Tidier
from netc.proofs.written_out import WrittenOut

Pairs = list[tuple[Value, Value]]


def equal(name: str) -> tuple[Proved, str]:
    """The parts and the text of the theorem about one of REWRITES. Raises NotProvenError and UnreadError."""
    restart()
    b = Builder(name)
    pairs = REWRITES[name](b)
    function = b.finish([(f"result{i}", v) for i, pair in enumerate(pairs) for v in pair])
    free = FREE if name in AT_SIZES else None
    exported = export(function, (), free=free, equal=pairs if free else ())
    assumed = Assumptions()
    tidier = Tidier(exported, assumed, {a.name: a.size for a in exported.axes.sizes})
    kinds = (Normaliser, _Turned) if free is None else (WrittenOut, WrittenOut)
    openers = [kind(exported.definitions, lambda d: True) for kind in kinds]
    out = Proved(exported, assumed)
    last: list[str] = []
    theorems: list[str] = []
    for (x, y), at in ((pair, at) for pair in pairs for at in _places(exported.axes.flat(pair[0]))):
        number = len(theorems)
        sides: list[Term] = [("ref", exported.names[v], at) for v in (x, y)]
        normal = []
        kernel = [exported.definitions[exported.names[v]].kind == "conv_kernel_grad" for v in (x, y)]
        indices = " ".join(i for kind, i in at if kind == "i")
        given, bound = (f" {p}{indices} : N{q}" if indices else "" for p, q in ("{}", "()"))
        for side, term, turned in zip("ab", sides, kernel, strict=True):
            found, q = openers[turned].of(term)
            simple, r = (found, None) if free else tidier.of(found)
            out.steps.append(
                f"theorem normal{number}{side}{given} (L : Laws A) (H : Given A S P) :\n"
                f"    Same {shown(term)} {shown(term_of(simple))} :=\n  {chain(q, r) or 'refl'}"
            )
            normal.append(simple)
        same, proof = same_polynomial(*normal)
        if not same:
            place = ", ".join(str(i) for _, i in at)
            raise NotProvenError(f"{name}: the result at {place} is not shown to be that of the operation")
        theorems.append(f"rewritten{number}")
        last.append(
            f"theorem {theorems[-1]} {{K : Type}} (A : Arith K) (L : Laws A) (S : Sizes) (P : Point K)"
            f"{bound}\n    (H : Given A S P) : Same {shown(sides[0])} {shown(sides[1])} :=\n"
            f"  {chain(f'(normal{number}a L H)', proof, f'(symm (normal{number}b L H))')}\n"
        )
    last.append("".join(f"#print axioms {theorem}\n" for theorem in theorems))
    sizes = (
        "" if free is None else " Images, windows and steps are of the sizes that stand here, all else is of any size."
    )
    said = f"The rewrite {name}: the operation, and what the pass makes of it.{sizes}"
    return out, whole(out, said, last, derived=False)


def _places(sizes: tuple[str, ...]) -> Iterator[tuple[Term, ...]]:
    """Every place of a result: all numbers below a size that is one, an index for any other."""
    of_each = [
        [("n", k) for k in range(int(s[1:]))] if s.startswith("#") else [("i", f"i{n}")] for n, s in enumerate(sizes)
    ]
    yield from product(*of_each)


class _Turned(Normaliser):
    """Places as tap + output where others have output + tap: in a gradient to a kernel the two change places."""

    def truth(self, term: Term) -> tuple[Term, Proof]:
        """A truth value as the others have it."""
        found, q = super().truth(term)
        match found:
            case ("equal", i, ("plus", j, k)):
                return ("equal", i, ("plus", k, j)), chain(q, "(cong2 equal refl plus_comm)")
        return found, q


# -- the rewrites ----------------------------------------------------------------------------------------------------


def _taps(b: Builder, x: list[Value], w: list[Value], first: int) -> Value:
    """sum over taps a of x[first + a] w[a], summed over channels, too."""
    y = b.dot(x[first], w[0], (1, 0))
    for a in range(1, len(w)):
        y = b.add(y, b.dot(x[first + a], w[a], (1, 0)))
    return y


def _inputs(b: Builder, name: str, count: int, shape: tuple[int, ...]) -> list[Value]:
    return [b.parameter(f"{name}{i}", TensorType(shape)) for i in range(count)]


def _of(values: list[Value]) -> Line:
    return lambda place: values[place]


def _winograd(order: tuple[int, ...]) -> Callable[[Builder], Pairs]:
    """Along one axis, of one tile: two outputs of three taps, from four pixels, over any channels.

    The pass does it along one axis of what it does along the other. In the order REVERSED the kernel is turned round.
    """

    def make(b: Builder) -> Pairs:
        x, w = _inputs(b, "pixel", 4, (7, 5)), _inputs(b, "tap", 3, (5, 3))
        places, kernel = image_line(b, _of(x)), kernel_line(b, _of(w))
        products = [b.dot(places[order[i]], kernel[i], (1, 0)) for i in range(4)]
        outputs = output_line(b, _of([products[i] for i in order]))
        turned = w if order == FORWARD else w[::-1]
        return [(_taps(b, x, turned, first), outputs[first]) for first in range(2)]

    return make


def _winograd_kernel(b: Builder) -> Pairs:
    """The gradient of three taps from four pixels and two cotangents, summed over any tiles."""
    x, dy = _inputs(b, "pixel", 4, (7, 5)), _inputs(b, "dy", 2, (7, 3))
    products = [
        b.dot(p, g, (0, 0)) for p, g in zip(image_line(b, _of(x)), gradient_line(b, _of(dy)), strict=True)
    ]  # fmt: skip
    plain = [b.add(b.dot(x[a], dy[0], (0, 0)), b.dot(x[a + 1], dy[1], (0, 0))) for a in range(3)]
    return list(zip(plain, tap_line(b, _of(products)), strict=True))


def _kernel_convolution(stride: Pair, dilation: Pair) -> Callable[[Builder], Pairs]:
    """The gradient of a kernel as a convolution with dy as its kernel, for any image and kernel."""

    def make(b: Builder) -> Pairs:
        x, dy = b.parameter("x", TensorType((2, 8, 9, 3))), b.parameter("dy", TensorType((2, 4, 5, 6)))
        sides = tuple((1, 1) for _ in range(2)) if stride == (1, 1) else ((1, 2), (1, 2))
        size = tuple(
            (n + sum(side) - (p - 1) * s - 1) // d + 1
            for n, p, s, d, side in zip((8, 9), (4, 5), stride, dilation, sides, strict=True)
        )
        plain = b.op("conv_kernel_grad", x, dy, kernel=size, stride=stride, padding=sides, dilation=dilation, groups=1)
        made = CONV_FORMS["conv_kernel_grad"]["convolution"](b, b.ops[-1], x, dy)
        return [(plain, made)] if made is not None else []

    return make


def _before_products(b: Builder) -> Pairs:
    """A product of matrices one of which repeats along the summed axis, and a sum of products that do."""
    x, y = b.parameter("x", TensorType((7, 5))), b.parameter("y", TensorType((3,)))
    z = b.parameter("z", TensorType((7,)))
    found = [
        b.dot(x, b.broadcast(y, TensorType((5, 3)), (1,)), (1, 0)),
        b.sum(b.mul(x, b.broadcast(z, TensorType((7, 5)), (0,))), (1,)),
    ]  # fmt: skip
    before = b.finish([(f"result{i}", v) for i, v in enumerate(found)])
    (after,) = sum_before_products(Module("rewrite", (before,)))
    held = {op.result for op in before.ops}
    b.ops += [op for op in after.ops if op.result not in held]
    return list(zip(before.results, after.results, strict=True))


REWRITES: Mapping[str, Callable[[Builder], Pairs]] = {
    "winograd": _winograd(FORWARD),
    "winograd-input": _winograd(REVERSED),
    "winograd-kernel": _winograd_kernel,
    "kernel-as-convolution": _kernel_convolution((2, 2), (1, 1)),
    "sum-before-products": _before_products,
    **AT_SIZES,
}
