"""Programs split over a mesh: the time to emit them, the memory of a device, and what XLA exchanges in a step.

    python scripts/mesh_table.py [NET:BATCH[:MESH[:SHARD]] ...] [--context N] [--rounds N] [--write]

Each row is compiled by XLA in a process of its own, for as many host devices, and not run: memory is what XLA's buffer
assignment says, exchanges are counted in the program that its partitioner made. The text is emitted in turns with the
plain one, `--rounds` times; the ratio is of the least times. `--write` puts the table into docs/measurements/mesh.md.
With `--context N`, of nets of tokens, the rows are by default those of an axis `sequence`, and the page is sequence.md.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from netc.codegen.program import Program
from netc.codegen.sharding.mesh import parse_sharding
from netc.programs import request_program
from netc.runtime.backends import check_device, load
from netc.runtime.prepare import emit_text
from netc.runtime.target import parse_target
from netc.runtime.versions import versions

FOLDER = Path(__file__).parents[1] / "docs" / "measurements"
LAYOUTS = ("", "data=4", "data=4:zero1", "data=4:fsdp", "data=2,model=2:tensor", "data=2,model=2:fsdp")
DEFAULT = tuple(f"{net}:{layout}" for net in ("vit_base_patch16_224:8", "gpt2:4") for layout in LAYOUTS)
LONG = tuple(f"tiny-gpt:{row}" for row in (
    "2", "2:data=2", "2:data=2,sequence=2", "2:data=2,sequence=4", "8:data=2", "8:data=2,sequence=4",
))  # fmt: skip
STEP = "train_step"
KINDS = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")
MADE = re.compile(rf"^\s*(?:ROOT )?%?[\w.\-]+ = (.*?) ({'|'.join(KINDS)})(?:-start)?\(")
TENSOR = re.compile(r"\b(?:f32|u32|s32)\[([\d,]*)\]")  # of four bytes an element, as all of these programs' are
HEADS = (
    "net", "batch", "mesh", "shard", "emission / plain", "arguments MB", "of one device", "transient MB",
    "exchanges: number, MB",
)  # fmt: skip


def parts_of(spec: str) -> list[str]:
    """Net, batch, mesh and what is split."""
    return [*spec.split(":"), "", ""][:4]


def programs(spec: str, context: int) -> tuple[Program, Program]:
    """The program of a row, and the same on one device."""
    net, batch, mesh, shard = parts_of(spec)
    sizes = {"context": context} if context else {}
    plain = request_program(net, batch=int(batch), optimizer="adamw", **sizes).build()
    return plain.on(parse_sharding(mesh or None, shard or None)), plain


def child(spec: str, rounds: int, context: int) -> dict[str, Any]:
    """What one row measures."""
    where, (split, plain) = parse_target("xla"), programs(spec, context)
    if split.sharding:
        check_device(where, split.sharding.mesh.size, "mesh")
    times: list[tuple[Program, list[float]]] = [(split, []), (plain, [])]
    for _ in range(rounds):
        for program, own in times:
            begin = time.perf_counter()
            emit_text(program, where)
            own.append(time.perf_counter() - begin)
    loaded: Any = load(emit_text(split, where), where)
    arguments, _, transient = loaded.memory(STEP)
    return {
        "ratio": min(times[0][1]) / min(times[1][1]), "arguments": arguments, "transient": transient,
        "exchanges": exchanges(loaded.compiled_text(STEP)),
    }  # fmt: skip


def exchanges(text: str) -> dict[str, list[int]]:
    """The collectives of a compiled program by kind: how many, and the bytes of their results on a device."""
    found: dict[str, list[int]] = {}
    for line in text.splitlines():
        if made := MADE.match(line):
            own = found.setdefault(made[2], [0, 0])
            own[0] += 1
            own[1] += 4 * sum(math.prod(int(n) for n in shape.split(",") if n) for shape in TENSOR.findall(made[1]))
    return found


def row(spec: str, found: dict[str, Any], whole: dict[str, Any]) -> tuple[str, ...]:
    """As the table has it."""
    net, batch, mesh, shard = parts_of(spec)
    said = "; ".join(f"{kind} {n}, {size / 1e6:.1f}" for kind, (n, size) in found["exchanges"].items())
    held, part = found["arguments"], found["arguments"] / whole["arguments"]
    return (
        net, batch, mesh or "one device", shard, f"{found['ratio']:.2f}" if mesh else "", f"{held / 1e6:.1f}",
        f"{part:.3f}", f"{found['transient'] / 1e6:.1f}", said,
    )  # fmt: skip


def page(rows: list[tuple[str, ...]], context: int) -> str:
    """The table with its heading."""
    about = f"; {context} tokens an example" if context else ""
    lines = [HEADS, ("---",) * len(HEADS), *rows]
    by = ", ".join(f"{name} {version}" for name, version in versions().items())
    return "\n".join([
        "# Examples split by tokens" if context else "# Programs split over a mesh", "",
        f"Made by scripts/mesh_table.py on {datetime.date.today().isoformat()}; AdamW, float32, compiled for host",
        f"devices and not run{about}; {by}.", "",
        "Arguments are the state and the batch of a device: XLA's own figure. Exchanges are those of XLA's compiler",
        "for CPUs, which sums and cuts where one for GPUs scatters the sum. docs/distributed.md says what the words",
        "are.", "",
        *(f"| {' | '.join(line)} |" for line in lines), "",
    ])  # fmt: skip


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*")
    parser.add_argument("--context", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--child")
    options = parser.parse_args()
    if options.child:
        print(json.dumps(child(options.child, options.rounds, options.context)))
        return
    rows, whole = [], {}
    for spec in options.rows or (LONG if options.context else DEFAULT):
        command = [sys.executable, __file__, "--child", spec, "--rounds", str(options.rounds)]
        command += ["--context", str(options.context)]
        found = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
        net = ":".join(spec.split(":")[:2])
        rows.append(row(spec, found, whole.setdefault(net, found)))  # the first of a net is on one device
        print(" | ".join(rows[-1]), flush=True)
    if options.write:
        name = "sequence.md" if options.context else "mesh.md"
        (FOLDER / name).write_text(page(rows, options.context), encoding="utf-8")


if __name__ == "__main__":
    main()
