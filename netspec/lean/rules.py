"""One rule for each form of expression: what it evaluates to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from netc.netspec.lean import arithmetic
from netc.netspec.lean.evaluation import Evaluation
from netc.netspec.lean.functions import Env, Given, Lambda
from netc.netspec.lean.library import composed
from netc.netspec.lean.patterns import fits
from netc.netspec.lean.source import Built, Misread, Record, Span, Value
from netc.netspec.lean.tree import (
    Apply,
    Ascribed,
    Assign,
    Binary,
    Binding,
    Block,
    Dot,
    Function,
    Group,
    Hole,
    If,
    Index,
    Interpolated,
    Items,
    Literal,
    Match,
    Name,
    Node,
    Project,
    Proof,
    Structure,
    Type,
    Unary,
)
from netc.netspec.lean.values import LONGEST_STRING, conform, described, element, equal, factors, head, printed, product

ARITHMETIC = frozenset("+-*/%^")
ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b,
    "≤": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
    "≥": lambda a, b: a >= b,
}
SAME = {"==": True, "=": True, "!=": False, "≠": False}
AND = frozenset(("&&", "∧"))
OR = frozenset(("||", "∨"))
FLOATS = frozenset(("Float", "Float32"))


def literal(run: Evaluation, node: Literal, env: Env, want: Type) -> Value:
    """A numeral is a Float where one is wanted."""
    if isinstance(node.value, int):
        return arithmetic.checked(float(node.value) if head(want) in FLOATS else node.value, node.at.span)
    if isinstance(node.value, str):
        run.sized(len(node.value), node.at, LONGEST_STRING)
    return node.value


def interpolated(run: Evaluation, node: Interpolated, env: Env, want: Type) -> Value:
    """The parts, printed one after another."""
    parts: list[str] = []
    for part in node.parts:
        parts.append(part if isinstance(part, str) else printed(run.evaluate(part, env), part.at.span))
        run.sized(len(parts[-1]), node.at, LONGEST_STRING)
    text = "".join(parts)
    run.sized(len(text), node.at, LONGEST_STRING)
    return text


def name(run: Evaluation, node: Name | Dot | Project, env: Env, want: Type) -> Value:
    """A name, `.name` or `value.name`."""
    return run.settled(run.function(node, env), node.at)


def hole(run: Evaluation, node: Node, env: Env, want: Type) -> Value:
    """`_` and proofs have no value here."""
    raise Misread(node.at.span, f"wants a value, got {node.at.text}, which Lean would have to infer; write it out")


def apply(run: Evaluation, node: Apply, env: Env, want: Type) -> Value:
    """A function with its arguments; a constructor takes any."""
    function = run.function(node.function, env)
    wants = run.wants(function, [a.name for a in node.arguments])
    given = [
        Given(run.evaluate(a.value, env, w), a.value.at.span, a.name)
        for a, w in zip(node.arguments, wants, strict=True)
    ]
    return run.apply(function, given, node.at)


def binary(run: Evaluation, node: Binary, env: Env, want: Type) -> Value:
    """One operator; sums, joins and chains of `::` are taken whole."""
    symbol = node.symbol
    if symbol in ARITHMETIC:
        return numeric(run, node, env, want)
    if symbol == "++":
        return appended(run, node, env, want)
    if symbol == "::":
        return consed(run, node, env, want)
    if symbol in AND or symbol in OR:
        first = truth(run, node.left, env)
        return truth(run, node.right, env) if first is (symbol in AND) else first
    if symbol == "|>":
        value = run.evaluate(node.left, env)
        return run.apply(run.function(node.right, env), [Given(value, node.left.at.span)], node.right.at)
    if symbol in ("<|", "$"):
        function = run.function(node.left, env)
        value = run.evaluate(node.right, env, run.wants(function, [""])[0])
        return run.apply(function, [Given(value, node.right.at.span)], node.left.at)
    if symbol == "∘":
        return composed(run.function(node.left, env), run.function(node.right, env))
    left, right = run.evaluate(node.left, env), run.evaluate(node.right, env)
    if symbol in SAME:
        return equal(left, right, node.at.span) is SAME[symbol]
    if not (isinstance(left, str) and isinstance(right, str)):
        arithmetic.rank(left, symbol, node.left.at.span)
        arithmetic.rank(right, symbol, node.right.at.span)
    return ORDER[symbol](left, right)


def numeric(run: Evaluation, node: Node, env: Env, want: Type) -> Value:
    """All of a sum of products: its parts first, then in the largest of their types, as Lean elaborates it.

    So `1 / 2 + 0.5` is 1.0, and a negative sign makes the whole an Int.
    """
    todo: list[tuple[str, Node]] = [("", node)]
    out: list[tuple[str, int | float, Span]] = []  # the parts and symbols in postfix order
    largest = arithmetic.FLOAT if head(want) in FLOATS else arithmetic.INT if head(want) == "Int" else arithmetic.NAT
    while todo:
        symbol, part = todo.pop()
        run.spend(1, part.at)
        if symbol and symbol != "exponent":
            out.append((symbol, 0, part.at.span))
        elif not symbol and isinstance(part, Binary) and part.symbol in ARITHMETIC:
            right = "exponent" if part.symbol == "^" else ""
            todo += ((part.symbol, part), (right, part.right), ("", part.left))
        elif not symbol and isinstance(part, Unary) and part.symbol == "-":
            largest = max(largest, arithmetic.INT)
            todo += (("negate", part), ("", part.operand))
        else:
            value = run.evaluate(part, env)
            size = arithmetic.rank(value, _beside(node), part.at.span)
            largest = max(largest, size) if not symbol else largest
            assert isinstance(value, int | float)
            out.append((symbol or "value", value, part.at.span))
    stack: list[int | float] = []
    for symbol, value, at in out:
        if symbol == "value":
            stack.append(arithmetic.raised(value, largest))
        elif symbol == "exponent":
            stack.append(value)
        elif symbol == "negate":
            stack.append(arithmetic.raised(-stack.pop(), largest))
        else:
            right_value = stack.pop()
            stack.append(arithmetic.compute(symbol, stack.pop(), right_value, at))
    return stack[0]


def _beside(node: Node) -> str:
    return node.symbol if isinstance(node, Binary | Unary) else "+"


def appended(run: Evaluation, node: Binary, env: Env, want: Type) -> Value:
    """`a ++ b ++ c`: lists, or strings."""
    nodes: list[Node] = []
    left: Node = node
    while isinstance(left, Binary) and left.symbol == "++":
        nodes.append(left.right)
        left = left.left
    nodes.append(left)
    values = [run.evaluate(n, env, want) for n in reversed(nodes)]
    wanted = str if isinstance(values[0], str) else tuple
    for value, part in zip(values, reversed(nodes), strict=True):
        if not isinstance(value, wanted):
            kind = "Strings" if wanted is str else "lists"
            raise Misread(part.at.span, f"++ wants {kind} (or two Strings), got {described(value)}; " + _fix(value))
    total = sum(len(v) for v in values if isinstance(v, tuple | str))
    if wanted is str:
        run.sized(total, node.at, LONGEST_STRING)
        return "".join([v for v in values if isinstance(v, str)])
    run.sized(total, node.at)
    joined: list[Value] = []
    for value in values:
        assert isinstance(value, tuple)
        joined += value
    return tuple(joined)


def _fix(value: Value) -> str:
    return "put it in [ ]" if isinstance(value, Built) else "use toString for a number, + to add"


def consed(run: Evaluation, node: Binary, env: Env, want: Type) -> Value:
    """`a :: b :: rest`."""
    heads: list[Value] = []
    rest: Node = node
    while isinstance(rest, Binary) and rest.symbol == "::":
        heads.append(run.evaluate(rest.left, env, element(want)))
        rest = rest.right
    tail = run.evaluate(rest, env, want)
    if not isinstance(tail, tuple):
        raise Misread(rest.at.span, f":: wants a list on its right, got {described(tail)}; end with :: []")
    run.sized(len(heads) + len(tail), node.at)
    return (*heads, *tail)


def truth(run: Evaluation, node: Node, env: Env) -> bool:
    """The Bool that an expression is."""
    value = run.evaluate(node, env)
    if not isinstance(value, bool):
        raise Misread(node.at.span, f"wants a Bool, got {described(value)}; compare it with something")
    return value


def unary(run: Evaluation, node: Unary, env: Env, want: Type) -> Value:
    """A sign, or `!`."""
    return numeric(run, node, env, want) if node.symbol == "-" else not truth(run, node.operand, env)


def conditional(run: Evaluation, node: If, env: Env, want: Type) -> Value:
    """The first case whose condition holds."""
    for condition, then in node.cases:
        if truth(run, condition, env):
            return run.evaluate(then, env, want)
    return run.evaluate(node.otherwise, env, want)


def match(run: Evaluation, node: Match, env: Env, want: Type) -> Value:
    """The first arm that fits."""
    values = [run.evaluate(v, env) for v in node.values]
    for arm in node.arms:
        for patterns in arm.alternatives:
            names: dict[str, Value] = {}
            if all(fits(run, p, v, names) for p, v in zip(patterns, values, strict=True)):
                return run.evaluate(arm.body, env.bind(names), want)
    got = ", ".join(map(described, values))
    raise Misread(node.at.span, f"wants an arm for {got}, but none fits; add `| {', '.join('_' * len(values))} => ..`")


def function(run: Evaluation, node: Function, env: Env, want: Type) -> Value:
    """A function remembers the names around it."""
    return Lambda(node, env)


def block(run: Evaluation, node: Block, env: Env, want: Type) -> Value:
    """`let`s in order; the definitions after a `where` all at once."""
    for binding in node.bindings:
        env = bound(run, binding, env)
    if node.bindings[0].recursive:  # each sees all the others: the dictionary that they hold is filled in here
        env = Env(dict(env.names), env.scope)
        for binding in node.bindings:
            if isinstance(binding.pattern, Name):
                env.names[binding.pattern.parts[0]] = run.typed(binding.value, env, binding.type)
    return run.evaluate(node.body, env, want)


def bound(run: Evaluation, binding: Binding, env: Env) -> Env:
    """The names with those of one `let`."""
    if binding.recursive:
        return env
    value = run.typed(binding.value, env, binding.type)
    names: dict[str, Value] = {}
    if not fits(run, binding.pattern, value, names):
        raise Misread(binding.pattern.at.span, f"this pattern does not fit {described(value)}")
    return env.bind(names)


def items(run: Evaluation, node: Items, env: Env, want: Type) -> Value:
    """A list."""
    inner = element(want)
    run.sized(len(node.items), node.at)
    return tuple([run.evaluate(item, env, inner) for item in node.items])


def group(run: Evaluation, node: Group, env: Env, want: Type) -> Value:
    """A tuple, or by its fields' order a structure that the file declares."""
    if node.anonymous and (declared := run.known.structure(head(want))) is not None:
        if len(declared.fields) < len(node.items):
            raise Misread(node.at.span, f"{head(want)} has {len(declared.fields)} fields, got {len(node.items)}")
        assigns = tuple(
            Assign(item.at, field.name, item) for field, item in zip(declared.fields, node.items, strict=False)
        )
        return structure(run, Structure(node.at, (), assigns), env, want)
    if len(node.items) == 1 or (node.anonymous and head(want) in ("NetSpec", "TrainConfig")):
        raise Misread(node.at.span, "⟨ ⟩ is beyond what netc reads of Lean here; write { field := value, .. }")
    wants = factors(want) if len(factors(want)) == len(node.items) else ((),) * len(node.items)
    values = [run.evaluate(item, env, w) for item, w in zip(node.items, wants, strict=True)]
    return product(*values)


