"""check: every problem at once, each with its layer; and paths, names and shapes of what passes."""

from itertools import pairwise

import pytest
from hypothesis import given

from netc.netspec.check import check
from netc.netspec.errors import SpecError
from netc.netspec.layers import (
    Activation,
    AdaptiveAvgPool,
    AvgPool,
    BatchNorm,
    Chain,
    Concat,
    Conv2d,
    ConvBn,
    DarknetBlock,
    Dense,
    Flatten,
    FpnModule,
    Gate,
    GlobalAvgPool,
    GroupNorm,
    Identity,
    MaxPool,
    MbConv,
    MultiHeadAttention,
    NearestUpsample,
    Repeat,
    Residual,
    ResidualBlock,
    SelfAttention,
    UnetDown,
    UnetUp,
)  # fmt: skip
from netc.netspec.spec import NetSpec
from tests.netspec.strategies import nets


def problems(*layers, shape=(8, 8, 3)):
    with pytest.raises(SpecError) as caught:
        check(NetSpec("net", shape, layers))
    assert str(caught.value) == "\n".join(caught.value.problems)
    return caught.value.problems


def test_the_sentence_of_the_design():
    assert problems(Conv2d(512, name="conv"), MaxPool(), Flatten(), Dense(9), Conv2d(4), Dense(10, inputs=512)) == (
        "net: layer 4 (conv2d 4 3x3) at conv2d4 wants [batch, H, W, C], got [batch, 9]; give an image, or use dense",
    )
    assert problems(Conv2d(512), Dense(10, inputs=512, name="head")) == (
        "net: layer 1 (dense 512->10) at head wants [batch, 512], got [batch, 8, 8, 512]; "
        "put GlobalAvgPool() or Flatten() before it",
    )


def test_all_errors_at_once():
    found = problems(
        Conv2d(0, kernel=0, stride=-1, activation="rleu", name="a"),
        MaxPool(2, padding="smae", name="b"),
        Dense(-1, inputs=0, name="c"),
        shape=(0, 8, 3),
    )
    assert len(found) == 8
    assert found[0] == "net: input wants positive sizes such as 224x224x3, got (0, 8, 3); write `input` like that"
    for text in found[1:5]:
        assert text.startswith("net: layer 0 (conv2d 0 ")
        assert " at a: " in text
    assert found[4].endswith(
        "activation wants one of identity, relu, relu2, relu6, leaky-relu, sigmoid, tanh, swish, h-sigmoid, h-swish, "
        "gelu, gelu-tanh, got 'rleu'; did you mean relu or relu2 or relu6?"
    )
    assert "at b: padding wants one of same, same-symmetric, valid or" in found[5]
    assert found[6] == "net: layer 2 (dense -1) at c: features wants a positive integer, got -1"
    assert found[7] == "net: layer 2 (dense -1) at c: inputs wants a positive integer, got 0"


def test_shape_errors_go_on_where_the_output_is_plain():
    found = problems(
        Conv2d(4, inputs=5, name="a"), Conv2d(6, groups=3, name="b"), GlobalAvgPool(), Dense(3, inputs=7, name="c")
    )
    assert [text.split(" at ")[1].split(" ")[0] for text in found] == ["a", "b", "c"]
    assert found[0].endswith("wants 5 channels, got [batch, 8, 8, 3]; set inputs=3 or leave it out")
    assert found[1].endswith("wants a multiple of groups=3 channels, got [batch, 8, 8, 4]; change groups")
    assert found[2].endswith("wants [batch, 7], got [batch, 6]; set inputs=6 or leave it out")


