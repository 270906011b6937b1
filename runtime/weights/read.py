"""Weights of another project's file as the parameters and statistics of a net.

Which tensor is which is said by the tables in runtime/weights/names, how it lies by runtime/weights/layouts.py.
Everything is checked before anything is returned.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from netc.netspec.check import CheckedNet
from netc.netspec.counting import counted
from netc.netspec.errors import UserError
from netc.netspec.preprocess import PLAIN, Preprocess
from netc.runtime.data.batches import Normalise
from netc.runtime.weights.layouts import SAME, Layout, Shape, layouts
from netc.runtime.weights.names import namings_of
from netc.runtime.weights.names.prefix import plain, prefixes
from netc.runtime.weights.names.table import Naming, pieces, shares
from netc.runtime.weights.said import read_said
from netc.runtime.weights.tensor_file import Floats, TensorFile, open_tensors


class WeightsError(UserError):
    """A file that does not fit a net. `problems` holds one sentence for each tensor at fault."""

    def __init__(self, head: str, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join((head, *problems)))


@dataclass(frozen=True)
class Weights:
    """What was read: float32 tensors by netc's names, all parameters and statistics of the net.

    `notes` are sentences about what was left out or converted, `normalise` is what such weights were trained with.
    `classes` are the names of the outputs, and `preprocess` how images were resized, where the file says them.
    """

    tensors: dict[str, Floats]
    project: str
    sha256: str
    normalise: Normalise
    notes: tuple[str, ...]
    classes: tuple[str, ...] = ()
    preprocess: Preprocess = PLAIN


ONE_OF_SEVERAL = re.compile(r"-\d+-of-\d+\.safetensors$")
MOST_PREFIXES = 8  # that are tried; the next ones find even fewer names


@dataclass(frozen=True)
class _Match:
    """A naming held against a file: where each tensor of the net lies, what the file holds, what is not asked for."""

    naming: Naming
    sources: dict[str, tuple[str, ...]]
    shares: dict[str, tuple[int, ...]]  # of the tensors of each of the sources
    prefix: str  # of the file's names, before the project's
    names: dict[str, str]  # the project's name -> the file's own
    others: tuple[str, ...]  # names of the file that have another prefix
    without: frozenset[str]

    @property
    def wanted(self) -> set[str]:
        return {name for path, names in self.sources.items() if path not in self.without for name in names}

    @property
    def hits(self) -> int:
        return len(self.wanted & self.names.keys())

    @property
    def whole(self) -> bool:
        return self.wanted <= self.names.keys()

    def ignores(self, name: str) -> bool:
        """Whether a tensor of the file is left where it is."""
        return self.naming.ignores(name) or name in {n for p in self.without for n in self.sources.get(p, ())}


def read_weights(net: CheckedNet, path: Path, without: Collection[str] = (), *, prefix: str | None = None) -> Weights:
    """Read a .safetensors file, or an index of several, with the weights of `net` as one of its namings has them.

    What stands before all these names in the file is found by what fits, or is `prefix`. The parameters named in
    `without` are not read, and may be there or not, of any shape. Raises TensorFileError for a
    damaged file, and WeightsError with every tensor that is missing, unexpected, of a wrong shape or not finite.
    """
    file = open_tensors(path)
    match = _match(net, namings_of(net.spec.name), file, frozenset(without), prefix)
    kernels = {} if match.naming.own else layouts(net)
    wanted = {path: shape for path, shape in net.shapes.items() if path not in match.without}
    behind = f" behind {_printable(match.prefix)}" if match.prefix else ""
    fault = f"{path} does not fit {net.spec.name} (names of {match.naming.project}{behind}); nothing was written"
    if problems := [*_misfits(match, file, wanted, kernels)]:
        if ONE_OF_SEVERAL.search(path.name):
            problems.append(f"{path.name} is one part of several: give their index, a file *.safetensors.index.json")
        raise WeightsError(fault, problems)
    tensors = {name: _converted(match, file, name, shape, kernels) for name, shape in wanted.items()}
    if problems := [*_unusable(match, tensors)]:
        raise WeightsError(fault, problems)
    said = read_said(file.metadata)
    normalise = said.normalise or Normalise(*match.naming.normalise)
    notes = tuple(_notes(match, file))
    return Weights(tensors, match.naming.project, file.sha256(), normalise, notes, said.classes, said.preprocess)


def _match(
    net: CheckedNet, namings: Sequence[Naming], file: TensorFile, without: frozenset[str], prefix: str | None
) -> _Match:
    """The naming and the prefix that find most names in the file. Raises WeightsError where two fit, or none."""
    own = {plain(name): name for name in file.tensors}
    if len(own) != len(file.tensors):  # two names that differ in a wrapper's word only
        own = {name: name for name in file.tensors}
    matches = []
    for naming in namings:
        spelled = naming.sources(net)
        sources = {path: pieces(name) for path, name in spelled.items()}
        parts = {path: shares(name) for path, name in spelled.items()}
        known = prefixes(own, {name for path, names in sources.items() if path not in without for name in names})
        for before in sorted(known, key=lambda p: (-known[p], len(p)))[:MOST_PREFIXES] if prefix is None else [prefix]:
            names = {name.removeprefix(before): at for name, at in own.items() if name.startswith(before)}
            others = tuple(at for name, at in own.items() if not name.startswith(before))
            matches.append(_Match(naming, sources, parts, before, names, others, without))
    best = max(matches, key=lambda m: m.hits, default=None)
    if best is None or not best.hits:
        raise _strangers(net, namings[0], file, prefix)
    if len(twice := [m.prefix for m in matches if m.naming is best.naming and m.whole]) > 1:
        shown = " and ".join(_printable(p) or "no prefix" for p in twice)
        advice = "read one of them with netc import --prefix"
        raise WeightsError(
            f"{file.path} holds {net.spec.name} more than once, after the prefixes {shown}; {advice}",
            (),
        )
    return best


def _strangers(net: CheckedNet, naming: Naming, file: TensorFile, prefix: str | None) -> WeightsError:
    """No name of the file is one of the net's."""
    theirs = ", ".join(_printable(name) for name in [*file.tensors][:3])
    ours = ", ".join([name for names in naming.sources(net).values() for name in pieces(names)][:3])
    behind = f" behind {_printable(prefix)}" if prefix else ""
    head = f"{file.path} does not fit {net.spec.name}; nothing was written"
    problem = (
        f"none of its {len(file.tensors):,} names is one of {naming.project}{behind}: it has {theirs}, wants {ours}"
    )
    alone = "; netc knows no other project's names for this net" if naming.own else ""
    return WeightsError(head, [problem + alone])


