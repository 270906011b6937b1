"""The names of torchvision.models.swin_transformer, of timm's and of Hugging Face's Swin."""

import re
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from netc.netspec.check import CheckedNet
from netc.runtime.weights.names.table import Family, Naming, Rules

BLOCK = r"stage(\d)\.block(\d+)"
# part of a block -> its name there
PARTS = {
    r"attention\.body\.norm": "norm1",
    r"attention\.body\.qkv": "attn.qkv",
    r"attention\.body\.out": "attn.proj",
    r"attention\.body\.attend\.table": "attn.relative_position_bias_table",
    r"mlp\.body\.norm": "norm2",
    r"mlp\.body\.hidden": "mlp.0",
    r"mlp\.body\.out": "mlp.3",
}


def _place(name: str) -> Callable[[int, int], str]:
    return lambda stage, block: f"features.{2 * stage - 1}.{block}.{name}"


RULES: Rules = (
    ("patch", "features.0.0"),
    ("patchnorm", "features.0.2"),
    *((rf"{BLOCK}\.{path}", _place(name)) for path, name in PARTS.items()),
    (r"merge(\d)\.norm", lambda stage: f"features.{2 * stage}.norm"),
    (r"merge(\d)\.reduce", lambda stage: f"features.{2 * stage}.reduction"),
    ("norm", "norm"),
    ("head", "head"),
)
INDEX = r".*\.relative_position_index"  # which row of the table a pair of pixels has: netc works it out itself
TIMM_PARTS = PARTS | {r"mlp\.body\.hidden": "mlp.fc1", r"mlp\.body\.out": "mlp.fc2"}


def _timm(name: str) -> Callable[[int, int], str]:
    return lambda stage, block: f"layers.{stage - 1}.blocks.{block}.{name}"


TIMM: Rules = (
    ("patch", "patch_embed.proj"),
    ("patchnorm", "patch_embed.norm"),
    *((rf"{BLOCK}\.{path}", _timm(name)) for path, name in TIMM_PARTS.items()),
    (r"merge(\d)\.norm", "layers.{0}.downsample.norm"),
    (r"merge(\d)\.reduce", "layers.{0}.downsample.reduction"),
    ("norm", "norm"),
    ("head", "head.fc"),
)

LAYER = "swin.encoder.layers"
# part of a block -> its name there
HUGGING_FACE_PARTS = {
    r"attention\.body\.norm": "layernorm_before",
    r"attention\.body\.qkv": "attention.self.[query key value]",
    r"attention\.body\.out": "attention.output.dense",
    r"attention\.body\.attend\.table": "attention.self.relative_position_bias_table",
    r"mlp\.body\.norm": "layernorm_after",
    r"mlp\.body\.hidden": "intermediate.dense",
    r"mlp\.body\.out": "output.dense",
}


def _hugging_face(name: str) -> Callable[[int, int], str]:
    return lambda stage, block: f"{LAYER}.{stage - 1}.blocks.{block}.{name}"


def _merge(name: str) -> Callable[[int], str]:
    return lambda stage: f"{LAYER}.{stage - 1}.downsample.{name}"


HUGGING_FACE: Rules = (
    ("patch", "swin.embeddings.patch_embeddings.projection"),
    ("patchnorm", "swin.embeddings.norm"),
    *((rf"{BLOCK}\.{path}", _hugging_face(name)) for path, name in HUGGING_FACE_PARTS.items()),
    (r"merge(\d)\.norm", _merge("norm")),
    (r"merge(\d)\.reduce", _merge("reduction")),
    ("norm", "swin.layernorm"),
    ("head", "classifier"),
)


def _indices(net: CheckedNet) -> dict[str, npt.NDArray[np.int64]]:
    """For each pair of pixels of a window of W x W, row-major, the row of the table: that of their offset."""
    found = {}
    for p in net.params:
        if match := re.fullmatch(rf"{BLOCK}\.attention\.body\.attend\.table", p.name):
            width = (round(p.shape[0] ** 0.5) + 1) // 2  # the table has a row for each of (2 W - 1)^2 offsets
            places = np.stack(np.divmod(np.arange(width * width), width))
            down, right = places[:, :, None] - places[:, None, :] + width - 1
            name = _place("attn.relative_position_index")(int(match[1]), int(match[2]))
            found[name] = (down * (2 * width - 1) + right).reshape(-1).astype(np.int64)
    return found


FAMILY = Family(
    "swin_[tsb]",
    (
        Naming("torchvision", RULES, (INDEX,), buffers=_indices),
        Naming("timm", TIMM, (INDEX,)),
        Naming("Hugging Face", HUGGING_FACE, (INDEX,)),
    ),
)
