"""Each constructor of the original: what it makes and how many parameters that has, and every way to misuse it.

Counts are by hand or from elsewhere: what a comment says, never what netc gave.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from netc.netspec.check import check
from netc.netspec.lean.constructors import TABLE
from netc.netspec.lean.meaning import read, spec_of
from netc.netspec.lean.source import Misread
from netc.netspec.types import batched
from tests.netspec.lean.built import b, record

S, R, ID = ".same", ".relu", ".identity"


def encoder(d: int, mlp: int) -> int:
    """Two norms, queries keys values and output with biases, two dense layers."""
    return 4 * d + 4 * (d * d + d) + (d * mlp + mlp) + (mlp * d + d)


def bn(k: int, i: int, o: int, groups: int = 1) -> int:
    """A k x k convolution without a bias and a batch norm."""
    return k * k * (i // groups) * o + 2 * o


def full(i: int, o: int) -> int:
    """A dense layer, or a 1x1 convolution, with a bias."""
    return i * o + o


# constructor, arguments, its input, its parameters, its output
CASES: tuple[tuple[str, tuple[Any, ...], tuple[int, ...], int, tuple[int, ...]], ...] = (
    ("conv2d", (3, 8, 3, S, R), (8, 8, 3), 27 * 8 + 8, (8, 8, 8)),
    ("convBn", (3, 8, 3, 2, S), (8, 8, 3), 27 * 8 + 16, (4, 4, 8)),
    ("maxPool", (3, 2), (8, 8, 3), 0, (4, 4, 3)),
    ("globalAvgPool", (), (8, 8, 3), 0, (3,)),
    ("flatten", (), (8, 8, 3), 0, (192,)),
    ("dense", (192, 10, ID), (192,), 192 * 10 + 10, (10,)),
    ("residualBlock", (8, 16, 2, 2), (8, 8, 8),
     bn(3, 8, 16) + bn(3, 16, 16) + bn(1, 8, 16) + 2 * bn(3, 16, 16), (4, 4, 16)),
    ("bottleneckBlock", (8, 16, 2, 1), (8, 8, 8),
     bn(1, 8, 4) + bn(3, 4, 4) + bn(1, 4, 16) + bn(1, 8, 16) + bn(1, 16, 4) + bn(3, 4, 4) + bn(1, 4, 16), (8, 8, 16)),
    ("separableConv", (8, 16, 2), (8, 8, 8), 9 * 8 + 16 + bn(1, 8, 16), (4, 4, 16)),
    ("invertedResidual", (8, 16, 6, 2, 1), (8, 8, 8), bn(1, 8, 48) + 9 * 48 + 96 + bn(1, 48, 16), (4, 4, 16)),
    # SE at a quarter of the block's 16 inputs: 4
    ("mbConv", (16, 24, 6, 5, 2, 1, True), (8, 8, 16),
     bn(1, 16, 96) + 25 * 96 + 192 + full(96, 4) + full(4, 96) + bn(1, 96, 24), (4, 4, 24)),
    # SE at 64 / 4 = 16
    ("mbConvV3", (16, 24, 64, 3, 2, True, ".hSwish"), (8, 8, 16),
     bn(1, 16, 64) + 9 * 64 + 128 + full(64, 16) + full(16, 64) + bn(1, 64, 24), (4, 4, 24)),
    ("fusedMbConv", (16, 24, 4, 3, 2, 1, False), (8, 8, 16), bn(3, 16, 64) + bn(1, 64, 24), (4, 4, 24)),
    ("uib", (16, 24, 4, 2, 3, 5), (8, 8, 16),
     9 * 16 + 32 + bn(1, 16, 64) + 25 * 64 + 128 + bn(1, 64, 24), (4, 4, 24)),
    ("fireModule", (96, 16, 64, 64), (8, 8, 96), full(96, 16) + full(16, 64) + 9 * 16 * 64 + 64, (8, 8, 128)),
    ("patchEmbed", (3, 192, 16, 196), (224, 224, 3), 768 * 192 + 192 + 192 + 197 * 192, (197, 192)),
    ("transformerEncoder", (192, 3, 768, 12), (197, 192), 12 * encoder(192, 768) + 2 * 192, (192,)),
    ("convNextStage", (8, 3), (8, 8, 8), 3 * (8 * 8 * 8 + 58 * 8), (8, 8, 8)),  # the original's 8 c² + 58 c
    ("convNextDownsample", (8, 16), (8, 8, 8), 16 + 4 * 8 * 16 + 16, (4, 4, 16)),
    ("convNextStem", (3, 96, 4), (8, 8, 3), 48 * 96 + 96 + 192, (2, 2, 96)),
    ("unetDown", (3, 16), (8, 8, 3), bn(3, 3, 16) + bn(3, 16, 16), (4, 4, 16)),
    ("bilinearUpsample", (2,), (4, 4, 3), 0, (8, 8, 3)),
    ("tokenPositionEmbed", (65, 64, 128), (64,), 65 * 128 + 64 * 128, (64, 128)),
    ("lmHead", (128, 65, 64), (64, 128), full(128, 65), (64, 65)),
    ("timeCondAdd", (16, 8), (4, 4, 16), 16 * 16 + 16, (4, 4, 16)),
    ("spatialFlatten", (), (4, 5, 3), 0, (20, 3)),
    ("spatialUnflatten", (3, 4, 5), (20, 3), 0, (4, 5, 3)),
    # laterals and smoothings of three levels, one 3x3 a level in the tower, heads of 3 anchors with 15 numbers
    ("fpnDetect", (8, 4, 6, 12, 2, 3, 1), (2, 2, 12),
     full(4, 8) + full(6, 8) + full(12, 8) + 3 * (2 * (9 * 64 + 8) + full(8, 45)), (45 * (4 + 16 + 64),)),
    # in, taps, select, step through D / 16 = 2, rates, step bias, skip, out, norm: Gu and Dao's code, E = 64
    ("mambaBlock", (32, 16, 2, 1), (10, 32),
     32 * 128 + 64 * 4 + 64 + 64 * (2 + 32) + 2 * 64 + 64 * 16 + 64 + 64 + 64 * 32 + 32, (10, 32)),
    ("swinStage", (32, 2, 128, 4, 2), (8, 8, 32), 2 * (encoder(32, 128) + 49 * 2), (8, 8, 32)),
    ("patchMerging", (8, 16), (8, 8, 8), 64 + 32 * 16, (4, 4, 16)),
    ("transformerDecoder", (32, 4, 64, 2, 5), (9, 32),
     2 * (encoder(32, 64) + 2 * 32 + 4 * full(32, 32)) + 160, (5, 32)),
    ("detrHeads", (32, 91), (5, 32), full(32, 92) + 2 * full(32, 32) + full(32, 4), (5, 96)),
    # width 12 inside; the first unit's body gives 48 - 24 channels, which join the shortcut's 24
    ("shuffleBlock", (24, 48, 3, 2), (8, 8, 24),
     bn(1, 24, 12, 3) + 9 * 12 + 24 + bn(1, 12, 24, 3) + bn(1, 48, 12, 3) + 9 * 12 + 24 + bn(1, 12, 48, 3), (4, 4, 48)),
    ("shuffleV2Block", (24, 48, 1), (8, 8, 24),
     9 * 24 + 48 + bn(1, 24, 24) + bn(1, 24, 24) + 9 * 24 + 48 + bn(1, 24, 24), (4, 4, 48)),
    ("denseBlock", (16, 8, 2), (8, 8, 16),
     32 + 16 * 32 + 64 + 9 * 32 * 8 + 48 + 24 * 32 + 64 + 9 * 32 * 8, (8, 8, 32)),
    ("transitionLayer", (16, 8), (8, 8, 16), 32 + 16 * 8, (4, 4, 8)),
    ("inceptionModule", (16, 8, 4, 8, 2, 4, 4), (8, 8, 16),
     bn(1, 16, 8) + bn(1, 16, 4) + bn(3, 4, 8) + bn(1, 16, 2) + bn(5, 2, 4) + bn(1, 16, 4), (8, 8, 24)),
    ("asppModule", (16, 8), (8, 8, 16), 2 * bn(1, 16, 8) + 3 * bn(3, 16, 8) + bn(1, 40, 8), (8, 8, 8)),
    ("fpnModule", (4, 6, 8, 10, 16), (2, 2, 10),
     full(4, 16) + full(6, 16) + full(8, 16) + full(10, 16) + 4 * (9 * 256 + 16), (2, 2, 16)),
    ("mobileVitBlock", (8, 16, 2, 32, 2), (8, 8, 8),
     bn(3, 8, 8) + 8 * 16 + 2 * encoder(16, 32) + 32 + bn(1, 16, 8) + bn(3, 16, 8), (8, 8, 8)),
    # by part, in order: rows, columns, transition, outer product; twice multiplication; twice attention; transition
    ("evoformerBlock", (256, 128, 1), (8, 8, 256),
     (512 + 3 * 256 * 256 + 2 * full(256, 256) + 256 + 128 * 8) + (512 + 3 * 256 * 256 + 2 * full(256, 256))
     + (512 + full(256, 1024) + full(1024, 256)) + (512 + 2 * full(256, 32) + full(1024, 128))
     + 2 * (256 + 5 * full(128, 128) + 256 + full(128, 128))
     + 2 * (256 + 3 * 128 * 128 + 2 * full(128, 128) + 128 * 4) + (256 + full(128, 512) + full(512, 128)), (8, 8, 256)),
    # norms, in; queries, keys, values; their points; pair; head weights; out of 12 (128 + 16 + 32); the rest
    ("structureModule", (384, 128, 8), (8, 1, 384),
     768 + 256 + full(384, 384) + 3 * 384 * 192 + 384 * 12 * 3 * 16 + 128 * 12 + 12 + full(12 * 176, 384) + 768
     + 3 * full(384, 384) + 768 + full(384, 6) + 2 * full(384, 128) + 4 * full(128, 128) + full(128, 14), (8, 1, 384)),
    # filter and gate of 2 taps, residual and skip of the first layer, skip alone of the last
    ("waveNetBlock", (8, 16, 2), (20, 8),
     2 * (2 * 8 * 16 + 16) + full(8, 24) + full(8, 16), (20, 16)),
    ("positionalEncoding", (3, 10), (1, 1, 3), 0, (1, 1, 60)),
    # Mildenhall et al. 2020, fig. 7
    ("nerfMLP", (60, 24, 256), (1, 1, 60),
     full(60, 256) + 6 * full(256, 256) + full(316, 256) + 257 + full(256, 256) + full(280, 128) + full(128, 3),
     (1, 1, 4)),
    ("darknetBlock", (16, 3), (8, 8, 16), 3 * (bn(1, 16, 8) + bn(3, 8, 16)), (8, 8, 16)),
    ("cspBlock", (16, 32, 2), (8, 8, 16), bn(1, 16, 32) + 2 * (bn(1, 16, 16) + bn(3, 16, 16)) + bn(1, 16, 16)
     + bn(1, 32, 32), (8, 8, 32)),
)  # fmt: skip
HEADS = [case[0] for case in CASES]


def made(head: str, args: tuple[Any, ...], shape: tuple[int, ...], **named: Any) -> Any:
    """The checked net of this one constructor."""
    dtype = {"inputDtype": "i32"} if head == "tokenPositionEmbed" else {}
    return check(spec_of(record(b(head, *args, **named), input=shape, **dtype)))


@pytest.mark.parametrize(("head", "args", "shape", "count", "out"), CASES, ids=HEADS)
def test_it_has_the_parameters_and_the_shape_of_its_paper(head, args, shape, count, out):
    net = made(head, args, shape)
    assert net.count == count
    assert net.out.shape == out


def test_every_constructor_of_the_original_is_here():
    """49, and layerNorm, which came later; unetUp cannot stand alone and has tests of its own."""
    assert set(HEADS) | {"unetUp", "layerNorm"} == set(TABLE)
    assert len(TABLE) == 50


@pytest.mark.parametrize(("head", "args", "shape", "count", "out"), CASES, ids=HEADS)
def test_all_arguments_may_be_named(head, args, shape, count, out):
    names = [parameter.name for parameter in TABLE[head].parameters]
    assert made(head, (), shape, **dict(zip(names, args, strict=False))).spec == made(head, args, shape).spec


@pytest.mark.parametrize(("head", "args", "shape", "count", "out"), CASES, ids=HEADS)
def test_it_takes_a_name(head, args, shape, count, out):
    assert made(head, args, shape, name="stage1").spec.layers[0].name == "stage1"


def misread(*layers: Any, **fields: Any) -> Misread:
    with pytest.raises(Misread) as caught:
        spec_of(record(*layers, **fields))
    return caught.value


@pytest.mark.parametrize(("head", "args", "shape", "count", "out"), CASES, ids=HEADS)
def test_one_argument_too_many_or_too_few(head, args, shape, count, out):
    parameters = TABLE[head].parameters
    most = misread(b(head, *args, *[1] * (len(parameters) + 1 - len(args))), input=shape)
    assert f"{head} wants at most {len(parameters)} arguments, got {len(parameters) + 1}; write .{head}" in str(most)
    needed = [p for p in parameters if not p.optional]
    if needed and head != "bilinearUpsample":  # whose netc kind has a default
        few = misread(b(head, *args[: len(needed) - 1]), input=shape)
        assert re.search(rf"{head} wants {needed[-1].name}, got nothing; write \.{head} ", str(few))


READING = [case for case in CASES if TABLE[case[0]].reads]


@pytest.mark.parametrize(("head", "args", "shape", "count", "out"), READING, ids=[c[0] for c in READING])
def test_channels_that_do_not_arrive(head, args, shape, count, out):
    """The place is that of the argument, and the sentence says what arrives."""
    names = [parameter.name for parameter in TABLE[head].parameters]
    at = names.index(TABLE[head].reads)
    error = misread(b(head, *args[:at], args[at] + 7, *args[at + 1 :]), input=shape)
    wanted = f"{head}: {names[at]} wants {shape[-1]}, the channels that arrive ({batched(shape)}), got {args[at] + 7}"
    assert wanted in error.sentence
    assert error.span.column == 10 * (at + 1)


TYPED = [(c, i, p.type) for c in CASES for i, p in enumerate(TABLE[c[0]].parameters) if i < len(c[1])]


@pytest.mark.parametrize(("case", "index", "type_"), TYPED, ids=[f"{c[0]}-{i}" for c, i, _ in TYPED])
def test_a_value_of_another_type(case, index, type_):
    head, args, shape, *_ = case
    error = misread(b(head, *args[:index], ".nonsense", *args[index + 1 :]), input=shape)
    assert f"{TABLE[head].parameters[index].name} wants " in error.sentence
    assert "got .nonsense; change it" in error.sentence
    assert error.span.column == 10 * (index + 1)


@pytest.mark.parametrize(
    ("layers", "fields", "sentence"),
    [
        ((b("denze", 784, 10, ID),), {}, "no layer is called 'denze'; did you mean dense"),
        ((b("zzzzzzzz"),), {}, "no layer is called 'zzzzzzzz'; check its spelling"),
        ((b("dense", 784, 0, ID),), {}, "dense: fanOut wants a positive integer, got 0; change it"),
        ((b("dense", 784, 10, ID, out=10),), {}, "dense wants fanOut once, got it twice; leave one out"),
        ((b("dense", 784, 10, ID, size=10),), {}, "dense has no argument 'size'; it has fanIn, fanOut, act, and"),
        ((b("convBn", 3, 8, 3, 1, S), b("dense", 8, 10, ID)), {},
         "dense wants [batch, features], got [batch, 28, 28, 8]; put .globalAvgPool or .flatten before it"),
        ((b("convBn", 3, 8, 3, 1, S), b("flatten"), b("dense", 512, 10, ID)), {}, "fanIn wants 6272, the channels"),
        ((b("patchEmbed", 3, 8, 4, 50),), {"imageH": 28}, "patchEmbed: nPatches wants 49, the 4x4 patches of"),
        ((b("patchEmbed", 3, 8, 5, 50),), {}, "patchEmbed wants sides that are multiples of 5, got [batch, 28, 28, 3]"),
        ((b("unetUp", 8, 8),), {"channels": 8}, "unetUp wants a unetDown before it whose skip it takes, or a"),
        ((b("unetDown", 3, 8), b("unetUp", 8, 4)), {}, "unetUp: oc wants 8, the channels of the skip"),
        ((b("unetDown", 3, 8), b("unetUp", 9, 8)), {}, "unetUp: ic wants 8, the channels that arrive"),
        ((b("unetDown", 3, 8), b("unetUp", 8, 8, rise="far")), {}, 'rise wants "transpose", "bilinear" or "nearest"'),
        ((b("unetDown", 3, 8, name="x"), b("unetUp", 8, 8)), {}, "unetDown wants no name; name its unetUp"),
        ((b("globalAvgPool"),), {}, "globalAvgPool does not say how many channels the input has"),
        ((b("batchNorm"),), {}, "batchNorm does not say how many channels the input has"),
        ((b("batchNorm", 1e-3),), {"channels": 3}, "batchNorm is netc's own constructor and wants named"),
        ((b("batchNorm", epsilon=".relu"),), {"channels": 3}, "batchNorm: epsilon wants a number, got .relu"),
        ((b("batchNorm", eps=1e-3),), {"channels": 3}, "batchNorm has no option 'eps'; netc's batchNorm has name, eps"),
        ((b("residual"),), {"channels": 3}, "residual wants body, got nothing; write (body := ..)"),
        ((b("residual", body=3),), {"channels": 3}, "residual: body wants a layer, got 3; change it"),
        ((b("chain", layers=(3,)),), {"channels": 3}, "layers wants layers, got 3 among them"),
        ((b("chain", layers=(b("convBn", 4, 8, 3, 1, S),)),), {"channels": 3}, "convBn: ic wants 3, the channels that"),
        ((b("convBn", 3, 8, 3, 1, S, padding=[[1, 1]]),), {}, "padding wants a string or one of .same .valid or"),
        ((b("convBn", 3, 8, 3, 1, S, momentum=2.0),), {}, "convBn: momentum wants a number from 0 to 1, got 2.0"),
        ((b("convBn", 3, 8, 3, 1, S, name="a.b"), b("convBn", 9, 8, 3, 1, S)), {}, "convBn: ic wants 8"),
    ],
)  # fmt: skip
def test_sentences(layers, fields, sentence):
    assert sentence in misread(*layers, **fields).sentence


@pytest.mark.parametrize(
    ("layers", "fields", "shape", "dtype"),
    [
        ((b("dense", 784, 10, ID),), {}, (28, 28, 1), "f32"),
        ((b("flatten"), b("dense", 2352, 10, ID)), {}, (28, 28, 3), "f32"),
        ((b("dense", 12, 10, ID),), {"imageH": 1, "imageW": 1}, (12,), "f32"),
        ((b("dense", 12, 10, ID),), {}, (12,), "f32"),
        ((b("maxPool", 2, 2), b("conv2d", 5, 8, 3, S, R)), {"imageW": 14}, (28, 14, 5), "f32"),
        ((b("transformerEncoder", 8, 2, 16, 1),), {"imageH": 10, "imageW": 1}, (10, 8), "f32"),
        ((b("tokenPositionEmbed", 65, 16, 8), b("lmHead", 8, 65, 16)), {}, (16,), "i32"),
        ((b("batchNorm"),), {"channels": 4, "imageH": 2}, (2, 28, 4), "f32"),
        ((b("dense", 6, 1, ID),), {"input": (5, 6)}, (5, 6), "f32"),
    ],
)
def test_the_input_follows_from_the_first_layer(layers, fields, shape, dtype):
    spec = spec_of(record(*layers, **fields))
    assert (spec.input, spec.dtype) == (shape, dtype)
    check(spec)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"nmae": "x"}, "a NetSpec has no field 'nmae'; it has name, layers, imageH, imageW, convBnAct"),
        ({"name": 3}, "name wants a string, got 3"),
        ({"imageH": 0}, "imageH wants a positive integer, got 0; change it"),
        ({"imageH": True}, "imageH wants a positive integer, got true"),
        ({"convBnAct": ".round"}, "convBnAct wants one of .relu .relu6"),
        ({"convPadStyle": ".same"}, "convPadStyle wants one of .symmetric .xlaSame, got .same"),
        ({"input": ()}, "input wants positive sizes, got a list; write input := [224, 224, 3]"),
        ({"input": (784,), "imageH": 28}, "imageH wants no input beside it, got both; leave one out"),
        ({"inputDtype": "i32"}, "inputDtype wants input beside it, got none"),
        ({"input": (784,), "inputDtype": "f64"}, 'inputDtype wants "f32" or "i32" (token ids), got \'f64\''),
    ],
)
def test_sentences_of_fields(fields, sentence):
    assert sentence in misread(b("dense", 784, 10, ID), **fields).sentence


def test_a_net_needs_layers():
    assert "layers wants at least one layer, got none" in misread().sentence


def test_a_net_decides_on_activations_and_on_how_a_strided_same_is_spelled():
    stem = b("convBn", 3, 8, 3, 2, S)
    plain, told = (
        spec_of(record(stem, **f)).layers[0] for f in ({}, {"convBnAct": ".swish", "convPadStyle": ".xlaSame"})
    )
    assert (plain.activation, plain.padding) == ("relu", "same-symmetric")
    assert (told.activation, told.padding) == ("swish", "same")


@pytest.mark.parametrize(
    ("size", "stride", "out"), [(3, 2, 4), (2, 2, 4), (3, 3, 2), (2, 1, 7), (5, 2, 4)], ids=str
)  # fmt: skip
def test_a_pooling_window_larger_than_its_stride_is_padded_on_both_sides(size, stride, out):
    """torchvision's ResNet pads its 3x3 window of stride 2 by 1: from 8 pixels 4. (2 - 1) // 2 is no padding."""
    assert made("maxPool", (size, stride), (8, 8, 3)).out.shape == (out, out, 3)


