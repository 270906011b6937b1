"""The list of what a .lean file holds, where a command is given the file and none of its nets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netc.netspec.lean.found import LeanFile

SHORT = {"refused": "refused, ", "counted": "counted only, "}  # what stands before a reason


def several(net: str) -> LeanFile | None:
    """The file that NET names, if it names none of its specs and there is more than one."""
    if ".lean" not in net:  # then the reader of Lean need not be imported
        return None
    from netc.netspec.lean.file import divided, is_lean, load

    if not is_lean(net):
        return None
    path, name = divided(net)
    if name:
        return None
    file = load(path)
    return file if len(file.specs) > 1 else None


def facts(file: LeanFile) -> dict[str, Any]:
    """The list as JSON has it: where `status` is refused, `layers` and `parameters` are null, and `reason` says why."""
    from netc.netspec.lean.listing import summaries

    return {
        "file": file.path,
        "specs": [
            {
                "name": s.name, "shown": s.shown, "line": s.line, "status": s.status, "layers": s.layers,
                "parameters": s.parameters, "reason": s.reason,
            }
            for s in summaries(file)
        ],
        "configs": [c.name for c in file.configs],
    }  # fmt: skip


def print_list(file: LeanFile, *, as_json: bool) -> None:
    """Print the list, as a table and how to choose, or as JSON; raises UserError for a file without any spec."""
    from netc.cli.options import print_json

    found = facts(file)
    if as_json:
        print_json(found)
    else:
        _show(file, found)


def _show(file: LeanFile, found: dict[str, Any]) -> None:
    from netc.cli.views.table import Column, print_line, print_table
    from netc.netspec.lean.listing import choose, held

    specs = found["specs"]
    print_line(f"{held(file, len(specs))}; {choose(file, specs[0]['name'])}", "bold")
    columns = (
        Column("spec", style="cyan"),
        Column("name", fit="cut"),
        Column("layers", right=True),
        Column("parameters", right=True),
        Column("", fit="cut"),
    )
    rows = []
    for spec in specs:
        layers = "" if spec["layers"] is None else str(spec["layers"])
        parameters = "" if spec["parameters"] is None else f"{spec['parameters']:,}"
        reason = SHORT.get(spec["status"], "") + spec["reason"].partition(";")[0]
        rows.append((spec["name"], spec["shown"], layers, parameters, reason))
    print_table(columns, rows)
    if found["configs"]:
        print_line(f"training configurations: {', '.join(found['configs'])}")
