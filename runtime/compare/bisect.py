"""Which operation of a train step goes wrong: two programs, or two backends, asked for every value in between.

Both are given one state and one batch. The values of the step as the rules emitted it, before a schedule replaced
anything, are the points of comparison: they exist for every target. A copy of the step that returns some
of them is lowered and run on either backend, and by the evaluator in float64 and in float32. How far the float32 runs
are from float64 is the noise floor of that value; the first value that is further from float64 than `FACTOR` floors on
one side names the operation. First the values that pass from one place (`loc`) to another are asked for, then all of
the place that was found.

The operation that was found is computed once more by the evaluator, from what that side gave it. If that is what the
side made of it, the operation is right, and its operands, all within their floors, are to blame: rounding decided a
choice, such as which of two nearly equal elements is a window's maximum, or a fault is smaller than the floors. What
stands behind it is judged in that way alone.

A batch in parts is looked at part by part, each beginning with the sums that the evaluator makes of those before it;
then what follows on the parts.

Does not find a fault that the extra results themselves make go away: a compiler fuses such a step in other ways.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from functools import cached_property

import numpy as np

from netc.codegen.evaluator import FloatArithmetic
from netc.codegen.ir import Function, Module, Op, Value
from netc.codegen.ops.loop import loop_operands
from netc.codegen.ops.movement import BARRIERS, MADE
from netc.codegen.program import build
from netc.netspec.errors import UserError
from netc.runtime.backends.protocol import Array
from netc.runtime.cache.store import Cache
from netc.runtime.compare.replay import Replay
from netc.runtime.compare.taps import SINGLES, distance, evaluated, observed, tapped, within
from netc.runtime.prepare import prepare
from netc.runtime.target import Target, parse_target
from netc.runtime.trainer import Trainer

FUNCTION = "train_step"
TOGETHER = 8  # operations that are computed once more from the values of one run
PIECE = 24  # values asked for at once: IREE's CPU backend refuses dispatches of more than 64 operands


@dataclass(frozen=True)
class Side:
    """One of the two: its train step as emitted, before `lower`, and where it runs. `name` is for messages."""

    name: str
    function: Function
    target: Target


@dataclass(frozen=True)
class Finding:
    """The first value that left the floor: made by operation `index` of the step, of that `kind`, at `loc`.

    `error` is the side's distance from float64, `floor` the largest of the float32 runs: for floats the larger of the
    relative L2 norm and the largest difference over the largest value, for others the number of elements that differ.
    `operands` say what the operation was given, each with the place that made it. `part` counts from 0 where the
    operation works on one part of a batch.
    """

    side: str
    loc: str
    kind: str
    type: str
    index: int
    error: float
    floor: float
    operands: tuple[str, ...]
    part: int | None = None

    def __str__(self) -> str:
        part = "" if self.part is None else f", in part {self.part} of the batch,"
        return (
            f"{self.kind} at {self.loc} ({self.type}){part} leaves the noise floor on {self.side}: {self.error:.2g} "
            f"from float64, where float32 is {self.floor:.2g} from it; it was given "
            f"{', '.join(self.operands) or 'nothing'}"
        )


@dataclass(frozen=True)
class Answer:
    """What was found, or None where every value is within its floor, or right for what it was made of.

    `asked` counts values. An operation without a counterpart in the other program, at the places that `unmatched`
    names, was not compared. `jump` is the first value that is out of its floor, where it is right for what it was made
    of; a `finding` behind it, in the same part of a batch, has the error and floor for the operands that it had.
    """

    finding: Finding | None
    asked: int
    unmatched: tuple[str, ...]
    jump: Finding | None = None


Watch = Callable[[int, int], None]


def bisect(a: Side, b: Side, args: Sequence[Array], cache: Cache, watch: Watch = lambda done, total: None) -> Answer:
    """Run one step on both sides and name the first operation whose result leaves the floor.

    `args` are the step's arguments in order, float32; what is exact is side a's program in float64. `watch(done,
    total)` counts values. Raises CompileError and UserError as compiling and loading do.
    """
    pairs, unmatched = matched(a.function, b.function)
    search = _Search(a, b, args, cache, watch, dict(pairs))
    coarse = [pair for pair in pairs if _leaves_its_place(a.function, pair[0])]
    found = search.first(coarse)
    if found is not None:
        index = found.index
        place = [p for p in pairs if a.function.ops[p[0]].loc == found.loc and p[0] <= index and p not in coarse]
        found = search.first(place) or found
        if search.judged(found.side, [found.index]) == {found.index: None}:
            rest = [p for p in pairs if p[0] > found.index and a.function.ops[p[0]].kind not in BARRIERS]
            wrong = search.first_wrong(rest)
            alone = (f"{op.kind} at {op.loc}" for op in (a.function.ops[i] for i in search.left_out))
            return Answer(wrong, search.asked, tuple(dict.fromkeys((*unmatched, *alone))), found)
    return Answer(found, search.asked, unmatched)


Pair = tuple[int, int]


def matched(a: Function, b: Function) -> tuple[list[Pair], tuple[str, ...]]:
    """The operations of both that correspond, in order, and the places of those that do not.

    Two correspond where kind, place and type are the same and so are their neighbours: the longest common runs.
    """

    def keys(function: Function) -> list[tuple[str, str, str]]:
        return [(op.kind, op.loc, str(op.result.type)) for op in function.ops]

    ours, theirs = keys(a), keys(b)
    blocks = SequenceMatcher(None, ours, theirs, autojunk=False).get_matching_blocks() if ours != theirs else []
    pairs = [(m.a + i, m.b + i) for m in blocks for i in range(m.size)] or [(i, i) for i in range(len(ours))]
    left = {i for i, _ in pairs}, {j for _, j in pairs}
    alone = [f"{k[0]} at {k[1]}" for i, k in enumerate(ours) if i not in left[0]]
    alone += [f"{k[0]} at {k[1]}" for j, k in enumerate(theirs) if j not in left[1]]
    return [p for p in pairs if a.ops[p[0]].kind not in MADE], tuple(dict.fromkeys(alone))


def _leaves_its_place(function: Function, index: int) -> bool:
    """Whether an operation's result is read at another place, or is a result of the step."""
    op = function.ops[index]
    readers = _readers(function).get(op.result, ())
    return op.result in function.results or any(reader.loc != op.loc for reader in readers)


