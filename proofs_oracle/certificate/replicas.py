"""The step of several replicas as one function: what each does, on data of its own, and their sums written out.

So a certificate of it is about all of them at once: the loss may be the one that a single device computes of the whole
batch, and the gradients those that the replicas' optimizers are given. Sums over replicas are exact, as all others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from netc.codegen.builder import Builder
from netc.codegen.distribute.split import axis_of
from netc.codegen.ir import Function, Op, Value
from netc.codegen.program import Program, build
from netc.codegen.random import REPLICAS_APART, STEP_STREAM
from netc.netspec.errors import UserError
from netc.netspec.types import TensorType

SUM, NUMBER, KEY = "all_reduce", "replica_id", "key"


@dataclass(frozen=True)
class Together:
    """What `replicas` do, as one function of the arguments that all have, and of each one's data.

    Its arguments are the step's, the data that of replica 0, and behind them the others' data. Its results are those of
    replica 0; `apart` numbers those that are others on another replica, though no data is dealt out along them.
    """

    function: Function
    replicas: int
    apart: tuple[int, ...] = ()

    @property
    def said(self) -> tuple[str, ...]:
        """Sentences on what was written out."""
        if self.replicas == 1:
            return ()
        found = f"{self.replicas} replicas written out, each with data of its own, and the sums over them as sums"
        return (found, *((f"results {', '.join(map(str, self.apart))} differ between replicas",) if self.apart else ()))

    def why(self, names: Sequence[str]) -> str:
        """Why the replicas do not go on as one: their results differ; else nothing. `names` are those of results."""
        if not self.apart:
            return ""
        shown = [names[i] for i in self.apart]
        return f"the replicas end with different {', '.join(shown[:4])}{', ..' if len(shown) > 4 else ''}"


def together(function: Function) -> Together:
    """A function whose sums over replicas are written out; itself where it has none. Raises UserError."""
    sums = [op for op in function.ops if op.kind == SUM]
    if not sums:
        return Together(function, 1)
    counts = {op.attr("replicas") for op in sums}
    names = [n for n in function.names if axis_of(n) is not None]
    if len(counts) > 1 or not names:
        raise UserError(
            "certify wants a program of one number of replicas with arguments x, y, .., their data, got "
            + (f"sums over {', '.join(map(str, sorted(counts)))}" if len(counts) > 1 else ", ".join(function.names))
            + "; give a text that `netc emit-mlir` wrote"
        )
    return _Writer(function, counts.pop()).written()


class _Writer:
    """Each operation once for each replica, or once for all where its operands are the same values."""

    def __init__(self, function: Function, replicas: int) -> None:
        self.function, self.replicas = function, replicas
        self.ops: list[Op] = []
        self.env: dict[Value, list[Value]] = {}

    def written(self) -> Together:
        params, names = [*self.function.params], [*self.function.names]
        for p, n in zip(self.function.params, self.function.names, strict=True):
            own = [p] * self.replicas if axis_of(n) is None else [p, *(Value(p.type) for _ in range(self.replicas - 1))]
            self.env[p] = own
            params += [v for v in own if v is not p]
            names += [f"{n} of replica {r}" for r in range(1, self.replicas) if own[r] is not p]
        for op in self.function.ops:
            self._write(op)
        results = [self.env[v] for v in self.function.results]
        same = [all(v is each[0] for v in each) for each in results]
        apart = tuple(i for i, s in enumerate(same) if not s)
        made = replace(
            self.function, params=tuple(params), names=tuple(names), ops=tuple(self.ops),
            results=tuple(each[0] for each in results),
        )  # fmt: skip
        return Together(made, self.replicas, apart)

    def _write(self, op: Op) -> None:
        given = [self.env[v] for v in op.operands]
        if op.kind == SUM:
            self.env[op.result] = [self._sum(op, given[0])] * self.replicas
            return
        if op.kind == NUMBER:
            self.env[op.result] = [self._number(op, r) for r in range(self.replicas)]
            return
        alike = all(v is each[0] for each in given for v in each)
        made = [self._again(op, [each[r] for each in given]) for r in range(1 if alike else self.replicas)]
        for n, v in enumerate(op.results):
            each = [m.results[n] for m in made]
            self.env[v] = each * self.replicas if alike else each

    def _again(self, op: Op, operands: Sequence[Value]) -> Op:
        results = [Value(v.type) for v in op.results]
        made = replace(op, operands=tuple(operands), result=results[0], extra_results=tuple(results[1:]))
        self.ops.append(made)
        return made

    def _sum(self, op: Op, each: Sequence[Value]) -> Value:
        total = each[0]
        for v in each[1:]:
            made = Op("add", (total, v), (), Value(op.result.type), op.loc)
            self.ops.append(made)
            total = made.result
        return total

    def _number(self, op: Op, replica: int) -> Value:
        t = op.result.type
        attrs = (("dtype", t.dtype), ("shape", t.shape), ("value", replica))
        made = Op("constant", (), attrs, Value(t), op.loc)
        self.ops.append(made)
        return made.result


def why_alike(function: Function) -> str:
    """Where a replica's data meets what is drawn by the key without the replica's number, as all draw it; or nothing.

    Of a function whose sums are not written out.
    """
    named = [*zip(function.params, function.names, strict=True)]
    data = _reached(function, [p for p, n in named if axis_of(n) is not None])
    keyed = _reached(function, [p for p, n in named if n == KEY])
    alike = keyed - data - _reached(function, [op.result for op in function.ops if op.kind == NUMBER])
    met = (op for op in function.ops if not alike.isdisjoint(op.operands) and not data.isdisjoint(op.operands))
    place = next((op.loc for op in met), "")
    return f"all replicas draw the same in {place}: its key is without the replica's number" if place else ""


def _reached(function: Function, begun: Iterable[Value]) -> set[Value]:
    """The values that hang on some."""
    found = set(begun)
    for op in function.ops:
        if not found.isdisjoint(op.operands):
            found.update(op.results)
    return found


@dataclass(frozen=True)
class Peer:
    """The programs of one device by whose loss replicas are judged: one on the whole batch, or one on each one's part.

    `sentence` says so. Without `programs` it is the loss that the replicas themselves return.
    """

    sentence: str
    programs: tuple[Program, ...] = ()


def peer_of(program: Program) -> Peer:
    """The peer of a program of replicas.

    Of the whole batch, where no example's loss hangs on others', or where batch norm is joint; of each replica's part,
    where it does: their mean is the loss. So it is where a step draws, with the key that each replica has.
    """
    net, recipe = program.net, program.recipe
    alone, draws = replace(recipe, sync_bn=False), net.signature.draws or recipe.draws
    joint = recipe.sync_bn and recipe.accumulate == 1
    if not draws and not any(getattr(at.layer, "balance", 0) for at in net.walk()) and (joint or not net.state):
        peer = build(net, alone, program.batch)
        return Peer("the loss is the one that one device computes of the whole batch, in its own text", (peer,))
    if recipe.sync_bn or recipe.check_labels:
        return Peer("the loss is the one that the replicas return")
    peer = build(net, alone, program.batch // program.replicas)
    keyed = f", its key at {STEP_STREAM} + {REPLICAS_APART} r for replica r" if draws else ""
    each = tuple(_keyed(peer, r) if draws else peer for r in range(program.replicas))
    return Peer(f"the loss is the mean of those that one device computes of each part, in its own text{keyed}", each)


def _keyed(program: Program, replica: int) -> Program:
    """One device's program with the keys of the steps that a replica of that number has: at another stream."""

    def change(f: Function) -> Function:
        firsts = (op for op in f.ops if op.loc == KEY and op.kind == "constant" and op.attr("value") == STEP_STREAM)
        if (first := next(firsts, None)) is None:
            return f
        attrs = tuple(sorted({**dict(first.attrs), "value": STEP_STREAM + REPLICAS_APART * replica}.items()))
        return replace(f, ops=tuple(replace(op, attrs=attrs) if op is first else op for op in f.ops))

    return replace(program, module=replace(program.module, functions=tuple(map(change, program.module))))


