"""A net's graph as text for Graphviz (DOT) and for Mermaid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netc.cli.views.figures import shape

if TYPE_CHECKING:
    from netc.netspec.graph import Graph, Node

# role -> DOT's attributes, Mermaid's brackets
DOT_STYLE = {
    "input": "shape=oval",
    "layer": "shape=box, style=rounded",
    "join": "shape=circle, margin=0.02",
    "output": "shape=oval",
}
MERMAID_BRACKETS = {"input": ("([", "])"), "layer": ("[", "]"), "join": ("((", "))"), "output": ("([", "])")}


def lines_of(node: Node) -> list[str]:
    """What stands in a node: its path, its kind and sizes, what it gives."""
    if node.role == "join":
        return [node.label]
    return [*([node.path] if node.path else []), node.label, shape(node.out.shape)]


def dot(graph: Graph) -> str:
    """The graph in the DOT language, top to bottom."""
    head = ["digraph " + _dot_quoted([graph.name]) + " {", '  node [fontname="sans-serif", fontsize=11];']
    nodes = [f"  n{n.key} [label={_dot_quoted(lines_of(n))}, {DOT_STYLE[n.role]}];" for n in graph.nodes]
    edges = [f"  n{e.source} -> n{e.target};" for e in graph.edges]
    return "\n".join((*head, *nodes, *edges, "}")) + "\n"


def _dot_quoted(lines: list[str]) -> str:
    """A DOT string: `\\n` between lines, backslashes and quotes escaped, what is not printable left out."""
    kept = ("".join(c for c in line if c.isprintable()) for line in lines)
    return '"' + "\\n".join(line.replace("\\", "\\\\").replace('"', '\\"') for line in kept) + '"'


def mermaid(graph: Graph) -> str:
    """The graph as a Mermaid flowchart, top to bottom."""
    nodes = []
    for node in graph.nodes:
        left, right = MERMAID_BRACKETS[node.role]
        nodes.append(f'  n{node.key}{left}"{"<br/>".join(map(_mermaid_quoted, lines_of(node)))}"{right}')
    edges = [f"  n{e.source} --> n{e.target}" for e in graph.edges]
    return "\n".join(("flowchart TD", f"  %% {_mermaid_quoted(graph.name)}", *nodes, *edges)) + "\n"


def _mermaid_quoted(text: str) -> str:
    """Mermaid's own entities (`#34;`) for everything that it or HTML could read as more than a character."""
    safe = frozenset(" ._-+/>()=,:")  # `>` alone opens nothing
    return "".join(c if c.isalnum() or c in safe else f"#{ord(c)};" for c in text if c.isprintable())