_known: list[tuple[Function, dict[Value, list[Op]]]] = []


def _readers(function: Function) -> dict[Value, list[Op]]:
    """Who reads each value; remembered for the last function asked about."""
    if not _known or _known[0][0] is not function:
        table: dict[Value, list[Op]] = {}
        for op in function.ops:
            for v in op.operands:
                table.setdefault(v, []).append(op)
        _known[:] = [(function, table)]
    return _known[0][1]


@dataclass
class _Search:
    a: Side
    b: Side
    args: Sequence[Array]
    cache: Cache
    watch: Watch
    pairs: Mapping[int, int]
    asked: int = 0
    left_out: list[int] = field(default_factory=list)

    def first(self, pairs: Sequence[Pair]) -> Finding | None:
        """Ask for values piece by piece, in order, until one is out."""
        for start in range(0, len(pairs), PIECE):
            piece = pairs[start : start + PIECE]
            found = self._out(piece)
            self.asked += len(piece)
            self.watch(min(start + PIECE, len(pairs)), len(pairs))
            if found:
                return found
        return None

    def _out(self, piece: Sequence[Pair]) -> Finding | None:
        ours = tapped(self.a.function, [self.a.function.ops[i].result for i, _ in piece])
        theirs = tapped(self.b.function, [self.b.function.ops[j].result for _, j in piece])
        truth = evaluated(ours, "cpu", self.args, FloatArithmetic("f64"))
        singles = [evaluated(ours, profile, self.args, make("f32")) for profile, make in SINGLES]
        runs = ((self.a, ours), (self.b, theirs))
        seen = {side.name: observed(f, side.target, self.args, self.cache) for side, f in runs}
        for n, (i, _) in enumerate(piece):
            floor = max(distance(single[n], truth[n]) for single in singles)
            for name, values in seen.items():
                error = distance(values[n], truth[n])
                if not within(error, floor, truth[n]):  # a NaN is out as well
                    return _finding(self.a.function, i, name, error, floor)
        return None

    def first_wrong(self, pairs: Sequence[Pair]) -> Finding | None:
        """The first operation that is not right for what its side gave it."""
        for start in range(0, len(pairs), TOGETHER):
            piece = [i for i, _ in pairs[start : start + TOGETHER]]
            sides = [self.judged(side.name, piece) for side in (self.a, self.b)]
            wrong = [f for judged in sides for f in judged.values() if f]
            self.left_out += [i for i in piece if any(i not in judged for judged in sides)]
            self.asked += len(piece)
            self.watch(min(start + TOGETHER, len(pairs)), len(pairs))
            if wrong:
                return min(wrong, key=lambda f: f.index)
        return None

    def judged(self, name: str, indices: Sequence[int]) -> dict[int, Finding | None]:
        """For each operation what is wrong with it on that side, from the operands that it had there; None if right.

        Those with an operand that has no counterpart there are left out.
        """
        side = self.a if name == self.a.name else self.b
        given = {i: operands for i in indices if (operands := self._given(side, i)) is not None}
        results = {i: side.function.ops[self._there(side, i)].result for i in given}
        wanted = [v for operands in given.values() for v in operands.values()]
        values = tuple(dict.fromkeys([*wanted, *results.values()]))
        if not values:
            return {}
        observations = observed(tapped(side.function, values), side.target, self.args, self.cache)
        held = dict(zip(values, observations, strict=True))
        judged: dict[int, Finding | None] = {}
        for i, operands in given.items():
            alone = _alone(self.a.function, i, tuple(operands))
            args = [*self.args, *(held[v] for v in operands.values())]
            (truth,) = evaluated(alone, "cpu", args, FloatArithmetic("f64"))
            singles = [evaluated(alone, profile, args, make("f32"))[0] for profile, make in SINGLES]
            error, floor = distance(held[results[i]], truth), max(distance(single, truth) for single in singles)
            right = within(error, floor, truth)
            judged[i] = None if right else _finding(self.a.function, i, name, error, floor)
        return judged

    @cached_property
    def makers(self) -> Mapping[Value, tuple[int, int]]:
        """Which operation of side a makes each value, as which of its results."""
        return {v: (n, k) for n, op in enumerate(self.a.function.ops) for k, v in enumerate(op.results)}

    def _there(self, side: Side, index: int) -> int:
        return index if side is self.a else self.pairs[index]

    def _given(self, side: Side, index: int) -> dict[Value, Value] | None:
        """What the operands of side a's operation are on that side, but for constants and the step's arguments.

        None where one of them has no counterpart there. The side's operation itself may read something else.
        """
        ours = self.a.function
        found: dict[Value, Value] = {}
        for v in ours.ops[index].operands:
            if v not in self.makers or ours.ops[self.makers[v][0]].kind in MADE:
                continue
            i, k = self.makers[v]
            if i not in self.pairs:
                return None
            found[v] = side.function.ops[self._there(side, i)].results[k]
        return found