def test_an_encoder_keeps_its_tokens_for_whatever_takes_them():
    encoder_, kept = b("transformerEncoder", 8, 2, 16, 1), b("transformerEncoder", 8, 2, 16, 1, keepSequence=True)
    shape = (5, 8)
    assert check(spec_of(record(encoder_, input=shape))).out.shape == (8,)
    assert check(spec_of(record(kept, input=shape))).out.shape == shape
    assert check(spec_of(record(encoder_, b("transformerDecoder", 8, 2, 16, 1, 3), input=shape))).out.shape == (3, 8)
    causal = spec_of(record(b("transformerEncoder", 8, 2, 16, 1, True, False, True, True), input=shape)).layers[0]
    assert (causal.causal, causal.rope, causal.tile > 0) == (True, True, True)


def test_patches_before_a_swin_stage_are_swins():
    """Swin-T: torchvision's 28,288,354 without the last norm, for which the original has no layer."""
    layers = [b("patchEmbed", 3, 96, 4, 3136)]
    for index, (heads, blocks) in enumerate(((3, 2), (6, 2), (12, 6), (24, 2))):
        dim = 96 << index
        layers.append(b("swinStage", dim, heads, 4 * dim, 7, blocks))
        if index < 3:
            layers.append(b("patchMerging", dim, 2 * dim))
    net = check(spec_of(record(*layers, b("globalAvgPool"), b("dense", 768, 1000, ID), imageH=224, imageW=224)))
    assert net.count == 28_288_354 - 2 * 768


