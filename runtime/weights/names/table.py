"""What a table of names is: rules from netc's paths of parameters to the names of another project's files."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

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
"""Mean and standard deviation of each channel, of pixels from 0 to 1, that weights were trained with."""

COUNTERS = r"(.*\.)?num_batches_tracked"  # how often a torch.nn.BatchNorm2d has seen a batch; netc has no use for it


def shapes_of(net: CheckedNet) -> dict[str, tuple[int, ...]]:
    """The shapes of a net's parameters, then of its statistics, by their paths."""
    return {p.name: p.shape for p in net.params} | {s.name: s.shape for s in net.state}


@dataclass(frozen=True)
class Naming:
    """How one project names the tensors of a net.

    `rules` are tried in order, or made from the net where the names depend on it. `ignored` are patterns of names in
    such files that a net of netc has no use for. `normalise` is the mean and the standard deviation that the published
    weights expect.
    """

    project: str
    rules: Rules | Callable[[CheckedNet], Rules]
    ignored: tuple[str, ...] = ()
    normalise: tuple[tuple[float, ...], tuple[float, ...]] = IMAGENET

    def sources(self, net: CheckedNet) -> dict[str, str]:
        """For each parameter and state of the net that a rule knows, the project's name of it."""
        rules = self.rules if isinstance(self.rules, tuple) else self.rules(net)
        compiled = [(re.compile(pattern), target) for pattern, target in rules]
        return {path: name for path in shapes_of(net) if (name := _renamed(path, compiled))}

    def ignores(self, name: str) -> bool:
        """Whether the net has no use for a tensor of that name, though the project's files hold it."""
        return any(re.fullmatch(pattern, name) for pattern in (COUNTERS, *self.ignored))


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


def with_norm(path: str, conv: str, norm: str) -> Rules:
    """The two rules of a convBn: its convolution and its norm."""
    return ((rf"{path}\.conv", conv), (rf"{path}\.norm", norm))
