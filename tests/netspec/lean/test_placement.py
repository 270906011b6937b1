"""What stands between layers that do not fit, layers that are only counted, and what disagrees."""

from __future__ import annotations

import pytest

from netc.netspec.check import check
from netc.netspec.errors import UserError
from netc.netspec.layers import COUNTED, KINDS, VOCABULARY, Activation, SpatialUnflatten, TakeTokens, TokenPositionEmbed
from netc.netspec.lean.meaning import counted, read, spec_of
from netc.netspec.lean.source import Misread
from tests.netspec.lean.built import b, record
from tests.netspec.lean.test_constructors import CASES, ID, R, S, made, misread


def test_what_is_counted_only_is_declared_and_nothing_else_is():
    from netc.codegen.rules import RULES

    assert not set(COUNTED) & set(KINDS)
    assert set(VOCABULARY) == set(KINDS) | set(COUNTED)
    assert not set(COUNTED.values()) & set(RULES)
    used = {layer.kind for head, args, shape, *_ in CASES for layer in made(head, args, shape).spec.layers}
    assert set(COUNTED) <= used


@pytest.mark.parametrize("case", [c for c in CASES if made(*c[:3]).spec.layers[0].kind in COUNTED], ids=lambda c: c[0])
def test_what_is_counted_only_fails_where_it_is_emitted(case):
    from netc.codegen.program import build
    from netc.netspec.recipe import Recipe

    net = made(*case[:3])
    with pytest.raises(UserError, match=r"cannot be emitted yet, only shown and counted; "):
        build(net, Recipe(), batch=2)
    assert next(iter(net.walk())).signature.count == case[3]


def test_read_gives_both():
    meaning = read(record(b("dense", 784, 10, ID)))
    assert meaning.spec.name == "net" and meaning.notes == ()


IDS = {"imageH": 6, "imageW": 1}
WORDS = b("dense", 9, 4, ID)
BLOCKS = b("transformerEncoder", 4, 2, 8, 1)


def kinds(*layers, **fields):
    return [layer.kind for layer in spec_of(record(*layers, **fields)).layers]


@pytest.mark.parametrize("taker", [BLOCKS, b("mambaBlock", 4, 2, 2, 1), b("transformerDecoder", 4, 2, 8, 1, 3)])
def test_a_dense_layer_before_layers_of_tokens_is_an_embedding(taker):
    """Whatever the number of rows: 12 words at 6 places are no image of 6 x 2 laid out."""
    for words in (9, 12):
        spec = spec_of(record(b("dense", words, 4, R), taker, **IDS))
        assert (spec.input, spec.dtype) == ((6,), "i32")
        assert spec.layers[0] == TokenPositionEmbed(words, 4, positions=False, bias=True)
        assert spec.layers[1] == Activation("relu")
        assert check(spec).params[1].shape == (4,)
    assert kinds(b("dense", 6, 4, ID), b("dense", 4, 2, ID), **IDS) == ["flatten", "dense", "dense"]


def test_a_row_of_places_is_a_sequence_where_it_is_no_image():
    spec = spec_of(record(b("dense", 9, 4, R), b("dense", 4, 2, ID), **IDS))
    assert (spec.input, spec.dtype, check(spec).out.shape) == ((6, 9), "f32", (6, 2))
    assert "fanIn wants a multiple of 6 x 2 = 12 pixels" in misread(b("dense", 9, 4, R), imageH=6, imageW=2).sentence
    assert spec_of(record(b("dense", 9, 4, R), input=(6,), inputDtype="i32")).layers[0].kind == "tokenPositionEmbed"


def test_pixels_become_tokens_and_tokens_an_image_again():
    image = b("conv2d", 3, 4, 1, S, ID)
    assert kinds(image, BLOCKS) == ["conv2d", "spatialFlatten", "transformerEncoder", "selectToken", "layerNorm"]
    back = kinds(image, BLOCKS, b("conv2d", 4, 2, 1, S, ID), imageH=5, imageW=7)
    assert back == ["conv2d", "spatialFlatten", "transformerEncoder", "layerNorm", "spatialUnflatten", "conv2d"]
    meaning = read(record(image, BLOCKS, b("conv2d", 4, 2, 1, S, ID), imageH=5, imageW=7))
    assert meaning.notes == (
        "transformerEncoder: the pixels that arrive become its tokens, row by row",
        "transformerEncoder: all tokens go on to conv2d",
        "conv2d: the tokens that arrive become an image of 5 x 7 again",
    )
    assert "there is nothing to average" in misread(image, BLOCKS, b("globalAvgPool")).sentence


