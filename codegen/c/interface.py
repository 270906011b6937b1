"""What the C functions of a module are called with: the state by pointers in a struct, all else as arguments."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from netc.codegen.c.any_batch import has_sizes
from netc.codegen.ir import Function, Module, Value
from netc.codegen.ops.loop import loop_operands
from netc.netspec.types import TensorType

# what a name of a net must not be: words of C and of <math.h>, and names that our functions use for themselves
_TAKEN = frozenset(
    [
        "auto",
        "break",
        "case",
        "char",
        "const",
        "continue",
        "default",
        "do",
        "double",
        "else",
        "enum",
        "extern",
        "float",
        "for",
        "goto",
        "if",
        "inline",
        "int",
        "long",
        "register",
        "restrict",
        "return",
        "short",
        "signed",
        "sizeof",
        "static",
        "struct",
        "switch",
        "typedef",
        "union",
        "unsigned",
        "void",
        "volatile",
        "while",
        "main",
        "exp",
        "log",
        "sqrt",
        "sin",
        "cos",
        "tanh",
        "erf",
        "log1p",
        "gamma",
        "y0",
        "y1",
        "yn",
        "j0",
        "j1",
        "jn",
        "i",
        "j",
        "k",
        "l",
        "m",
        "n",
        "o",
        "p",
        "q",
        "r",
        "t",
        "a",
        "s",
        "row",
        "at",
        "count",
        "part",
        "share",
        "shares",
        "work",
        "space",
        "batch",
        "NULL",
        "NAN",
        "INFINITY",
    ]
)


def identifier(name: str) -> str:
    """A C name for a name of a net: `m/hidden1.kernel` -> `m_hidden1_kernel`."""
    text = re.sub(r"\W", "_", name, flags=re.ASCII)
    text = f"_{text}" if text[:1].isdigit() else text
    return f"{text}_" if text in _TAKEN else text


def distinct(names: Iterable[str], taken: Iterable[str] = ()) -> list[str]:
    """C names for names, each another one."""
    used, found = set(taken), []
    for name in names:
        stem = text = identifier(name)
        count = 2
        while text in used:
            text, count = f"{stem}_{count}", count + 1
        used.add(text)
        found.append(text)
    return found


@dataclass(frozen=True)
class Interface:
    """How one function is called. The first `donated` results take the place of the arguments of their number.

    `fields`: arguments (by number) that come from the state, and their fields there; `results`: results that go there.
    `names` and `result_names` are those of all others; a result that is donated has its argument's. `sized`: it takes
    the batch.
    """

    function: Function
    donated: int
    fields: Mapping[int, str]
    result_fields: Mapping[int, str]
    names: Mapping[int, str]
    result_names: Mapping[int, str]
    sized: bool = False

    @property
    def public(self) -> bool:
        """Whether it is declared in the header."""
        return not self.function.private

    @property
    def stateful(self) -> bool:
        """Whether it is given the state."""
        return bool(self.fields or self.result_fields)


def interfaces(module: Module) -> tuple[dict[str, TensorType], dict[str, Interface]]:
    """The fields of the state with their types, and how each function is called.

    The state is what a public function takes over and gives back under the same name; where none does, as in a program
    without a training, what `init` gives.
    """
    carried: dict[str, int] = {}
    for f in module:
        for op in f.ops:
            if op.kind == "loop":
                callee = op.attr("callee")
                carried[callee] = max(carried.get(callee, 0), len(loop_operands(op, op.operands).carried))
    slots = {
        n: v.type for f in module if not f.private for n, v in zip(f.names[: f.donated], f.params, strict=False)
    }  # fmt: skip
    if not slots and (init := next((f for f in module if f.name == "init"), None)) is not None:
        slots = {n: v.type for n, v in zip(init.result_names, init.results, strict=True)}
    fields = dict(zip(slots, distinct(slots), strict=True))
    found = {f.name: _interface(f, max(f.donated, carried.get(f.name, 0)), slots, fields) for f in module}
    return {fields[n]: t for n, t in slots.items()}, found


def _interface(f: Function, donated: int, slots: Mapping[str, TensorType], fields: Mapping[str, str]) -> Interface:
    def held(names: Iterable[str], values: Iterable[Value]) -> dict[int, str]:
        if f.private:
            return {}
        pairs = enumerate(zip(names, values, strict=True))
        return {i: fields[n] for i, (n, v) in pairs if slots.get(n) == v.type}

    own = held(f.names, f.params)
    given = held(f.result_names, f.results) if not f.private else {}
    given = {i: name for i, name in given.items() if i < donated or donated == 0}
    others = [i for i in range(len(f.params)) if i not in own]
    names = dict(zip(others, distinct([f.names[i] for i in others], own.values()), strict=True))
    results = [i for i in range(len(f.results)) if i not in given and i >= donated]
    taken = [*own.values(), *names.values(), *given.values()]
    wanted = [
        f.result_names[i] if identifier(f.result_names[i]) not in taken else f"{f.result_names[i]}_out" for i in results
    ]
    results_ = dict(zip(results, distinct(wanted, taken), strict=True))
    return Interface(f, donated, own, given, names, results_, has_sizes(f))
