"""Writes a net as lines of JAX, layer by layer, by tables that say how each kind is written."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from netc.netspec.errors import UserError
from netc.netspec.layer import Composite, Layer, expanded
from netc.netspec.types import TensorType

# The expressions of a leaf, one a line: `{}` in each stands for what the line before gave.
LeafText = Callable[["Writer", Any, str, TensorType], list[str]]
# Writes the lines of a combinator: of the path, the input's type, the variable that it reads and its target.
CombinatorText = Callable[["Writer", Any, str, TensorType, str, str], str]

# Arguments by which a leaf knows that it is trained, and what they are in evaluation.
AS_TRAINED = re.compile(r"(?<=, )(training|key)(?=[,)])")
EVALUATED = {"training": "False", "key": "None"}


@dataclass
class Writer:
    """Collects the lines of the forward pass. `used` are the names in `functions` that they call.

    `leaves` and `combinators` say how each kind is written, and `functions` is the text of what they may call; `more`
    are functions that this net calls besides. Layers whose paths are `frozen` are as in evaluation.
    """

    net: str
    leaves: Mapping[type[Layer], LeafText]
    combinators: Mapping[type[Layer], CombinatorText]
    functions: Mapping[str, str]
    frozen: Callable[[str], bool] = lambda path: False
    lines: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    more: dict[str, str] = field(default_factory=dict)

    def assign(self, target: str, expression: str) -> str:
        """Append `target = expression` and return the target."""
        if expression != target:
            self.lines.append(f"{target} = {expression}")
        return target

    def call(self, function: str, *arguments: object, **options: object) -> str:
        """A call of one of `functions`; options that are None or False are left out."""
        self.used.add(function)
        named = [f"{name}={value}" for name, value in options.items() if value is not None and value is not False]
        return f"{function}({', '.join([*map(str, arguments), *named])})"

    def write(self, layer: Layer, path: str, x: TensorType, source: str, target: str) -> str:
        """Write a layer at `path` that reads the variable `source`; returns the variable of its output.

        That is `target`, or `source` where nothing is computed. Raises UserError for a kind that has no text.
        """
        if isinstance(layer, Composite):
            return self.write(expanded(layer, x), path, x, source, target)
        if type(layer) in self.combinators:
            return self.combinators[type(layer)](self, layer, path, x, source, target)
        leaf = self.leaves.get(type(layer))
        if leaf is None:
            raise UserError(
                f"{self.net}: layer {path} wants a kind that has a form in JAX text, got {layer.kind}; choose a net "
                "without it, or compare with `target=xla`"
            )
        for expression in leaf(self, layer, path, x):
            if self.frozen(path):
                expression = AS_TRAINED.sub(lambda found: EVALUATED[found[0]], expression)  # noqa: PLW2901
            source = self.assign(target, expression.replace("{}", source))
        return source

    def called(self) -> str:
        """The text of every function that the lines call, and of those that these call."""
        functions = {**self.functions, **self.more}
        named, waiting = set(self.used), list(self.used)
        while waiting:
            text = functions[waiting.pop()]
            more = {name for name in functions if re.search(rf"\b{name}\(", text)} - named
            named |= more
            waiting += more
        return "\n".join(text for name, text in functions.items() if name in named)
