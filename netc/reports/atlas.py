"""The atlas of a net: what one training step is, as a page to walk through, layer by layer and line by line."""

from __future__ import annotations

import importlib.metadata
import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from netc.codegen.analysis.step_cost import step_works, useful_flops
from netc.codegen.ir import Function, Value
from netc.codegen.location import PHASES, location_of
from netc.codegen.origins import SourceLine, recorded
from netc.codegen.program import Program, build
from netc.codegen.render import statements_of
from netc.netspec.check import CheckedLayer, CheckedNet
from netc.netspec.errors import UserError
from netc.netspec.graph import Graph, Node, graph_of
from netc.netspec.layer import Layer
from netc.netspec.recipe import Recipe
from netc.reports.algebra import statement_at
from netc.reports.profiles import refuse_other_profile
from netc.reports.templates import environment
from netc.runtime.files import made_for, write_whole
from netc.runtime.prepare import emit_text, sha256_of_text
from netc.runtime.target import PLAIN

STEP = "train_step"
MOST_NODES = 40  # of the graph that is drawn, unless a depth is asked for
HIDDEN = ("name",)  # fields of a layer that its title says already


@dataclass(frozen=True)
class Evidence:
    """What was checked: a sentence for each kind of layer, by the kind, and one for the whole text."""

    kinds: Mapping[str, str]
    certificate: str = ""


def atlas(
    net: CheckedNet,
    out: Path,
    *,
    recipe: Recipe | None = None,
    batch: int = 32,
    depth: int | None = None,
    profile: Mapping[str, Any] | None = None,
    evidence: Evidence | None = None,
) -> Path:
    """Write the page. `profile` is what `netc profile --json` printed. Raises UserError and SpecError."""
    if out.suffix != ".html" or out.is_dir():
        raise UserError(f"`out` wants a file FILE.html, got {out}; let its name end in .html")
    if profile is not None:
        refuse_other_profile(profile)
    if profile is not None and (profile.get("net"), profile.get("batch")) != (net.spec.name, batch):
        raise UserError(
            f"`profile` wants {net.spec.name} with batch {batch}, got {profile.get('net')} with batch "
            f"{profile.get('batch')}; measure that"
        )
    template = environment("atlas").get_template("atlas.html.j2")
    page = template.render(
        version=importlib.metadata.version("netc"), name=net.spec.name, source=net.spec.source, data=as_script(data_of(
            net, recipe or Recipe(), batch, depth, profile, evidence
        )),
    )  # fmt: skip
    write_whole(made_for(out), page)
    return out


def as_script(value: Any) -> str:
    """JSON that may stand inside a script element: no text of a user's ends it."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c").replace(">", "\\u003e")


def data_of(
    net: CheckedNet,
    recipe: Recipe,
    batch: int,
    depth: int | None,
    profile: Mapping[str, Any] | None = None,
    evidence: Evidence | None = None,
) -> dict[str, Any]:
    """All that the page shows, as plain data: see atlas.js for how it is read."""
    with recorded() as origins:
        program = build(net, recipe, batch)
        source = emit_text(program, PLAIN)
    function = source.module.function(STEP)
    lines = _Lines(origins)
    ops = lines.of(function, source.text)
    layers = [_layer(each, evidence) for each in net.walk()]
    works = step_works(source.module, STEP)
    costs: dict[str, dict[str, list[int]]] = {}
    for work in works:
        place = location_of(work.loc)
        row = costs.setdefault(".".join(place.path), {}).setdefault(place.phase, [0, 0])
        row[0] += work.flops
        row[1] += work.bytes
    return {
        "net": net.spec.name, "parameters": net.count, "batch": batch, "text": sha256_of_text(source.text),
        "flops": useful_flops(program.module), "recipe": _recipe(recipe),
        "graph": _graph(graph_of(net, _depth(net, depth))),
        "layers": layers, "algebra": lines.statements, "functions": _outlines(program), "phases": list(PHASES),
        "arguments": [[n, str(v.type)] for n, v in zip(function.names, function.params, strict=True)],
        "ops": ops, "costs": costs, "times": _times(profile), "measured": _measured(profile),
        "certificate": evidence.certificate if evidence else "",
    }  # fmt: skip


class _Lines:
    """The lines of a function's text, each with its place and the statement that made it."""

    def __init__(self, origins: Mapping[Value, SourceLine]) -> None:
        self.origins = origins
        self.statements: list[list[Any]] = []
        self._numbers: dict[SourceLine, int] = {}

    def of(self, function: Function, text: str) -> list[list[Any]]:
        """[number, path, phase, statement, text] of each operation, in order."""
        found = []
        for number, shown in statements_of(text, function.name):
            op = function.ops[number]
            place = location_of(op.loc)
            line = self.origins.get(op.result)
            found.append([number, ".".join(place.path), place.phase, self._statement(line), shown])
        return found

    def _statement(self, line: SourceLine | None) -> int:
        if line is None:
            return -1
        if line not in self._numbers:
            said = statement_at(line)
            self._numbers[line] = len(self.statements)
            self.statements.append([said.file, said.number, said.function, said.code, said.comment])
        return self._numbers[line]


