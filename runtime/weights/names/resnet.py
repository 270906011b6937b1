"""The names of torchvision.models.resnet, which are timm's too, and of Hugging Face's ResNet."""

import re

from netc.netspec.check import CheckedNet
from netc.runtime.weights.names.table import Family, Naming, Rules, with_norm

BLOCK = r"stage(\d)\.block(\d+)\.residual"

RULES = (
    *with_norm("stem", "conv1", "bn1"),
    *with_norm(rf"{BLOCK}\.body\.conv(\d)", "layer{0}.{1}.conv{2}", "layer{0}.{1}.bn{2}"),
    *with_norm(rf"{BLOCK}\.shortcut", "layer{0}.{1}.downsample.0", "layer{0}.{1}.downsample.1"),
    ("head", "fc"),
)
EMBEDDER = "resnet.embedder.embedder"


def _hugging_face(net: CheckedNet) -> Rules:
    def layer(what: str, part: str) -> str:
        return f"resnet.encoder.stages.{{0}}.layers.{{1}}.{part}.{what}"

    rules: Rules = with_norm("stem", f"{EMBEDDER}.convolution", f"{EMBEDDER}.normalization")
    for name in (p.name for p in net.params):
        if found := re.fullmatch(rf"{BLOCK}\.(shortcut|body\.conv(\d))\.conv\.kernel", name):
            stage, block, _, number = found.groups()
            part = "shortcut" if number is None else f"layer.{int(number) - 1}"
            path = re.escape(name.removesuffix(".conv.kernel"))
            rules += with_norm(
                path, *(layer(what, part).format(int(stage) - 1, block) for what in ("convolution", "normalization"))
            )
    return (*rules, ("head", "classifier.1"))


FAMILY = Family(
    r"resnet\d+(-cifar)?|wide_resnet\d+_2|resnext\d+_32x4d",
    (Naming("torchvision and timm", RULES), Naming("Hugging Face", _hugging_face)),
)
