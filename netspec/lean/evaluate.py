"""What an expression is: a small, pure and bounded evaluator. It computes values and can do nothing else.

Definitions are evaluated when first asked for. Every step is counted, and so is the length of whatever is made, so
that no text, however made, takes long.
"""

from __future__ import annotations

from dataclasses import replace

from netc.netspec.lean.functions import Env, Given, Lambda
from netc.netspec.lean.library import CONSTANTS, Primitive, primitive, receiver
from netc.netspec.lean.names import TYPES, Globals
from netc.netspec.lean.patterns import fits
from netc.netspec.lean.rules import RULES
from netc.netspec.lean.source import Built, Misread, Product, Record, Value
from netc.netspec.lean.tokens import Token
from netc.netspec.lean.tree import Definition, Dot, Function, Name, Node, Project, Type
from netc.netspec.lean.values import LONGEST_LIST, arrows, bare, conform, described, head

STEPS = 50_000  # for one definition and all that it needs
ALL_STEPS = 100_000  # for all definitions of a file
DEEPEST = 3_000  # expressions within expressions, a recursive call among them


class Evaluator:
    """Evaluates the definitions of one file; raises Misread."""

    def __init__(self, known: Globals) -> None:
        self.known = known
        self.values: dict[tuple[str, ...], Value] = {}
        self.active: set[tuple[str, ...]] = set()  # the definitions that are being evaluated
        self.left = STEPS
        self.spare = ALL_STEPS - STEPS
        self.depth = 0

    def run(self, definition: Definition) -> Value:
        """The value of a definition, with a fresh budget."""
        total = self.left + self.spare
        self.left = min(STEPS, total)
        self.spare = total - self.left
        self.depth, self.active = 0, set()
        budget = self.left
        try:
            return self.settled(self.value_of(definition, definition.at), definition.at)
        except Misread:
            self.left -= 2 * (budget - self.left)  # to come back from deep within takes twice as long as to go there
            raise

    def spend(self, steps: int, at: Token) -> None:
        """Count work; raises Misread when it becomes too much."""
        self.left -= steps
        if self.left < 0:
            raise Misread(at.span, f"this takes more than {STEPS} steps; does it end? write the layers out")

    def sized(self, length: int, at: Token, longest: int = LONGEST_LIST) -> None:
        """Count the making of a list or string of that length; raises Misread for one too long."""
        if length > longest:
            what = "list" if longest == LONGEST_LIST else "String"
            raise Misread(at.span, f"wants a {what} of at most {longest} elements, got {length}; make it shorter")
        self.spend(length // 8, at)

    def value_of(self, definition: Definition, at: Token) -> Value:
        """The value of a definition, evaluated once; `at` is where it is asked for."""
        if definition.name in self.values:
            return self.values[definition.name]
        name = ".".join(definition.name)
        if definition.problem is not None:
            raise definition.problem
        assert definition.body is not None
        env = Env({}, definition.scope)
        node = definition.body
        if definition.parameters:
            node = Function(definition.at, definition.parameters, node, definition.type, name)
            value: Value = Lambda(node, env)
        else:
            if definition.name in self.active:
                raise Misread(at.span, f"{name} is defined in terms of itself; give it a value that does not need it")
            self.active.add(definition.name)
            value = self.typed(node, env, definition.type)
            self.active.remove(definition.name)
        self.values[definition.name] = value
        return value

    def evaluate(self, node: Node, env: Env, want: Type = ()) -> Value:
        """The value of an expression. `want` is the type that its place asks for, where that is known."""
        self.left -= 1
        self.depth += 1
        if self.left < 0 or self.depth > DEEPEST:
            self.spend(1, node.at)
            raise Misread(node.at.span, f"this nests more than {DEEPEST} deep; use List.range and foldl instead")
        value = RULES[type(node)](self, node, env, want)
        self.depth -= 1
        return value

    def typed(self, node: Node, env: Env, words: Type) -> Value:
        """The value of an expression at a declared type."""
        value = self.evaluate(node, env, bare(words))
        return self._typed_function(value, words) if isinstance(value, Lambda) else conform(value, words, node.at.span)

    def _typed_function(self, value: Lambda, words: Type) -> Value:
        """A function at a type `A → B`: its parameters have the types that they do not say themselves."""
        parts, node = arrows(words), value.node
        if len(parts) <= len(node.parameters) or node.type:
            return self.settled(value, node.at)
        parameters = tuple(p if p.type else replace(p, type=t) for p, t in zip(node.parameters, parts, strict=False))
        rest = parts[len(parameters) :]
        result = rest[0] if len(rest) == 1 else tuple(w for t in rest for w in ("→", "(", *t, ")"))[1:]
        return replace(value, node=replace(node, parameters=parameters, type=result))

    def settled(self, value: Value, at: Token) -> Value:
        """A function whose parameters all have defaults, applied to them; any other value as it is."""
        if isinstance(value, Lambda) and value.complete():
            return self._call(value, at)
        return value

    def call(self, function: Value, values: list[Value], at: Token) -> Value:
        """`function` applied to values by position."""
        return self.apply(function, [Given(v, at.span) for v in values], at)

    def apply(self, function: Value, given: list[Given], at: Token) -> Value:
        """`function` applied to arguments; fewer than it has parameters give a function again."""
        self.spend(1, at)
        while given:
            if isinstance(function, Built):
                return _extended(function, given)
            if isinstance(function, Primitive):
                if given[0].name:
                    raise Misread(given[0].at, f"{function.name} takes its arguments by position; drop the name")
                taken = function.room()
                function = function.take([g.value for g in given[:taken]])
                given = given[taken:]
                if function.room():
                    return function
                function = function.run(self, at)
            elif isinstance(function, Lambda):
                function, given = self._filled(function, given)
                if not given and not function.complete():
                    return function
                function = self._call(function, at)
            else:
                got = described(function)
                raise Misread(at.span, f"wants a function before arguments, got {got}; is a comma or operator missing?")
        return function

    def _filled(self, function: Lambda, given: list[Given]) -> tuple[Lambda, list[Given]]:
        """The function with arguments put in their places, and the arguments that it has no place for."""
        places = dict(function.given)
        names = [p.name for p in function.node.parameters]
        spare: list[Given] = []
        for g in given:
            if g.name:
                if g.name not in names:
                    known = ", ".join(n for n in names if n)
                    raise Misread(g.at, f"wants a parameter of {function.node.name or 'fun'} ({known}), got {g.name}")
                index = names.index(g.name)
            else:
                free = [i for i, p in enumerate(function.node.parameters) if p.explicit and i not in places]
                if not free:
                    spare.append(g)
                    continue
                index = free[0]
            places[index] = conform(g.value, function.node.parameters[index].type, g.at)
        return replace(function, given=places), spare

    def _call(self, function: Lambda, at: Token) -> Value:
        self.spend(1, at)
        env = function.env
        names = dict(env.names)
        for i, parameter in enumerate(function.node.parameters):
            if i in function.given:
                value = function.given[i]
            elif parameter.default is not None:
                value = self.typed(parameter.default, Env(names, env.scope), parameter.type)
            else:
                continue  # implicit, and not given
            if parameter.name:
                names[parameter.name] = value
            elif not fits(self, parameter.pattern, value, names):
                raise Misread(parameter.pattern.at.span, f"this pattern does not fit {described(value)}")
        return self.typed(function.node.body, Env(names, env.scope), function.node.type)

    def wants(self, function: Value, names: list[str]) -> list[Type]:
        """The types that a function's arguments should have, for arguments of these names (empty: by position)."""
        if not isinstance(function, Lambda):
            return [()] * len(names)
        parameters = function.node.parameters
        by_name = {p.name: p.type for p in parameters}
        free = iter([parameters[i].type for i in function.missing() if parameters[i].name not in names])
        return [by_name.get(n, ()) if n else next(free, ()) for n in names]

    def function(self, node: Node, env: Env) -> Value:
        """The value of what arguments follow: parameters with defaults still wait for theirs."""
        if isinstance(node, Name):
            return self.named(node, env)
        if isinstance(node, Project):
            return self.projected(self.evaluate(node.value, env), node.name, node.at, env)
        if isinstance(node, Dot):
            return self._dotted(node)
        return self.evaluate(node, env)

    def named(self, node: Name, env: Env) -> Value:
        """What a name stands for: a local, a definition, a function of Lean's library, or a constructor."""
        parts = node.parts
        if parts[0] in env.names:
            value, rest = env.names[parts[0]], parts[1:]
        else:
            value, rest = self._global(parts, node.at, env)
        for part in rest:
            value = self.projected(self.settled(value, node.at), part, node.at, env)
        return value

    def _global(self, parts: tuple[str, ...], at: Token, env: Env) -> tuple[Value, tuple[str, ...]]:
        for size in range(len(parts), 0, -1):
            found = self.known.find(parts[:size], env.scope)
            if found is not None:
                return self.value_of(found, at), parts[size:]
            plain = ".".join(parts[:size])
            if plain in CONSTANTS:
                return CONSTANTS[plain], parts[1:]
            row = primitive(plain, env.scope)
            if row is not None:
                return row, parts[size:]
            if size > 1 and (parts[size - 2] in TYPES or self.known.is_type(parts[: size - 1], env.scope)):
                return Built(parts[size - 1], (), {}, at.span), parts[size:]
        if parts == ("none",) or self.known.opened_constructor(parts, env.scope):
            return Built(parts[0], (), {}, at.span), ()
        name = ".".join(parts)
        raise Misread(at.span, f"unknown name {name[:60]}; {self.known.nearest(name, env.names)}")

    def _dotted(self, node: Dot) -> Value:
        """`.dense`: a function of the file in a type's namespace, such as Layer.stem, or a constructor."""
        found = self.known.member(node.name)
        if found is not None:
            return self.value_of(found, node.at)
        constants: dict[str, Value] = {"true": True, "false": False, "nil": ()}
        return constants[node.name] if node.name in constants else Built(node.name, (), {}, node.at.span)

    def projected(self, value: Value, name: str, at: Token, env: Env) -> Value:
        """`value.name`: a field, a part of a tuple, or a function applied to the value."""
        value = self.settled(value, at)
        if isinstance(value, Record) and name in value.fields:
            return value.fields[name][0]
        if isinstance(value, Product) and name in ("1", "2", "fst", "snd"):
            rest = value.items[1] if len(value.items) == 2 else Product(value.items[1:])
            return value.items[0] if name in ("1", "fst") else rest
        for owner in receiver(value):
            found = self.known.find((owner, name), env.scope)
            if found is not None:
                return self._with_receiver(self.value_of(found, at), owner, value, at)
            row = primitive(f"{owner}.{name}", env.scope)
            if row is not None:
                return row.on(value, self, at)
        if isinstance(value, Record):
            found = self.known.member(name) or self.known.method(name)
            if found is not None:
                return self._with_receiver(self.value_of(found, at), found.name[-2], value, at)
        raise Misread(at.span, f"{described(value)} has no field or function {name[:60]} that netc knows")

    def _with_receiver(self, function: Value, owner: str, value: Value, at: Token) -> Value:
        """`x.f`: the value goes to the first parameter of the type that f's namespace names."""
        if not isinstance(function, Lambda):
            return self.call(function, [value], at)
        missing = function.missing()
        own = [i for i in missing if head(function.node.parameters[i].type) == owner] or missing[:1]
        if not own:
            return self.call(function, [value], at)
        return self.settled(replace(function, given={**function.given, own[0]: value}), at)


def _extended(built: Built, given: list[Given]) -> Built:
    """A constructor with more arguments."""
    named, spans = dict(built.named), dict(built.named_spans)
    for g in given:
        if g.name in named:
            raise Misread(g.at, f"{g.name} is given twice; drop one")
        if g.name:
            named[g.name], spans[g.name] = g.value, g.at
    plain = [g for g in given if not g.name]
    args, places = (*built.args, *(g.value for g in plain)), (*built.spans, *(g.at for g in plain))
    return Built(built.head, args, named, built.at, places, spans)