def _fits(got: Shape, wanted: Shape) -> bool:
    """Whether a tensor is the wanted one, perhaps written with another number of axes of size 1."""
    if len(got) == len(wanted):
        return got == wanted
    return [n for n in got if n != 1] == [n for n in wanted if n != 1]


def _misfits(match: _Match, file: TensorFile, shapes: dict[str, Shape], kernels: dict[str, Layout]) -> Iterator[str]:
    wanted: dict[str, tuple[Shape, str]] = {}
    for path, shape in shapes.items():
        if names := match.sources.get(path):
            outer = kernels.get(path, SAME).outer(shape)
            among = match.shares[path]
            each = outer[0] // sum(among) if len(among) > 1 else outer[0] if outer else 0
            for name, share in zip(names, among, strict=True):
                wanted[name] = ((each * share, *outer[1:]) if outer else outer, path)
        else:
            yield f"missing: {path} {list(shape)} of the net, which no name of {match.naming.project} stands for"
    for name, (shape, path) in wanted.items():
        if name not in match.names:
            yield f"missing: {name} {list(shape)} ({path})"
    for name, own in match.names.items():
        if name not in wanted and not match.ignores(name):
            yield f"unexpected: {_printable(own)} {list(file.tensors[own].shape)}"
    for own in () if match.whole else match.others:
        yield f"unexpected: {_printable(own)} {list(file.tensors[own].shape)}"
    for name, (shape, path) in wanted.items():
        if name in match.names and not _fits(got := file.tensors[match.names[name]].shape, shape):
            yield f"wrong shape: {name} wants {list(shape)}, got {list(got)} ({path})"


def _printable(name: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in name)[:200]


def _converted(match: _Match, file: TensorFile, path: str, shape: Shape, kernels: dict[str, Layout]) -> Floats:
    layout = kernels.get(path, SAME)
    parts = [file.read(match.names[name]) for name in match.sources[path]]
    tensor = (np.concatenate(parts) if len(parts) > 1 else parts[0]).reshape(layout.outer(shape))
    return np.ascontiguousarray(layout.inner(tensor)).reshape(shape)


def _unusable(match: _Match, tensors: dict[str, Floats]) -> Iterator[str]:
    for path, tensor in tensors.items():
        name = ", ".join(match.sources[path])
        if broken := int(tensor.size - np.isfinite(tensor).sum()):
            yield f"not finite: {name} has {broken:,} of {tensor.size:,} elements that are NaN or infinite ({path})"
        elif path.endswith(".var") and (tensor < 0).any():
            yield f"negative: {name} wants variances of at least 0, got {tensor.min():g} ({path})"


def _notes(match: _Match, file: TensorFile) -> Iterator[str]:
    if match.naming.remark:
        yield match.naming.remark
    if match.prefix:
        behind = f"{len(match.names):,}"
        yield f"the names were read without {_printable(match.prefix)}, which precedes {behind} of them"
    if match.others:
        firsts = sorted({name.split(".")[0] for name in match.others})
        yield (
            f"left out {counted(len(match.others), 'tensor')} with other prefixes: {', '.join(map(_printable, firsts))}"
        )
    left = [name for name in match.names if match.ignores(name)]
    counters = [name for name in left if name.endswith("num_batches_tracked")]
    if counters:
        yield f"left out {counted(len(counters), 'counter')} num_batches_tracked: netc's running statistics need none"
    if others := sorted(set(left) - set(counters)):
        modules = sorted({name.split(".")[0] for name in others})
        yield (
            f"left out {counted(len(others), 'tensor')} of {', '.join(map(_printable, modules))}: not used by netc's "
            "net"
        )
    dtypes = Counter(file.tensors[own].dtype for name, own in match.names.items() if name in match.wanted)
    for dtype, count in sorted(dtypes.items()):
        if dtype != "F32":
            yield f"converted {counted(count, 'tensor')} of {dtype} to float32"
