"""Which results of a text are whose gradients, where nobody says: those that are multiples of the derivative.

A result r of an argument's type, or r less the argument (an update), whose product with a tangent is a constant
fraction of the loss's derivative at two points is the argument's gradient times a factor; a scalar argument may be a
rate in it. States, on which the loss does not hang, are 0 for that: then an optimizer's new moments are multiples of
gradients. What has a result of its type at the place that the others tell, and is no multiple, is claimed as well: it
is wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from netc.codegen.evaluator import INTEGER_DTYPES
from netc.codegen.ir import Function
from netc.netspec.errors import UserError
from netc.proofs_oracle.certificate.claims import loss_of, scalar_results
from netc.proofs_oracle.certificate.factors import Asker, Factor
from netc.proofs_oracle.certificate.plausible import Plausible
from netc.proofs_oracle.certificate.points import FloatPoint
from netc.proofs_oracle.certificate.run import Claim, Gradient, needed
from netc.proofs_oracle.certificate.statement import Settings

Outputs = tuple[tuple[int, int | None], ...]
SAY = "say which by `wrt=ARGUMENT=RESULT`, `updates=ARGUMENT=RESULT:RULE` or `manifest=FILE.json`"


def paired(function: Function, loss: str | None, settings: Settings, point: FloatPoint) -> Claim:
    """The claim that a text makes by its looks. Raises UserError where it makes none."""
    results = _of_arrays(function) if loss is None else [r for r, _ in loss_of(function, loss)]
    if not results:
        return _in_place(function, settings, point)
    tried: list[int] = []
    for result in sorted(results, key=lambda r: -len(needed(function, [function.results[r]]))):  # a loss is long
        claim = _of_loss(function, result, settings, point)
        if claim is not None:
            for more in tried:
                _want_no_part(function, claim, result, more)
            _want_order(function, claim)
            return claim
        tried.append(result)
    of = f"result {results[0]}" if len(results) == 1 else f"any of the results {', '.join(map(str, results))}"
    raise UserError(f"no result is a multiple of the derivative of {of} by an argument; {SAY}")


def _of_arrays(function: Function) -> list[int]:
    """The scalar results that hang on an array; all if none does. A count or an average of scalars is no loss."""
    results = scalar_results(function)
    arrays = {v for v in function.params if v.shape and v.type.dtype not in INTEGER_DTYPES}
    used = {r: {v for op in needed(function, [function.results[r]]) for v in op.operands} for r in results}
    return [r for r in results if used[r] & arrays] or results


def _want_no_part(function: Function, claim: Claim, result: int, more: int) -> None:
    """A loss that lacks a term is no loss: whether scalar `more` is this one and a term of the arguments beside it."""
    loss, alive = function.results[result], {function.results[more]}
    for op in reversed(function.ops):
        if op.result in alive and op.result is not loss:
            alive.update(op.operands)
    if loss in alive and any(function.params[g.of] in alive for g in claim.gradients):
        raise UserError(
            f"the results are gradients of result {result}, and result {more} contains it and further "
            "terms in their arguments; say by `loss=NUMBER` which is the loss"
        )


def _want_order(function: Function, claim: Claim) -> None:
    """Of two arguments of one type the first one's gradient is the first: else they may have been exchanged."""
    last: dict[object, Gradient] = {}
    for g in sorted(claim.gradients, key=lambda g: g.of):
        before = last.get(function.params[g.of].type)
        if before and g.result < before.result:
            raise UserError(
                f"result {g.result} is the gradient of argument {g.of} and result {before.result} that of argument "
                f"{before.of}, of one type and in the other order: they may have been exchanged; {SAY}"
            )
        last[function.params[g.of].type] = g


