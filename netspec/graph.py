"""A net as nodes and edges, to a chosen depth: what `netc show --dot` draws."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from netc.netspec.check import CheckedNet
from netc.netspec.layer import Combinator, Composite, Layer, expanded, part_names, signature_of
from netc.netspec.layers.combine import Chain, Concat, Gate, Repeat, Residual
from netc.netspec.layers.embedding import TiedHead
from netc.netspec.layers.modulation import Modulated
from netc.netspec.layers.shape import Identity
from netc.netspec.layers.split import Split
from netc.netspec.layers.tokens import OnTokens
from netc.netspec.types import TensorType

Role = Literal["input", "layer", "join", "output"]


@dataclass(frozen=True)
class Node:
    """One box. `path` is the layer's dotted path, empty for input and output; a join has its combinator's path.

    `out` is the type of one example of what the node gives.
    """

    key: int
    role: Role
    path: str
    label: str
    out: TensorType


@dataclass(frozen=True)
class Edge:
    """One tensor on its way, from node to node by their keys."""

    source: int
    target: int


@dataclass(frozen=True)
class Graph:
    """Nodes in the order of computation, and edges that only go forward."""

    name: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


@dataclass(frozen=True)
class Flow:
    """How a combinator is drawn. Without `join` its parts form a row; with it they fork from one input and meet.

    `with_input`: the input itself goes to the join too.
    """

    join: str = ""
    with_input: bool = False


# Every combinator has a row; one without would be drawn as a single node.
FLOWS: dict[type[Combinator], Flow] = {
    Chain: Flow(),
    Repeat: Flow(),
    Residual: Flow("+"),
    Gate: Flow("×", with_input=True),
    Concat: Flow("concat"),
    OnTokens: Flow("tokens"),
    Split: Flow("concat"),
    Modulated: Flow("modulated", with_input=True),
    TiedHead: Flow(),
}


def graph_of(net: CheckedNet, depth: int = 0) -> Graph:
    """The graph of `net`. Depth 0 shows the spec's own layers; each step more opens one level of parts.

    An identity inside a fork is an edge and not a node.
    """
    drawing = _Drawing(depth)
    x = net.x
    here = drawing.node("input", "", "input", x, ())
    for name, layer in zip(part_names(net.spec.layers), net.spec.layers, strict=True):
        here = drawing.layer(name, 0, layer, x, here)
        x = signature_of(layer, x).out
    drawing.node("output", "", "output", x, (here,))
    return Graph(net.spec.name, tuple(drawing.nodes), tuple(drawing.edges))


@dataclass
class _Drawing:
    deepest: int
    nodes: list[Node] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)

    def node(self, role: Role, path: str, label: str, out: TensorType, sources: tuple[int, ...]) -> int:
        """Add a node with an edge from each source; returns its key."""
        key = len(self.nodes)
        self.nodes.append(Node(key, role, path, label, out))
        self.edges.extend(Edge(source, key) for source in sources)
        return key

    def layer(self, path: str, depth: int, layer: Layer, x: TensorType, source: int) -> int:
        """Draw a layer that sees `x` from `source`; returns the key of the node that holds its output."""
        inner = expanded(layer, x) if isinstance(layer, Composite) else layer
        flow = FLOWS.get(type(inner)) if isinstance(inner, Combinator) and depth < self.deepest else None
        out = signature_of(layer, x).out
        if flow is None or not isinstance(inner, Combinator):
            return self.node("layer", path, layer.label(), out, (source,))
        parts = parts_of(inner, x)
        if not flow.join:
            for name, part, part_x in parts:
                source = self.layer(f"{path}.{name}", depth + 1, part, part_x, source)
            return source
        ends = [
            source if isinstance(part, Identity) else self.layer(f"{path}.{name}", depth + 1, part, part_x, source)
            for name, part, part_x in parts
        ]
        return self.node("join", path, flow.join, out, (*ends, *((source,) if flow.with_input else ())))


def parts_of(layer: Combinator, x: TensorType) -> list[tuple[str, Layer, TensorType]]:
    """Each part of a combinator that sees `x`: its name, the part, and what the part sees."""
    parts: list[tuple[str, Layer, TensorType]] = []

    def visit(name: str, part: Layer, part_x: TensorType) -> TensorType:
        parts.append((name, part, part_x))
        return signature_of(part, part_x).out

    layer.flow(x, visit)
    return parts
