"""Where a proof stopped: the operations of a backward pass that do not give what they should."""

from __future__ import annotations

from collections.abc import Collection

from netc.proofs.exported import Definition, Exported


def blamed(gradient: Definition | None, exported: Exported, cotangents: Collection[str]) -> str:
    """Where the way to a gradient was lost: the operations after the last cotangents that were found, of one layer."""
    definitions = exported.definitions
    unknown: dict[str, Definition] = {}
    todo = [gradient] if gradient else []
    while todo:
        d = todo.pop()
        if d.backward and d.name not in cotangents and d.name not in unknown:
            unknown[d.name] = d
            names = [exported.names.get(v, "") for v in d.op.operands]
            todo += [definitions[n] for n in names if n in definitions]
    found = [d for d in definitions.values() if d.name in unknown and not d.alias]
    if not found:
        return ""
    kinds = dict.fromkeys(d.kind for d in found if d.loc == found[0].loc)
    return f"; the operations that do not give it are of {found[0].loc}: {', '.join(kinds)}"
