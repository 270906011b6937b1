"""The weights of a net as a .safetensors file with another project's names and layouts: what read.py reads, undone."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.numpy

from netc.netspec.check import CheckedNet
from netc.netspec.errors import UserError
from netc.runtime.backends.protocol import Array
from netc.runtime.files import whole
from netc.runtime.weights.layouts import SAME, layouts
from netc.runtime.weights.names.table import Naming, pieces, shares

MEAN, COUNTER = "running_mean", "num_batches_tracked"


def named_tensors(
    net: CheckedNet, tensors: Mapping[str, Array], naming: Naming, steps: int = 0
) -> dict[str, npt.NDArray[Any]]:
    """The parameters and statistics of a net under a project's names, in its layouts and shapes.

    Beside each running mean stands PyTorch's counter of batches, `steps`, and such a model's buffers are there too:
    all that `load_state_dict(strict=True)` asks for. Raises UserError where the project has no name for a tensor.
    """
    sources = naming.sources(net)
    if nameless := [path for path in net.shapes if path not in sources]:
        more = f" and {len(nameless) - 1} more" if len(nameless) > 1 else ""
        raise UserError(
            f"`names` wants a net whose tensors {naming.project} names, got {net.spec.name} with {nameless[0]}{more}, "
            "which it does not have; export with `names=netc`"
        )
    kernels = {} if naming.own else layouts(net)
    found: dict[str, npt.NDArray[Any]] = {}
    for path in net.shapes:
        tensor = kernels.get(path, SAME).back(tensors[path].astype(np.float32, copy=False))
        for name, part in zip(pieces(sources[path]), _parts(tensor, shares(sources[path])), strict=True):
            found[name] = np.ascontiguousarray(part.reshape(naming.shaped(name, part.shape)))
            if name.endswith(MEAN) and not naming.own:
                found[name.removesuffix(MEAN) + COUNTER] = np.array(steps, np.int64)
    return {**found, **naming.buffers(net)}


def _parts(tensor: Array, among: tuple[int, ...]) -> list[Array]:
    """Parts of these shares of the first axis, one below the other."""
    if len(among) == 1:
        return [tensor]
    each = len(tensor) // sum(among)
    return np.split(tensor, [each * end for end in accumulate(among[:-1])])


def write_tensors(path: Path, tensors: Mapping[str, npt.NDArray[Any]], metadata: Mapping[str, str]) -> None:
    """Write the file: whole, or as it was before."""
    content = safetensors.numpy.save(dict(tensors), dict(metadata))
    with whole(path) as file:
        file.write(content)
