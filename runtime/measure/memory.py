"""The memory of a compiled training step, as its compiler lays it out: nothing is run.

XLA says what an executable takes. Of IREE's program the allocations are read where it has them in order (the `stream`
dialect): each is alive from its `alloca` to its `dealloca` or last use. A loop over the parts of a batch is followed
through two parts: the second is the first that finds sums of an earlier one. IREE does not take buffers over, so the
new state lies beside the old one.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from netc.codegen.c.source import c_source
from netc.codegen.ir import Module
from netc.codegen.program import Program
from netc.codegen.rewrite.form_overrides import NO_OVERRIDES, FormOverrides
from netc.codegen.text import text_of
from netc.netspec.errors import NetcError, UserError
from netc.runtime.compile import check_pair, compile_text
from netc.runtime.prepare import emit_text
from netc.runtime.target import Target

STEP = "train_step"
TURNS = 2  # of a loop that are followed


@dataclass(frozen=True, slots=True)
class Peak:
    """Bytes at the fullest moment of a step: arguments, results beside them, and what only the step itself needs."""

    arguments: int
    results: int
    transient: int

    @property
    def total(self) -> int:
        """All three."""
        return self.arguments + self.results + self.transient


def compiled_peak(
    program: Program,
    target: Target,
    choices: FormOverrides = NO_OVERRIDES,
    flags: Sequence[str] = (),
    watch: AbstractContextManager[object] | None = None,
) -> Peak:
    """The memory that the target's compiler plans for a step; `flags` go to iree-compile besides the target's.

    It compiles within `watch`.
    Raises UserError for a target without a compiler, CompileError where it fails.
    """
    if not target.compiled:
        raise UserError(f"`target` wants one with a compiler, got {target.word}; choose cpu or xla")
    source = emit_text(program, target, choices)
    if target.engine == "c":
        return _planned(source.module.needed(STEP))
    if not target.ahead:
        from netc.runtime.backends.xla import XlaLoaded

        loaded = XlaLoaded(source)
        with watch or nullcontext():
            return Peak(*loaded.memory(STEP))
    check_pair()
    with tempfile.TemporaryDirectory(prefix="netc-") as folder:
        path = Path(folder) / "step.mlir"
        text = text_of(source.module.needed(STEP), target.profile)
        with watch or nullcontext():
            compile_text(text, replace(target, flags=(*target.flags, *flags, "--compile-to=stream")), path)
        held = sum(v.type.bytes for v in source.module.function(STEP).params)
        return replace(peak_of(path.read_text(encoding="utf-8"), STEP), arguments=held)


def _planned(module: Module) -> Peak:
    """What C's arena holds, which is planned when it is emitted; a state is updated where it lies."""
    step = module.function(STEP)
    held = sum(v.type.bytes for v in step.params)
    results = sum(v.type.bytes for v in step.results[step.donated :])
    return Peak(held, results, c_source(module).arena)


_ALLOCA = re.compile(r"\s+(%\S+), %\S+ = stream\.resource\.alloca .*stream\.resource<(\w+)>\{%c(\d+)\}")
_JUMP = re.compile(r"\s+cf\.br (\^\w+)(?:\((.*) : .*\))?")
_CHOICE = re.compile(r"\s+cf\.cond_br %\w+, (\^\w+), (\^\w+)$")
_LABEL = re.compile(r"\s*(\^\w+)(?:\((.*)\))?:")
_GIVEN = re.compile(r"iree\.abi\.transients\.size\.constant = (\d+)")  # memory for transient tensors, an argument
_AWAIT = re.compile(r"\s+(%\w+)(?::\d+)? = stream\.timepoint\.await \S+ => (.*?) : ")
_SAME = re.compile(r"\s+(%\w+) = (?:stream\.resource\.subview|util\.optimization_barrier) (%[\w#]+)")
_VALUE = re.compile(r"%\w+(?:#\d+)?")


