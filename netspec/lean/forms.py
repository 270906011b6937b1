"""Expressions that a keyword begins, and structures: what is read by words and lines rather than by operators."""

from __future__ import annotations

from abc import ABC, abstractmethod

from netc.netspec.lean.source import Misread
from netc.netspec.lean.stream import CLOSERS, KEYWORDS, Stream, plain, shown
from netc.netspec.lean.tokens import Kind, Token
from netc.netspec.lean.tree import (
    Arm,
    Assign,
    Binding,
    Block,
    Function,
    Hole,
    If,
    Match,
    Name,
    Node,
    Parameter,
    Proof,
    Structure,
    Type,
)


class Forms(Stream, ABC):
    """What does not depend on operators; `Parser` has those."""

    @abstractmethod
    def expression(self, level: int = 0) -> Node:
        """Operators of at least this level, and their operands."""

    @abstractmethod
    def atom(self) -> Node:
        """What no space divides."""

    def conditional(self) -> Node:
        """`if a then b else if c then d else e`."""
        at = self.take()
        cases: list[tuple[Node, Node]] = []
        while True:
            if self.token.text == "let":
                raise Misread(self.token.span, "`if let` is beyond what netc reads of Lean; use match")
            if self.token.kind is Kind.NAME and self.ahead().text == ":":  # `if h : c`: the proof's name
                self.take()
                self.take()
            condition = self.expression()
            self.expect("then", "after the condition of if")
            cases.append((condition, self.expression()))
            self.expect("else", "for the other case of if")
            if not self.accept("if"):
                return If(at, tuple(cases), self.expression())

    def match(self) -> Node:
        """`match a, b with | 0, _ => .. | n+1, k => ..`."""
        at = self.take()
        values: list[Node] = []
        while True:
            if self.token.kind is Kind.NAME and self.ahead().text == ":":
                self.take()
                self.take()
            values.append(self.expression())
            if not self.accept(","):
                break
        self.expect("with", "after the values of match")
        arms = self.arms()
        for arm in arms:
            for patterns in arm.alternatives:
                if len(patterns) != len(values):
                    raise Misread(patterns[0].at.span, f"wants {len(values)} patterns here, got {len(patterns)}")
        return Match(at, tuple(values), arms)

    def arms(self) -> tuple[Arm, ...]:
        """`| pattern, pattern | pattern, pattern => body`, again and again."""
        first = self.token
        if first.text != "|":
            raise Misread(first.span, f"wants | and a pattern, got {shown(first)}")
        found: list[Arm] = []
        while self.token.text == "|" and (self.token.column >= first.column or not self.token.first):
            alternatives: list[tuple[Node, ...]] = []
            while self.accept("|"):
                row = [self.expression()]
                while self.accept(","):
                    row.append(self.expression())
                alternatives.append(tuple(row))
            self.expect("=>", "after the pattern")
            found.append(Arm(tuple(alternatives), self.expression()))
        wanted = len(found[0].alternatives[0])
        for patterns in (p for arm in found for p in arm.alternatives):
            if len(patterns) != wanted:
                raise Misread(patterns[0].at.span, f"wants {wanted} patterns, as in the first arm, got {len(patterns)}")
        return tuple(found)

    def let(self) -> Node:
        """`let x := a; let f (n : Nat) : T := b` and, on the next line, what they are for.

        `let rec` begins a block of its own, in which the function may use itself.
        """
        at = self.token
        bindings: list[Binding] = []
        while self.token.text == "let" and not (bindings and (bindings[0].recursive or self.ahead().text == "rec")):
            let = self.take()
            if self.token.text == "mut":
                raise Misread(self.token.span, "`let mut` is beyond what netc reads of Lean; use `let`")
            with self.layout(let.column):
                bindings.append(self.binding(recursive=self.accept("rec") is not None))
            if not self.accept(";") and not self.token.first:
                raise Misread(self.token.span, f"wants a new line or ; after this let, got {shown(self.token)}")
        return Block(at, tuple(bindings), self.expression())

    def binding(self, *, recursive: bool = False) -> Binding:
        """`name parameters : type := value`, `pattern := value`, or with arms instead of a value."""
        if self.token.kind is not Kind.NAME:
            pattern: Node = self.atom()
            parameters: tuple[Parameter, ...] = ()
        else:
            name = self.name("a name")
            pattern = Hole(name) if name.text == "_" else Name(name, (plain(name),))
            parameters = self.signature()
        words = self.type_until(":=", "|") if self.accept(":") else ()
        at = self.token
        if at.text == "|":
            value: Node = self.by_cases(at, self.arms())
        else:
            self.expect(":=", "and a value")
            value = self.expression()
        if parameters:
            value = Function(pattern.at, parameters, value, words, plain(pattern.at))
        return Binding(pattern, value, () if parameters else words, recursive)

    def signature(self) -> tuple[Parameter, ...]:
        """The parameters of a definition."""
        found: list[Parameter] = []
        while not self.ended and self.token.text not in (":", ":=", "|", "where"):
            found += self.binders()
        return tuple(found)

    def locals(self) -> tuple[Binding, ...]:
        """The definitions after a `where` that follows a value; each may use the others and itself."""
        found: list[Binding] = []
        while not self.ended:
            if self.token.kind is Kind.DOC:
                self.take()
            with self.layout(self.token.column):
                found.append(self.binding(recursive=True))
            if not self.ended and not self.token.first and not self.accept(";"):
                raise Misread(self.token.span, f"wants the next definition on a new line, got {shown(self.token)}")
        return tuple(found)

    def proof(self) -> Node:
        """`by ...`, up to the end of the brackets that it is in."""
        at = self.take()
        while self.token.text != ",":
            self.type_until(",")
            if self.ended or self.token.text in CLOSERS:
                break
        return Proof(at)

    def structure(self) -> Node:
        """`{ base with a := 1, b := 2 : T }`; a new line may stand for a comma."""
        opened = self.take()
        bases: list[Node] = []
        fields: list[Assign] = []
        if self.token.text not in ("}", "..") and not self._begins_field():
            bases = [self.expression()]
            while self.accept(","):
                bases.append(self.expression())
            self.expect("with", "after the structure that this one starts from, or `field := value`")
        elif self._bases_come():
            while not self.accept("with"):
                bases.append(self.expression())
                self.accept(",")
        while self.token.kind is Kind.NAME and self.token.text not in KEYWORDS:
            fields.append(self.assign())
            if not self.accept(",") and not self.token.first:
                break
        self.accept("..")
        words = self.type_until() if self.accept(":") else ()
        self.close(opened, ", a comma or an operator")
        return Structure(opened, tuple(bases), self._once(fields), words)

    def _begins_field(self) -> bool:
        return self.token.kind is Kind.NAME and self.ahead().text in (":=", ",", "}", ":", "..")

    def _bases_come(self) -> bool:
        """Whether `a, b with` comes: names that are structures to start from, not fields."""
        by = 0
        while self.ahead(by).kind is Kind.NAME and self.ahead(by + 1).text == ",":
            by += 2
        return self.ahead(by + 1).text == "with" and self.ahead(by).kind is Kind.NAME

    def fields(self, at: Token, words: Type) -> Node:
        """The fields under a `where`: lines that begin in the same column."""
        found: list[Assign] = []
        column = self.token.column
        while not self.ended and self.token.text != "where":
            if self.token.column != column and self.token.first:
                raise Misread(
                    self.token.span, f"wants this field in column {column}, like the first; indent it the same"
                )
            found.append(self.assign())
            if self.ended or self.accept(";"):
                continue
            if self.token.text == ",":
                raise Misread(self.token.span, "the fields under `where` must be on separate lines; remove the comma")
            if not self.token.first:
                raise Misread(self.token.span, f"wants an operator or the next field's line, got {shown(self.token)}")
        return Structure(at, (), self._once(found), words)

    def assign(self) -> Assign:
        """`name := value`; a name alone is its own value."""
        name = self.name("a field's name")
        if self.token.text in (",", "}", ".."):
            return Assign(name, plain(name), Name(name, (plain(name),)))
        words = self.type_until(":=") if self.accept(":") else ()
        del words  # a field's type is the structure's to say
        self.expect(":=", f"after the field {name.text}")
        with self.layout(name.column):
            return Assign(name, plain(name), self.expression())

    def _once(self, fields: list[Assign]) -> tuple[Assign, ...]:
        seen: set[str] = set()
        for field in fields:
            if field.name in seen:
                raise Misread(field.at.span, f"the field {field.name} is given twice; drop one")
            seen.add(field.name)
        return tuple(fields)

    def function(self) -> Node:
        """`fun x y => body`, `fun (a, b) => body` or `fun | 0 => a | _ => b`."""
        at = self.take()
        if self.token.text == "|":
            return self.by_cases(at, self.arms())
        parameters: list[Parameter] = []
        while self.token.text not in ("=>", "↦", ":"):
            parameters += self.binders()
        if self.accept(":"):
            given = self.type_until("=>", "↦")
            parameters = [Parameter(p.pattern, p.type or given, p.default, p.explicit) for p in parameters]
        if not (self.accept("=>") or self.accept("↦")):
            self.expect("=>", "after the parameters of fun")
        return Function(at, tuple(parameters), self.expression())

    def by_cases(self, at: Token, arms: tuple[Arm, ...]) -> Function:
        """The function that matches its arguments: `fun | 0 => ..`, `def f : Nat → Nat | 0 => ..`."""
        names = tuple(Name(at, (f"#{i}",)) for i in range(len(arms[0].alternatives[0])))
        return Function(at, tuple(map(Parameter, names)), Match(at, names, arms))

    def binders(self) -> tuple[Parameter, ...]:
        """One name or pattern, or the parameters of one bracket: `(a b : Nat := 3)`, `{n : Nat}`, `[Inhabited T]`."""
        opened = self.token
        typed = opened.text in ("(", "{") and self._names_then_colon()
        if not typed and opened.text not in ("[", "{"):
            if opened.kind is Kind.NAME and opened.text not in KEYWORDS:
                self.take()
                return (Parameter(Hole(opened) if opened.text == "_" else Name(opened, (plain(opened),))),)
            if opened.text not in ("(", "⟨"):
                raise Misread(opened.span, f"wants a parameter, got {shown(opened)}")
            return (Parameter(self.atom()),)
        self.take()
        if opened.text == "[":  # an instance: nothing that is computed here
            self.type_until()
            self.close(opened)
            return ()
        names: list[Node] = []
        while self.token.kind is Kind.NAME:
            name = self.take()
            names.append(Hole(name) if name.text == "_" else Name(name, (plain(name),)))
        words = self.type_until(":=") if self.accept(":") else ()
        default = None
        if self.accept(":="):
            with self.layout(0):
                default = self.expression()
        self.close(opened)
        return tuple(Parameter(n, words, default, opened.text == "(") for n in names)

    def _names_then_colon(self) -> bool:
        """Whether the bracket that comes holds names and then a colon, or the end."""
        by = 1
        while self.ahead(by).kind is Kind.NAME:
            by += 1
        return by > 1 and self.ahead(by).text in (":", ":=", ")", "}")
