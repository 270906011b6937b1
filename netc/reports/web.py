"""A page that trains a net on digits in a browser: its C as WebAssembly, one file. Wants jinja2, clang, wasm-ld."""

from __future__ import annotations

import base64
import importlib.metadata
import math
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from netc.codegen.c.folder import c_files, tells_experts, trains_images
from netc.codegen.c.static import static_files
from netc.codegen.program import Program
from netc.netspec.errors import UserError
from netc.netspec.recipe import SGD
from netc.reports.atlas import as_script
from netc.reports.templates import environment
from netc.runtime.data.batches import statistics
from netc.runtime.data.digits import read_digits
from netc.runtime.data.resize import ResizedSplit
from netc.runtime.files import made_for, write_whole
from netc.runtime.wasm_compiler import compile_wasm, declared, imports

SIDE, LEVELS, CLASSES = 8, 16, 10  # of netc's digits
SEED = 7


def web_page(program: Program, out: Path) -> Path:
    """Write the page of a classifier of ten classes to `out`, FILE.html.

    Raises UserError for another net, and where clang or wasm-ld is missing.
    """
    if out.suffix != ".html" or out.is_dir():
        raise UserError(f"`out` wants a file FILE.html, got {out}; let its name end in .html")
    name, shown = program.net.spec.name, program.net.out.shape[-1]
    if not trains_images(program) or tells_experts(program) or shown != CLASSES:
        raise UserError(
            f"a page wants a classifier of images with ten classes and a step that main.c could call, got {name} with "
            f"{shown}; choose another net, such as mnist-mlp"
        )
    template = environment("a page that trains").get_template("web.html.j2")
    wasm = compile_wasm(_c(program))
    data = _data(program, wasm)
    optimizer = type(program.recipe.optimizer).__name__
    page = template.render(
        version=importlib.metadata.version("netc"), name=name, data=as_script(data), wasm_kb=round(len(wasm) / 1000),
        train=data["train"], test=len(data["labels"]) - data["train"],
        about=f"A net of {program.net.count:,} parameters; batches of {program.batch}; {optimizer}.",
    )  # fmt: skip
    write_whole(made_for(out), page)
    return out


def _c(program: Program) -> dict[str, str]:
    """The files that are compiled."""
    made, source = c_files(program, main=False)
    shape = program.net.x.shape
    support = {
        name: files("netc.codegen.c").joinpath("support", name).read_text("utf-8")
        for name in ("web.c.in", "wasm_math.h.in", "wasm_string.h.in")
    }
    return {
        **{name: text for name, text in made.items() if name.startswith("net.")},
        **static_files(source),
        "web.c": Template(support["web.c.in"]).substitute(
            BATCH=program.batch, PIXELS=math.prod(shape[-3:]), CLASSES=CLASSES
        ),
        "include/math.h": Template(support["wasm_math.h.in"]).substitute(DECLARED=declared()),
        "include/string.h": support["wasm_string.h.in"],
    }


def _data(program: Program, wasm: bytes) -> dict[str, Any]:
    """All that the page has: see web.js for how it is read."""
    train, test = read_digits()
    height, width, channels = program.net.x.shape[-3:]
    pixels = [*train.pixels.ravel().tolist(), *test.pixels.ravel().tolist()]
    normalise = statistics(ResizedSplit(train, (height, width, channels)), channels, 1)
    return {
        "images": "".join(chr(ord("a") + round(p * LEVELS / 255)) for p in pixels),
        "labels": "".join(map(str, [*train.labels.tolist(), *test.labels.tolist()])),
        "train": len(train), "batch": program.batch, "height": height, "width": width, "channels": channels,
        "mean": normalise.mean, "std": normalise.std, "rows": weights(height), "columns": weights(width), "seed": SEED,
        "rate": 0.03 if isinstance(program.recipe.optimizer, SGD) else 0.001, "maths": imports(),
        "wasm": base64.b64encode(wasm).decode("ascii"),
    }  # fmt: skip


def weights(size: int) -> list[list[int]]:
    """What each of `size` pixels of a resized line has of each of the eight, in 2^-22: Pillow's bilinear weights.

    Its Resample.c computes them so (precompute_coeffs, normalize_coeffs_8bpc), and rounds to bytes after each axis.
    """
    scale = SIDE / size
    support = max(scale, 1.0)
    lines = []
    for n in range(size):
        centre = (n + 0.5) * scale
        first, last = max(int(centre - support + 0.5), 0), min(int(centre + support + 0.5), SIDE)
        found = [max(0.0, 1 - abs((k - centre + 0.5) / support)) for k in range(first, last)]
        share = 1 / sum(found)
        lines.append([0] * first + [int(0.5 + w * share * 2**22) for w in found] + [0] * (SIDE - last))
    return lines
