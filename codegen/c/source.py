"""A lowered module as C11: `net.h` and `net.c`. The only place that writes a whole C file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from netc.codegen.c.any_batch import NAME, Size, larger, number_at, sized
from netc.codegen.c.common import Common, Part, wrapped
from netc.codegen.c.expressions import C_TYPES
from netc.codegen.c.function import FunctionWriter, comment, function_name
from netc.codegen.c.interface import Interface, interfaces
from netc.codegen.c.pieces import called_in
from netc.codegen.c.plan import ALIGNMENT, WIDTHS, Sizes
from netc.codegen.ir import Module, Op, Value
from netc.codegen.symbolic.abstract import BatchMisfitError
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
/* A function that is not copied to where it is called: compilers would take long over all that it computes. */
#if defined(__GNUC__)
#define NET_APART __attribute__((noinline))
#else
#define NET_APART
#endif
enum { NET_CHUNK = 256 }; /* numbers of a long sum that are made before they are added */
"""

CLOCK = """/* For a profile: the seconds from one mark to the next, and the processor's, to the part that ends at it. */
#include <time.h>
double net_seconds[{count}], net_processor[{count}];
static void net_tick(size_t part)
{{
    static double wall, processor;
    struct timespec now;
    timespec_get(&now, TIME_UTC);
    const double seconds = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
    const double busy = (double)clock() / (double)CLOCKS_PER_SEC;
    net_seconds[part] += seconds - wall;
    net_processor[part] += busy - processor;
    wall = seconds;
    processor = busy;
}}
"""


@dataclass(frozen=True)
class Marked:
    """A part of a program whose time is taken: the function that it is in, its layer's place, its operations."""

    function: str
    loc: str
    ops: tuple[Op, ...]


@dataclass(frozen=True)
class CSource:
    """`header` and `body` are net.h and net.c, without the line of the body that includes the header.

    `sizes`: the elements of each part of the arena, and `live` the bytes that are live at once in the function that
    needs most. `state`: the fields of the state. `marked`: the parts whose time `net_seconds` tells, by their numbers;
    behind them it has what is outside of all.
    """

    header: str
    body: str
    sizes: Sizes
    live: int
    state: Mapping[str, TensorType]
    interfaces: Mapping[str, Interface]
    marked: tuple[Marked, ...] = ()

    @property
    def text(self) -> str:
        """Both as one file."""
        return f"{self.header}\n{self.body}"

    @property
    def arena(self) -> int:
        """The bytes of the arena."""
        return sum(WIDTHS[region] * size for region, size in self.sizes.items())


@lru_cache(maxsize=1)  # the backend asks for the arena of the text that was just written
def c_source(module: Module, *, timed: bool = False) -> CSource:
    """The C of a module that was lowered for it; `timed`: with clocks, for a profile."""
    module = sized(module)
    state, found = interfaces(module)
    sizes: dict[str, Sizes] = {}
    written = []
    common = Common()
    for f in module:
        try:
            writer = FunctionWriter(found[f.name], found, sizes)
            written.append((writer, writer.parts()))
        except BatchMisfitError as error:
            raise BatchMisfitError(error.place or f.name, error.what) from None
        sizes[f.name] = writer.plan.sizes
        common.add(written[-1][1])
    live = max((writer.plan.live for writer, _ in written), default=0)
    marked: list[Marked] = []
    if timed:
        written = [(w, [*_marked(w.interface, parts, marked)]) for w, parts in written]
    functions = ["\n".join(_function(w.interface, w.body(parts, common))) for w, parts in written]
    entries = [i for i in found.values() if i.public]
    total: Sizes = {"f": 16}
    for i in entries:
        for region, size in sizes[i.function.name].items():
            total[region] = larger(total.get(region, 0), size)
    text = "\n\n".join([*common.functions(), *functions])
    support = "\n".join(piece.text for piece in called_in(text))
    mark = [f"{INDENT}net_tick({len(marked)});"] if timed else []
    body = "\n".join(
        [
            "#include <math.h>", "#include <stddef.h>", "#include <string.h>", "", MARKS, _space(total), _room(total),
            *([CLOCK.format(count=len(marked) + 1)] if timed else []), support, text,
            "", state_of_memory(state), *(line for i in entries for line in _entry(i, total, mark)),
        ]
    )  # fmt: skip
    return CSource(
        _header(module, state, entries, total), body.rstrip() + "\n", total, live, state, found, tuple(marked)
    )


def _marked(i: Interface, parts: Iterable[Part], marked: list[Marked]) -> Iterator[Part]:
    """Parts with a mark behind each, which are added to those that there are."""
    for part in parts:
        yield replace(part, tail=(f"net_tick({len(marked)});",))
        marked.append(Marked(i.function.name, part.loc, part.ops))


