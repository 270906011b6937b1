"""Weights of another project's file as the parameters and statistics of a net: the border at which layouts change.

Inside netc images are NHWC and kernels HWIO; the files that are read here hold PyTorch's layouts:

    parameter                    netc               PyTorch
    conv2d kernel                [kh, kw, I, O]     [O, I, kh, kw]
    dense kernel                 [I, O]             [O, I], or [O, I, 1, 1] of a 1x1 convolution
    dense kernel after flatten   [(H W C), O]       [O, (C H W)]
    any other                    its shape          its shape, with or without axes of size 1

Which tensor is which is said by the tables in runtime/names. Everything is checked before anything is returned.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from netc.netspec.check import CheckedNet
from netc.netspec.errors import UserError
from netc.netspec.layers import Conv2d, Dense, Flatten
from netc.runtime.data.batches import Normalise
from netc.runtime.names import family_of
from netc.runtime.names.table import Naming, shapes_of
from netc.runtime.tensor_file import Floats, TensorFile, open_tensors

Shape = tuple[int, ...]
WRAPPERS = ("module.", "_orig_mod.")  # what torch's DataParallel and compile put before every name


class WeightsError(UserError):
    """A file that does not fit a net. `problems` holds one sentence for each tensor at fault."""

    def __init__(self, head: str, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join((head, *problems)))


@dataclass(frozen=True)
class Weights:
    """What was read: float32 tensors by netc's names, all parameters and statistics of the net.

    `notes` are sentences about what was left out or converted, `normalise` is what such weights were trained with.
    """

    tensors: dict[str, Floats]
    project: str
    sha256: str
    normalise: Normalise
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """One row of the table above. `outer` gives PyTorch's shape for netc's, `inner` netc's tensor for PyTorch's."""

    outer: Callable[[Shape], Shape]
    inner: Callable[[Floats], Floats]


SAME = Layout(lambda shape: shape, lambda tensor: tensor)
CONV = Layout(lambda s: (s[3], s[2], s[0], s[1]), lambda t: t.transpose(2, 3, 1, 0))
DENSE = Layout(lambda s: (s[1], s[0]), lambda t: t.T)
LAYOUTS = {Conv2d.kind: CONV, Dense.kind: DENSE}


def _flattened(image: Shape) -> Layout:
    """A dense kernel behind a flatten of [H, W, C], which PyTorch lays out as [C, H, W]."""
    height, width, channels = image

    def inner(tensor: Floats) -> Floats:
        outputs = len(tensor)
        return tensor.reshape(outputs, channels, height, width).transpose(2, 3, 1, 0).reshape(-1, outputs)

    return Layout(DENSE.outer, inner)


def layouts(net: CheckedNet) -> dict[str, Layout]:
    """The layout of each kernel of the net, by its path; what is not named there has the same layout everywhere."""
    found: dict[str, Layout] = {}
    image: Shape = ()
    for at in net.walk():
        if isinstance(at.layer, Flatten):
            image = at.x.shape
        elif at.layer.kind in LAYOUTS:
            flat = isinstance(at.layer, Dense) and len(image) == 3
            found[f"{at.path}.kernel"] = _flattened(image) if flat else LAYOUTS[at.layer.kind]
            image = ()
    return found


@dataclass(frozen=True)
class _Match:
    """A naming held against a file: where each tensor of the net lies, what the file holds, what is not asked for."""

    naming: Naming
    sources: dict[str, str]
    names: dict[str, str]  # the project's name -> the file's own
    without: frozenset[str]

    @property
    def hits(self) -> int:
        return len(set(self.sources.values()) & self.names.keys())

    def ignores(self, name: str) -> bool:
        """Whether a tensor of the file is left where it is."""
        return self.naming.ignores(name) or name in {self.sources.get(p) for p in self.without}


def read_weights(net: CheckedNet, path: Path, without: Collection[str] = ()) -> Weights:
    """Read a .safetensors file with the weights of `net` as torchvision or timm name them.

    The parameters named in `without` are not read, and may be there or not, of any shape. Raises TensorFileError for a
    damaged file, and WeightsError with every tensor that is missing, unexpected, of a wrong shape or not finite.
    """
    family = family_of(net.spec.name)
    file = open_tensors(path)
    names = _unwrapped(file)
    match = max((_Match(n, n.sources(net), names, frozenset(without)) for n in family.namings), key=lambda m: m.hits)
    kernels = layouts(net)
    wanted = {path: shape for path, shape in shapes_of(net).items() if path not in match.without}
    fault = f"{path} does not fit {net.spec.name} (names of {match.naming.project}); nothing was written"
    if problems := [*_misfits(match, file, wanted, kernels)]:
        raise WeightsError(fault, problems)
    tensors = {name: _converted(match, file, name, shape, kernels) for name, shape in wanted.items()}
    if problems := [*_unusable(match, tensors)]:
        raise WeightsError(fault, problems)
    return Weights(
        tensors, match.naming.project, file.sha256(), Normalise(*match.naming.normalise), tuple(_notes(match, file))
    )


def _unwrapped(file: TensorFile) -> dict[str, str]:
    """The file's names without the prefix that wrappers put before all of them -> the file's names."""
    for prefix in WRAPPERS:
        if file.tensors and all(name.startswith(prefix) for name in file.tensors):
            return {name.removeprefix(prefix): name for name in file.tensors}
    return {name: name for name in file.tensors}


def _fits(got: Shape, wanted: Shape) -> bool:
    """Whether a tensor is the wanted one, perhaps written with another number of axes of size 1."""
    if len(got) == len(wanted):
        return got == wanted
    return [n for n in got if n != 1] == [n for n in wanted if n != 1]


def _misfits(match: _Match, file: TensorFile, shapes: dict[str, Shape], kernels: dict[str, Layout]) -> Iterator[str]:
    wanted: dict[str, tuple[Shape, str]] = {}
    for path, shape in shapes.items():
        if name := match.sources.get(path):
            wanted[name] = kernels.get(path, SAME).outer(shape), path
        else:
            yield f"missing: {path} {list(shape)} of the net, which no name of {match.naming.project} stands for"
    for name, (shape, path) in wanted.items():
        if name not in match.names:
            yield f"missing: {name} {list(shape)} ({path})"
    for name, own in match.names.items():
        if name not in wanted and not match.ignores(name):
            yield f"unexpected: {_printable(own)} {list(file.tensors[own].shape)}"
    for name, (shape, path) in wanted.items():
        if name in match.names and not _fits(got := file.tensors[match.names[name]].shape, shape):
            yield f"wrong shape: {name} wants {list(shape)}, got {list(got)} ({path})"


def _printable(name: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in name)[:200]


def _converted(match: _Match, file: TensorFile, path: str, shape: Shape, kernels: dict[str, Layout]) -> Floats:
    layout = kernels.get(path, SAME)
    tensor = file.read(match.names[match.sources[path]]).reshape(layout.outer(shape))
    return np.ascontiguousarray(layout.inner(tensor)).reshape(shape)


def _unusable(match: _Match, tensors: dict[str, Floats]) -> Iterator[str]:
    for path, tensor in tensors.items():
        name = match.sources[path]
        if broken := int(tensor.size - np.isfinite(tensor).sum()):
            yield f"not finite: {name} has {broken:,} of {tensor.size:,} elements that are NaN or infinite ({path})"
        elif path.endswith(".var") and (tensor < 0).any():
            yield f"negative: {name} wants variances of at least 0, got {tensor.min():g} ({path})"


def _notes(match: _Match, file: TensorFile) -> Iterator[str]:
    left = [name for name in match.names if match.ignores(name)]
    counters = [name for name in left if name.endswith("num_batches_tracked")]
    if counters:
        yield f"{len(counters)} counters num_batches_tracked were left out: netc's running statistics need none"
    if others := sorted(set(left) - set(counters)):
        modules = sorted({name.split(".")[0] for name in others})
        yield f"{len(others)} tensors of {', '.join(map(_printable, modules))} were left out: netc's net does without"
    read = {name for path, name in match.sources.items() if path not in match.without}
    dtypes = Counter(file.tensors[own].dtype for name, own in match.names.items() if name in read)
    for dtype, count in sorted(dtypes.items()):
        if dtype != "F32":
            yield f"{count} tensors of {dtype} were converted to float32"
