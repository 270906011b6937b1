"""A kernel as C11: a loop over blocks for OpenMP, in it a loop over threads for each piece between barriers.

Every access is checked, unless NETC_UNCHECKED is defined: an index outside stops nothing and writes nothing, and the
first one is told in `fault`: kind, line, array, index, block, thread. Kinds are 1 outside, 2 divergence, 3 endless.
"""

from __future__ import annotations

from collections.abc import Iterator

from netc.kernels.ir import (
    Assign,
    Atomic,
    Const,
    Expr,
    For,
    If,
    Kernel,
    Let,
    Place,
    Store,
    Type,
    Var,
    While,
    expressions,
    parts,
    statements,
)
from netc.kernels.phases import Agreed, Phase, Together, agrees, heads, in_full, kept, phases
from netc.kernels.spelling import Language, Speller, about, changed, libm, plain_name, steady, used
from netc.kernels.statement_text import Statements

TYPES: dict[Type, str] = {"f32": "float", "f64": "double", "i32": "int32_t", "u8": "uint8_t", "bool": "bool"}
AXES = "xyz"
FEW = 4096  # threads in all for which more processors do not pay
MOST_TURNS = 1 << 31  # of a while loop
HEAD = """\
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define EACH_THREAD                                              \\
    for (int32_t tz = 0, thread = 0; tz < block[2]; tz++)        \\
        for (int32_t ty = 0; ty < block[1]; ty++)                \\
            for (int32_t tx = 0; tx < block[0]; tx++, thread++)

static void netc_fault(int64_t *fault, int64_t kind, int64_t line, int64_t array, int64_t i, int64_t team,
                       int64_t thread)
{
#pragma omp critical(netc_fault)
    if (fault[0] == 0) {
        const int64_t told[6] = {kind, line, array, i, team, thread};
        memcpy(fault, told, sizeof told);
    }
}
"""
AT = """
static inline {type} *netc_at_{kind}(const {type} *x, int64_t size, int32_t i, int64_t line, int64_t array,
                                 int64_t team, int64_t thread, int64_t *fault)
{{
    static _Thread_local {type} spare;
    if (i >= 0 && i < size)
        return ({type} *)x + i;
    netc_fault(fault, 1, line, array, i, team, thread);
    spare = 0;
    return &spare;
}}
"""
STEP = """
static inline int64_t netc_step(int32_t step, int64_t line, int64_t team, int64_t *fault)
{
    if (step < 1)
        netc_fault(fault, 3, line, 0, 0, team, 0);
    return step < 1 ? INT32_MAX : step;
}
"""


def _place(name: str, axis: int) -> str:
    own = {"threadIdx": f"t{AXES[axis]}", "blockIdx": f"b{AXES[axis]}"}
    return own.get(name, f"{name.removesuffix('Dim')}[{axis}]")


def c_text(kernel: Kernel) -> str:
    """The kernel as a function `void NAME(grid, block, shared, scalars.., arrays and their sizes.., fault)`."""
    return _Text(kernel).text()