def _header(module: Module, state: Mapping[str, TensorType], entries: list[Interface], sizes: Sizes) -> str:
    what = "a training program" if any(f.name == "train_step" for f in module) else "a program"
    lines = [
        f"/* {comment(module.name)}: {what}, emitted by netc */", "#ifndef NET_H", "#define NET_H", "",
        *(["#include <stddef.h>"] if grows(sizes) else []), "#include <stdint.h>", "", "#ifdef __cplusplus",
        "#define NET_ALIGNED alignas(64)", 'extern "C" {', "#else",
        "#define NET_ALIGNED _Alignas(64)", "#endif", "",
    ]  # fmt: skip
    if state:
        lines += ["/* The state: where each of its tensors lies. */", "typedef struct {"]
        lines += [f"{INDENT}{C_TYPES[t.dtype]} *{name}; /* {t} */" for name, t in state.items()]
        lines += ["} net_state;", "", "/* Memory for it. */", "typedef struct {"]
        lines += [f"{INDENT}{C_TYPES[t.dtype]} {name}[{max(t.size, 1)}];" for name, t in state.items()]
        lines += ["} net_memory;", "", "net_state net_state_of(net_memory *memory);", ""]
    lines += _work(sizes)
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
    first += [f"size_t {NAME}"] if i.sized else []
    texts = [*first, *(text for text, _, _ in arguments(i, public=public))]
    return wrapped(f"{name}(", texts, ")")


def grows(sizes: Sizes) -> bool:
    """Whether an arena is larger for a larger batch."""
    return any(isinstance(n, Size) for n in sizes.values())


def _work(sizes: Sizes) -> list[str]:
    """What the header says of the arena."""
    if grows(sizes):
        return [
            "/* What a call for a batch needs while it runs: so many bytes, at an address that 64 divides. */",
            "typedef void net_work;", f"size_t net_work_bytes(size_t {NAME});", "",
        ]  # fmt: skip
    lines = ["/* What a call needs while it runs, by the type of its numbers. */", "typedef struct {"]
    lines += [f"{INDENT}NET_ALIGNED {KINDS[region]} {region}[{size}];" for region, size in sizes.items()]
    return [*lines, "} net_work;", ""]


def _room(sizes: Sizes) -> str:
    """Where the parts of an arena of any batch begin."""
    if not grows(sizes):
        return ""
    unit = ALIGNMENT
    ends = [f"({n} + {unit // WIDTHS[r] - 1}) / {unit // WIDTHS[r]} * {unit}" for r, n in sizes.items()]
    lines = [f"size_t net_work_bytes(size_t {NAME})", "{", f"{INDENT}return {' + '.join(ends)};", "}"]
    lines += [f"static net_space net_space_in(net_work *work, size_t {NAME})", "{", f"{INDENT}char *at = work;"]
    lines += [f"{INDENT}net_space space;"]
    for region, end in zip(sizes, ends, strict=True):
        lines += [f"{INDENT}space.{region} = ({KINDS[region]} *)(void *)at;", f"{INDENT}at += {end};"]
    return "\n".join([*lines, f"{INDENT}(void)at;", f"{INDENT}return space;", "}", ""])


def room_at(sizes: Sizes, batch: int) -> int:
    """The bytes of an arena at a batch."""
    return sum(-(-number_at(n, batch) * WIDTHS[r] // ALIGNMENT) * ALIGNMENT for r, n in sizes.items())


def _begins(sizes: Sizes, batch: str) -> str:
    if grows(sizes):
        return f"net_space_in(work, {batch})"
    return f"(net_space){{{', '.join(f'work->{region}' for region in sizes)}}}"


def _space(sizes: Sizes) -> str:
    lines = ["/* Where the parts of the arena begin. */", "typedef struct {"]
    lines += [f"{INDENT}{KINDS[region]} *{region};" for region in sizes]
    return "\n".join([*lines, "} net_space;", ""])


def _function(i: Interface, body: list[str]) -> list[str]:
    names = [name for _, name, _ in arguments(i, public=False)]
    words = set(_words("\n".join(body)))
    first = ["space", *(["s"] if i.stateful else []), *([NAME] if i.sized else [])]
    idle = [n for n in [*first, *names] if n not in words]
    what = f"/* {comment(i.function.name)} */"
    unused = [f"{INDENT}(void){n};" for n in idle]
    return [what, *_head(i, f"static void {function_name(i)}", public=False), "{", *unused,
            *(f"{INDENT}{line}" if line else "" for line in body), "}"]  # fmt: skip


def _words(text: str) -> list[str]:
    import re

    return re.findall(r"\w+", re.sub(r"/\*.*?\*/", "", text))


def _entry(i: Interface, sizes: Sizes, mark: list[str]) -> list[str]:
    """The function of the header: the work of the other one, in the arena that it is given; marks around it."""
    own = [*(["s"] if i.stateful else []), *([NAME] if i.sized else [])]
    args = ", ".join([*own, *(name for _, name, _ in arguments(i, public=True))])
    call = f"{function_name(i)}({_begins(sizes, NAME if i.sized else '1')}{', ' if args else ''}"
    lines, line = [], f"{INDENT}{call}"
    for n, name in enumerate(args.split(", ") if args else []):
        line = line if n == 0 else line + ", "
        if len(line) + len(name) > 110:
            lines.append(line.rstrip())
            line = INDENT * 2
        line += name
    return [*_head(i, f"void net_{i.function.name}", public=True), "{", *mark, *lines, f"{line});", *mark, "}", ""]


def state_of_memory(state: Mapping[str, TensorType]) -> str:
    """The function that points a state into its memory."""
    if not state:
        return ""
    lines = ["net_state net_state_of(net_memory *memory)", "{", f"{INDENT}net_state s;"]
    lines += [f"{INDENT}s.{name} = memory->{name};" for name in state]
    return "\n".join([*lines, f"{INDENT}return s;", "}", ""])
