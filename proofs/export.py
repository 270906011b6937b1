"""The exporter: what each operation of the IR means, as a Lean definition over the axes' variables.

One row of MEANINGS for each kind: the result at the indices `at`. A kind without a row is named in the error, with the
place in the net.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from netc.codegen.ir import Function, Op, Value
from netc.proofs.axes import Axes, UnreadError, windowed
from netc.proofs.terms import HALF, LOWEST, MINUS, ONE, ZERO, Term, add, fresh, mul, sums

ALIASES = ("broadcast", "reshape", "transpose", "constant", "iota", "barrier")
TYPES = {"f32": "K", "f64": "K", "i1": "B", "i32": "N"}


@dataclass(frozen=True)
class Definition:
    """One value: a function of `at`, indices below `sizes`, and its meaning `body`; `loc` says whose work it is."""

    name: str
    at: tuple[str, ...]
    sizes: tuple[str, ...]
    body: Term
    kind: str
    loc: str
    type: str
    op: Op

    @property
    def alias(self) -> bool:
        """Whether it only moves or repeats numbers."""
        return self.kind in ALIASES

    @property
    def backward(self) -> bool:
        """Whether it is part of the backward pass."""
        return self.loc.endswith("(vjp)")

    @property
    def term(self) -> Term:
        """It at its own indices."""
        return ("ref", self.name, tuple(("i", i) for i in self.at))


@dataclass(frozen=True)
class Field:
    """An argument of the program, or a constant: a field of the point. `trained` if it has a gradient."""

    name: str
    sizes: tuple[str, ...]
    type: str
    trained: bool
    said: str


@dataclass
class Exported:
    """A function's definitions in order, and the fields that they read."""

    function: Function
    axes: Axes
    fields: dict[str, Field] = field(default_factory=dict)
    definitions: dict[str, Definition] = field(default_factory=dict)
    names: dict[Value, str] = field(default_factory=dict)
    constants: dict[tuple[float, str], str] = field(default_factory=dict)
    chosen: dict[str, object] = field(default_factory=dict)

    def at(self, value: Value, indices: Sequence[Sequence[Term]]) -> Term:
        """A value at indices, given for each of its axes."""
        return ("ref", self.names[value], tuple(i for axis in indices for i in axis))

    def number(self, value: float, place: str) -> Term:
        """A literal: 0, 1, -1, 1/2 and lowest are themselves; any other is a variable, one for each layer."""
        known: dict[float, Term] = {
            0.0: ZERO,
            1.0: ONE,
            -1.0: MINUS,
            0.5: HALF,
            float("-inf"): LOWEST,
            2.0: add(ONE, ONE),
        }
        if value in known:
            return known[value]
        if value < 0:
            return mul(MINUS, self.number(-value, place))
        if (value, place) not in self.constants:
            name = f"P.c{len(self.constants)}"
            self.constants[value, place] = name
            self.fields[name] = Field(name, (), "K", False, f"the literal {value!r} of {place}")
        return ("ref", self.constants[value, place], ())


Indices = list[tuple[Term, ...]]


def export(function: Function, trained: Sequence[str]) -> Exported:
    """The definitions of a function whose results are the loss and the gradients. Raises UnreadError."""
    ops = reached(function)
    for op in ops:
        if op.kind not in MEANINGS or op.result.type.dtype not in TYPES:
            raise UnreadError(f"{op.loc}: {op.kind}")
    found = Exported(function, Axes(function, ops))
    used = {v for op in ops for v in op.operands} | set(function.results)
    for name, value in zip(function.names, function.params, strict=True):
        if value in used:
            lean = "P." + "".join(c if c.isalnum() else "_" for c in name)
            while lean in found.fields:  # a.b_c and a_b.c are two
                lean += "_"
            found.names[value] = lean
            sizes = found.axes.flat(value)
            found.fields[lean] = Field(lean, sizes, TYPES[value.type.dtype], name in trained, name)
    for op in ops:
        name = f"v{len(found.definitions)}"
        split = found.axes.names(op.result)
        indices: Indices = [tuple(("i", fresh()) for _ in axis) for axis in split]
        body = MEANINGS[op.kind](found, op, indices)
        found.names[op.result] = name
        flat = tuple(i[1] for axis in indices for i in axis)
        sizes = tuple(n for axis in split for n in axis)
        found.definitions[name] = Definition(name, flat, sizes, body, op.kind, op.loc, TYPES[op.result.type.dtype], op)
    return found


def reached(function: Function) -> list[Op]:
    """The operations that the results need."""
    needed, kept = set(function.results), []
    for op in reversed(function.ops):
        if needed.intersection(op.results):
            kept.append(op)
            needed.update(op.operands)
    return kept[::-1]


Meaning = Callable[[Exported, Op, Indices], Term]


def _two(head: str) -> Meaning:
    return lambda e, op, at: (head, e.at(op.operands[0], at), e.at(op.operands[1], at))


def _function(name: str) -> Meaning:
    return lambda e, op, at: ("fn", name, e.at(op.operands[0], at))


def _sub(e: Exported, op: Op, at: Indices) -> Term:
    x, y = (e.at(v, at) for v in op.operands)
    return add(x, mul(MINUS, y))