def _of_loss(function: Function, result: int, settings: Settings, point: FloatPoint) -> Claim | None:
    used = {v for op in needed(function, [function.results[result]]) for v in op.operands}
    floats = [i for i, v in enumerate(function.params) if v.type.dtype not in INTEGER_DTYPES]
    types = {v.type for i, v in enumerate(function.results) if i != result}
    rates = [i for i in floats if function.params[i] not in used and not function.params[i].shape]
    idle = (i for i in floats if function.params[i] not in used and function.params[i].type in types)
    states = tuple(i for i in idle if i not in rates)
    asked = [g for i in floats if function.params[i] in used for g in _candidates(function, i, result, rates)]
    if not asked:
        return None
    outputs = ((result, None),)
    asker = Asker(function, Claim(outputs, tuple(asked), states), settings, point)
    plausible = Plausible(asker.run, point, settings)
    alike = _all_alike(asker, plausible)
    if alike:
        return Claim(outputs, alike, states)
    found = _multiples(asker, plausible)
    if found:
        gradients = [*found.values(), *_by_place(asked, list(found.values()))]
        return Claim(outputs, tuple(sorted(gradients, key=lambda g: g.of)), states)
    claims = _by_offset(asked, outputs, states, plausible)
    return next((claim for claim in claims if _agrees(function, claim, settings, point)), None)


def how_paired(function: Function, claim: Claim) -> str:
    """A sentence: what was found, and what is not judged."""
    pairs = ", ".join(f"{g.of}={g.result}" + (":update" if g.less is not None else "") for g in claim.gradients)
    of = "".join(f"; the loss is result {r}" for r, _ in claim.outputs)
    order = [g.result for g in claim.gradients]
    turned = "" if order == sorted(order) else "; these results are in another order than the arguments"
    judged = {*order, *(r for r, _ in claim.outputs)}
    others = [str(i) for i in range(len(function.results)) if i not in judged]
    rest = f"; not judged: results {', '.join(others)}" if others else ""
    return f"found by itself, argument=result: {pairs}{of}{turned}{rest}"


def _candidates(function: Function, i: int, loss: int, rates: Sequence[int]) -> list[Gradient]:
    of = function.params[i].type
    results = [j for j, v in enumerate(function.results) if v.type == of and j != loss]
    ways = [(None, None), (i, None), *((i, rate) for rate in rates)]
    return [Gradient(i, j, less=less, over=over, free=True) for j in results for less, over in ways]


def _by_offset(
    asked: Sequence[Gradient], outputs: Outputs, states: tuple[int, ...], plausible: Plausible
) -> Iterator[Claim]:
    """All updates or all gradients, at their arguments' places or behind the loss: multiples, but by no constant."""
    for offset, update in ((0, True), (1, True), (1, False), (0, False)):
        like = [index for index, g in enumerate(asked) if _way(g) == (offset, update, None)]
        if like and plausible.alike(like):
            yield Claim(outputs, tuple(asked[index] for index in like), states)


def _in_place(function: Function, settings: Settings, point: FloatPoint) -> Claim:
    """Each result is new what the argument at its place was: a parameter, or a state of the optimizer.

    States have the types of the parameters once more, or twice. Which are states is tried.
    """
    pairs = [(a.type, b.type) for a, b in zip(function.params, function.results, strict=False)]
    if len(function.results) > len(function.params) or any(a != b for a, b in pairs):
        raise UserError(
            f"no result is a scalar that could be the loss, and no result is a new value of an argument; {SAY}"
        )
    floats = [i for i, (t, _) in enumerate(pairs) if t.dtype not in INTEGER_DTYPES]
    plain = Claim((), tuple(Gradient(i, i, less=i, free=True) for i in floats))
    others = list(_with_states(function, floats))
    for claim in (plain, *others) if others else ():
        if _agrees(function, claim, settings, point):
            return claim
    if others or not floats:
        raise UserError(f"no result is a scalar that could be the loss, and results may be new values of states; {SAY}")
    return plain


