"""The statement: sum of <dy, J dx> over outputs = sum of <gradient, dx> over inputs, at random points, exactly."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import numpy as np

from netc.codegen.evaluator import INTEGER_DTYPES
from netc.codegen.ir import Function, Op, Value
from netc.netspec.types import TensorType
from netc.proofs_oracle.certificate.degree import CONSTANT, VARIABLE, Degree
from netc.proofs_oracle.certificate.dual import CertifyError, Dual, DualField, Identities, UnreadError
from netc.proofs_oracle.certificate.meanings import meaning_of
from netc.proofs_oracle.certificate.reading import Number
from netc.proofs_oracle.certificate.residues import Array, Residues, ZeroDivisorError, draw_primes, uniform

# (name, type, generator) -> the numbers of the float run
FloatPoint = Callable[[str, TensorType, np.random.Generator], Array]


@dataclass(frozen=True)
class Gradient:
    """One gradient and how it is read from the function's results.

    d(outputs) / d(argument `of`) = (result - argument `less`) * factor, with factor a number or 1 / an argument, less
    `decay` times the argument.
    """

    of: int
    result: int
    less: int | None = None
    factor: Fraction = Fraction(1)
    over: int | None = None
    decay: Fraction = Fraction(0)


@dataclass(frozen=True)
class Claim:
    """What is claimed of a function.

    `outputs`: (result, the argument that is its cotangent, or None for 1). `zero`: arguments that are 0 everywhere.
    """

    outputs: tuple[tuple[int, int | None], ...]
    gradients: tuple[Gradient, ...]
    zero: tuple[int, ...] = ()


@dataclass(frozen=True)
class Settings:
    """How hard to look: primes at once, random points, and the seed that draws all."""

    primes: int = 4
    points: int = 1
    seed: int = 0
    exact: bool = False


@dataclass(frozen=True)
class Statement:
    """What was found of one function. `failure`: the log2 of the probability that a false claim passes."""

    name: str
    holds: bool
    gradients: tuple[str, ...]
    wrong: tuple[str, ...]
    primes: tuple[int, ...]
    points: int
    degree: int
    failure: float
    identities: Identities
    functions: tuple[str, ...]
    readings: Mapping[float, Number]
    operations: int
    branches: int
    seconds: float
    meaning: tuple[str, ...] = field(default=())


EMPTY = "the outputs hang on none of the arguments on this branch: the statement says nothing"
ATTEMPTS = 5  # points at which a denominator is 0 before giving up: each has a chance of about 2^-20


def judge(name: str, function: Function, claim: Claim, settings: Settings, point: FloatPoint) -> Statement:
    """Check a claim under each set of true identities in turn, until it holds. Raises CertifyError."""
    began = time.perf_counter()
    kinds = {op.kind for op in _needed(function, _roots(function, claim))}
    tries = [
        Identities(quotient, tied, additive)
        for additive in ((False, True) if {"exp", "log"} <= kinds else (False,))
        for tied in ((False, True) if {"exp", "logistic"} <= kinds and not additive else (False,))
        for quotient in ((False, True) if "rsqrt" in kinds else (False,))
    ]
    found: Statement | None = None
    for identities in tries:
        found = _judge(name, function, claim, settings, point, identities, last=identities == tries[-1])
        if found.holds:
            break
    assert found is not None
    failure = min(0.0, found.failure + math.log2(len(tries)))  # each try had its chance to pass wrongly
    return replace(found, failure=failure, seconds=time.perf_counter() - began)


def _judge(
    name: str,
    function: Function,
    claim: Claim,
    settings: Settings,
    point: FloatPoint,
    identities: Identities,
    last: bool,
) -> Statement:
    """Under one set of identities; which gradients are wrong is looked for under the last only."""
    rng = np.random.default_rng((settings.seed, len(function.ops)))
    field_ = Residues(draw_primes(settings.primes, rng))
    failure, degree = 0.0, 0
    wrong: tuple[str, ...] = ()
    holds, empty = True, True
    run = Run(function, claim, point, settings.exact, identities)
    for _ in range(settings.points):
        A, left, right, bound = retried(run, field_, rng)
        degree = max(degree, A.reciprocals.cleared(bound))
        failure += failing(A, bound)
        empty = empty and not any(left)
        if left != right:
            holds, wrong = False, run.blame(A) if last else ()
            break
    ops = run.ops
    return Statement(
        name, holds, tuple(function.names[g.of] for g in claim.gradients), wrong, field_.primes, settings.points,
        degree, failure, identities, tuple(sorted({op.kind for op in ops} & set(_unknowns()))),
        {v: n for (v, _), n in A.readings.items() if n.root or n.pi or n.fraction != Fraction(v)},
        len(ops), sum(op.kind in ("compare", "max", "min", "reduce_max", "reduce_min", "select") for op in ops), 0.0,
        (EMPTY,) if empty and holds else (),
    )  # fmt: skip


def _unknowns() -> Sequence[str]:
    from netc.proofs_oracle.certificate.functions import FUNCTIONS

    return (*FUNCTIONS, "root", "atan2")


def failing(A: DualField, degree: Degree) -> float:
    """log2 of the bound at one point: Schwartz and Zippel for the identity, and operands that meet by chance.

    A false identity has a numerator of some degree D; it is 0 modulo all primes with probability at most the product of
    D / p. It may also vanish because two operands of one function, though different, meet: for that, one of the values
    in one of its monomials (at most as many as its degree before denominators are cleared) must meet one of all, each
    pair with the product of d / p, d the degree of an operand.
    """
    numerator = A.reciprocals.cleared(degree)
    identity = sum(math.log2(min(1.0, numerator / p)) for p in A.field.primes)
    if not A.instances:
        return identity
    meeting = sum(math.log2(min(1.0, max(A.operand_degree, 1) / p)) for p in A.field.primes)
    in_monomial = degree.total + sum(degree.powers.values())
    return min(0.0, float(np.logaddexp2(identity, meeting + math.log2(A.instances * max(in_monomial, 1)))))


def retried(run: Run, field_: Residues, rng: np.random.Generator) -> tuple[DualField, list[int], list[int], Degree]:
    """`run` at the first point at which no denominator is 0. Raises CertifyError."""
    for _ in range(ATTEMPTS):
        try:
            return run.at(field_, rng)
        except ZeroDivisorError:
            continue
    raise CertifyError(f"wants a point without zero denominators, got none in {ATTEMPTS}; the program divides by zero")


def _roots(function: Function, claim: Claim) -> list[Value]:
    return [function.results[r] for r in (*(r for r, _ in claim.outputs), *(g.result for g in claim.gradients))]


def _needed(function: Function, roots: Sequence[Value]) -> list[Op]:
    """The operations that these values hang on, in order."""
    alive, kept = set(roots), []
    for op in reversed(function.ops):
        if op.result in alive:
            kept.append(op)
            alive.update(op.operands)
    return kept[::-1]


class Run:
    """One function and one claim, evaluated at points."""

    def __init__(
        self, function: Function, claim: Claim, point: FloatPoint, exact: bool, identities: Identities
    ) -> None:
        self.function, self.claim, self.point = function, claim, point
        self.exact, self.identities = exact, identities
        self.ops = _needed(function, _roots(function, claim))
        self.forward = _needed(function, [function.results[r] for r, _ in claim.outputs])
        self.args: list[Any] = []
        self.tangents: dict[int, Array] = {}
        self.read: list[Dual] = []

    def at(self, field_: Residues, rng: np.random.Generator) -> tuple[DualField, list[int], list[int], Degree]:
        """Both sides for each prime, and the degree of their difference."""
        A = DualField(field_, rng, self.identities, self.exact)
        self.args = [self._argument(i, A, rng) for i in range(len(self.function.params))]
        wanted = {g.of for g in self.claim.gradients}
        self.tangents = {i: uniform(field_, self.function.params[i].shape, rng) for i in sorted(wanted)}
        args = [
            replace(a, tan=self.tangents[i], tdeg=VARIABLE) if i in wanted else a for i, a in enumerate(self.args)
        ]  # fmt: skip
        env = self._evaluate(A, self.ops, args)
        left, degree = self._outputs(A, env)
        self.read = [self._gradient(A, g, env) for g in self.claim.gradients]
        right = [0] * len(field_.primes)
        for g, value in zip(self.claim.gradients, self.read, strict=True):
            own = field_.inner(value.res, self.tangents[g.of])
            right = [(a + b) % p for a, b, p in zip(right, own, field_.primes, strict=True)]
            degree = degree | value.deg * VARIABLE
        return A, left, right, degree

    def _argument(self, i: int, A: DualField, rng: np.random.Generator) -> Any:
        name, t = self.function.names[i], self.function.params[i].type
        if i in self.claim.zero:
            return A.constant(0, t)
        numbers = self.point(name, t, rng)
        if t.dtype in INTEGER_DTYPES:
            return np.asarray(numbers, A.floats.dtype(t.dtype))
        return Dual(np.asarray(numbers, np.float64), uniform(A.field, t.shape, rng), None, VARIABLE)

    def _evaluate(self, A: DualField, ops: Sequence[Op], args: Sequence[Any]) -> dict[Value, Any]:
        env: dict[Value, Any] = dict(zip(self.function.params, args, strict=True))
        forward, keep = set(self.forward), set(self.function.results) | set(self.function.params)
        uses: dict[Value, int] = {}
        differentiated: dict[Value, int] = {}
        for index, op in enumerate(ops):
            for v in op.operands:
                uses[v] = index
                if op in forward:
                    differentiated[v] = index
        for index, op in enumerate(ops):
            operands = [env[v] for v in op.operands]
            if op not in forward:  # the pullback is not differentiated again
                operands = [x.value if isinstance(x, Dual) else x for x in operands]
            try:
                result = meaning_of(op.kind)(A, op, *operands)
            except UnreadError:
                raise
            except CertifyError as error:
                raise CertifyError(f"{op.loc}: {op}: {error}") from error
            assert A.shape(result) == op.result.shape, f"{op.loc}: {op} was computed with shape {A.shape(result)}"
            env[op.result] = result
            for v in op.operands:
                if v not in keep and v in env:
                    if uses[v] == index:
                        del env[v]
                    elif differentiated.get(v, -1) <= index and isinstance(env[v], Dual):
                        env[v] = env[v].value  # its tangent has met all that it meets
        return env

    def _outputs(self, A: DualField, env: Mapping[Value, Any]) -> tuple[list[int], Degree]:
        total, degree = [0] * len(A.field.primes), CONSTANT
        for result, cotangent in self.claim.outputs:
            y = env[self.function.results[result]]
            A.finite(y.real)
            if y.tan is None:
                continue
            dy = A.number(1, y) if cotangent is None else self.args[cotangent]
            own = A.field.inner(dy.res, y.tan)
            total = [(a + b) % p for a, b, p in zip(total, own, A.field.primes, strict=True)]
            degree = degree | dy.deg * y.tdeg
        return total, degree

    def _gradient(self, A: DualField, g: Gradient, env: Mapping[Value, Any]) -> Dual:
        value: Dual = env[self.function.results[g.result]].value
        A.finite(value.real)
        if g.less is not None:
            value = A.sub(value, self.args[g.less])
        factors = [self._filled(A, g.factor, value)] if g.factor != 1 else []
        if g.over is not None:
            one = A.number(1, self.args[g.over])
            factors.append(A.broadcast(A.div(one, self.args[g.over]), value.real.shape, ()))
        for factor in factors:
            value = A.mul(value, factor)
        if g.decay:
            value = A.sub(value, A.mul(self._filled(A, g.decay, value), self.args[g.of]))
        return value

    def _filled(self, A: DualField, number: Fraction, like: Dual) -> Dual:
        res = A.field.column(A.field.fraction(number), like.real.ndim)
        real = np.broadcast_to(np.float64(float(number)), like.real.shape)
        return Dual(real, np.broadcast_to(res, like.res.shape), None, CONSTANT)

    def blame(self, A: DualField) -> tuple[str, ...]:
        """The names of the gradients that are wrong at this point, each found by a tangent of its own."""
        order = list(range(len(self.claim.gradients)))
        return tuple(self.function.names[self.claim.gradients[i].of] for i in self._wrong(A, order))

    def _wrong(self, A: DualField, some: list[int]) -> Iterator[int]:
        if not self._differ(A, some):
            return
        if len(some) == 1:
            yield some[0]
            return
        half = len(some) // 2
        for part in (some[:half], some[half:]):
            yield from self._wrong(A, part)

    def _differ(self, A: DualField, some: list[int]) -> bool:
        gradients = [self.claim.gradients[i] for i in some]
        wanted = {g.of for g in gradients}
        args = [
            replace(a, tan=self.tangents[i], tdeg=VARIABLE) if i in wanted else a for i, a in enumerate(self.args)
        ]  # fmt: skip
        left, _ = self._outputs(A, self._evaluate(A, self.forward, args))
        right = [0] * len(A.field.primes)
        for i, g in zip(some, gradients, strict=True):
            own = A.field.inner(self.read[i].res, self.tangents[g.of])
            right = [(a + b) % p for a, b, p in zip(right, own, A.field.primes, strict=True)]
        return left != right


def float_point(limit: int) -> FloatPoint:
    """Numbers of the usual size for a float run; integers below `limit`."""

    def draw(name: str, t: TensorType, rng: np.random.Generator) -> Array:
        if t.dtype == "i1":
            return rng.integers(0, 2, t.shape).astype(np.bool_)
        if t.dtype in INTEGER_DTYPES:
            return rng.integers(0, limit, t.shape)
        last = name.rsplit(".", 1)[-1]
        if last in ("scale", "gamma", "var") or t.rank == 0:
            return rng.uniform(0.5, 1.5, t.shape)
        fan = math.prod(t.shape[:-1]) if t.rank > 1 and name not in ("x", "y", "dy") else 1
        return rng.standard_normal(t.shape) / math.sqrt(fan)

    return draw
