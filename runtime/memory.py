"""The memory of a compiled training step, as its compiler lays it out: nothing is run.

XLA says what an executable takes. Of IREE's program the allocations are read where it has them in order (the `stream`
dialect): each is alive from its `alloca` to its `dealloca` or last use. IREE does not take buffers over, so the new
state lies beside the old one.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from netc.codegen.program import Program
from netc.codegen.render import render
from netc.codegen.rewrite.choices import NONE, Choices
from netc.netspec.errors import NetcError, UserError
from netc.runtime.compile import check_pair, compile_text
from netc.runtime.session import emit_text
from netc.runtime.target import Target

STEP = "train_step"


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


def compiled_peak(program: Program, target: Target, choices: Choices = NONE, flags: Sequence[str] = ()) -> Peak:
    """The memory that the target's compiler plans for a step; `flags` go to iree-compile besides the target's.

    Raises UserError for a target without a compiler, CompileError where it fails.
    """
    if target.engine == "reference":
        raise UserError("--target wants one with a compiler, got reference; choose cpu or xla")
    source = emit_text(program, target, choices)
    if target.engine == "xla":
        from netc.runtime.backends.xla import XlaLoaded

        return Peak(*XlaLoaded(source).memory(STEP, donate=len(program.state)))
    check_pair()
    with tempfile.TemporaryDirectory(prefix="netc-") as folder:
        path = Path(folder) / "step.mlir"
        text = render(source.module.needed(STEP))
        compile_text(text, replace(target, flags=(*target.flags, *flags, "--compile-to=stream")), path)
        held = sum(v.type.bytes for v in source.module.function(STEP).params)
        return replace(peak_of(path.read_text(encoding="utf-8"), STEP), arguments=held)


_ALLOCA = re.compile(r"\s+(%\S+), %\S+ = stream\.resource\.alloca .*stream\.resource<(\w+)>\{%c(\d+)\}")
_AWAIT = re.compile(r"\s+(%\w+)(?::\d+)? = stream\.timepoint\.await \S+ => (.*?) : ")
_SAME = re.compile(r"\s+(%\w+) = (?:stream\.resource\.subview|util\.optimization_barrier) (%[\w#]+)")
_VALUE = re.compile(r"%\w+(?:#\d+)?")


def peak_of(text: str, function: str) -> Peak:
    """The peak of the allocations of a function in the stream dialect, but for its arguments, which are not in it.

    Raises NetcError where the text has loops or allocates what it does not say in numbers.
    """
    body = _body(text, function)
    made: dict[str, tuple[int, int, bool]] = {}  # name -> line, bytes, whether it is a result
    same: dict[str, str] = {}
    ended: dict[str, int] = {}

    def owner(name: str) -> str:
        while name in same:
            name = same[name]
        return name

    for number, line in enumerate(body):
        if found := _ALLOCA.match(line):
            made[found[1]] = (number, int(found[3]), found[2] == "external")
            continue
        if "stream.resource.alloc" in line or " cf." in line or "scf." in line:
            raise NetcError(f"the memory of {function} is not known before it runs: {line.strip()[:80]}")
        if found := _AWAIT.match(line):
            waited = found[2].split(", ")
            names = [found[1]] if len(waited) == 1 else [f"{found[1]}#{n}" for n in range(len(waited))]
            same.update(zip(names, waited, strict=True))
        elif found := _SAME.match(line):
            same[found[1]] = found[2]
        for name in _VALUE.findall(line):
            if (own := owner(name)) in made:
                ended[own] = number
    return _fullest(made, ended, len(body))


def _body(text: str, function: str) -> list[str]:
    lines = text.splitlines()
    begin = next((i for i, line in enumerate(lines) if "util.func" in line and f"@{function}(" in line), None)
    if begin is None:
        raise NetcError(f"the compiler's program has no function {function}; is it another version of IREE?")
    indent = len(lines[begin]) - len(lines[begin].lstrip())
    end = next(i for i in range(begin + 1, len(lines)) if lines[i].startswith(" " * indent + "}"))
    return lines[begin + 1 : end]


def _fullest(made: dict[str, tuple[int, int, bool]], ended: dict[str, int], length: int) -> Peak:
    """The moment with most bytes; a result lives to the end."""
    moments = []
    for name, (begin, size, result) in made.items():
        moments += [(begin, size, result), (length if result else ended.get(name, begin) + 0.5, -size, result)]
    best, live = Peak(0, 0, 0), {True: 0, False: 0}
    for _, size, result in sorted(moments, key=lambda m: m[0]):
        live[result] += size
        if sum(live.values()) > best.total:
            best = Peak(0, live[True], live[False])
    return best