def peak_of(text: str, function: str) -> Peak:
    """The peak of the allocations of a function in the stream dialect, but for its arguments, which are not in it.

    Raises NetcError where the text branches in another way than a loop does, or allocates what it does not say in
    numbers.
    """
    stated, body = _body(text, function)
    made: list[tuple[int, int, bool]] = []  # each allocation: when, bytes, whether it is a result
    ended: dict[int, int] = {}
    held: dict[str, int] = {}  # name -> the allocation that it names now
    length = 0
    for length, line in enumerate(_followed(body, function), 1):
        if found := _ALLOCA.match(line):
            held[found[1]] = len(made)
            made.append((length, int(found[3]), found[2] == "external"))
            continue
        if "stream.resource.alloc" in line or "scf." in line:
            raise _unknown(function, line)
        for name in _VALUE.findall(line):
            if name in held:
                ended[held[name]] = length
        new = {name: held[of] for name, of in _renamed(body, line) if of in held}
        held.update(new)
    if found := _GIVEN.search(stated):
        ended[len(made)] = length
        made.append((0, int(found[1]), False))
    return _fullest(made, ended, length + 1)


def _renamed(body: Sequence[str], line: str) -> list[tuple[str, str]]:
    """The names that a line gives to what has one already, each with the old one."""
    if found := _AWAIT.match(line):
        waited = found[2].split(", ")
        names = [found[1]] if len(waited) == 1 else [f"{found[1]}#{n}" for n in range(len(waited))]
        return list(zip(names, waited, strict=True))
    if found := _SAME.match(line):
        return [(found[1], found[2])]
    if (found := _JUMP.match(line)) and found[2]:
        label = next(m for other in body if (m := _LABEL.match(other)) and m[1] == found[1])
        names = [argument.split(":")[0] for argument in label[2].split(", %")]
        return list(zip(("%" + name.lstrip("%") for name in names), found[2].split(", "), strict=True))
    return []


def _followed(body: Sequence[str], function: str) -> Iterator[str]:
    """The lines in the order in which they are run, where each loop is entered twice."""
    labels = {found[1]: number for number, line in enumerate(body) if (found := _LABEL.match(line))}
    entered: dict[int, int] = {}
    at = 0
    while at < len(body):
        line = body[at]
        if not _LABEL.match(line):
            yield line
        choice, jump = _CHOICE.match(line), _JUMP.match(line)
        if " cf." in line and not (choice or jump):
            raise _unknown(function, line)
        entered[at] = entered.get(at, 0) + 1
        if entered[at] > TURNS + 1:
            raise _unknown(function, line)
        wanted = choice[1 if entered[at] <= TURNS else 2] if choice else jump[1] if jump else None
        if wanted is not None and wanted not in labels:
            raise _unknown(function, line)
        at = at + 1 if wanted is None else labels[wanted]


def _unknown(function: str, line: str) -> NetcError:
    return NetcError(f"the memory of {function} is not known before it runs: {line.strip()[:80]}")


def _body(text: str, function: str) -> tuple[str, list[str]]:
    """The line that says what the function takes and gives, and the lines of its body."""
    lines = text.splitlines()
    begin = next((i for i, line in enumerate(lines) if "util.func" in line and f"@{function}(" in line), None)
    if begin is None:
        raise NetcError(f"the compiler's program has no function {function}; is it another version of IREE?")
    indent = len(lines[begin]) - len(lines[begin].lstrip())
    end = next(i for i in range(begin + 1, len(lines)) if lines[i].startswith(" " * indent + "}"))
    return lines[begin], lines[begin + 1 : end]


def _fullest(made: Sequence[tuple[int, int, bool]], ended: dict[int, int], length: int) -> Peak:
    """The moment with most bytes; a result lives to the end."""
    moments = []
    for own, (begin, size, result) in enumerate(made):
        moments += [(begin, size, result), (length if result else ended.get(own, begin) + 0.5, -size, result)]
    best, live = Peak(0, 0, 0), {True: 0, False: 0}
    for _, size, result in sorted(moments, key=lambda m: m[0]):
        live[result] += size
        if sum(live.values()) > best.total:
            best = Peak(0, live[True], live[False])
    return best