def _alone(function: Function, index: int, given: tuple[Value, ...]) -> Function:
    """One operation of the function, with its constants, as a function of the parameters and of what it is given."""
    op = function.ops[index]
    dull = tuple(o for o in function.ops[:index] if o.kind in MADE and o.result in op.operands)
    names = (*function.names, *(f"given{n}" for n in range(len(given))))
    return Function(function.name, (*function.params, *given), names, (*dull, op), (op.result,), ("result",))


def _finding(function: Function, index: int, side: str, error: float, floor: float) -> Finding:
    op = function.ops[index]
    makers = {v: f"{o.kind} at {o.loc}" for o in function.ops[:index] for v in o.results}
    names = dict(zip(function.params, function.names, strict=True))
    given = tuple(names.get(v) or makers[v] for v in op.operands)
    return Finding(side, op.loc, op.kind, str(op.result.type), index, error, floor, given)


def bisect_step(
    names: tuple[str, str],
    modules: tuple[Module, Module],
    targets: tuple[Target, Target],
    args: Sequence[Array],
    cache: Cache,
    watch: Watch = lambda done, total: None,
) -> Answer:
    """`bisect` for the train steps of two modules, as emitted, of which both or neither loops over parts of a batch.

    Raises what `bisect` raises.
    """

    def compared(functions: Sequence[Function], given: Sequence[Array]) -> Answer:
        a, b = (Side(n, f, t) for n, f, t in zip(names, functions, targets, strict=True))
        return bisect(a, b, given, cache, watch)

    steps = [module.function(FUNCTION) for module in modules]
    loops = [next((op for op in step.ops if op.kind == "loop"), None) for step in steps]
    ours, theirs = loops
    if ours is None or theirs is None:
        return compared(steps, args)
    parts = [
        replace(module.function(loop.attr("callee")), name=FUNCTION, private=False)
        for module, loop in zip(modules, (ours, theirs), strict=True)
    ]
    single, asked = FloatArithmetic("f32"), 0
    unmatched: tuple[str, ...] = ()
    jump: Finding | None = None
    given = loop_operands(ours, evaluated(_before(steps[0], ours), "cpu", args, single))
    carried = list(given.carried)
    for part in range(ours.attr("trips")):
        now = [*carried, *(rows[part] for rows in given.stacked), *given.constants]
        answer = compared(parts, now)
        asked, unmatched = asked + answer.asked, tuple(dict.fromkeys((*unmatched, *answer.unmatched)))
        jump = jump or (answer.jump and replace(answer.jump, part=part))
        if answer.finding:
            return Answer(replace(answer.finding, part=part), asked, unmatched, jump)
        carried = evaluated(parts[0], "cpu", now, single)
    after = [_after(step, loop) for step, loop in zip(steps, (ours, theirs), strict=True)]
    answer = compared(after, [*args, np.asarray(ours.attr("trips"), np.int32), *carried])
    unmatched = tuple(dict.fromkeys((*unmatched, *answer.unmatched)))
    return Answer(answer.finding, asked + answer.asked, unmatched, jump or answer.jump)


