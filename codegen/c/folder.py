"""The files of a C program: net.h and net.c, and where a step takes (x, y, rate) a main.c, with what builds them."""

from __future__ import annotations

import hashlib
import json
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from math import prod
from pathlib import Path
from string import Template

from netc.codegen.c.expressions import C_TYPES
from netc.codegen.c.interface import identifier
from netc.codegen.c.source import CSource, c_source
from netc.codegen.choices import METRICS as EXPERTS
from netc.codegen.program import Program
from netc.codegen.rewrite.lower import lower
from netc.codegen.scanned import refuse_unscanned
from netc.codegen.symbolic.abstract import BatchMisfitError
from netc.codegen.symbolic.program import AnyBatchProgram, refusal
from netc.netspec.types import BYTES, TensorType

SAFE_DTYPES = {"f64": "F64", "f32": "F32", "i32": "I32", "i64": "I64", "ui32": "U32", "ui8": "U8", "i1": "BOOL"}
GIVEN = {"f64": "<f8", "f32": "<f4", "i32": "<i4"}  # types of x and y that main.c reads, as NumPy says them
STEP = ("loss", "correct", "grad_norm", "param_norm")
# what main.c is told of experts, which its trace leaves out
_TOLD = {"TOLD_ROOM": ", told[2]", "TOLD": ", &told[0], &told[1]"}
_CHOICES = {"CHOICES_ROOM": ", choices[{size}]", "CHOICES": ", choices"}
EVALUATION = ("loss", "correct", "count")


@dataclass(frozen=True)
class Origin:
    """What the trace of main.c says of the program besides its own text: the digest of the plain program, the recipe
    as JSON, netc's version.
    """

    program_sha256: str = ""
    recipe: str = "{}"
    version: str = ""


def c_files(program: Program, origin: Origin | None = None, *, main: bool = True) -> tuple[dict[str, str], CSource]:
    """Each file of the program by its name, and its source. main.c is there where `trains` says so.

    Raises UserError for a program of any batch that has no one form.
    """
    source = _source(program)
    made = {"net.h": source.header, "net.c": f'#include "net.h"\n\n{source.body}'}
    if main and trains(program):
        made["main.c"] = _main(program, source, origin or Origin())
        made["Makefile"] = _support("Makefile.in")
    made["CMakeLists.txt"] = Template(_support("CMakeLists.txt.in")).safe_substitute(
        NAME=identifier(program.net.spec.name)
    )
    return made, source


def _source(program: Program) -> CSource:
    if not isinstance(program, AnyBatchProgram):
        module = lower(program.module, "c", scan=program.recipe.scan_blocks)
        refuse_unscanned(program, module)
        return c_source(module)
    try:
        return c_source(program.lowered("c"))
    except BatchMisfitError as error:
        raise refusal(program.net, error) from error


def stale(folder: Path, made: Iterable[str]) -> list[Path]:
    """Files of an earlier program in its folder that the new one, of these files, does not have, and CMake would take.

    A main.c or Makefile is one where it begins as those of netc do: it may be the caller's own.
    """
    said = {
        "net_static.h": "",
        "net_static.c": "",
        "main.c": _support("main.c.in"),
        "Makefile": _support("Makefile.in"),
    }
    found = [(folder / name, text.partition("\n")[0]) for name, text in said.items() if name not in {*made}]
    return [path for path, begin in found if path.is_file() and path.read_bytes().startswith(begin.encode())]


def trains(program: Program) -> bool:
    """Whether a step takes (x, y, rate) of types that main.c reads, and says what it prints."""
    if isinstance(program, AnyBatchProgram):
        return False
    step, evaluation = program.module.function("train_step"), program.module.function("eval_step")
    held = len(program.state)
    taken = step.names[held:] == ("x", "y", "lr") and all(v.type.dtype in GIVEN for v in step.params[held:])
    said = step.result_names[held:]
    return taken and said in (STEP, (*STEP, *EXPERTS)) and evaluation.result_names[:3] == EVALUATION


def tells_experts(program: Program) -> bool:
    """Whether a step tells how its tokens choose among experts, too."""
    return program.module.function("train_step").result_names[-len(EXPERTS) :] == EXPERTS