def _with_states(function: Function, floats: Sequence[int]) -> Iterator[Claim]:
    """The parameters in one block of arguments, their gradients in the update or in the new values of a state."""
    types = [function.params[i].type for i in floats]
    for count in (2, 3):
        size = len(floats) // count
        if size * count != len(floats) or types != types[:size] * count:
            continue
        blocks = [floats[k * size : (k + 1) * size] for k in range(count)]
        for own in blocks:
            states = tuple(i for block in blocks if block is not own for i in block)
            for block in blocks:
                yield Claim(
                    (),
                    tuple(
                        Gradient(i, j, less=i if block is own else None, free=True)
                        for i, j in zip(own, block, strict=True)
                    ),
                    states,
                )


def _agrees(function: Function, claim: Claim, settings: Settings, point: FloatPoint) -> bool:
    asker = Asker(function, claim, settings, point)
    tries = (asker.pair(identities) for identities in asker.tries)
    if not claim.outputs:
        return any(all(sides.agree and not at.alone() for at, sides in pair) for pair in tries)
    together = ([at.parallel() for at, _ in pair] for pair in tries)
    return any(all(sides.agree and any(sides.left) for sides in pair) for pair in together)


def _all_alike(asker: Asker, plausible: Plausible) -> tuple[Gradient, ...]:
    """The candidates that are for each argument at the same distance and of one factor, if there are such."""
    candidates = asker.run.claim.gradients
    count = len({g.of for g in candidates})
    ways: dict[object, list[int]] = {}
    for index, g in enumerate(candidates):
        ways.setdefault(_way(g), []).append(index)
    groups = [indices for indices in ways.values() if len(indices) == count and plausible.alike(indices)]
    for identities in asker.tries if groups else ():
        at, sides = asker.somewhere(identities)
        for indices in groups:
            right = [0] * len(at.field.primes)
            for index in indices:
                inner = at.field.inner(at.read[index].res, at.tangents[candidates[index].of])
                right = at.field.plus(right, inner)
            factor = asker.constant(sides.left, right)
            if factor:
                return tuple(factor.of(candidates[index]) for index in indices)
    return ()


def _multiples(asker: Asker, plausible: Plausible) -> dict[int, Gradient]:
    """For each argument the candidate that is the simplest multiple of the derivative by it."""
    claim = asker.run.claim
    of_each: dict[int, list[int]] = {}
    for index, g in enumerate(claim.gradients):
        if plausible.multiple(index):
            of_each.setdefault(g.of, []).append(index)
    multiples: list[tuple[Factor, Gradient]] = []
    best: dict[int, Gradient] = {}
    for identities in asker.tries if of_each else ():
        points = [at for at, _ in asker.pair(identities)]
        for indices in of_each.values():
            lefts = [at.only(indices[:1]).left for at in points]
            for index in indices:
                g = claim.gradients[index]
                rights = [at.field.inner(at.read[index].res, at.tangents[g.of]) for at in points]
                factor = asker.factor(list(zip(points, lefts, rights, strict=True)), [index], g.less is not None)
                multiples += [(factor, g)] if factor else []
        best = _simplest(multiples)
        if len(best) == len(of_each):
            break
    return best


def _simplest(multiples: Sequence[tuple[Factor, Gradient]]) -> dict[int, Gradient]:
    """Each argument and each result once: without a decay first, then by the length of the factor."""
    best: dict[int, Gradient] = {}
    for _, g in sorted(multiples, key=lambda m: (m[0].decay != 0, m[0].height, m[1].result)):
        if g.of not in best and all(g.result != other.result for other in best.values()):
            best[g.of] = g
    return best


def _by_place(asked: Sequence[Gradient], found: Sequence[Gradient]) -> list[Gradient]:
    """Arguments that no multiple was found for, by the distance to their results that most others have."""
    if not found:
        return []
    like = Counter(_way(g) for g in found).most_common(1)[0][0]
    taken, claimed = {g.result for g in found}, {g.of for g in found}
    return [g for g in asked if g.of not in claimed and g.result not in taken and _way(g) == like]


def _way(g: Gradient) -> tuple[int, bool, int | None]:
    return g.result - g.of, g.less is not None, g.over