def _before(step: Function, loop: Op) -> Function:
    """What the loop is given, from the step's arguments."""
    names = tuple(f"given{n}" for n in range(len(loop.operands)))
    return replace(step, ops=step.ops[: step.ops.index(loop)], results=loop.operands, result_names=names)


def _after(step: Function, loop: Op) -> Function:
    """The step with the loop's results as further arguments."""
    return replace(
        step,
        params=(*step.params, *loop.results),
        names=(*step.names, *(f"sum{n}" for n in range(len(loop.results)))),
        ops=tuple(op for op in step.ops if op is not loop),
    )


def bisect_run(
    replay: Replay, target: Target, step: int, cache: Cache, watch: Watch = lambda done, total: None
) -> Answer:
    """Search step `step` of a run on its own target and on another, from the state that the run had before it.

    The run is trained again up to there. Raises UserError for a step that the run does not have.
    """
    config = replay.config
    if not 0 <= step < replay.total:
        raise UserError(f"bisect wants a step from 0 to {replay.total - 1}, got {step}; the run has no others")
    if config.devices > 1:
        raise UserError(
            f"bisect wants a run on one device, got {config.devices}; train again with `devices=1` and "
            "the same batch, and bisect that"
        )
    own = parse_target(config.target)
    norms = config.recipe.norms and own.norms and target.norms
    program = build(config.trained_net, replace(config.recipe, norms=norms), config.training.batch)
    state = replay.first_state(program)
    if step:
        session = Trainer(prepare(program, own, cache))
        session.restore(dict(zip((s.name for s in program.state), state, strict=True)))
        for s in replay.steps(0, step):
            session.train_step(s.x, s.y, float(s.lr))
        state = list(session.fetch().values())
    now = next(replay.steps(step, step + 1))
    names = ("the run's " + own.word, target.word)
    modules = program.module, program.module
    return bisect_step(names, modules, (own, target), [*state, now.x, now.y, np.asarray(now.lr)], cache, watch)
