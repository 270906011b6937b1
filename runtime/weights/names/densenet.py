"""The names of torchvision.models.densenet, which are timm's too."""

from netc.runtime.weights.names.table import Family, Naming, with_norm

RULES = (
    *with_norm("stem", "features.conv0", "features.norm0"),
    (
        r"block(\d)\.layer(\d+)\.new\.(norm|conv)(\d)",
        lambda block, layer, what, number: f"features.denseblock{block}.denselayer{layer + 1}.{what}{number}",
    ),
    (r"transition(\d)\.(norm|conv)", "features.transition{0}.{1}"),
    ("norm", "features.norm5"),
    ("head", "classifier"),
)
FAMILY = Family(r"densenet\d+", (Naming("torchvision and timm", RULES),))