class _Text(Statements):
    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.kept = kept(kernel)
        self.mutable = changed(kernel.body)
        self.same = {s.name for s in kernel.scalars}
        self.compared = {s.array for s in statements(kernel.body) if isinstance(s, Atomic) and s.name != "add"}
        self.numbers = 0
        self.torn = False  # whether a block may be left
        language = Language(
            TYPES, "uint32_t", "static inline", _place, libm, self._element,
            lambda name: f"{name}[thread]" if name in self.kept.held else name,
        )  # fmt: skip
        self.speller = Speller(language)
        self.say = self.speller.text

    def _element(self, array: str, index: str, line: int) -> str:
        return f"at_{array}({index}, {line})"

    def text(self) -> str:
        """The whole file."""
        kernel = self.kernel
        body = list(self._team())
        kinds = dict.fromkeys(a.type for a in kernel.arrays if a.name in kernel.touched)
        at = "".join(AT.format(type=TYPES[k], kind=k) for k in kinds)
        macros = "\n".join(self._macro(n) for n in range(len(kernel.arrays)))
        helpers = self.speller.helper_texts()
        helpers += STEP if "netc_step" in self.speller.helpers else ""
        doc = f"/* {about(kernel)} */".replace("\n", " ")
        before = (doc, *(t.rstrip("\n") for t in (HEAD, at, helpers)), macros)
        return "\n".join((*(t for t in before if t), *self._signature(), *body, "}\n"))

    def _macro(self, n: int) -> str:
        a = self.kernel.arrays[n]
        checked = f"(*netc_at_{a.type}({a.name}, netc_size_{a.name}, netc_i, netc_line, {n}, team, thread, fault))"
        return (
            f"#ifdef NETC_UNCHECKED\n#define at_{a.name}(netc_i, netc_line) {a.name}[netc_i]\n#else\n"
            f"#define at_{a.name}(netc_i, netc_line) {checked}\n#endif"
        )

    def _signature(self) -> Iterator[str]:
        kernel = self.kernel
        words = ["const int32_t grid[3]", "const int32_t block[3]", "const int64_t *shared"]
        words += [f"{TYPES[s.type]} {s.name}" for s in kernel.scalars]
        for a in kernel.globals:
            const = "" if a.name in kernel.written else "const "
            words += [f"{const}{TYPES[a.type]} *restrict {a.name}", f"int64_t netc_size_{a.name}"]
        words.append("int64_t *fault")
        yield f"\nvoid {plain_name(kernel)}({(',' + chr(10) + '    ').join(words)})\n{{"
        yield "    const int64_t teams = (int64_t)grid[0] * grid[1] * grid[2];"
        yield "    const int32_t threads = block[0] * block[1] * block[2];"
        yield f"#pragma omp parallel for schedule(static) if (teams > 1 && teams * threads > {FEW})"
        yield "    for (int64_t team = 0; team < teams; team++) {"

    def _team(self) -> Iterator[str]:
        """What a block does."""
        yield from self._places()
        for n, a in enumerate(self.kernel.shared):
            size = str(a.size) if a.size else f"shared[{n}]"
            yield f"        const int64_t netc_size_{a.name} = {size};"
            yield f"        {TYPES[a.type]} {a.name}[netc_size_{a.name}];"
            yield f"        memset({a.name}, 0, sizeof {a.name});"
        for name, value in self.kept.held.items():
            yield f"        {TYPES[value.type]} {name}[threads];"
        yield from self._phases(phases(self.kernel.body), "        ")
        if self.torn:
            yield "    next:;"
        yield "    }"
        yield from (["    (void)shared;"] if not any(a.size == 0 for a in self.kernel.shared) else [])
        yield "    (void)threads;"

    def _places(self) -> Iterator[str]:
        """Where the block stands in the grid, so far as the kernel asks."""
        every = (e for s in statements(self.kernel.body) for p in parts(s) for e in expressions(p))
        named = {e.axis for e in every if isinstance(e, Place) and e.name == "blockIdx"}
        texts = (
            "bx = (int32_t)(team % grid[0])",
            "by = (int32_t)(team / grid[0] % grid[1])",
            "bz = (int32_t)(team / grid[0] / grid[1])",
        )
        if named:
            yield f"        const int32_t {', '.join(texts[axis] for axis in sorted(named))};"

    def _phases(self, cut: tuple[Phase, ...], indent: str) -> Iterator[str]:
        first = True
        for p in cut:
            if not first:
                yield ""
            first = False
            yield from self._together(p, indent) if isinstance(p, Together) else self._agreed(p, indent)

    def _together(self, p: Together, indent: str) -> Iterator[str]:
        own = [s for s in p.body if not (isinstance(s, Let) and s.name in self.kept.again)]
        if not own:
            return
        yield f"{indent}EACH_THREAD {{"
        yield from self._again(used(own), indent + "    ")
        yield from self._body(tuple(own), indent + "    ")
        yield f"{indent}}}"

    def _again(self, names: set[str], indent: str) -> Iterator[str]:
        """What is computed anew in this piece, and what that needs."""
        wanted = set(names)
        for name, value in reversed(self.kept.again.items()):
            if name in wanted:
                wanted |= {e.name for e in expressions(value) if isinstance(e, Var)}
        for name, value in self.kept.again.items():
            if name in wanted:
                yield f"{indent}const {TYPES[value.type]} {name} = {self.say(value)};"

    def _agreed(self, p: Agreed, indent: str) -> Iterator[str]:
        words = []
        for e in heads(p.head):
            if agrees(plain := in_full(e, self.kept.again), self.same):
                words.append(self.say(plain))
            else:
                self.numbers += 1
                words.append(f"netc_same{self.numbers}")
        again = isinstance(p.head, While)
        inner = indent + "    "
        own = inner if again else indent
        if again:
            yield f"{indent}for (int64_t netc_turns = 0;; netc_turns++) {{"
        for word, e in zip(words, heads(p.head), strict=True):
            if word.startswith("netc_same"):
                yield from self._ask(word, e, p.head.line, own)
        if isinstance(p.head, For):
            yield from self._loop(p.head, words, indent)
            self.same.add(p.head.name)
            yield from self._phases(p.then, inner)
            self.same.discard(p.head.name)
            yield f"{indent}}}"
            return
        if again:
            yield f"{inner}if (!({words[0]}))\n{inner}    break;"
            yield from self._endless(p.head.line, "0", inner)
            yield from self._phases(p.then, inner)
            yield f"{indent}}}"
            return
        yield f"{indent}if ({words[0]}) {{"
        yield from self._phases(p.then, inner)
        if p.otherwise:
            yield f"{indent}}} else {{"
            yield from self._phases(p.otherwise, inner)
        yield f"{indent}}}"

    def _ask(self, word: str, e: Expr, line: int, indent: str) -> Iterator[str]:
        """Ask every thread, and leave the block where two disagree."""
        self.torn = True
        kind = TYPES[e.type]
        yield f"{indent}{kind} {word} = 0;"
        yield f"{indent}EACH_THREAD {{"
        yield from self._again({v.name for v in expressions(e) if isinstance(v, Var)}, indent + "    ")
        yield f"{indent}    const {kind} netc_own = {self.say(e)};"
        yield f"{indent}    if (thread == 0)\n{indent}        {word} = netc_own;"
        yield f"{indent}    else if (netc_own != {word}) {{"
        yield f"{indent}        netc_fault(fault, 2, {line}, 0, 0, team, thread);"
        yield f"{indent}        goto next;\n{indent}    }}\n{indent}}}"

    def _loop(self, s: For, words: list[str], indent: str) -> Iterator[str]:
        start, stop, step = words
        name = s.name
        if isinstance(s.step, Const) and s.step.value == 1:
            same = stop.startswith("netc_same") or steady(s.stop, self.mutable)
            limit = "" if same else f", netc_stop = {stop}"
            until = stop if same else "netc_stop"
            yield f"{indent}for (int32_t {name} = {start}{limit}; {name} < {until}; {name}++) {{"
            return
        if not isinstance(s.step, Const):
            self.speller.helpers.add("netc_step")
            step = f"netc_step({step}, {s.line}, team, fault)"
        yield (
            f"{indent}for (int64_t netc_i = {start}, netc_stop = {stop}, netc_by = {step}; netc_i < netc_stop; "
            f"netc_i += netc_by) {{"
        )
        yield f"{indent}    const int32_t {name} = (int32_t)netc_i;"

    def _endless(self, line: int, thread: str, indent: str) -> Iterator[str]:
        yield f"{indent}if (netc_turns == {MOST_TURNS}) {{"
        yield f"{indent}    netc_fault(fault, 3, {line}, 0, 0, team, {thread});\n{indent}    break;\n{indent}}}"

    def _let(self, s: Let, indent: str) -> Iterator[str]:
        if s.name in self.kept.held:
            yield f"{indent}{s.name}[thread] = {self.say(s.value)};"
            return
        const = "" if s.name in self.mutable else "const "
        yield f"{indent}{const}{TYPES[s.value.type]} {s.name} = {self.say(s.value)};"

    def _assign(self, s: Assign, indent: str) -> Iterator[str]:
        yield f"{indent}{self.speller.language.variable(s.name)} = {self.say(s.value)};"

    def _store(self, s: Store, indent: str) -> Iterator[str]:
        yield f"{indent}at_{s.array}({self.say(s.index)}, {s.line}) = {self.say(s.value)};"

    def _atomic(self, s: Atomic, indent: str) -> Iterator[str]:
        place, value = f"at_{s.array}({self.say(s.index)}, {s.line})", self.say(s.value)
        own = any(a.name == s.array for a in self.kernel.shared)  # a block is one thread of the processor
        if s.name == "add":
            mixed = s.array in self.compared  # an atomic addition and a critical section do not exclude each other
            yield from [] if own else [f"#pragma omp critical(netc_{s.array})" if mixed else "#pragma omp atomic"]
            yield f"{indent}{place} += {value};"
            return
        symbol = "<" if s.name == "min" else ">"
        yield from [] if own else [f"#pragma omp critical(netc_{s.array})"]
        yield f"{indent}{{\n{indent}    int32_t *netc_p = &{place}, netc_v = {value};"
        yield f"{indent}    if (netc_v {symbol} *netc_p)\n{indent}        *netc_p = netc_v;\n{indent}}}"

    def _for(self, s: For, indent: str) -> Iterator[str]:
        yield from self._loop(s, [self.say(e) for e in heads(s)], indent)
        yield from self._body(s.body, indent + "    ")
        yield f"{indent}}}"

    def _while(self, s: While, indent: str) -> Iterator[str]:
        yield f"{indent}for (int64_t netc_turns = 0; {self.say(s.condition)}; netc_turns++) {{"
        yield from self._endless(s.line, "thread", indent + "    ")
        yield from self._body(s.body, indent + "    ")
        yield f"{indent}}}"


_Text.table = {
    Let: _Text._let,
    Assign: _Text._assign,
    Store: _Text._store,
    Atomic: _Text._atomic,
    If: _Text._if,
    For: _Text._for,
    While: _Text._while,
}