def _div(e: Exported, op: Op, at: Indices) -> Term:
    x, y = (e.at(v, at) for v in op.operands)
    return mul(x, ("fn", "recip", y))


def _constant(e: Exported, op: Op, at: Indices) -> Term:
    value = op.attr("value")
    if not isinstance(value, int | float) or op.result.type.dtype not in ("f32", "f64"):
        raise UnreadError(f"{op.loc}: a constant other than one number of the ring")
    return e.number(float(value), op.loc.removesuffix(" (vjp)"))


def _iota(e: Exported, op: Op, at: Indices) -> Term:
    along: tuple[Term, ...] = at[op.attr("dim")]
    if len(along) != 1:
        raise UnreadError(f"{op.loc}: iota along an axis that is split")
    return along[0]


def _compare(e: Exported, op: Op, at: Indices) -> Term:
    x, y = (e.at(v, at) for v in op.operands)
    direction, integer = op.attr("direction"), op.operands[0].type.dtype == "i32"
    if integer and direction == "EQ":
        return ("equal", x, y)
    if not integer and direction in ("GT", "LT"):
        return ("gt", x, y) if direction == "GT" else ("gt", y, x)
    raise UnreadError(f"{op.loc}: compare {direction}")


def _select(e: Exported, op: Op, at: Indices) -> Term:
    return ("choose", *(e.at(v, at) for v in op.operands))


def _same(e: Exported, op: Op, at: Indices) -> Term:
    return e.at(op.operands[0], at)


def _broadcast(e: Exported, op: Op, at: Indices) -> Term:
    x = op.operands[0]
    return e.at(x, [at[d] if n != 1 else () for n, d in zip(x.shape, op.attr("dims"), strict=True)])


def _reshape(e: Exported, op: Op, at: Indices) -> Term:
    """The same factors in the same order, grouped otherwise."""
    x = op.operands[0]
    if e.axes.flat(x) != e.axes.flat(op.result):
        raise UnreadError(f"{op.loc}: a reshape that cuts one axis at two ways")
    return e.at(x, at)


def _transpose(e: Exported, op: Op, at: Indices) -> Term:
    inverse = {p: at[i] for i, p in enumerate(op.attr("perm"))}
    return e.at(op.operands[0], [inverse[a] for a in range(len(at))])


def _bound(e: Exported, value: Value, axes: Sequence[int]) -> tuple[dict[int, tuple[Term, ...]], list[tuple[str, str]]]:
    """New indices for the factors of some axes of a value, and (index, size) of each."""
    names, new, bound = e.axes.names(value), {}, []
    for a in axes:
        fresh_ones = [(fresh(), size) for size in names[a]]
        bound += fresh_ones
        new[a] = tuple(("i", i) for i, _ in fresh_ones)
    return new, bound


def _reduce(head: str) -> Meaning:
    def meaning(e: Exported, op: Op, at: Indices) -> Term:
        x, dims = op.operands[0], op.attr("dims")
        new, bound = _bound(e, x, dims)
        kept = iter(at)
        body = e.at(x, [new[a] if a in new else next(kept) for a in range(len(x.shape))])
        for i, size in reversed(bound):
            body = (head, i, size, body)
        return body

    return meaning


def _dot(e: Exported, op: Op, at: Indices) -> Term:
    x, y = op.operands
    (cx, cy), (bx, by) = op.attr("contract"), op.attr("batch")
    new, bound = _bound(e, x, cx)
    free_x = [a for a in range(len(x.shape)) if a not in (*cx, *bx)]
    free_y = [a for a in range(len(y.shape)) if a not in (*cy, *by)]
    of_x = {**new, **dict(zip(bx, at, strict=False)), **dict(zip(free_x, at[len(bx) :], strict=False))}
    joined = {b: new[a] for a, b in zip(cx, cy, strict=True)}
    of_y = {**joined, **dict(zip(by, at, strict=False)), **dict(zip(free_y, at[len(bx) + len(free_x) :], strict=True))}
    left = e.at(x, [of_x[a] for a in range(len(x.shape))])
    return sums(tuple(bound), mul(left, e.at(y, [of_y[a] for a in range(len(y.shape))])))


def _tap(op: Op, axis: int, pixel: Term, tap: Term, out: Term) -> Term:
    """1 where the tap of the window at `out` sees the pixel: pixel + low = stride out + dilation tap."""
    stride, (low, _) = op.attr("stride")[axis], op.attr("padding")[axis]
    dilation = dict(op.attrs).get("dilation", (1, 1))[axis]
    if low < 0:
        raise UnreadError(f"{op.loc}: {op.kind} with negative padding")

    def scaled(index: Term, by: int) -> Term:
        return index if by == 1 else ("times", index, ("n", by))

    left = pixel if low == 0 else ("plus", pixel, ("n", low))
    return ("ind", ("equal", left, ("plus", scaled(out, stride), scaled(tap, dilation))))


