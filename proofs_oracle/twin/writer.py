"""How a net is said in JAX, as text: one row for each kind of leaf, one part for each kind of combinator.

The rows are written from the layers' equations and not from the rules of codegen/layers: the script is a twin whose
gradients come from JAX. A kind without a row is an error that names the layer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from netc.netspec.check import CheckedNet
from netc.netspec.errors import UserError
from netc.netspec.layer import Combinator, Composite, Layer, expanded
from netc.netspec.types import TensorType
from netc.proofs_oracle.twin import attention, combine, images, norm, stochastic, tokens, windows
from netc.proofs_oracle.twin.spelling import RELU6, Part, Row

FUNCTIONS: dict[str, str] = {
    "relu6": RELU6,
    **images.FUNCTIONS,
    **norm.FUNCTIONS,
    **stochastic.FUNCTIONS,
    **tokens.FUNCTIONS,
    **attention.FUNCTIONS,
    **windows.FUNCTIONS,
}
"""The functions that rows may call, by the name by which they do."""

ROWS: dict[type[Layer], Row] = {
    **images.ROWS,
    **norm.ROWS,
    **stochastic.ROWS,
    **tokens.ROWS,
    **attention.ROWS,
    **windows.ROWS,
}
PARTS: dict[type[Layer], Part] = combine.PARTS


@dataclass
class Writer:
    """Collects the lines of the forward pass. `used` are the names in `FUNCTIONS` that they call."""

    net: str
    lines: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)

    def assign(self, target: str, expression: str) -> str:
        """Append `target = expression` and return the target."""
        if expression != target:
            self.lines.append(f"{target} = {expression}")
        return target

    def call(self, function: str, *arguments: object, **options: object) -> str:
        """A call of one of `FUNCTIONS`; options that are None or False are left out."""
        self.used.add(function)
        named = [f"{name}={value}" for name, value in options.items() if value is not None and value is not False]
        return f"{function}({', '.join([*map(str, arguments), *named])})"

    def write(self, layer: Layer, path: str, x: TensorType, source: str, target: str) -> str:
        """Write a layer at `path` that reads the variable `source`; returns the variable of its output.

        That is `target`, or `source` where nothing is computed. Raises UserError for a kind without a row.
        """
        if isinstance(layer, Composite):
            return self.write(expanded(layer, x), path, x, source, target)
        if type(layer) in PARTS:
            assert isinstance(layer, Combinator)
            return PARTS[type(layer)](self, layer, path, x, source, target)
        row = ROWS.get(type(layer))
        if row is None:
            raise UserError(
                f"{self.net}: layer {path} wants a kind that has a form in JAX text, got {layer.kind}; choose a net "
                "without it, or compare with `target=xla`"
            )
        for expression in row(self, layer, path, x):
            source = self.assign(target, expression.replace("{}", source))
        return source

    def functions(self) -> str:
        """The text of every function that the lines call, and of those that these call."""
        named, waiting = set(self.used), list(self.used)
        while waiting:
            text = FUNCTIONS[waiting.pop()]
            more = {name for name in FUNCTIONS if re.search(rf"\b{name}\(", text)} - named
            named |= more
            waiting += more
        return "\n".join(text for name, text in FUNCTIONS.items() if name in named)


def forward_text(net: CheckedNet) -> tuple[str, str]:
    """The functions that the forward pass calls, and its lines, which read x, p, stats, training and write x and new.

    Of a net that draws they read key, too. Raises UserError naming the first layer that has no row.
    """
    writer = Writer(net.spec.name)
    out = writer.write(net.spec.body, "", net.x, "x", "x")
    assert out == "x"
    return writer.functions(), "\n".join(writer.lines)
