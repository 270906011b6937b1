"""The names of torchvision.models.googlenet and inception_v3.

torchvision's published weights of both come from TensorFlow and want inputs from -1 to 1; torchvision itself turns
ImageNet's normalisation into that one inside the net (`transform_input`). The auxiliary heads are left out.
"""

from netc.runtime.weights.names.table import HALF, Family, Naming, Rules, with_norm


def _both(path: str, name: str) -> Rules:
    return with_norm(path, f"{name}.conv", f"{name}.bn")


GOOGLENET = (
    *_both(r"conv(\d)", "conv{0}"),
    *_both(r"(inception\d[a-e])\.branch1", "{0}.branch1"),
    *_both(r"(inception\d[a-e])\.branch(\d)\.reduce", "{0}.branch{1}.0"),
    *_both(r"(inception\d[a-e])\.branch(\d)\.conv", "{0}.branch{1}.1"),
    ("head", "fc"),
)

# modules, branch -> what the branch is called there
BRANCHES: tuple[tuple[str, str, str], ...] = (
    ("5[b-d]", "five", "branch5x5"),
    ("5[b-d]", "three", "branch3x3dbl"),
    ("6a", "double", "branch3x3dbl"),
    ("6[b-e]", "seven", "branch7x7"),
    ("6[b-e]", "double", "branch7x7dbl"),
    ("7a", "three", "branch3x3"),
    ("7a", "seven", "branch7x7x3"),
    ("7[bc]", "three", "branch3x3"),
    ("7[bc]", "double", "branch3x3dbl"),
)
STEM = {"1a": "3x3", "2a": "3x3", "2b": "3x3", "3b": "1x1", "4a": "3x3"}


def _branches() -> Rules:
    rules: Rules = ()
    for modules, branch, name in BRANCHES:
        path = rf"mixed({modules})\.{branch}"
        rules += _both(rf"{path}\.conv(\d)", f"Mixed_{{0}}.{name}_{{1}}")
        # a fan of a 1x3 (a) and a 3x1 (b) convolution is the last of its branch
        last = {"three": 2, "double": 3}.get(branch, 0)
        rules += _both(rf"{path}\.fan\.across", f"Mixed_{{0}}.{name}_{last}a")
        rules += _both(rf"{path}\.fan\.down", f"Mixed_{{0}}.{name}_{last}b")
    return rules


INCEPTION = (
    *(rule for place, size in STEM.items() for rule in _both(f"conv{place}", f"Conv2d_{place}_{size}")),
    *_both(r"mixed(\d[a-e])\.point", "Mixed_{0}.branch1x1"),
    *_both(r"mixed(\d[a-e])\.pooled\.conv", "Mixed_{0}.branch_pool"),
    *_both(r"mixed(6a)\.three", "Mixed_{0}.branch3x3"),
    *_branches(),
    ("head", "fc"),
)
FAMILIES = (
    Family("googlenet", (Naming("torchvision", GOOGLENET, (r"aux[12]\..*",), normalise=HALF),)),
    Family("inception_v3", (Naming("torchvision", INCEPTION, (r"AuxLogits\..*",), normalise=HALF),)),
)
