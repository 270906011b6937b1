"""Reading one function of MLIR into the IR, operation by operation, by a table of rows (rows.py).

What has no rule is read as `unread`: only a claim that needs it is refused.
"""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxlib.mlir import ir as mlir

from netc.codegen.evaluator import INTEGER_DTYPES, FloatArithmetic
from netc.codegen.ir import Function, IrError, Op, Value
from netc.codegen.ops import OPS
from netc.netspec.errors import UserError
from netc.netspec.types import TensorType
from netc.proofs_oracle.certificate.dual import CertifyError
from netc.proofs_oracle.certificate.foreign import UNREAD
from netc.proofs_oracle.certificate.meanings import meaning_of
from netc.proofs_oracle.certificate.reading import read
from netc.proofs_oracle.certificate.residues import Array

Env = MutableMapping[Any, Value]
Handler = Callable[["Reader", Any, list[Value]], list[Value]]

FLOATS = ("f64", "f32", "bf16", "f16")
DTYPES = {name: name for name in (*FLOATS, *INTEGER_DTYPES)}
LARGEST = 1 << 27  # elements of one tensor
LONGEST = 200_000  # operations, with calls inlined and loops written out
DEEPEST = 100  # calls inside calls
KNOWN = 4096  # elements of a tensor whose numbers are worked out while reading
FOLDED = (
    "constant", "iota", "add", "sub", "mul", "max", "min", "neg", "compare", "select", "and", "or", "xor", "not", "shl",
    "shr", "convert", "reshape", "broadcast", "slice", "concatenate", "transpose", "integer",
)  # fmt: skip
"""What is worked out where all operands are known numbers: counters of loops, exponents, initial values."""


@dataclass(frozen=True)
class Row:
    """How one operation is read.

    `judged`: the attributes that `read` looks at. `idle`: those that change no number of the exact statement. Any
    other attribute is refused. `passes`: its operands may be unread, since it only hands them on.
    """

    read: Handler
    judged: tuple[str, ...] = ()
    idle: tuple[str, ...] = ()
    regions: int = 0
    passes: bool = False


NO_ROW = "has no rule in the certificate, so nothing is proven of it"
EVERYWHERE = ("mhlo.sharding", "mhlo.frontend_attributes", "sdy.sharding", "sdy.sharding_rule")
"""Attributes of any operation that say where it runs, never what it gives."""


NUMBERS = {"index": "i64", "i32": "i32", "i1": "i1"}
"""Types of numbers outside of tensors, as texts for IREE count their loops with, and the elements they are read as."""
MEMORY = "!hal.buffer"  # the type of an argument that IREE is to compute in: no number of the program is in it
JUMPS = 100_000  # from block to block in one function


class NoTypeError(CertifyError):
    """A type that the IR does not have."""


def type_of(t: Any) -> TensorType:
    """The type in the IR. Raises NoTypeError for one that it does not have."""
    if str(t) in NUMBERS:
        return TensorType((), NUMBERS[str(t)])  # type: ignore[arg-type]
    if not isinstance(t, mlir.RankedTensorType):
        raise NoTypeError(f"wants tensors of fixed sizes, got {t}; there is no rule for it")
    tensor = mlir.RankedTensorType(t)
    dtype = DTYPES.get(str(tensor.element_type))
    if dtype is None:
        raise NoTypeError(f"wants elements of {', '.join(DTYPES)}, got {tensor}; there is no rule for them")
    if not tensor.has_static_shape:
        raise NoTypeError(f"wants tensors of fixed sizes, got {tensor}; lower the program for one size")
    found = TensorType(tuple(tensor.shape), dtype)  # type: ignore[arg-type]
    if found.size > LARGEST:
        raise NoTypeError(f"wants tensors of at most 2^27 elements, got {tensor}; there is no rule for it")
    return found


JUMPING = frozenset(("cf.br", "cf.cond_br"))
OF_NOTHING = frozenset(("pad", "concatenate", "reduce_sum", "dot", "scatter", "dynamic_update_slice"))
"""What has elements though a tensor that it is made of has none: as JAX's cumulative products take such slices."""


