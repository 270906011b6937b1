"""A lowered module as C11: `net.h` and `net.c`. The only place that writes a whole C file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from netc.codegen.c.expressions import C_TYPES
from netc.codegen.c.function import FunctionWriter, comment, function_name
from netc.codegen.c.interface import Interface, interfaces
from netc.codegen.c.pieces import called_in
from netc.codegen.c.plan import WIDTHS, Sizes
from netc.codegen.ir import Module, Value
from netc.netspec.types import TensorType

KINDS = {"d": "double", "f": "float", "l": "int64_t", "i": "int32_t", "u": "uint32_t", "b": "uint8_t"}
INDENT = "    "

MARKS = """/* Loops whose turns do not need each other: NET_EACH for vectors, NET_THREADS for threads (-fopenmp). */
#define NET_DO(text) _Pragma(#text)
#if defined(_OPENMP)
#define NET_EACH NET_DO(omp simd)
#define NET_THREADS NET_DO(omp parallel for schedule(static))
#define NET_THREADS_EACH NET_DO(omp parallel for simd schedule(static))
#define NET_THREADS_IF(enough) NET_DO(omp parallel for schedule(static) if (enough))
#else
#if defined(__clang__)
#pragma clang diagnostic ignored "-Wpass-failed"
#define NET_EACH NET_DO(clang loop vectorize(assume_safety))
#elif defined(__GNUC__)
#define NET_EACH NET_DO(GCC ivdep)
#else
#define NET_EACH
#endif
#define NET_THREADS
#define NET_THREADS_EACH NET_EACH
#define NET_THREADS_IF(enough)
#endif
enum { NET_CHUNK = 256 }; /* numbers of a long sum that are made before they are added */
"""


@dataclass(frozen=True)
class CSource:
    """`header` and `body` are net.h and net.c, without the line of the body that includes the header.

    `sizes`: the elements of each part of the arena, and `live` the bytes that are live at once in the function that
    needs most. `state`: the fields of the state.
    """

    header: str
    body: str
    sizes: Sizes
    live: int
    state: Mapping[str, TensorType]
    interfaces: Mapping[str, Interface]

    @property
    def text(self) -> str:
        """Both as one file."""
        return f"{self.header}\n{self.body}"

    @property
    def arena(self) -> int:
        """The bytes of the arena."""
        return sum(WIDTHS[region] * size for region, size in self.sizes.items())


@lru_cache(maxsize=1)  # the backend asks for the arena of the text that was just written
def c_source(module: Module) -> CSource:
    """The C of a module that was lowered for it."""
    state, found = interfaces(module)
    sizes: dict[str, Sizes] = {}
    functions: list[str] = []
    live = 0
    for f in module:
        writer = FunctionWriter(found[f.name], found, sizes)
        sizes[f.name] = writer.plan.sizes
        live = max(live, writer.plan.live)
        functions.append("\n".join(_function(found[f.name], writer.body())))
    entries = [i for i in found.values() if i.public]
    total: Sizes = {"f": 16}
    for i in entries:
        for region, size in sizes[i.function.name].items():
            total[region] = max(total.get(region, 0), size)
    text = "\n\n".join(functions)
    support = "\n".join(piece.text for piece in called_in(text))
    body = "\n".join(
        [
            "#include <math.h>", "#include <stddef.h>", "#include <string.h>", "", MARKS, _space(total), support, text,
            "", state_of_memory(state), *(line for i in entries for line in _entry(i, total)),
        ]
    )  # fmt: skip
    return CSource(_header(module, state, entries, total), body.rstrip() + "\n", total, live, state, found)


def _header(module: Module, state: Mapping[str, TensorType], entries: list[Interface], sizes: Sizes) -> str:
    what = "a training program" if any(f.name == "train_step" for f in module) else "a program"
    lines = [
        f"/* {comment(module.name)}: {what}, emitted by netc */", "#ifndef NET_H", "#define NET_H", "",
        "#include <stdint.h>", "", "#ifdef __cplusplus", "#define NET_ALIGNED alignas(64)", 'extern "C" {', "#else",
        "#define NET_ALIGNED _Alignas(64)", "#endif", "",
    ]  # fmt: skip
    if state:
        lines += ["/* The state: where each of its tensors lies. */", "typedef struct {"]
        lines += [f"{INDENT}{C_TYPES[t.dtype]} *{name}; /* {t} */" for name, t in state.items()]
        lines += ["} net_state;", "", "/* Memory for it. */", "typedef struct {"]
        lines += [f"{INDENT}{C_TYPES[t.dtype]} {name}[{max(t.size, 1)}];" for name, t in state.items()]
        lines += ["} net_memory;", "", "net_state net_state_of(net_memory *memory);", ""]
    lines += ["/* What a call needs while it runs, by the type of its numbers. */", "typedef struct {"]
    lines += [f"{INDENT}NET_ALIGNED {KINDS[region]} {region}[{size}];" for region, size in sizes.items()]
    lines += ["} net_work;", ""]
    for i in entries:
        lines += [f"{line}" for line in _head(i, f"void net_{i.function.name}", public=True)]
        lines[-1] += ";"
        lines.append("")
    return "\n".join([*lines, "#ifdef __cplusplus", "}", "#endif", "", "#endif", ""])


def arguments(i: Interface, *, public: bool) -> list[tuple[str, str, Value]]:
    """(declaration, name, value) of each argument and result that is not in the state, in order."""
    found = []
    for n, name in i.names.items():
        v = i.function.params[n]
        kind = C_TYPES[v.type.dtype]
        text = f"{kind} *{name}" if n < i.donated else f"{kind} {name}" if v.shape == () else f"const {kind} *{name}"
        found.append((text, name, v))
    for n, name in i.result_names.items():
        v = i.function.results[n]
        found.append((f"{C_TYPES[v.type.dtype]} *{name}", name, v))
    return found


def _head(i: Interface, name: str, *, public: bool) -> list[str]:
    first = ["net_work *work"] if public else ["net_space space"]
    first += ["const net_state *s"] if i.stateful else []
    texts = [*first, *(text for text, _, _ in arguments(i, public=public))]
    lines, line = [], f"{name}("
    for n, text in enumerate(texts):
        piece = text + (", " if n + 1 < len(texts) else ")")
        if len(line) + len(piece) > 110:
            lines.append(line.rstrip())
            line = INDENT
        line += piece
    return [*lines, line]


def _space(sizes: Sizes) -> str:
    lines = ["/* Where the parts of the arena begin. */", "typedef struct {"]
    lines += [f"{INDENT}{KINDS[region]} *{region};" for region in sizes]
    return "\n".join([*lines, "} net_space;", ""])


def _function(i: Interface, body: list[str]) -> list[str]:
    names = [name for _, name, _ in arguments(i, public=False)]
    words = set(_words("\n".join(body)))
    idle = [n for n in ["space", *(["s"] if i.stateful else []), *names] if n not in words]
    what = f"/* {comment(i.function.name)} */"
    unused = [f"{INDENT}(void){n};" for n in idle]
    return [what, *_head(i, f"static void {function_name(i)}", public=False), "{", *unused,
            *(f"{INDENT}{line}" if line else "" for line in body), "}"]  # fmt: skip


def _words(text: str) -> list[str]:
    import re

    return re.findall(r"\w+", re.sub(r"/\*.*?\*/", "", text))


def _entry(i: Interface, sizes: Sizes) -> list[str]:
    """The function of the header: the work of the other one, in the arena that it is given."""
    begin = ", ".join(f"work->{region}" for region in sizes)
    args = ", ".join([*(["s"] if i.stateful else []), *(name for _, name, _ in arguments(i, public=True))])
    call = f"{function_name(i)}((net_space){{{begin}}}{', ' if args else ''}"
    lines, line = [], f"{INDENT}{call}"
    for n, name in enumerate(args.split(", ") if args else []):
        line = line if n == 0 else line + ", "
        if len(line) + len(name) > 110:
            lines.append(line.rstrip())
            line = INDENT * 2
        line += name
    return [*_head(i, f"void net_{i.function.name}", public=True), "{", *lines, f"{line});", "}", ""]


def state_of_memory(state: Mapping[str, TensorType]) -> str:
    """The function that points a state into its memory."""
    if not state:
        return ""
    lines = ["net_state net_state_of(net_memory *memory)", "{", f"{INDENT}net_state s;"]
    lines += [f"{INDENT}s.{name} = memory->{name};" for name in state]
    return "\n".join([*lines, f"{INDENT}return s;", "}", ""])
