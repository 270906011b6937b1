"""The names of torchvision.models.shufflenetv2."""

from netc.runtime.weights.names.table import Family, Naming, with_norm

LEFT = r"stage(\d)\.unit(\d+)\.joined\.left"
RIGHT = r"stage(\d)\.unit(\d+)\.(?:joined|halves)\.right"

RULES = (
    *with_norm("stem", "conv1.0", "conv1.1"),
    *with_norm(rf"{LEFT}\.depthwise", "stage{0}.{1}.branch1.0", "stage{0}.{1}.branch1.1"),
    *with_norm(rf"{LEFT}\.conv", "stage{0}.{1}.branch1.2", "stage{0}.{1}.branch1.3"),
    *with_norm(rf"{RIGHT}\.conv1", "stage{0}.{1}.branch2.0", "stage{0}.{1}.branch2.1"),
    *with_norm(rf"{RIGHT}\.depthwise", "stage{0}.{1}.branch2.3", "stage{0}.{1}.branch2.4"),
    *with_norm(rf"{RIGHT}\.conv2", "stage{0}.{1}.branch2.5", "stage{0}.{1}.branch2.6"),
    *with_norm("conv5", "conv5.0", "conv5.1"),
    ("head", "fc"),
)
FAMILY = Family(r"shufflenet_v2_x.*", (Naming("torchvision", RULES),))