@pytest.mark.parametrize(
    ("layer", "shape", "sentence"),
    [
        (MaxPool(9), (8, 8, 1), "wants an image of at least 9 pixels a side, got 8x8; use a larger input"),
        (MaxPool(2, padding=((2, 0), (0, 0))), (8, 8, 1), "padding wants less than the window's size 2, got (2, 0)"),
        (AvgPool(2), (8,), "wants [batch, H, W, C], got [batch, 8]; give an image"),
        (MaxPool((2, 0)), (8, 8, 1), "kernel wants positive integers, got (2, 0)"),
        (Conv2d(3, padding=((0, -1), (0, 0))), (8, 8, 1), "padding wants no negative numbers"),
        (Conv2d(3, dilation=0), (8, 8, 1), "dilation wants positive integers, got 0"),
        (Conv2d(3, groups=2), (8, 8, 2), "features wants a multiple of groups=2, got 3"),
        (Conv2d(3, groups=0), (8, 8, 2), "groups wants a positive integer, got 0"),
        (Conv2d(3, 5, padding="valid"), (4, 8, 1), "wants an image of at least 5 pixels a side, got 4x8"),
        (ConvBn(3), (8,), "wants [batch, H, W, C], got [batch, 8]; give an image, or use dense"),
        (ResidualBlock(4, blocks=0), (8, 8, 4), "blocks wants an integer from 1 to 10000, got 0"),
        (BatchNorm(epsilon=0.0), (8,), "epsilon wants a positive number, got 0.0"),
        (BatchNorm(epsilon=float("nan")), (8,), "epsilon wants a positive number, got nan"),
        (BatchNorm(momentum=1.5), (8,), "momentum wants a number from 0 to 1, got 1.5"),
        (Activation("softmax"), (8,), "activation wants one of identity, relu,"),
        (Activation("relu", slope=0.2), (8,), "slope belongs to leaky-relu, got slope=0.2 with relu; leave it out"),
        (GlobalAvgPool(), (8,), "leave it out: there is nothing to average"),
        (Residual(Dense(3)), (8,), "wants body and shortcut of one shape, got [batch, 3] and [batch, 8]"),
        (Gate(Dense(3)), (8,), "wants a body that gives [batch, 8] or [batch, 8], got [batch, 3]"),
        (Concat(()), (8,), "branches wants at least one layer, got none"),
        (Concat((Conv2d(2), Conv2d(2, stride=2))), (8, 8, 1), "wants branches that agree on all axes but the last"),
        (Repeat(Dense(3), times=0), (8,), "times wants an integer from 1 to 10000, got 0"),
        (Repeat(Dense(3, inputs=8), times=2), (8,), "at it.block1 wants [batch, 8], got [batch, 3]"),
        (UnetUp(Conv2d(2, stride=0), 4), (8, 8, 1), "at it.inner: stride wants positive integers, got 0"),
        (UnetUp(UnetDown(-1), 4), (8, 8, 1), "at it.inner: features wants a positive integer, got -1"),
        (FpnModule((GroupNorm(0),)), (8, 8, 4), "it.groupNorm0: groups wants a positive integer, got 0"),
        (MbConv(4, 1e308), (8, 8, 4), "expansion wants a positive number up to 10000, got 1e+308"),
        (BatchNorm(1e-300), (8,), "epsilon wants a number that float32 can hold, between 1e-37 and 1e37, got 1e-300"),
        (
            DarknetBlock(1, "swish", 0.2),
            (8, 8, 4),
            "slope belongs to leaky-relu, got slope=0.2 with swish; leave it out",
        ),
        (MultiHeadAttention(2, attention_dropout=1.0), (4, 4), "attention_dropout wants a number in [0, 1), got 1.0"),
        (SelfAttention(1, tile=1), (5000, 3), "wants at most 512 tiles, got [batch, 5000, 3] by 1; raise tile"),
        (MaxPool(1000), (2000, 2000, 1), "kernel wants at most 65536 positions, got 1000"),
        (AdaptiveAvgPool(4096), (2000, 2000, 3), "wants pixels times windows of at most 262144 a side"),
        (
            NearestUpsample(100_000),
            (4, 4, 4),
            "wants an output of at most 2147483648 elements, got [batch, 400000, 400000, 4]",
        ),
        (
            Chain((Dense(3, name="a"), Dense(3, name="a"))),
            (8,),
            "wants a different name for each part, got 'a' 2 times",
        ),
    ],
)
def test_sentences(layer, shape, sentence):
    named = type(layer)(**{**vars(layer), "name": "it"})
    found = problems(named, Identity(name="after"), shape=shape)
    assert any(sentence in text for text in found), found
    assert all("net: layer 0 (" in text and " at it" in text for text in found)


def test_more_layers_than_memory_holds_are_refused():
    found = problems(Repeat(Repeat(Dense(8), 10_000), 10_000), shape=(8,))
    assert found == ("net: layer 0: wants at most 200000 layers in all, got more; lower times or blocks",)


@pytest.mark.parametrize("deep", [Conv2d(2), Activation()])
def test_the_same_inside_a_layer_whose_expression_asks_its_parts_for_their_shapes(deep):
    many = Repeat(Repeat(deep, 10_000), 10_000)
    sentence = "wants at most 200000 layers in all, got more; lower times or blocks"
    (found,) = problems(UnetUp(Chain((UnetDown(2), many)), 2, name="it"))
    assert found == f"net: layer 0 (unetUp 2) at it {sentence}"
    (found,) = problems(FpnModule((Conv2d(2), many), 2, name="it"))
    assert found == f"net: layer 0 (fpnModule 2 x2) at it {sentence}"


def test_a_fault_deep_inside_is_named_by_its_path():
    inner = Chain((Conv2d(4, name="first"), Dense(3, inputs=9, name="second")), name="inner")
    found = problems(Repeat(Residual(inner), times=2, name="stage"))
    assert "net: layer 0 (dense 9->3) at stage.block0.body.second wants [batch, 9], got [batch, 8, 8, 4]" in found[0]


def test_faults_in_every_branch_are_found():
    found = problems(Concat((Conv2d(-1, name="a"), MaxPool(0, name="b"), Activation("no", name="c")), name="join"))
    assert {text.split(" at ")[1].split(":")[0] for text in found} == {"join.a", "join.b", "join.c"}


def test_two_layers_of_one_name_and_no_layers():
    assert "wants a different name for each part, got 'a' 2 times; rename one" in problems(
        Activation("relu", name="a"), Activation("relu", name="a")
    )[0]  # fmt: skip
    assert problems() == ("net: wants at least one layer, got none; add layers",)
    assert "input wants positive sizes" in problems(Identity(), shape=())[0]


