"""What a table of names is: rules from netc's paths of parameters to the names of another project's files."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from netc.netspec.check import CheckedNet

# A path's pattern and what it becomes: a format string of the pattern's groups, or a function of them. Groups of
# digits are integers there. A pattern that ends in the name of a parameter stands for that tensor alone; any other
# for a layer, whose parameters are then named as LEAVES says.
Rename = tuple[str, str | Callable[..., str]]
Rules = tuple[Rename, ...]

# netc's name of a parameter or state -> PyTorch's
LEAVES = {
    "kernel": "weight", "scale": "weight", "bias": "bias", "gamma": "weight", "mean": "running_mean",
    "var": "running_var",
}  # fmt: skip

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
AS_IT_IS = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
"""Mean and standard deviation of each channel, of pixels from 0 to 1, that weights were trained with."""

ZERO_TO_ONE = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))

COUNTERS = r"(.*\.)?num_batches_tracked"  # how often a torch.nn.BatchNorm2d has seen a batch; netc has no use for it


@dataclass(frozen=True)
class Naming:
    """How one project names the tensors of a net.

    `rules` are tried in order, or made from the net where the names depend on it. A name `x.[a b]` stands for two
    tensors, x.a and x.b, that are one tensor of netc's, joined along PyTorch's first axis; in `x.[a*2 b]` the first has
    twice the share of the second. `ignored` are patterns of
    names in such files that a net of netc has no use for. `normalise` is the mean and the standard deviation that the
    published weights expect. `ones` says which names have so many axes of size 1 before and after netc's own, or
    fewer after. `own` tensors lie as netc's do. `remark` says where the project's net is another for all its equal
    names. `buffers` are what such a model has besides: no weights, and made from the net.
    """

    project: str
    rules: Rules | Callable[[CheckedNet], Rules]
    ignored: tuple[str, ...] = ()
    normalise: tuple[tuple[float, ...], tuple[float, ...]] = IMAGENET
    ones: tuple[tuple[str, int, int], ...] = ()
    own: bool = False
    remark: str = ""
    buffers: Callable[[CheckedNet], dict[str, npt.NDArray[np.int64]]] = lambda net: {}

    def sources(self, net: CheckedNet) -> dict[str, str]:
        """For each parameter and state of the net that a rule knows, the project's name of it."""
        rules = self.rules if isinstance(self.rules, tuple) else self.rules(net)
        compiled = [(re.compile(pattern), target) for pattern, target in rules]
        return {path: name for path in net.shapes if (name := _renamed(path, compiled))}

    def shaped(self, name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape that the project's tensor has, with its axes of size 1."""
        before, after = next(((b, a) for pattern, b, a in self.ones if re.fullmatch(pattern, name)), (0, 0))
        return (*(1,) * before, *(shape if after >= 0 else shape[:after]), *(1,) * after)

    def ignores(self, name: str) -> bool:
        """Whether the net has no use for a tensor of that name, though the project's files hold it."""
        return any(re.fullmatch(pattern, name) for pattern in (COUNTERS, *self.ignored))


def pieces(name: str) -> tuple[str, ...]:
    """The names of a project's tensors that make one of netc's.

    >>> pieces("attention.[query key].bias"), pieces("fc.bias")
    (('attention.query.bias', 'attention.key.bias'), ('fc.bias',))
    """
    before, bracket, rest = name.partition("[")
    words, _, after = rest.partition("]")
    return tuple(f"{before}{word.partition('*')[0]}{after}" for word in words.split()) if bracket else (name,)


def shares(name: str) -> tuple[int, ...]:
    """How many equal parts of the whole each of the pieces is.

    >>> shares("attention.[query*4 key*2 value*2].weight"), shares("fc.bias")
    ((4, 2, 2), (1,))
    """
    _, bracket, rest = name.partition("[")
    return tuple(int(w.partition("*")[2] or 1) for w in rest.partition("]")[0].split()) if bracket else (1,)


def _renamed(path: str, rules: list[tuple[re.Pattern[str], str | Callable[..., str]]]) -> str | None:
    owner, _, leaf = path.rpartition(".")
    for pattern, target in rules:
        for text, ending in ((path, ""), (owner, f".{LEAVES.get(leaf, leaf)}")):
            if match := pattern.fullmatch(text):
                groups = [int(g) if g is not None and g.isdigit() else g for g in match.groups()]
                return (target.format(*groups) if isinstance(target, str) else target(*groups)) + ending
    return None


@dataclass(frozen=True)
class Family:
    """The nets whose names match `nets`, and the namings of their weights that netc reads."""

    nets: str
    namings: tuple[Naming, ...]


def _paths(net: CheckedNet) -> Rules:
    return tuple((re.escape(path), partial(str, path)) for path in net.shapes)


OWN = Naming("netc", _paths, (r"[^./]+", r".+/.+"), own=True)
"""netc's own names: the paths that `netc show NET --depth 9` prints.

A whole state has counters without a dot and moments with a slash besides, which belong to no net.
"""


def with_norm(path: str, conv: str, norm: str) -> Rules:
    """The two rules of a convBn: its convolution and its norm."""
    return ((rf"{path}\.conv", conv), (rf"{path}\.norm", norm))
