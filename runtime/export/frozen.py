"""A net with its weights inside as an artefact of IREE: a function of one argument, and the manifest beside it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from netc.codegen.inference import NAME, Levels, inference_module
from netc.codegen.ir import Function, Module
from netc.codegen.rewrite.lower import lower
from netc.codegen.text import text_of
from netc.netspec.check import CheckedNet
from netc.netspec.errors import UserError
from netc.netspec.preprocess import PLAIN, Preprocess, resizing
from netc.runtime.backends.protocol import Array
from netc.runtime.compile import compile_text, made_by
from netc.runtime.data.batches import Normalise
from netc.runtime.files import copy_whole, write_whole
from netc.runtime.prepare import sha256_of_text
from netc.runtime.target import Target

RESIZE = "excluded: give images of the size that the argument has"


def levels_of(normalise: Normalise) -> Levels | None:
    """x = pixel scale + shift, with the numbers that a training multiplied by; None for a net that takes no pixels."""
    if not normalise.mean:
        return None
    std = np.array(normalise.std)
    scale, shift = (1 / (255 * std)).astype(np.float32), (-np.array(normalise.mean) / std).astype(np.float32)
    return Levels(tuple(map(float, scale)), tuple(map(float, shift)))


@dataclass(frozen=True)
class Frozen:
    """A net with the weights inside, for one target: the lowered module and its text."""

    net: CheckedNet
    target: Target
    module: Module
    text: str
    manifest: dict[str, Any]

    def save(self, path: Path) -> None:
        """Compile, and write the artefact and its manifest PATH.json. Raises CompileError."""
        with tempfile.TemporaryDirectory(prefix=".netc-", dir=path.absolute().parent) as folder:
            made = Path(folder) / "made.vmfb"
            compile_text(self.text, self.target, made)
            copy_whole(made, path)
        table = {**self.manifest, "artefact": made_by(path, self.target)}
        write_whole(path.with_name(path.name + ".json"), json.dumps(table, indent=1, allow_nan=False) + "\n")


def freeze(
    net: CheckedNet,
    weights: Mapping[str, Array],
    target: Target,
    *,
    batch: int,
    normalise: Normalise,
    classes: Sequence[str] = (),
    preprocess: Preprocess = PLAIN,
) -> Frozen:
    """The net with these weights, by netc's names, as `predict` of one argument, for a target of IREE.

    The argument is `pixels`, uint8 [batch, H, W, C], where `normalise` says how they become numbers; else x as the net
    takes it. The manifest says by `preprocess` how images were resized. Raises UserError for a target that makes no
    artefact.
    """
    if not target.ahead:
        raise UserError(
            f"`target` wants cpu, cuda:.., rocm:.. or vulkan for `vmfb`, got {target.word}, which compiles "
            "when it loads"
        )
    inside = {name: weights[name].astype("<f4").tobytes() for name in net.shapes}
    function = inference_module(net, batch, levels_of(normalise), inside)
    module = lower(function, target.profile, without=("give_scratch",))  # images are all that a host has to give
    text = text_of(module, target.profile)
    described = _described(net, module.function(NAME), batch, normalise)
    if normalise.mean:
        described["preprocessing"] |= resizing(preprocess)
    made = {"classes": list(classes), "module_sha256": sha256_of_text(text), "target": target.word}
    return Frozen(net, target, module, text, {**described, **made})


def _described(net: CheckedNet, function: Function, batch: int, normalise: Normalise) -> dict[str, Any]:
    def entries(names: Sequence[str], values: Sequence[Any]) -> list[dict[str, Any]]:
        return [
            {"name": n, "role": "data", "shape": list(v.shape), "dtype": v.type.dtype}
            for n, v in zip(names, values, strict=True)
        ]

    table: dict[str, Any] = {
        "format": 1,
        "net": net.spec.name,
        "spec_sha256": net.digest,
        "batch": batch,
        "parameters": net.count,
        "weights": "inside",
        "layout": {"images": "NHWC"},
        "functions": {
            NAME: {
                "arguments": entries(function.names, function.params),
                "results": entries(function.result_names, function.results),
            }
        },
    }
    if normalise.mean:
        levels = {"mean": list(normalise.mean), "std": list(normalise.std)}
        table["preprocessing"] = {"resize": RESIZE, "normalise": "inside: (pixel / 255 - mean) / std", **levels}
    return table