def _layer(each: CheckedLayer, evidence: Evidence | None) -> dict[str, Any]:
    layer, signature = each.layer, each.signature
    return {
        "path": each.path, "kind": layer.kind, "label": layer.label(), "says": _doc(layer),
        "options": [[f.name, _shown(getattr(layer, f.name))] for f in fields(layer) if _telling(layer, f.name)],
        "x": list(each.x.shape), "y": list(signature.out.shape),
        "params": [[p.name, list(p.shape)] for p in signature.params],
        "state": [[s.name, list(s.shape)] for s in signature.state],
        "evidence": (evidence.kinds.get(layer.kind, "") if evidence else ""),
    }  # fmt: skip


def _doc(layer: Layer) -> str:
    return inspect.cleandoc(type(layer).__doc__ or "")


def _telling(layer: Layer, name: str) -> bool:
    value = getattr(layer, name)
    return (name not in HIDDEN and value is not None and not isinstance(value, Layer | tuple)) or (
        isinstance(value, tuple) and all(isinstance(v, int | float | str) for v in value) and bool(value)
    )


def _shown(value: object) -> str:
    return " x ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _recipe(recipe: Recipe) -> str:
    return f"{recipe.loss.kind}, {recipe.optimizer.kind}"


def _outlines(program: Program) -> list[list[Any]]:
    return [[f.name, len(f.ops), len(f.params), len(f.results)] for f in program.module]


def _depth(net: CheckedNet, depth: int | None) -> int:
    """The depth asked for, or the deepest at which the graph still fits one look."""
    if depth is not None:
        return depth
    fitting = [d for d in range(6) if len(graph_of(net, d).nodes) <= MOST_NODES]
    return max(fitting, default=0)


def _graph(graph: Graph) -> dict[str, Any]:
    seen = {e.target: graph.nodes[e.source].out.shape for e in graph.edges}  # by the node's key, its place
    return {
        "nodes": [[n.role, n.path, _label(n, seen.get(n.key)), list(n.out.shape)] for n in graph.nodes],
        "edges": [[e.source, e.target] for e in graph.edges],
    }


def _label(node: Node, seen: tuple[int, ...] | None) -> str:
    """The label of a node; a dense layer's with the width that it sees: `dense 512 -> 10`."""
    kind, _, width = node.label.partition(" ")
    return f"dense {seen[-1]} -> {width}" if kind == "dense" and width.isdigit() and seen else node.label


def _times(profile: Mapping[str, Any] | None) -> dict[str, dict[str, float]]:
    return {row["layer"]: dict(row["ms"]) for row in profile["layers"]} if profile else {}


def _measured(profile: Mapping[str, Any] | None) -> str:
    if profile is None:
        return ""
    return f"{profile['steps']} steps of {profile['step_ms']:.2f} ms on {profile['target']}, medians"


def checked(net: CheckedNet, recipe: Recipe, batch: int) -> Evidence:
    """Run the oracle on the net's kinds of layers, and certify the portable text of its step."""
    from netc.proofs_oracle import oracle  # here, as it wants JAX
    from netc.proofs_oracle.certificate.certify import certify_program
    from netc.proofs_oracle.certificate.statement import Settings
    from netc.proofs_oracle.result import summary

    wanted = {each.layer.kind for each in net.walk()}
    found: dict[str, list[Any]] = {}
    for result in oracle.run([c for c in oracle.checks() if c.kind in wanted]):
        found.setdefault(result.kind, []).append(result)
    certificate = certify_program(build(net, recipe, batch), PLAIN, Settings())
    return Evidence({kind: summary(results) for kind, results in found.items()}, certificate.sentence)