@pytest.mark.parametrize("name", ["loss", "optimizer", "accumulate", "norms", "labels"])
def test_a_layer_is_not_called_as_a_part_of_the_step_is(name):
    """IREE's passes find the places of the step by these words: without the barriers there a net does not compile."""
    with pytest.raises(SpecError, match=f"name wants none of loss, .* got '{name}'; rename it"):
        check(NetSpec("net", (4,), (Dense(3, name=name),)))
    check(NetSpec("net", (4,), (Residual(Dense(4, name=name)), Dense(3))))


def test_names_cannot_be_confused():
    """`a.b` with a part `c`, and `a` with a part `b.c`, would both be called a.b.c."""
    found = problems(
        Chain((Dense(4, name="c"),), name="a.b"),
        Chain((Chain((Dense(4, name="c"),), name="b"),), name="a"),
        shape=(4,),
    )
    assert any("a.b" in text for text in found)


@pytest.mark.parametrize("name", ["a.b", "m/x", "", "a b", "x" * 300, '"', "\n"])
def test_a_layer_name_is_a_word_or_is_refused(name):
    """Names become those of parameters, which become those of tensors in files and in the text."""
    layers = (Dense(2, name=name), Dense(2, name="x"))
    try:
        net = check(NetSpec("net", (2,), layers))
    except SpecError as error:
        assert repr(name) in str(error)
        return
    moments = [f"{m}/{p.name}" for m in ("m", "v", "velocity") for p in net.params]
    names = [p.name for p in net.params] + moments
    assert len(set(names)) == len(names)
    assert all(p.name.count(".") == 1 and p.name.split(".")[0] for p in net.params)


@given(nets())
def test_what_passes_is_consistent(spec):
    net = check(spec)
    walked = list(net.walk())
    assert [w.layer for w in walked if w.depth == 0] == list(spec.layers)
    assert walked[0].x == net.x
    top = [w for w in walked if w.depth == 0]
    for before, after in pairwise(top):
        assert after.x == before.signature.out
    assert top[-1].signature.out == net.out
    assert net.count == sum(w.signature.count for w in top)
    leaves = [w for w in walked if not any(v.path.startswith(w.path + ".") for v in walked)]
    assert {f"{w.path}.{p.name}" for w in leaves for p in w.signature.params} == {p.name for p in net.params}
    names = [p.name for p in net.params] + [s.name for s in net.state]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("layers", "sentence"),
    [
        (
            (Dense(2_000_000_000),),
            r"wants tensors of at most 2\^40 elements, got kernel of \[768, 2000000000\]; make it",
        ),
        ((Repeat(Dense(60_000), 1000),), r"net: wants at most 2\^40 parameters, which are 4 TB, got 3,596,5"),
    ],
)
def test_sizes_that_no_machine_holds_are_refused(layers, sentence):
    with pytest.raises(SpecError, match=sentence):
        check(NetSpec("net", (768,), layers))


@pytest.mark.parametrize("name", ["a\x1b[31mred", "bell\x07", "two\nlines", "\u202eesrever"])
def test_a_name_that_would_steer_a_terminal_is_refused(name):
    with pytest.raises(SpecError, match="a net's name wants printable characters, got '") as caught:
        check(NetSpec(name, (768,), (Dense(2),)))
    assert caught.value.problems[0].isprintable()
    with pytest.raises(SpecError, match="name wants printable characters without") as caught:
        check(NetSpec("net", (768,), (Dense(2, name=name),)))
    assert caught.value.problems[0].isprintable()


def test_equal_faults_are_told_once():
    block = Residual(Chain((Dense(16), Dense(7))))
    blocks = tuple(Chain((block, Dense(8)), name=f"block{i}") for i in range(6))
    spec = NetSpec("n", (8,), (*blocks, Dense(2, activation="silo"), Dense(2, activation="silo"), Dense(0)))
    with pytest.raises(SpecError) as caught:
        check(spec)
    first, second, third = caught.value.problems
    assert "layer 0 (residual) at block0.residual0 wants body" in first and first.endswith(" (and 5 more like it)")
    assert "layer 6 (dense 2)" in second and second.endswith("did you mean swish? (and 1 more like it)")
    assert "layer 8 (dense 0)" in third and "more like it" not in third


def test_a_net_says_where_its_classes_are():
    ends = [
        (Dense(3),),
        (Conv2d(3), GlobalAvgPool()),
        (Conv2d(3), Activation(), GlobalAvgPool()),
        (Dense(3), Activation()),
    ]
    for layers in ends:
        net = NetSpec("n", (4, 4, 2), layers)
        assert net.classifies and net.with_classes(7).layers[net.head].features == 7
    for layers in ((Conv2d(3),), (Conv2d(3), Flatten()), ()):
        assert not NetSpec("n", (4, 4, 2), layers).classifies
    with pytest.raises(SpecError, match="`classes` wants a net that ends in a dense or conv2d layer, got flatten"):
        NetSpec("n", (4, 4, 2), (Conv2d(3), Flatten())).with_classes(3)