def unet(**up: Any) -> Any:
    downs = [b("unetDown", i, o) for i, o in ((3, 64), (64, 128), (128, 256), (256, 512))]
    middle = [b("convBn", i, 1024, 3, 1, S) for i in (512, 1024)]
    ups = [b("unetUp", i, o, **up) for i, o in ((1024, 512), (512, 256), (256, 128), (128, 64))]
    return record(*downs, *middle, *ups, b("conv2d", 64, 2, 1, S, ID), imageH=32, imageW=32)


def test_a_unet_from_a_list():
    """With up-convolutions it is milesial's U-Net, 31,037,698; bilinear, each step up has no kernel of its own."""
    assert check(spec_of(unet(rise="transpose"))).count == 31_037_698
    steps = ((1024, 512), (512, 256), (256, 128), (128, 64))
    bilinear = 31_037_698 + sum(9 * (i + o) * o - 9 * 2 * o * o - (4 * i * o + o) for i, o in steps)
    net = check(spec_of(unet()))
    assert net.count == bilinear
    assert net.out.shape == (32, 32, 2)


def test_notes_are_said_once_and_only_where_they_apply():
    mobile = [b("mbConv", 16, 16, 6, 3, 1, 1, True), b("mbConv", 16, 16, 6, 3, 1, 1, True)]
    assert len(read(record(*mobile)).notes) == 1
    assert "a quarter of the block's input" in read(record(*mobile)).notes[0]
    assert read(record(b("mbConv", 16, 16, 6, 3, 1, 1, False))).notes == ()
    assert "detStride" in read(record(b("dense", 784, 10, ID), detStride=32)).notes[0]


def test_further_options_are_named():
    layer = b("convBn", 3, 8, 3, 2, S, epsilon=1e-3, padding=[[1, 2], [0, 1]], activation=".hSwish", groups=1)
    made_ = spec_of(record(layer)).layers[0]
    assert (made_.epsilon, made_.padding, made_.activation) == (1e-3, ((1, 2), (0, 1)), "h-swish")


def test_netcs_own_meaning_needs_names_of_its_own():
    """All arguments the original's: its meaning. One of netc's: netc's."""
    pool = [spec_of(record(b("maxPool", **named), input=(8, 8, 3))).layers[0] for named in (
        {"size": 3, "stride": 2}, {"size": 3, "stride": 2, "padding": ".valid"}, {"size": 3})]  # fmt: skip
    assert [p.padding for p in pool] == [((1, 1), (1, 1)), "valid", "valid"]
    own = spec_of(record(b("transformerEncoder", heads=2, mlp=16, blocks=1), input=(5, 8)))
    assert len(own.layers) == 1 and own.layers[0].activation == "gelu"


# -- layers that are only counted --------------------------------------------------------------------------------
