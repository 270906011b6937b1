"""The names of torchvision.models.resnet, which are timm's too."""

from netc.runtime.weights.names.table import Family, Naming, with_norm

BLOCK = r"stage(\d)\.block(\d+)\.residual"

RULES = (
    *with_norm("stem", "conv1", "bn1"),
    *with_norm(rf"{BLOCK}\.body\.conv(\d)", "layer{0}.{1}.conv{2}", "layer{0}.{1}.bn{2}"),
    *with_norm(rf"{BLOCK}\.shortcut", "layer{0}.{1}.downsample.0", "layer{0}.{1}.downsample.1"),
    ("head", "fc"),
)
FAMILY = Family(r"resnet\d+(-cifar)?|wide_resnet\d+_2|resnext\d+_32x4d", (Naming("torchvision and timm", RULES),))
