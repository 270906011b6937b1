"""The names of torchvision.models.swin_transformer."""

from collections.abc import Callable

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
FAMILY = Family("swin_[tsb]", (Naming("torchvision", RULES, (INDEX,)),))