def test_the_class_token_is_left_behind_where_an_image_is_wanted_again():
    layers = (b("patchEmbed", 3, 4, 7, 16), BLOCKS, b("patchMerging", 4, 8))
    spec = spec_of(record(*layers))
    assert spec.layers[3:5] == (TakeTokens(16, 1), SpatialUnflatten(4, 4))
    assert check(spec).out.shape == (2, 2, 8)
    assert "without the class token" in read(record(*layers)).notes[1]


def test_an_encoders_tokens_go_on_through_dense_layers_to_whatever_takes_them():
    wide = b("transformerEncoder", 6, 2, 8, 1)
    assert kinds(b("patchEmbed", 3, 4, 7, 16), BLOCKS, b("dense", 4, 6, ID), wide).count("selectToken") == 1
    assert kinds(b("patchEmbed", 3, 4, 7, 16), BLOCKS, b("dense", 4, 6, ID)).count("selectToken") == 1


def test_a_step_up_takes_the_newest_layer_of_twice_its_size():
    """The stage's output and not that of the pooling before it, which has the same shape."""
    layers = [
        b("convBn", 3, 4, 3, 2, S), b("maxPool", 2, 2), b("residualBlock", 4, 4, 1, 1), b("residualBlock", 4, 8, 1, 2),
        b("unetUp", 8, 4), b("unetUp", 4, 4),
    ]  # fmt: skip
    meaning = read(record(*layers, imageH=32, imageW=32))
    stem, outer = meaning.spec.layers
    assert (stem.kind, outer.kind) == ("convBn", "chain")
    inner = outer.layers[0].branches[1].layers[0].layers  # of the step that ends at the stem
    assert [layer.kind for layer in inner] == ["maxPool", "residualBlock", "chain"]
    assert [note.split(" is what ")[1].split(" gives")[0] for note in meaning.notes] == [
        "residualBlock 4 x1", "convBn 4 3x3/2",
    ]  # fmt: skip
    given = spec_of(record(*layers[:4], b("unetUp", 8, 4, rise="transpose"), imageH=32, imageW=32)).layers[-1]
    assert (given.kind, given.rise) == ("unetUp", "transpose")


def test_what_disagrees_is_read_on_where_it_is_counted_and_every_place_is_said():
    layers = (b("conv2d", 3, 8, 3, S, R), b("conv2d", 16, 4, 3, S, R), b("flatten"), b("dense", 100, 2, ID))
    meaning = counted(record(*layers))
    assert [layer.kind for layer in meaning.spec.layers] == ["conv2d", "stated", "conv2d", "flatten", "stated", "dense"]
    assert [error.sentence.split(" wants")[0] for error in meaning.disagreements] == ["conv2d: ic", "dense: fanIn"]
    assert check(meaning.spec).count == 9 * 3 * 8 + 8 + 9 * 16 * 4 + 4 + 100 * 2 + 2
    assert meaning.spec.layers[1].kind not in VOCABULARY
    assert "conv2d: ic wants 8" in misread(*layers).sentence


@pytest.mark.parametrize("layer", [b("unetUp", 8, 8), b("bilinearUpsample", 2)])
def test_a_net_that_only_grows_ends_where_no_axis_may_be_longer(layer):
    with pytest.raises(Misread, match="wants no axis longer than 2147483647 in its output, got a longer one"):
        counted(record(b("conv2d", 1, 8, 1, S, R), *[layer] * 5000))


def test_a_net_of_which_nothing_agrees_is_refused():
    layers = [b("conv2d", 3, 8, 1, S, R)] * 5000
    with pytest.raises(Misread, match="more than 100 sizes disagree up to here; conv2d: ic wants 8"):
        counted(record(*layers))
