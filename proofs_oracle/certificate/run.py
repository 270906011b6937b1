"""One function and one claim, evaluated at a point: both sides of the statement, and the gradients that are claimed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from netc.codegen.evaluator import INTEGER_DTYPES
from netc.codegen.ir import Function, Op, Value
from netc.proofs_oracle.certificate.degree import CONSTANT, VARIABLE, Degree
from netc.proofs_oracle.certificate.dual import CertifyError, Dual, DualField, UnreadError
from netc.proofs_oracle.certificate.functions import FUNCTIONS, NOT_OF_ONE, TranscendentalField
from netc.proofs_oracle.certificate.identities import Identities
from netc.proofs_oracle.certificate.meanings import meaning_of
from netc.proofs_oracle.certificate.residues import Array, Residues


@dataclass(frozen=True)
class Gradient:
    """One gradient and how it is read from the function's results.

    d(outputs) / d(argument `of`) = (result - argument `less`) * factor, with factor a number or 1 / an argument, less
    `decay` times the argument. `free`: times a factor, and less a decay, that are not known (factors.py).
    """

    of: int
    result: int
    less: int | None = None
    factor: Fraction = Fraction(1)
    over: int | None = None
    decay: Fraction = Fraction(0)
    free: bool = False


@dataclass(frozen=True)
class Claim:
    """What is claimed of a function.

    `outputs`: (result, the argument that is its cotangent, or None for 1). `zero`: arguments that are 0 everywhere.
    """

    outputs: tuple[tuple[int, int | None], ...]
    gradients: tuple[Gradient, ...]
    zero: tuple[int, ...] = ()


@dataclass(frozen=True)
class Sides:
    """Both sides of a statement for each prime, and the degree of their difference."""

    left: list[Any]
    right: list[Any]
    degree: Degree

    @property
    def agree(self) -> bool:
        """Whether they are equal."""
        return self.left == self.right


def needed(function: Function, roots: Sequence[Value]) -> list[Op]:
    """The operations that these values hang on, in order."""
    alive, kept = set(roots), []
    for op in reversed(function.ops):
        if op.result in alive:
            kept.append(op)
            alive.update(op.operands)
    return kept[::-1]


class Run:
    """One function and one claim: what is evaluated at every point. What no claim needs is passed over."""

    def __init__(self, function: Function, claim: Claim) -> None:
        self.function, self.claim = function, claim
        outputs = [function.results[r] for r, _ in claim.outputs]
        self.backward = needed(function, [function.results[g.result] for g in claim.gradients])
        self.ops = needed(function, [*outputs, *(function.results[g.result] for g in claim.gradients)])
        self.forward = needed(function, outputs)
        self.names = tuple(function.names[g.of] for g in claim.gradients)

    @property
    def size(self) -> int:
        """Elements of all gradients."""
        return sum(self.function.params[g.of].type.size for g in self.claim.gradients)

    @property
    def common(self) -> bool:
        """Whether all gradients may miss one factor, which may be another at each point; one number always does."""
        return self.size > 1 and all(g.free and not g.decay for g in self.claim.gradients)

    @property
    def functions(self) -> tuple[str, ...]:
        """Those in it that are not rational."""
        return tuple(sorted({op.kind for op in self.ops} & {*FUNCTIONS, *NOT_OF_ONE}))

    @property
    def work(self) -> int:
        """Elements that one evaluation makes: a measure of what it costs."""
        return sum(op.result.type.size for op in self.ops)

    def evaluate(
        self, A: DualField, ops: Sequence[Op], args: Sequence[Any], differentiated: Sequence[Op]
    ) -> dict[Value, Any]:
        """Every result of the function that hangs on `ops` alone. What is not `differentiated` sees no tangents."""
        env: dict[Value, Any] = dict(zip(self.function.params, args, strict=True))
        forward, keep = set(differentiated), set(self.function.results) | set(self.function.params)
        uses: dict[Value, int] = {}
        last: dict[Value, int] = {}
        for index, op in enumerate(ops):
            for v in op.operands:
                uses[v] = index
                if op in forward:
                    last[v] = index
        for index, op in enumerate(ops):
            operands = [env[v] for v in op.operands]
            if op not in forward:  # the pullback is not differentiated again
                operands = [x.value if isinstance(x, Dual) else x for x in operands]
            try:
                with np.errstate(all="ignore"):
                    result = meaning_of(op.kind)(A, op, *operands)
            except UnreadError:
                raise
            except CertifyError as error:
                raise type(error)(f"{op.loc}: {op}: {error}") from error
            assert A.shape(result) == op.result.shape, f"{op.loc}: {op} was computed with shape {A.shape(result)}"
            env[op.result] = result
            for v in op.operands:
                if v not in keep and v in env:
                    if uses[v] == index:
                        del env[v]
                    elif last.get(v, -1) <= index and isinstance(env[v], Dual):
                        env[v] = env[v].value  # its tangent has met all that it meets
        return env


class At:
    """A run at one point, in one arithmetic. `numbers`: what the arguments are in the float run, one for each."""

    def __init__(  # what a point is made of
        self,
        run: Run,
        field: Residues,
        numbers: Sequence[Array],
        rng: np.random.Generator,
        identities: Identities,
        exact: bool,
        tangents: bool = True,
    ) -> None:
        self.run, self.claim, self.field = run, run.claim, field
        self.A = TranscendentalField(field, rng, identities, exact)
        self.args = [self._argument(i, np.asarray(x), rng) for i, x in enumerate(numbers)]
        wanted = sorted({g.of for g in self.claim.gradients}) if tangents else []
        shapes = {i: run.function.params[i].shape for i in wanted}
        self.tangents = {i: field.direction(shapes[i], rng) for i in wanted}
        more = not self.claim.outputs or run.common
        self.others = {i: field.direction(shapes[i], rng) for i in wanted} if more else {}
        self.thirds = {i: field.direction(shapes[i], rng) for i in wanted} if not self.claim.outputs else {}
        self.read: list[Dual] = []

    def _argument(self, i: int, numbers: Array, rng: np.random.Generator) -> Any:
        t = self.run.function.params[i].type
        if i in self.claim.zero:
            return self.A.constant(0, t)
        if t.dtype in INTEGER_DTYPES:
            return np.asarray(numbers, self.A.floats.dtype(t.dtype))
        numbers = np.asarray(numbers, np.float64)
        return Dual(numbers, self.field.argument(numbers, rng), None, VARIABLE)

    def _along(self, tangents: Mapping[int, Array]) -> list[Any]:
        return [
            replace(a, tan=tangents[i], tdeg=VARIABLE) if i in tangents else a for i, a in enumerate(self.args)
        ]  # fmt: skip

    def gradients(self) -> list[Dual]:
        """Those that are claimed, without tangents."""
        env = self.run.evaluate(self.A, self.run.backward, self.args, ())
        self.read = [self._gradient(g, env, self.args) for g in self.claim.gradients]
        return self.read

    def sides(self) -> Sides:
        """Of all gradients at once."""
        if not self.claim.outputs:
            return self._crossed()
        env = self.run.evaluate(self.A, self.run.ops, self._along(self.tangents), self.run.forward)
        self.read = [self._gradient(g, env, self.args) for g in self.claim.gradients]
        return self._against(env, range(len(self.read)))

    def parallel(self) -> Sides:
        """<dL, a> <g, b> = <dL, b> <g, a>: so the gradients g, all together, are a multiple of the derivative.

        Once all have been read. Without a loss: <g, a> dg(b, c) + <g, b> dg(c, a) + <g, c> dg(a, b) = 0, with
        dg(a, b) = <J a, b> - <J b, a> (Frobenius): g is a multiple of the derivative of some function.
        """
        if not self.claim.outputs:
            return self._integrable()
        lefts, rights, degree = [], [], CONSTANT
        for along in (self.tangents, self.others):
            env = self.run.evaluate(self.A, self.run.forward, self._along(along), self.run.forward)
            left, own = self._outputs(env)
            right, of_read = [0] * len(self.field.primes), CONSTANT
            for g, value in zip(self.claim.gradients, self.read, strict=True):
                right = self.field.plus(right, self.field.inner(value.res, along[g.of]))
                of_read = of_read | value.deg * VARIABLE
            lefts.append(left)
            rights.append(right)
            degree = degree | own * of_read
        one = self.field.times(lefts[0], rights[1])
        return Sides(one, self.field.times(lefts[1], rights[0]), degree)

    def only(self, some: Sequence[int]) -> Sides:
        """Of some gradients, once all have been read."""
        tangents = {self.claim.gradients[i].of: self.tangents[self.claim.gradients[i].of] for i in some}
        env = self.run.evaluate(self.A, self.run.forward, self._along(tangents), self.run.forward)
        return self._against(env, some)

    def _against(self, env: Mapping[Value, Any], some: Sequence[int]) -> Sides:
        left, degree = self._outputs(env)
        right = [0] * len(self.field.primes)
        for i in some:
            tangent = self.tangents[self.claim.gradients[i].of]
            right = self.field.plus(right, self.field.inner(self.read[i].res, tangent))
            degree = degree | self.read[i].deg * VARIABLE
        return Sides(left, right, degree)

    def _outputs(self, env: Mapping[Value, Any]) -> tuple[list[Any], Degree]:
        total, degree = [0] * len(self.field.primes), CONSTANT
        for result, cotangent in self.claim.outputs:
            y = env[self.run.function.results[result]]
            if isinstance(y, Dual):
                self.A.finite(y.real)  # an infinity has residues that mean nothing
            if not isinstance(y, Dual) or y.tan is None:
                continue
            dy = self.A.number(1, y) if cotangent is None else self.args[cotangent]
            total = self.field.plus(total, self.field.inner(dy.res, y.tan))
            degree = degree | dy.deg * y.tdeg
        return total, degree

    # -- where no loss is returned: second derivatives do not hang on the order ---------------------------------

    def _bent(self, columns: Sequence[int], along: Mapping[int, Array]) -> list[Dual]:
        """The gradients, with their change along the arguments of `columns`."""
        arguments = [self.claim.gradients[i].of for i in columns]
        args = self._along({i: along[i] for i in arguments})
        env = self.run.evaluate(self.A, self.run.backward, args, self.run.backward)
        return [self._gradient(g, env, args) for g in self.claim.gradients]

    def _change(self, i: int, gradient: Dual, against: Mapping[int, Array]) -> list[Any]:
        if gradient.tan is None:
            return [0] * len(self.field.primes)
        return self.field.inner(gradient.tan, against[self.claim.gradients[i].of])

    def _crossed(self) -> Sides:
        """<J a, b> = <J b, a> for the derivative J of the gradients: so they are the gradient of some function."""
        everything, totals, degree = range(len(self.claim.gradients)), [], CONSTANT
        for along, against in ((self.tangents, self.others), (self.others, self.tangents)):
            self.read = self._bent(everything, along)
            total = [0] * len(self.field.primes)
            for i, gradient in enumerate(self.read):
                total = self.field.plus(total, self._change(i, gradient, against))
                degree = degree | gradient.tdeg * VARIABLE
            totals.append(total)
        return Sides(totals[0], totals[1], degree)

    def _integrable(self) -> Sides:
        ways = (self.tangents, self.others, self.thirds)
        bent = [self._bent(range(len(self.claim.gradients)), way) for way in ways]
        value = [self._sum([self.field.inner(g.res, way[c.of]) for g, c in self._with(bent[0])]) for way in ways]
        change = [[self._sum([self._change(i, g, way) for i, g in enumerate(b)]) for way in ways] for b in bent]
        turns = ((0, 1, 2), (1, 2, 0), (2, 0, 1))
        left = self._sum([self.field.times(value[a], change[b][c]) for a, b, c in turns])
        right = self._sum([self.field.times(value[a], change[c][b]) for a, b, c in turns])
        degree = CONSTANT
        for g in bent[0]:
            degree = degree | g.tdeg * VARIABLE * g.deg * VARIABLE
        return Sides(left, right, degree)

    def _with(self, values: Sequence[Dual]) -> Iterator[tuple[Dual, Gradient]]:
        return zip(values, self.claim.gradients, strict=True)

    def _sum(self, terms: Sequence[list[Any]]) -> list[Any]:
        total = [0] * len(self.field.primes)
        for term in terms:
            total = self.field.plus(total, term)
        return total

    def alone(self) -> bool:
        """Whether each gradient element hangs on its own argument's element alone: any such map is a gradient.

        With random s, <J (s a), b / s> = <J a, b> for all a and b only if J is diagonal.
        """
        rng = np.random.default_rng(0)
        mul, totals = self.field.mul, []
        drawn = {i: self.field.direction(t.shape[1:], rng) for i, t in self.tangents.items()}
        s = {i: np.where(v == 0, 1.0, v) for i, v in drawn.items()}
        scaled = {i: mul(t, s[i]) for i, t in self.tangents.items()}
        unscaled = {i: mul(t, self.field.inverse(s[i])) for i, t in self.others.items()}
        for along, against in ((self.tangents, self.others), (scaled, unscaled)):
            bent = self._bent(range(len(self.claim.gradients)), along)
            totals.append(self._sum([self._change(i, g, against) for i, g in enumerate(bent)]))
        return bool(totals[0] == totals[1])

    def pairs(self) -> dict[tuple[int, int], Sides]:
        """The same of every gradient i by the argument of every gradient j, against j by i."""
        everything = range(len(self.claim.gradients))
        by = [self._bent([j], self.tangents) for j in everything]
        back = [self._bent([i], self.others) for i in everything]
        return {
            (i, j): Sides(self._change(i, by[j][i], self.others), self._change(j, back[i][j], self.tangents), CONSTANT)
            for i in everything
            for j in everything
        }

    # -- a gradient from what is returned ------------------------------------------------------------------------

    def _gradient(self, g: Gradient, env: Mapping[Value, Any], args: Sequence[Any]) -> Dual:
        value: Dual = env[self.run.function.results[g.result]]
        self.A.finite(value.real)
        value = value if not self.claim.outputs else value.value
        if g.less is not None:
            value = self.A.sub(value, args[g.less])
        factors = [self._filled(g.factor, value)] if g.factor != 1 else []
        if g.over is not None:
            one = self.A.number(1, args[g.over])
            factors.append(self.A.broadcast(self.A.div(one, args[g.over]), value.real.shape, ()))
        for factor in factors:
            value = self.A.mul(value, factor)
        if g.decay:
            value = self.A.sub(value, self.A.mul(self._filled(g.decay, value), args[g.of]))
        return value

    def _filled(self, number: Fraction, like: Dual) -> Dual:
        res = self.field.column(self.field.fraction(number), like.real.ndim)
        real = np.broadcast_to(np.float64(float(number)), like.real.shape)
        return Dual(real, np.broadcast_to(res, like.res.shape), None, CONSTANT)


def search(some: Sequence[int], differ: Callable[[Sequence[int]], bool]) -> Iterator[int]:
    """Those for which the sides differ, by halves."""
    if not differ(some):
        return
    if len(some) == 1:
        yield some[0]
        return
    half = len(some) // 2
    for part in (some[:half], some[half:]):
        yield from search(part, differ)


def fewest(pairs: Collection[tuple[int, int]]) -> Iterator[int]:
    """The fewest members, greedily, that are in all of the pairs."""
    while pairs:
        worst = max({i for pair in pairs for i in pair}, key=lambda i: sum(i in pair for pair in pairs))
        yield worst
        pairs = [pair for pair in pairs if worst not in pair]