def _conv(e: Exported, op: Op, at: Indices) -> Term:
    """The sum over all pixels, taps and channels that belong together, of one of x, w and y that is not the result.

    y[n, p, q, g o] = sum of x[n, h, w, g i] k[a, b, i, g o] where h + low = stride p + dilation a, and so for w.
    """
    attrs = dict(op.attrs)
    if attrs.get("swap") or attrs.get("spread", (1, 1)) != (1, 1):
        raise UnreadError(f"{op.loc}: conv of a rewritten form")
    values = windowed(op)
    if any(len(e.axes.names(v)[a]) > 1 for v in values for a in (1, 2)):
        raise UnreadError(f"{op.loc}: {op.kind} along an axis that is split")
    which = values.index(op.result)
    made: list[dict[int, tuple[Term, ...]]] = [{}, {}, {}]
    made[which] = dict(enumerate(at))
    bound: list[tuple[str, str]] = []

    def index(value: int, axis: int) -> tuple[Term, ...]:
        if axis not in made[value]:
            new, more = _bound(e, values[value], (axis,))
            made[value].update(new)
            bound.extend(more)
        return made[value][axis]

    X, W, Y = 0, 1, 2
    # batch and features are shared, channels of x are (group, channel of w)
    _share(made, (X, 0), (Y, 0), index)
    _share(made, (W, 3), (Y, 3), index)
    groups = op.attr("groups") > 1
    if which == X:
        made[W][2] = at[3][1:] if groups else at[3]
        features = index(W, 3)
        if groups:
            raise UnreadError(f"{op.loc}: {op.kind} with groups")
    else:
        features = index(W, 3)
        made[X][3] = (*(features[:1] if groups else ()), *index(W, 2))
    made[W][3] = made[Y][3] = features
    for axis in (1, 2):
        for value, a in ((X, axis), (W, axis - 1), (Y, axis)):
            index(value, a)
    factors = []
    for axis in (1, 2):
        pixel, tap, out = made[X][axis], made[W][axis - 1], made[Y][axis]
        one = [i[0] if i else ("n", 0) for i in (pixel, tap, out)]
        factors.append(_tap(op, axis - 1, *one))
    read = [e.at(v, [made[n][a] for a in range(4)]) for n, v in enumerate(values) if n != which]
    return sums(tuple(bound), mul(*factors, *read))


def _max_pool(e: Exported, op: Op, at: Indices) -> Term:
    """y[n, p, q, c] = sum of x[n, h, w, c] where the window (p, q) takes its maximum from the pixel (h, w).

    Which pixel that is, is given: a truth value of the point for each window and pixel, for a pool and its gradient.
    """
    x = op.operands[0]
    y = op.result if op.kind == "max_pool" else op.operands[1]
    name = "P.chosen_" + e.names[y] if y in e.names else f"P.chosen_v{len(e.definitions)}"
    if op.kind == "max_pool_grad" and (name not in e.fields or e.chosen[name] != (x, op.attrs)):
        raise UnreadError(f"{op.loc}: max_pool_grad of another pool than that of the forward pass")
    e.chosen[name] = (x, op.attrs)
    names = e.axes.names(y), e.axes.names(x)
    pixel_sizes = (*names[1][1], *names[1][2])
    sizes = (*e.axes.flat(y), *pixel_sizes)
    e.fields[name] = Field(name, sizes, "B", False, "whether a window takes its maximum from a pixel")
    if op.kind == "max_pool":
        new, bound = _bound(e, x, (1, 2))
        choice = ("ref", name, tuple(i for axis in (*at, new[1], new[2]) for i in axis))
        return sums(tuple(bound), mul(("ind", choice), e.at(x, [at[0], new[1], new[2], at[3]])))
    new, bound = _bound(e, y, (1, 2))
    window = [at[0], new[1], new[2], at[3]]
    choice = ("ref", name, tuple(i for axis in (*window, at[1], at[2]) for i in axis))
    return sums(tuple(bound), mul(("ind", choice), e.at(op.operands[2], window)))


def _share(
    made: list[dict[int, tuple[Term, ...]]],
    first: tuple[int, int],
    second: tuple[int, int],
    index: Callable[[int, int], tuple[Term, ...]],
) -> None:
    """Let two axes have one index, whichever has it first."""
    for (v, a), (w, c) in ((first, second), (second, first)):
        if a in made[v]:
            made[w][c] = made[v][a]
            return
    made[second[0]][second[1]] = index(*first)


MEANINGS: Mapping[str, Meaning] = {
    "add": _two("add"), "mul": _two("mul"), "sub": _sub, "div": _div, "max": _two("max"),
    "neg": lambda e, op, at: mul(MINUS, e.at(op.operands[0], at)),
    **{f: _function(f) for f in ("exp", "log", "rsqrt", "tanh", "logistic")},
    "constant": _constant, "iota": _iota, "compare": _compare, "select": _select, "barrier": _same,
    "broadcast": _broadcast, "reshape": _reshape, "transpose": _transpose,
    "reduce_sum": _reduce("sum"), "reduce_max": _reduce("largest"), "dot": _dot,
    "max_pool": _max_pool, "max_pool_grad": _max_pool,
    "conv": _conv, "conv_input_grad": _conv, "conv_kernel_grad": _conv,
}  # fmt: skip