def trains_images(program: Program) -> bool:
    """Whether it does, and a batch is images [B, H, W, C] of floats and class ids [B]."""
    x, y = (v.type for v in program.module.function("train_step").params[len(program.state) :][:2])
    one = y == TensorType((program.batch,), "i32")
    return trains(program) and one and x.dtype != "i32" and len(x.shape) == 4


def _main(program: Program, source: CSource, origin: Origin) -> str:
    step = program.module.function("train_step")
    x, y, lr = (v.type for v in step.params[len(program.state) :])
    one = y == TensorType((program.batch,), "i32")
    images = trains_images(program)
    rows = []
    for slot, field in zip(program.state, source.state, strict=True):
        shape = "[" + ",".join(map(str, slot.type.shape)) + "]"
        size = slot.type.size * BYTES[slot.type.dtype]
        dtype = SAFE_DTYPES[slot.type.dtype]
        rows.append(f'    {{"{slot.name}", "{dtype}", "{shape}", offsetof(net_memory, {field}), {size}}},\n')
    text = hashlib.sha256(source.text.encode()).hexdigest()
    digests = {"module_sha256": text, "program_sha256": origin.program_sha256}
    words = {
        "BATCH": program.batch, "X_SIZE": prod(x.shape[1:]), "Y_SIZE": prod(y.shape[1:]),
        "CLASSES": program.net.out.shape[-1] if one else 0, "IMAGES": int(images),
        "TABLE": int(len(x.shape) == 2 and len(y.shape) == 1 and x.dtype != "i32"),
        "CHANNELS": x.shape[3] if images else 1, "X_TYPE": C_TYPES[x.dtype], "Y_TYPE": C_TYPES[y.dtype],
        "REAL": C_TYPES[lr.dtype], "X_SHAPE": _sizes(x), "Y_SHAPE": _sizes(y), "X_AFTER": _sizes(x, ", "),
        "Y_AFTER": _sizes(y, ", "), "X_NUMPY": GIVEN[x.dtype], "Y_NUMPY": GIVEN[y.dtype], "TENSORS": "".join(rows),
        "HEADER": _literal(json.dumps(digests)[1:-1] + ", "), "RECIPE": _literal(origin.recipe),
        "VERSION": origin.version, "ROUNDS": _rounds(),
        **(_TOLD if tells_experts(program) else dict.fromkeys(_TOLD, "")), **_choices(program),
        "NET": json.dumps(json.dumps(program.net.spec.name)), "SPEC": program.net.digest,
    }  # fmt: skip
    parts = {name.upper(): _support(f"{name}.c.in") for name in ("examples", "order", "checkpoint", "trace")}
    whole = Template(_support("main.c.in")).safe_substitute(parts)
    return Template(whole).safe_substitute({name: str(value) for name, value in words.items()})


def _choices(program: Program) -> dict[str, str]:
    """What an evaluation tells of experts, too, of frozen ones as well."""
    told = program.module.function("eval_step").results[len(EVALUATION) :]
    return {word: text.format(size=v.type.size) for v in told for word, text in _CHOICES.items()} or dict.fromkeys(
        _CHOICES, ""
    )


def _sizes(t: TensorType, before: str = "") -> str:
    """The sizes of one example."""
    return before * (len(t.shape) > 1) + ", ".join(map(str, t.shape[1:]))


def _literal(text: str) -> str:
    """A string of C, a few words a line."""
    pieces = textwrap.wrap(text, 90, drop_whitespace=False, break_on_hyphens=False)
    return "\n".join(f"    {json.dumps(piece)}" for piece in pieces)


def _rounds() -> str:
    """The constants of SHA-256: the first 32 bits of what is behind the point of the cube roots of 64 primes."""
    primes = [n for n in range(2, 312) if all(n % d for d in range(2, n))][:64]
    found = []
    for n in primes:
        low, high = 0, 1 << 40
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if middle**3 <= n << 96 else (low, middle)
        found.append(f"0x{low & 0xFFFFFFFF:08X}")
    lines = textwrap.wrap(", ".join(found) + ",", 100)
    return "".join(f"        {line}\n" for line in lines)


def _support(name: str) -> str:
    return files("netc.codegen.c").joinpath("support", name).read_text(encoding="utf-8")