class Reader:
    """Reads one function. `unread`: for each value that has no meaning, why."""

    def __init__(self, functions: Mapping[str, Any], rows: Mapping[str, Mapping[str, Row]]) -> None:
        self.functions, self.rows = functions, rows
        self.ops: list[Op] = []
        self.makers: dict[Value, Op] = {}
        self.known: dict[Value, Array] = {}
        self.rounded: set[Value] = set()  # of these, what hangs on sums of floats, which a program would round
        self.unread: dict[Value, str] = {}
        self.calls: list[str] = []
        self.env: Env = {}
        self.loc = ""

    def function(self, name: str) -> Function:
        """The function with everything that it calls."""
        body = self._body(name)
        arguments = tuple(body[0].arguments)
        given = [self._argument(name, i, a) for i, a in enumerate(arguments)]
        self.calls.append(name)
        results = self.blocks(body, [value for _, value in given])
        shown = [
            (p, _argument_name(a, i))
            for i, (a, (p, _)) in enumerate(zip(arguments, given, strict=True))
            if str(a.type) != MEMORY
        ]
        return Function(
            name, tuple(p for p, _ in shown), tuple(n for _, n in shown),
            tuple(self.ops), tuple(results), tuple(f"result{i}" for i in range(len(results))),
        )  # fmt: skip

    def _argument(self, name: str, i: int, argument: Any) -> tuple[Value, Value]:
        """The parameter, and what stands for it in the body."""
        try:
            param = Value(type_of(argument.type))
        except CertifyError as error:
            return Value(TensorType(())), self.missing(f"argument {i} of {name}: {error}", argument.type)
        return param, param

    def _body(self, name: str) -> Any:
        if name not in self.functions:
            raise CertifyError(f"{self.loc}: calls {name}, which the text does not have; add it to the text")
        blocks = self.functions[name].regions[0].blocks
        if not len(blocks):
            raise CertifyError(f"function {name} wants a body, got none: it is declared only; write it out")
        return blocks

    def call(self, name: str, args: Sequence[Value]) -> list[Value]:
        """The results of a function of the text, inlined."""
        if name in self.calls:
            raise CertifyError(f"{self.loc}: {name} calls itself ({' > '.join([*self.calls, name])}); no rule")
        if len(self.calls) >= DEEPEST:
            raise CertifyError(f"{self.loc}: wants at most {DEEPEST} nested calls, got more; inline some")
        body = self._body(name)
        self.calls.append(name)
        try:
            return self.blocks(body, args)
        finally:
            self.calls.pop()

    def blocks(self, body: Any, args: Sequence[Value]) -> list[Value]:
        """What a function's body returns for these arguments: its blocks in the order in which it jumps to them."""
        env: dict[Any, Value] = {}
        block = body[0]
        for _ in range(JUMPS):
            env.update(zip(block.arguments, args, strict=True))
            last, args = self._through(block, env, env)
            if last.name.endswith(".return"):
                return args
            block, args = self._jump(last, args)
        raise CertifyError(f"{self.loc}: wants at most {JUMPS:,} jumps in a function, got more")

    def _jump(self, op: Any, args: list[Value]) -> tuple[Any, list[Value]]:
        """The block that is next, and what it is given."""
        if op.name == "cf.br":
            return op.successors[0], args
        known = self.single(args[0]) if op.name == "cf.cond_br" and len(args) == 1 else None
        if known is None or args[0] in self.rounded:
            why = next((self.unread[v] for v in args if v in self.unread), None)
            raise CertifyError(why or f"{self.loc}: {op.name} to a block that the text does not fix has no rule")
        return op.successors[0 if known else 1], []

    def block(self, block: Any, args: Sequence[Value], outer: Env | None = None) -> list[Value]:
        """What a block returns for these arguments; `outer` holds what it may capture."""
        own: dict[Any, Value] = dict(zip(block.arguments, args, strict=True))
        env: Env = own if outer is None else ChainMap(own, *(outer.maps if isinstance(outer, ChainMap) else [outer]))
        last, results = self._through(block, own, env)
        if last.name in JUMPING:
            raise CertifyError(f"{self.loc}: {last.name} in a body of one block has no rule")
        return results

    def _through(self, block: Any, own: dict[Any, Value], env: Env) -> tuple[Any, list[Value]]:
        """The operation that a block ends with, and its operands; what the others give is put into `own`."""
        before = self.env
        for each in block.operations:
            op = each.operation
            self.env = env
            operands = [self._captured(env, v) for v in op.operands]
            if op.name.endswith(".return") or op.name == "scf.yield" or op.name in JUMPING:
                self.env = before
                return op, operands
            own.update(zip(op.results, self._results(op, operands), strict=True))
        raise CertifyError(f"{self.loc}: a body ends without a return")

    def _captured(self, env: Env, v: Any) -> Value:
        found = env.get(v)
        if found is None:
            raise CertifyError(f"{self.loc}: a body uses a value from outside it; there is no rule for that")
        return found

    def region(self, op: Any, index: int) -> Function:
        """A region by itself: of its arguments alone. Raises CertifyError if it captures a value or cannot be read."""
        blocks = op.regions[index].blocks
        if len(blocks) != 1:
            raise CertifyError(f"{self.loc}: {op.name} wants bodies of one block, got {len(blocks)}")
        inner = Reader(self.functions, self.rows)
        inner.calls, inner.loc = list(self.calls), self.loc
        params = [Value(type_of(a.type)) for a in blocks[0].arguments]
        results = inner.block(blocks[0], params)
        for v in results:
            if v in inner.unread:
                raise CertifyError(inner.unread[v])
        names = tuple(f"argument{i}" for i in range(len(params)))
        return Function(op.name, tuple(params), names, tuple(inner.ops), tuple(results), ("",) * len(results))

    def _results(self, op: Any, operands: list[Value]) -> list[Value]:
        self.loc = _name_of(op)
        try:
            return self._read(op, operands)
        except NoTypeError as error:
            return [self.missing(f"{self.loc}: {op.name} {error}", r.type) for r in op.results]
        except CertifyError as error:
            return [self.missing(str(error), r.type) for r in op.results]

    def _read(self, op: Any, operands: list[Value]) -> list[Value]:
        dialect, _, kind = op.name.partition(".")
        row = self.rows.get(dialect, {}).get(kind)
        before = [self.unread[v] for v in operands if v in self.unread]
        if row is None:  # an operation says more than a type that it is given
            named = next((why for why in before if NO_ROW in why), None)
            raise CertifyError(named or f"{self.loc}: {op.name} {NO_ROW}")
        if before and not row.passes:
            raise CertifyError(before[0])
        for name in op.attributes:
            if name not in row.judged and name not in row.idle and name not in EVERYWHERE:
                raise CertifyError(f"{self.loc}: the attribute {name} of {op.name} is not judged; leave it out")
        if len(op.regions) != row.regions and row.regions >= 0:
            raise CertifyError(f"{self.loc}: {op.name} wants {row.regions} bodies, got {len(op.regions)}")
        here = self.loc
        results = row.read(self, op, operands)
        for ours, theirs in zip(results, op.results, strict=True):
            if ours not in self.unread and ours.type != type_of(theirs.type):
                raise CertifyError(f"{here}: {op.name} gives {type_of(theirs.type)}, read as {ours.type}")
        return results

    def missing(self, why: str, t: Any) -> Value:
        """A value without a meaning; its type if it has one."""
        try:
            result = Value(type_of(t))
        except CertifyError:
            result = Value(TensorType(()))
        self.unread[result] = why
        self._append(Op(UNREAD, (), (("why", why),), result, self.loc))
        return result

    def add(self, kind: str, *operands: Value, type: TensorType | None = None, **attrs: Any) -> Value:  # noqa: A002
        """Append an operation; ours by its type rule, any with the type that the text gives."""
        if type is None:
            try:
                type = OPS[kind].rule(*(v.type for v in operands), **attrs)  # noqa: A001
            except IrError as error:
                raise CertifyError(f"{self.loc}: {kind} {error}") from error
        if not type.size:  # nothing is made, whatever of
            kind, operands, attrs = "constant", (), {"value": 0, "shape": type.shape, "dtype": type.dtype}
        elif kind not in OF_NOTHING and any(not v.type.size for v in operands):
            raise CertifyError(f"{self.loc}: {kind} of a tensor without elements has no rule")
        result = Value(type)
        op = Op(kind, operands, tuple(sorted(attrs.items())), result, self.loc)
        self.makers[result] = op
        self._append(op)
        self._fold(op)
        return result

    def _append(self, op: Op) -> None:
        if len(self.ops) >= LONGEST:
            raise UserError(f"wants a program of at most {LONGEST:,} operations with its loops written out, got more")
        self.ops.append(op)

    def _fold(self, op: Op) -> None:
        """Remember the numbers of a small result that hangs on literals alone; one number where all are the same."""
        if op.kind not in FOLDED or any(v not in self.known for v in op.operands):
            return
        splat = op.kind == "constant" and not isinstance(op.attr("value"), tuple)
        if op.kind == "constant" and splat:
            value = op.attr("value")
            if op.result.type.dtype in FLOATS and np.isfinite(value):
                value = float(read(value, op.result.type.dtype).fraction)
            self.known[op.result] = np.asarray(value, FOLDING.dtype(op.result.type.dtype))
            return
        given = [self.known[v] for v in op.operands]
        floats = op.result.type.dtype in FLOATS and op.kind not in ("reshape", "broadcast", "select", "neg")
        if floats or any(v in self.rounded for v in op.operands):
            self.rounded.add(op.result)
        single = bool(given) and all(v.ndim == 0 for v in given)
        if single and op.kind in ("reshape", "broadcast", "slice", "transpose"):
            self.known[op.result] = given[0]
            return
        if not single or op.kind == "concatenate":
            if op.result.type.size > KNOWN or any(v.type.size > KNOWN for v in op.operands):
                return
            given = [np.broadcast_to(x, v.shape) for x, v in zip(given, op.operands, strict=True)]
        with np.errstate(all="ignore"):
            self.known[op.result] = np.asarray(meaning_of(op.kind)(FOLDING, op, *given))

    def single(self, v: Value) -> float | int | bool | None:
        """The one number that fills a value, if that is known from the text."""
        found = self.known.get(v)
        if found is None:
            return None
        flat = found.reshape(-1)
        number: float | int | bool = flat[0].item()
        return number if (flat == flat[0]).all() else None

    def filled(self, value: float, t: TensorType) -> Value:
        """A tensor of one number."""
        return self.add("constant", value=value, shape=t.shape, dtype=t.dtype, type=t)


FOLDING = FloatArithmetic("f64")


def _argument_name(argument: Any, index: int) -> str:
    text = str(argument.location)
    return text[5:-2] if text.startswith('loc("') and ":" not in text else f"arg{index}"


def _name_of(op: Any) -> str:
    """Whose work an operation is: the name that its location gives, or its line."""
    text = str(op.location)
    place = _PLACE.search(text)
    if place is None:
        return text[:100]
    return f"line {place[2]}" if place[1] == "-" and place[2] else place[1]


_PLACE = re.compile(r'"([^"]*)"(?::(\d+))?')
