"""Whether what `netc emit-mlir NET` writes is plain, portable StableHLO, for every net and option; how XLA runs it.

    python scripts/plain_stablehlo.py [NET ...] [--run] [--write]

Each text holds operations of StableHLO and `func` only, is accepted by StableHLO's portable serialisation for the
oldest version that there is an artefact of, and what comes back gives the same artefact. With --run the train step is
also compiled and run by XLA from that text, on a small input, beside netc's evaluator in float32 on the program before
any form is chosen. What was found is kept in docs/measurements/plain_stablehlo.json net by net; `--write` prints the
table of it.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxlib.mlir import ir
from jaxlib.mlir._mlir_libs import _jax_mlir_ext
from jaxlib.mlir.dialects import stablehlo

from netc.codegen import evaluator
from netc.codegen.program import Program, build
from netc.codegen.text import text_of
from netc.netspec.check import CheckedNet, check
from netc.netspec.errors import NetcError
from netc.netspec.find import find
from netc.netspec.process import PROCESSES, Generation
from netc.netspec.recipe import Recipe
from netc.netspec.recipe_fit import processes_of
from netc.netspec.spec import NetSpec
from netc.netspec.zoo import ZOO
from netc.runtime.backends.protocol import Source
from netc.runtime.prepare import emit_text
from netc.runtime.target import PLAIN

FOLDER = Path(__file__).parent.parent / "docs" / "measurements"
BATCH = 4
CLASSES = 10  # of nets that are told one
# the option as it is typed, and what of the recipe and of the program it sets
OPTIONS: dict[str, tuple[dict[str, Any], int]] = {
    "none": ({}, 1),
    "--accumulate 2": ({"accumulate": 2}, 1),
    "--steps-per-call 3": ({}, 3),
    "--scan-blocks": ({"scan_blocks": True}, 1),
    "--remat": ({"remat": True}, 1),
    "--precision bf16": ({"precision": "bf16"}, 1),
}
# the smallest image that a net's strides and windows leave something of; others see 32x32
SMALLEST = {"inception_v3": 75, "alexnet": 63, "squeezenet1_0": 48, "mobilevit_s": 64}


def context() -> Any:
    """An MLIR context that knows `func` and StableHLO."""
    registry = ir.DialectRegistry()
    _jax_mlir_ext.register_dialects(registry)
    made = ir.Context()
    made.append_dialect_registry(registry)
    made.load_all_available_dialects()
    stablehlo.register_dialect(made)
    return made


def dialects(op: Any) -> Iterator[str]:
    """The dialect of every operation inside this one."""
    for region in op.regions:
        for block in region.blocks:
            for inner in block.operations:
                yield inner.operation.name.split(".")[0]
                yield from dialects(inner.operation)


def portable(text: str) -> dict[str, Any]:
    """Serialise, deserialise, compare. Raises what MLIR raises."""
    with context() as made:
        module = ir.Module.parse(text)
        assert module.operation.verify()
        found = set(dialects(module.operation))
        artefact = stablehlo.serialize_portable_artifact_str(str(module), stablehlo.get_minimum_version())
        back = stablehlo.deserialize_portable_artifact(made, artefact)
        again = stablehlo.serialize_portable_artifact_str(str(back), stablehlo.get_minimum_version())
        same = again == artefact  # as text it is shorter: what an attribute is by default is left out
    return {"dialects": sorted(found), "same": same, "bytes": len(text), "artefact": len(artefact)}


def small(spec: NetSpec) -> NetSpec:
    """The net on an input that XLA compiles and runs in seconds."""
    if spec.dtype == "i32":
        return spec.with_input((min(32, *spec.input),))
    if len(spec.input) != 3:
        return spec
    side = min(SMALLEST.get(spec.name, 32), spec.input[0])
    return spec.with_input((side, side, spec.input[2]))


def recipe_of(net: CheckedNet) -> Recipe:
    """The default recipe; of a net that is told a time, of the first process that it can learn."""
    word = next(iter(processes_of(net)), "")
    if not word:
        return Recipe()
    process = PROCESSES[word]()
    classes = CLASSES if process.conditional(net.x, net.out) else 0
    return Recipe(loss=process.losses[0](), generation=Generation(word, label_count=classes))


def made(spec: NetSpec, option: str) -> Program:
    """The program of a net with an option."""
    (changed, steps), net = OPTIONS[option], check(spec)
    return build(net, replace(recipe_of(net), **changed), BATCH, steps_per_call=steps)


def first_step(program: Program, source: Source) -> dict[str, Any]:
    """Loss and norm of the gradient of one step, by XLA of the module and by the evaluator of the program."""
    from netc.runtime.backends.xla import XlaLoaded

    seed, rng = np.array([0, 1], np.uint32), np.random.default_rng(0)
    state = evaluator.run(program.module, "init", [seed], "f32")
    step = program.module.function("train_step")
    x, y = (step.params[step.names.index(n)].type for n in ("x", "y"))
    classes = program.recipe.generation.label_count or program.net.out.shape[-1]
    image = rng.integers(0, classes, x.shape) if x.dtype == "i32" else rng.standard_normal(x.shape)
    if program.recipe.generation.process == "branching":
        image[..., -1] = np.arange(x.shape[1]) < 3  # elements in the first slots
    args = [*state, image.astype(np.int32 if x.dtype == "i32" else np.float32)]
    args += [rng.integers(0, classes, y.shape).astype(np.int32), np.float32(1e-3)]
    wanted = dict(zip(step.result_names, evaluator.run(program.module, "train_step", args, "f32"), strict=True))
    begin, loaded = time.perf_counter(), XlaLoaded(Source(source.module, text_of(source.module, "xla")))
    results = loaded.call("train_step", [loaded.put(a) for a in args])
    got = dict(zip(step.result_names, (loaded.get(r) for r in results), strict=True))
    shown = {f"{n}_{by}": float(v[n]) for n in ("loss", "grad_norm") for by, v in (("xla", got), ("here", wanted))}
    return {**shown, "input": "x".join(map(str, x.shape[1:])), "seconds": round(time.perf_counter() - begin, 1)}


def main() -> None:
    """Find what is not known yet, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nets", nargs="*", default=list(ZOO), metavar="NET")
    parser.add_argument("--run", action="store_true", help="run the first step on XLA as well")
    parser.add_argument("--option", action="append", choices=OPTIONS, help="one of these only: --option=--remat")
    parser.add_argument("--known", type=Path, default=FOLDER / "plain_stablehlo.json", help="what was found before")
    parser.add_argument("--again", action="store_true", help="also what is known")
    parser.add_argument("--write", action="store_true", help="write docs/measurements/plain_stablehlo.md")
    options = parser.parse_args()
    path = options.known
    known: dict[str, dict[str, Any]] = json.loads(path.read_text()) if path.exists() else {}
    for name in options.nets:
        for option in options.option or OPTIONS:
            key, part = f"{name} {option}", "run" if options.run else "text"
            if part in known.get(key, {}) and not options.again:
                continue
            known.setdefault(key, {})[part] = _found(name, option, options.run)
            print(key, known[key][part], flush=True)
            path.write_text(json.dumps(known, indent=1) + "\n")
    if options.write:
        (FOLDER / "plain_stablehlo.md").write_text(table(known), encoding="utf-8")


