"""The files of a C program: net.h and net.c, and where it classifies images a main.c, with what builds them."""

from __future__ import annotations

from importlib.resources import files
from string import Template

from netc.codegen.c.interface import identifier
from netc.codegen.c.source import CSource, c_source
from netc.codegen.program import Program
from netc.codegen.rewrite.lower import lower
from netc.netspec.types import BYTES, TensorType

SAFE_DTYPES = {"f64": "F64", "f32": "F32", "i32": "I32", "i64": "I64", "ui32": "U32", "ui8": "U8", "i1": "BOOL"}


def c_files(program: Program, *, main: bool = True) -> tuple[dict[str, str], CSource]:
    """Each file of the program by its name, and its source. main.c is there for a classifier of images alone."""
    source = c_source(lower(program.module, "c", scan=program.recipe.scan_blocks))
    made = {"net.h": source.header, "net.c": f'#include "net.h"\n\n{source.body}'}
    if main and trains_images(program):
        made["main.c"] = _main(program, source)
        made["Makefile"] = _support("Makefile.in")
    made["CMakeLists.txt"] = Template(_support("CMakeLists.txt.in")).safe_substitute(
        NAME=identifier(program.net.spec.name)
    )
    return made, source


def trains_images(program: Program) -> bool:
    """Whether a batch is float32 images [B, H, W, C] and class ids [B], and a step says what main.c prints."""
    step = program.module.function("train_step")
    held = len(program.state)
    x, y = (v.type for v in step.params[held : held + 2])
    said = step.result_names[held:] == ("loss", "correct", "grad_norm", "param_norm")
    return x.dtype == "f32" and len(x.shape) == 4 and y == TensorType((program.batch,), "i32") and said


def _main(program: Program, source: CSource) -> str:
    step = program.module.function("train_step")
    x = step.params[len(program.state)].shape
    rows = []
    for slot, field in zip(program.state, source.state, strict=True):
        shape = "[" + ",".join(map(str, slot.type.shape)) + "]"
        size = slot.type.size * BYTES[slot.type.dtype]
        dtype = SAFE_DTYPES[slot.type.dtype]
        rows.append(f'    {{"{slot.name}", "{dtype}", "{shape}", offsetof(net_memory, {field}), {size}}},\n')
    return Template(_support("main.c.in")).safe_substitute(
        BATCH=program.batch, PIXELS=x[1] * x[2] * x[3], CHANNELS=x[3], CLASSES=program.net.out.shape[-1],
        TENSORS="".join(rows),
    )  # fmt: skip


def _support(name: str) -> str:
    return files("netc.codegen.c").joinpath("support", name).read_text(encoding="utf-8")
