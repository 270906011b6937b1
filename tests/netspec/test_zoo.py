"""The nets that netc knows by name, against the published counts (FACTS §6), written here a second time."""

import pytest

from netc.netspec.check import check
from netc.netspec.errors import SpecError, UserError
from netc.netspec.layers import Dense, Flatten, GlobalAvgPool
from netc.netspec.spec import NetSpec
from netc.netspec.toml import from_toml, to_toml
from netc.netspec.zoo import ZOO, find

# torchvision's models, 1000 classes; and lean4-mlir's two MNIST nets
PUBLISHED = {
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "mnist-mlp": 669_706,
    "mnist-cnn": 1_676_458,
}
# The others, by arithmetic
CONV = 3 * 3 * (3 * 32 + 32 * 32 + 32 * 64 + 64 * 64)
HEAD = 8 * 8 * 64 * 512 + 512 + 512 * 512 + 512 + 512 * 10 + 10
DERIVED = {
    "mnist-linear": 784 * 10 + 10,
    "cifar-cnn": CONV + (32 + 32 + 64 + 64) + HEAD,
    "cifar-bn": CONV + 2 * (32 + 32 + 64 + 64) + HEAD,
    # a 3x3 stem of 3 -> 64 in place of 7x7, and 10 classes in place of 1000
    "resnet18-cifar": 11_689_512 - (49 - 9) * 3 * 64 - 990 * 513,
    "resnet34-cifar": 21_797_672 - (49 - 9) * 3 * 64 - 990 * 513,
}
COUNTS = {**PUBLISHED, **DERIVED}


def test_every_net_has_a_count_here():
    assert set(COUNTS) == set(ZOO)


@pytest.mark.parametrize("name", COUNTS)
def test_parameters_are_as_published(name):
    net = check(find(name))
    assert net.count == COUNTS[name] == ZOO[name].parameters
    assert net.count == sum(p.size for p in net.params)


@pytest.mark.parametrize("name", COUNTS)
def test_a_net_is_what_its_name_says(name):
    net = check(find(name))
    assert net.spec.name == name
    assert net.spec.source
    classes = 1000 if name in ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152") else 10
    assert net.out.shape == (classes,)
    assert len({p.name for p in net.params} | {s.name for s in net.state}) == len(net.params) + len(net.state)
    # a running mean and variance for each scale and bias of a normalisation
    assert len(net.state) == 2 * sum(p.name.endswith(".scale") for p in net.params)


@pytest.mark.parametrize("name", COUNTS)
def test_toml_gives_the_net_back(name):
    spec = find(name)
    assert from_toml(to_toml(spec)) == spec
    assert to_toml(from_toml(to_toml(spec))) == to_toml(spec)


@pytest.mark.parametrize(
    ("name", "path", "shape"),
    [
        ("resnet34", "stem", (112, 112, 64)),
        ("resnet34", "pool", (56, 56, 64)),
        ("resnet34", "stage1", (56, 56, 64)),
        ("resnet34", "stage2", (28, 28, 128)),
        ("resnet34", "stage3", (14, 14, 256)),
        ("resnet34", "stage4", (7, 7, 512)),
        ("resnet50", "stage4", (7, 7, 2048)),
        ("resnet18-cifar", "stage1", (32, 32, 64)),
        ("resnet18-cifar", "stage4", (4, 4, 512)),
    ],
)
def test_sizes_of_the_stages(name, path, shape):  # He et al. 2016, table 1
    sizes = {layer.path: layer.signature.out.shape for layer in check(find(name)).walk()}
    assert sizes[path] == shape


def test_depths_are_the_names():  # weighted layers on the longest path
    for name, depth in (("resnet18", 18), ("resnet34", 34), ("resnet50", 50), ("resnet101", 101), ("resnet152", 152)):
        weighted = [p.name for p in check(find(name)).params if p.name.endswith("kernel") and "shortcut" not in p.name]
        assert len(weighted) == depth


def test_other_classes_and_other_sizes():
    spec = find("resnet18-cifar").with_classes(7)
    assert check(spec).out.shape == (7,)
    assert check(spec.with_input((40, 24, 1))).out.shape == (7,)
    with pytest.raises(SpecError, match="--classes wants a net that ends in a dense layer, got globalAvgPool"):
        NetSpec("n", (4, 4, 1), (GlobalAvgPool(),)).with_classes(3)
    with pytest.raises(SpecError, match="got no layers"):
        NetSpec("n", (4, 4, 1), ()).with_classes(3)


@pytest.mark.parametrize(("wrong", "near"), [("resnet43", "resnet34"), ("mnist_mlp", "mnist-mlp"), ("xyz", "netc ls")])
def test_an_unknown_name_says_what_is_near(wrong, near):
    with pytest.raises(UserError, match=near):
        find(wrong)


def test_a_file_is_found_by_its_ending(tmp_path):
    spec = NetSpec("mine", (4, 4, 1), (Flatten(), Dense(3)))
    (tmp_path / "mine.toml").write_text(to_toml(spec))
    assert find(str(tmp_path / "mine.toml")) == spec