def _found(name: str, option: str, run: bool) -> dict[str, Any]:
    try:
        program = made(small(find(name)) if run else find(name), option)
        source = emit_text(program, PLAIN)
    except NetcError as error:
        return {"refused": str(error)}
    return first_step(program, source) if run else portable(source.text)


def table(known: dict[str, dict[str, Any]]) -> str:
    """Markdown."""
    lines = [
        "# Plain StableHLO",
        "",
        f"What `netc emit-mlir NET` writes, at the net's own input and batch {BATCH}, through StableHLO's portable "
        f"serialisation for {stablehlo.get_minimum_version()} and back (jaxlib's StableHLO is "
        f"{stablehlo.get_current_version()}).",
        "`same`: nothing but operations of StableHLO and `func`, and what comes back gives the same artefact. "
        "`-`: netc refuses the option for the net (no equal blocks). The last columns: one train step that XLA's CPU "
        "compiled from that text, on a small input, beside netc's evaluator on the program: relative differences. "
        "`not run`: not tried. A net that is told a time is trained by the first process that it can learn. "
        "Where a batch norm of a deep net sees one pixel of 4 images, float32's rounding is "
        "enlarged through all layers after it: of mobilenet_v1 both are as far from float64.",
        "Printed by `python scripts/plain_stablehlo.py --write`.",
        "",
        "| net | MB | "
        + " | ".join(f"`{o}`" if o != "none" else "no option" for o in OPTIONS)
        + " | run at | loss | gradient's norm |",
        "|---|---|" + "---|" * (len(OPTIONS) + 3),
    ]
    for name in ZOO:
        rows = [known.get(f"{name} {option}", {}) for option in OPTIONS]
        size = rows[0].get("text", {}).get("bytes", 0) / 1e6
        ran = rows[0].get("run")
        cells = [*(_cell(row.get("text")) for row in rows), *_differences(ran)]
        lines.append(f"| {name} | {size:.2f} | " + " | ".join(cells) + " |")
    others = [(key, row["run"]) for key, row in known.items() if "loss_xla" in row.get("run", {}) and "none" not in key]
    if others:
        lines += ["", "With an option:", "", "| net | run at | loss | gradient's norm |", "|---|---|---|---|"]
        lines += [f"| {key} | " + " | ".join(_differences(ran)) + " |" for key, ran in others]
    return "\n".join(lines) + "\n"


def _cell(found: dict[str, Any] | None) -> str:
    if found is None:
        return "?"
    if "refused" in found:
        return "-"
    return "same" if found["same"] and set(found["dialects"]) <= {"func", "stablehlo"} else "NO"


def _differences(ran: dict[str, Any] | None) -> list[str]:
    if ran is None:
        return ["not run", "", ""]
    return [ran["input"], *(f"{abs(ran[f'{n}_xla'] / ran[f'{n}_here'] - 1):.0e}" for n in ("loss", "grad_norm"))]


if __name__ == "__main__":
    main()