def structure(run: Evaluation, node: Structure, env: Env, want: Type) -> Value:
    """The fields of the bases, the first one's before the others', those written, and the declared defaults."""
    want = node.type or want
    fields: dict[str, tuple[Value, Span]] = {}
    for base in node.bases:
        value = run.evaluate(base, env)
        if not isinstance(value, Record):
            raise Misread(base.at.span, f"wants a structure before `with`, got {described(value)}")
        run.spend((len(fields) + len(value.fields)) // 8, base.at)
        fields = {**fields, **{k: v for k, v in value.fields.items() if k not in fields}}
    declared = run.known.structure(head(want))
    types = {p.name: p.type for p in declared.fields} if declared else {}
    for assign in node.fields:
        if declared and assign.name not in types:
            near = run.known.nearest(assign.name, types)
            raise Misread(assign.at.span, f"{head(want)} has no field {assign.name}; {near}")
        words = types.get(assign.name) or (("Float",) if assign.name in run.known.floats else ())
        value = run.typed(assign.value, env, words)
        fields[assign.name] = value, assign.value.at.span
    for parameter in declared.fields if declared else ():
        if parameter.name not in fields and parameter.default is not None:
            run.spend(len(fields) // 8, node.at)
            inner = Env({k: v for k, (v, _) in fields.items()}, env.scope)
            fields[parameter.name] = run.typed(parameter.default, inner, parameter.type), node.at.span
    return Record(fields, node.at.span)


def index(run: Evaluation, node: Index, env: Env, want: Type) -> Value:
    """`list[index]`."""
    value, place = run.evaluate(node.value, env), run.evaluate(node.index, env)
    if not isinstance(value, tuple):
        raise Misread(node.at.span, f"wants a list before [ ], got {described(value)}; put a space before an argument")
    number = conform(place, ("Nat",), node.index.at.span)
    assert isinstance(number, int)
    if node.mode == "?":
        found = value[number : number + 1]
        return Built("some" if found else "none", found, {}, node.at.span, (node.at.span,) * len(found))
    if number >= len(value):
        raise Misread(node.index.at.span, f"wants an index below {len(value)}, the list's length, got {number}")
    return value[number]


def ascribed(run: Evaluation, node: Ascribed, env: Env, want: Type) -> Value:
    """`(value : type)`."""
    return run.typed(node.value, env, node.type)


EvalRule: TypeAlias = Callable[[Evaluation, Any, Env, Type], Value]
RULES: dict[type[Node], EvalRule] = {
    Literal: literal,
    Interpolated: interpolated,
    Name: name,
    Dot: name,
    Project: name,
    Hole: hole,
    Proof: hole,
    Apply: apply,
    Binary: binary,
    Unary: unary,
    If: conditional,
    Match: match,
    Function: function,
    Block: block,
    Items: items,
    Group: group,
    Structure: structure,
    Index: index,
    Ascribed: ascribed,
}