def with_mean_loss(made: Function, alone: Sequence[Function], loss: int, replicas: int) -> Function:
    """The replicas' function with a result more: the loss that one device gives, `loss` the number of its result.

    `alone` is the step of one device on arguments of the same names: one that takes the batch of all replicas, or one
    for each replica's part, and then the result is the mean of theirs.
    """
    whole = len(alone) == 1
    own: Mapping[str, Value] = dict(zip(made.names, made.params, strict=True))

    def data(name: str) -> list[Value]:
        return [own[name if r == 0 else f"{name} of replica {r}"] for r in range(replicas)]

    b = Builder(made.name)
    b.place("certificate")
    ops: list[Op] = []
    losses = []
    for r, step in enumerate(alone):
        env: dict[Value, Value] = {}
        for p, n in zip(step.params, step.names, strict=True):
            axis = axis_of(n)
            env[p] = own[n] if axis is None else b.concatenate(data(n), axis) if whole else data(n)[r]
        for op in step.ops:
            results = [Value(v.type) for v in op.results]
            env.update(zip(op.results, results, strict=True))
            operands = tuple(env[v] for v in op.operands)
            ops.append(replace(op, operands=operands, result=results[0], extra_results=tuple(results[1:])))
        losses.append(env[step.results[loss]])
    head, b.ops = b.ops, []
    total = losses[0]
    for each in losses[1:]:
        total = b.add(total, each)
    if not whole:
        total = b.div(total, b.constant(float(replicas), TensorType((), total.type.dtype)))
    return replace(
        made, ops=(*made.ops, *head, *ops, *b.ops), results=(*made.results, total),
        result_names=(*made.result_names, "loss of one device"),
    )  # fmt: skip
