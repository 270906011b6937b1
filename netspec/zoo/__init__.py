"""The networks that netc knows by name, and how any net is found."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from netc.netspec import toml
from netc.netspec.errors import UserError
from netc.netspec.spec import NetSpec
from netc.netspec.zoo import cifar, mnist, resnet


@dataclass(frozen=True)
class Entry:
    """A net of the zoo: how to make it, and its published count of trained parameters."""

    make: Callable[[], NetSpec]
    parameters: int


ZOO: dict[str, Entry] = {
    "mnist-linear": Entry(mnist.mnist_linear, 7_850),
    "mnist-mlp": Entry(mnist.mnist_mlp, 669_706),
    "mnist-cnn": Entry(mnist.mnist_cnn, 1_676_458),
    "cifar-cnn": Entry(cifar.cifar_cnn, 2_431_018),
    "cifar-bn": Entry(cifar.cifar_bn, 2_431_210),
    "resnet18": Entry(partial(resnet.resnet, "resnet18"), 11_689_512),
    "resnet34": Entry(partial(resnet.resnet, "resnet34"), 21_797_672),
    "resnet50": Entry(partial(resnet.resnet, "resnet50"), 25_557_032),
    "resnet101": Entry(partial(resnet.resnet, "resnet101"), 44_549_160),
    "resnet152": Entry(partial(resnet.resnet, "resnet152"), 60_192_808),
    "resnet18-cifar": Entry(partial(resnet.resnet_cifar, "resnet18"), 11_173_962),
    "resnet34-cifar": Entry(partial(resnet.resnet_cifar, "resnet34"), 21_282_122),
}


def find(name: str) -> NetSpec:
    """The net of that name, or the spec in that .toml file; raises UserError with the nearest names."""
    if name in ZOO:
        return ZOO[name].make()
    if name.endswith(".toml"):
        return toml.load(Path(name))
    near = difflib.get_close_matches(name, ZOO, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else "see `netc ls`"
    raise UserError(f"NET wants a name that `netc ls` shows or a .toml file, got {name!r}; {hint}")
