"""A Lean file as a source of specs: which it holds, and the one that is meant."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from netc.netspec.errors import UserError
from netc.netspec.lean.commands import contents
from netc.netspec.lean.evaluate import DEEPEST, Evaluator
from netc.netspec.lean.found import CONFIGS, SPECS, Found, LeanFile, some
from netc.netspec.lean.library import ROWS
from netc.netspec.lean.listing import listed
from netc.netspec.lean.names import Globals
from netc.netspec.lean.source import LeanError, Misread, Record
from netc.netspec.lean.tokens import tokens
from netc.netspec.lean.tree import Definition, Name, Structure
from netc.netspec.lean.values import arrows, counted, head
from netc.netspec.nearest import did_you_mean
from netc.netspec.text_file import read_text

if TYPE_CHECKING:
    from netc.netspec.lean.config import LeanConfig
    from netc.netspec.spec import NetSpec

LARGEST_FILE = 1 << 20  # bytes; a specification is text that somebody wrote
SUFFIX = ".lean"
FRAMES = 8  # of Python for each expression within an expression


def is_lean(name: str) -> bool:
    """Whether NET is `FILE.lean` or `FILE.lean:name`."""
    return name.endswith(SUFFIX) or f"{SUFFIX}:" in name


def divided(name: str) -> tuple[Path, str | None]:
    """`FILE.lean:name` in its two parts; the second is None where it is not given."""
    if name.endswith(SUFFIX):
        return Path(name), None
    path, _, wanted = name.rpartition(f"{SUFFIX}:")
    return Path(path + SUFFIX), wanted


def find(name: str) -> NetSpec:
    """The spec that `FILE.lean` or `FILE.lean:name` means; raises UserError."""
    return spec_of(*divided(name))


def spec_of(path: Path, name: str | None = None) -> NetSpec:
    """The file's spec of that name, or its only one; raises UserError, which lists them where none is named."""
    from netc.netspec.lean import meaning

    return pick(load(path), name).read(meaning.spec_of)


def config_of(path: Path, name: str | None = None) -> LeanConfig:
    """The file's training configuration of that name, or its only one; raises UserError."""
    from netc.netspec.lean import config

    return pick(load(path), name, CONFIGS).read(config.config_of)


def load(path: Path) -> LeanFile:
    """Read a file; raises UserError for one that cannot be read, LeanError for one that is no Lean text."""
    return from_text(read_text(path, LARGEST_FILE, "", "split it"), str(path))


def from_text(text: str, name: str = "spec.lean") -> LeanFile:
    """What a text defines; `name` stands for the file in messages. Raises LeanError for what is no Lean text."""
    from netc.netspec.lean.arguments import ACTIVATION_WORDS
    from netc.netspec.lean.config import FIELDS
    from netc.netspec.lean.constructors import TABLE

    text = text.replace("\0", "\ufffd")
    with deep_stack(name):
        try:
            found = contents(tokens(text))
        except Misread as error:
            raise LeanError(name, text, error.span, error.sentence) from None
        floats = (name for name, about in FIELDS.items() if about.type == "Float")
        known = Globals(found.definitions, found.declared, ROWS, floats, (*TABLE, *ACTIVATION_WORDS, "same", "valid"))
        run = Evaluator(known)
        specs: list[Found] = []
        configs: list[Found] = []
        makers = {
            ".".join(d.name): ", ".join(p.name for p in d.parameters if p.explicit and p.default is None)
            for d in found.definitions
            if d.parameters and head(d.type) in (SPECS, CONFIGS)
        }
        for definition in found.definitions:
            kind = _kind(definition, known)
            if kind is None:
                continue
            value = _evaluated(run, definition, kind, (name, text))
            if value is not None:
                (specs if _holds_spec(value, kind) else configs).append(value)
    return LeanFile(name, tuple(specs), tuple(configs), makers)


@contextmanager
def deep_stack(name: str) -> Iterator[None]:
    """Room on Python's stack for as deep a text as the evaluator allows."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, DEEPEST * FRAMES + 2_000))
    try:
        yield
    except RecursionError:
        raise UserError(f"{name}: wants a spec that is nested less deeply; give parts of it their own names") from None
    finally:
        sys.setrecursionlimit(before)


def _kind(definition: Definition, known: Globals) -> str | None:
    """The structure that a definition is, "" where only its value can tell, None for anything else."""
    if any(p.explicit and p.default is None for p in definition.parameters):
        return None
    words = definition.type
    for _ in range(8):  # `abbrev Net := NetSpec`
        other = known.find(tuple(words[0].split(".")), definition.scope) if len(words) == 1 else None
        if other is None or other.type not in ((), ("Type",)) or not isinstance(other.body, Name):
            break
        words = (".".join(other.body.parts),)
    if words:
        return head(words) if head(words) in (SPECS, CONFIGS) else None
    if definition.body is None or len(arrows(words)) > 1:
        return None
    return ""


def _holds_spec(found: Found, kind: str) -> bool:
    return kind == SPECS or (kind == "" and (found.record is None or "layers" in found.record.fields))


def _evaluated(run: Evaluator, definition: Definition, kind: str, file: tuple[str, str]) -> Found | None:
    name = ".".join(definition.name)
    record, problem = None, None
    try:
        if definition.name in run.known.repeated:
            raise Misread(definition.at.span, f"{name} is defined twice; give one of them another name")
        value = run.run(definition)
        if isinstance(value, Record) and (kind or value.fields.keys() & {"layers", "learningRate"}):
            counted(value, definition.at.span)
            record = value
        elif not kind:
            return None
        else:
            raise Misread(definition.at.span, f"wants a {kind}, got another value; write {{ name := .. }} or `where`")
    except Misread as error:
        spec = isinstance(definition.body, Structure) and any(f.name == "layers" for f in definition.body.fields)
        if not kind and not spec:
            return None
        problem = LeanError(*file, error.span, error.sentence)
    return Found(name, record, problem, definition.doc, definition.at.span, file)


def pick(file: LeanFile, name: str | None, kind: str = SPECS) -> Found:
    """The definition of that name, of which a unique ending is enough; without a name, the only one there is."""
    found = some(file, kind)
    if not name:  # `FILE.lean`, or `FILE.lean:`
        if len(found) == 1:
            return found[0]
        raise UserError(listed(file, kind))
    exact = [f for f in found if f.name == name]
    ends = exact[:1] or [f for f in found if f.name.endswith(f".{name}")]
    if len(ends) == 1:
        return ends[0]
    if ends:
        raise UserError(f"{file.path}: {name} may be {' or '.join(f.name for f in ends)}; write the full name")
    if name in file.makers:
        raise UserError(
            f"{file.path} holds no {kind} {name}; it is a function of {file.makers[name]}: "
            f"write `def {name}1 : {kind} := {name} ..` with values"
        )
    names = [f.name for f in found]
    hint = did_you_mean(name[:60], names[:2000], f"it has {', '.join(names[:12])}")
    raise UserError(f"{file.path} holds no {kind} {name[:60]}; {hint}")
