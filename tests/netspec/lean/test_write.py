"""What is written reads back as the equal spec, names included: the zoo, random nets, and what is hard to spell."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netc.codegen.program import build
from netc.codegen.rewrite.lower import lower
from netc.codegen.text import text_of
from netc.netspec.check import check
from netc.netspec.find import find
from netc.netspec.layers import (
    KINDS,
    Activation,
    Chain,
    Concat,
    Conv2d,
    ConvBn,
    Dense,
    Dropout,
    Flatten,
    FpnModule,
    Identity,
    LayerNorm,
    LearnedTokens,
    LMHead,
    MaxPool,
    MbConv,
    Residual,
    SelectToken,
    Split,
    TiedHead,
    TokenPositionEmbed,
    TransformerEncoder,
    Unet,
    UnetDown,
    UnetUp,
)
from netc.netspec.layers.counted import COUNTED, EvoformerBlock, FpnDetect, FpnTaps, NerfMlp, StructureModule, TimeBias
from netc.netspec.lean.file import from_text
from netc.netspec.lean.meaning import spec_of
from netc.netspec.lean.write import WIDTH, identifier, to_lean
from netc.netspec.recipe import Recipe
from netc.netspec.spec import NetSpec
from netc.netspec.types import TensorType
from netc.netspec.zoo import ZOO
from netc.proofs_oracle.random_nets import nets


def read(text: str) -> NetSpec:
    (found,) = from_text(text).specs
    return found.read(spec_of)


def back(spec: NetSpec) -> str:
    """The text, which reads back as the spec."""
    text = to_lean(spec)
    assert read(text) == spec
    assert read(text).source == spec.source
    return text


@pytest.mark.parametrize("name", ZOO)
def test_the_zoo(name):
    text = back(find(name))
    assert all(len(line) <= WIDTH or '"' in line for line in text.splitlines())


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(nets(), st.text(max_size=12))
def test_random_nets(net, name):
    back(NetSpec(name, net.input, net.layers, name))


def layers(net: NetSpec) -> list[str]:
    return [line.strip().rstrip(",") for line in to_lean(net).splitlines() if line.startswith("    ")]


IMAGE, TOKENS = (8, 8, 4), (6, 8)

# what it is at, the layer, its text
SPELLED = (
    (IMAGE, ConvBn(8), ".convBn 4 8 3 1 .same"),
    (IMAGE, ConvBn(8, 3, 2, "same-symmetric", name="a"), '.convBn 4 8 3 2 .same (name := "a")'),
    (IMAGE, ConvBn(8, 3, 2), '.convBn 4 8 3 2 .same (padding := "same")'),
    (IMAGE, ConvBn(8, (1, 3)), ".convBn (features := 8) (kernel := [1, 3])"),
    (IMAGE, Conv2d(8, activation="gelu"), '.conv2d 4 8 3 .same .identity (activation := "gelu")'),
    (IMAGE, Conv2d(8, activation="gelu-tanh", inputs=4), ".conv2d 4 8 3 .same .gelu (inputs := 4)"),
    (IMAGE, MaxPool(2), ".maxPool 2 2"),
    (IMAGE, MaxPool(2, 2), '.maxPool (stride := 2)'),
    (IMAGE, MaxPool(3, 3), '.maxPool (size := 3) (stride := 3) (padding := "valid")'),
    (IMAGE, MaxPool(3, 2, ((1, 1), (1, 1))), ".maxPool 3 2"),
    (IMAGE, MaxPool(3, 2), '.maxPool 3 2 (padding := "valid")'),
    (IMAGE, MaxPool((3, 2), (2, 1)), '.maxPool (size := [3, 2]) (stride := [2, 1]) (padding := "valid")'),
    (IMAGE, MbConv(4, 1.5), ".mbConv (features := 4) (expansion := 1.5)"),
    (IMAGE, MbConv(4, 6.0, drop_path=(0.0, 0.1)), ".mbConv 4 4 6 3 1 1 true (drop_path := [0.0, 0.1])"),
    (IMAGE, MbConv(4, 6.0, squeeze=0.5), ".mbConv 4 4 6 3 1 1 true (squeeze := 0.5)"),
    (IMAGE, MbConv(4, 6.0, activation="relu"), ".mbConv 4 4 6 3 1 1 true .relu"),
    (IMAGE, UnetDown(8), ".unetDown (features := 8)"),
    (IMAGE, UnetUp(UnetDown(8), 4), ".unetUp (inner := .unetDown (features := 8)) (features := 4)"),
    (IMAGE, Residual(ConvBn(4)), ".residual (body := .convBn 4 4 3 1 .same)"),
    (IMAGE, Concat((Identity(), MaxPool(1))), ".concat (branches := [.identity, .maxPool 1 1])"),
    (IMAGE, Split((Identity(), Identity(name="b")), (1, 3)),
     '.split (branches := [.identity, .identity (name := "b")]) (widths := [1, 3])'),
    (IMAGE, FpnModule((ConvBn(4), MaxPool(2)), 3), ".fpnModule (stages := [.convBn 4 4 3 1 .same, .maxPool 2 2]) "
                                                    "(features := 3)"),
    (IMAGE, Unet(2, 1), ".unet (features := 2) (depth := 1)"),
    (IMAGE, TimeBias(8), ".timeCondAdd 4 8"),
    (IMAGE, Activation("leaky-relu", -0.5), '.activation (function := "leaky-relu") (slope := (-0.5))'),
    (TOKENS, SelectToken(-1), ".selectToken (index := (-1))"),
    (TOKENS, LayerNorm(), ".layerNorm"),
    (TOKENS, LayerNorm(1e-6), ".layerNorm (epsilon := 1e-6)"),
    (TOKENS, LearnedTokens(std=1e-10), ".learnedTokens (std := 1e-10)"),
    (TOKENS, TransformerEncoder(2, 16), ".transformerEncoder (heads := 2) (mlp := 16)"),
    (TOKENS, LMHead(5, bias=True), ".lmHead 8 5 6"),
    (TOKENS, LMHead(5), ".lmHead 8 5 6 (bias := false)"),
    (TOKENS, EvoformerBlock(8, 4, 2), ".evoformerBlock 8 4 2"),
    (TOKENS, StructureModule(16, 4, 2), ".structureModule 16 4 2"),
    (TOKENS, NerfMlp(8, 3, 16), ".nerfMLP 8 3 16"),
    ((2, 2, 4), FpnDetect((1, 2, 4), 3, 2, 1), ".fpnDetect 3 1 2 4 2 1 0"),
    (IMAGE, FpnTaps((1, 2, 3, 4), 5), ".fpnModule 1 2 3 4 5"),
    (IMAGE, FpnTaps((4,), 5), ".fpnTaps (stages := [4]) (features := 5)"),
)  # fmt: skip


@pytest.mark.parametrize(("shape", "layer", "text"), SPELLED, ids=[text for *_, text in SPELLED])
def test_a_layer_is_the_originals_where_it_means_just_that(shape, layer, text):
    spec = NetSpec("net", shape, (layer,))
    check(spec)
    back(spec)
    assert layers(spec) == [text]


def test_every_kind_that_is_only_counted_is_written():
    assert {layer.kind for _, layer, _ in SPELLED} >= set(COUNTED)


def test_an_encoder_with_its_norm_and_class_token_is_one_constructor():
    encoder = TransformerEncoder(2, 16, 3, activation="gelu-tanh", name="body")
    spec = NetSpec("net", TOKENS, (encoder, SelectToken(0), LayerNorm(1e-6), Dense(10)))
    back(spec)
    assert layers(spec)[0] == '.transformerEncoder 8 2 16 3 (name := "body")'
    kept = NetSpec("net", TOKENS, (encoder, LayerNorm(1e-6), LMHead(5)))
    back(kept)
    assert layers(kept)[0] == '.transformerEncoder 8 2 16 3 false true false false (name := "body")'
    plain = NetSpec("net", TOKENS, (encoder, LayerNorm(1e-6), SelectToken(0)))
    back(plain)
    apart = NetSpec("net", TOKENS, (encoder, SelectToken(0), LayerNorm(1e-6), LearnedTokens(2)))
    assert "(heads := 2)" in to_lean(apart)


@pytest.mark.parametrize(
    ("spec", "lines"),
    [
        (NetSpec("n", (28, 28, 1), (Flatten(), Dense(10))), ["imageH := 28", "imageW := 28"]),
        (NetSpec("n", (28, 28, 1), (Flatten(name="f"), Dense(10))), ["input := [28, 28, 1]"]),
        (NetSpec("n", (1, 1, 12), (Flatten(), Dense(10))), ["input := [1, 1, 12]"]),
        (NetSpec("n", (28, 28, 1), (Flatten(), Dropout(0.5), Dense(10))), ["input := [28, 28, 1]"]),
        (NetSpec("n", (8, 8, 3), (MaxPool(2), Conv2d(8))), ["input := [8, 8, 3]"]),
        (NetSpec("n", (12,), (Dense(10),)), ["input := [12]"]),
        (NetSpec("n", (4, 12), (Dense(10),)), ["input := [4, 12]"]),
        (NetSpec("n", (16,), (TokenPositionEmbed(5, 8), LMHead(5)), dtype="i32"),
         ["input := [16]", 'inputDtype := "i32"']),
    ],
)  # fmt: skip
def test_the_input(spec, lines):
    text = back(spec)
    assert [line.strip() for line in text.splitlines() if line.lstrip().startswith(("image", "input"))] == lines


@pytest.mark.parametrize(
    "name", ['a"b', "back\\slash", "new\nline", "tab\t", "-/ /- x", "\x00\x7f", "名前", "😀", "{x}"]
)
def test_names_that_are_hard_to_spell(name):
    back(NetSpec(name, (4,), (Dense(2),), name))


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("resnet34", "resnet34"),
        ("tiny-gpt", "tiny_gpt"),
        ("3d", "net_3d"),
        ("def", "net_def"),
        ("", "net"),
        ("-", "net__"),
    ],
)
def test_identifiers(name, word):
    assert identifier(name) == word


def test_long_layers_are_folded_at_their_lists():
    text = back(find("tiny-gpt"))
    assert "      .chain (layers := [\n        .residual (body := .chain (layers := [\n" in text


def test_no_kind_is_left_out():
    """Each kind of netc, with required options alone, wherever these can be had from a sample."""
    samples = {int: 2, str: "relu", float: 0.5}
    written = set()
    for kind, cls in KINDS.items():
        from netc.netspec.lean.kinds import hints_of, required_of

        values = {n: samples.get(hints_of(cls)[n]) for n in required_of(cls)}
        values |= {n: Dense(2) for n in required_of(cls) if n in ("body", "embed", "inner", "modulation")}
        values |= {n: (Dense(2),) for n in required_of(cls) if n in ("layers", "branches", "stages")}
        spec = NetSpec("net", (4,), (cls(**{n: 2 if v is None else v for n, v in values.items()}),))
        text = to_lean(spec)
        assert f".{kind}" in text
        written.add(kind)
    assert written == set(KINDS)


# -- the same program ----------------------------------------------------------------------------------------------

RESNET = """
/-- ResNet-34 as torchvision has it. -/
def stage (c n : Nat) (first : Nat) (name : String) : List Layer :=
  [.residualBlock first c n (if c == 64 then 1 else 2) (name := name)]

def resnet34 : NetSpec where
  name := "resnet34"
  imageH := 224
  imageW := 224
  layers := [
    .convBn 3 64 7 2 .same (name := "stem"),   -- 112 x 112
    .maxPool 3 2 (name := "pool")
  ] ++ stage 64 3 64 "stage1" ++ stage 128 4 64 "stage2" ++ stage 256 6 128 "stage3" ++ stage 512 3 256 "stage4" ++ [
    .globalAvgPool,
    .dense 512 1000 .identity (name := "head")
  ]
"""


def module_text(spec: NetSpec) -> str:
    return text_of(lower(build(check(spec), Recipe(), batch=2).module, "cpu"), "cpu")


def test_a_resnet_from_lean_is_the_zoos_byte_for_byte():
    spec = read(RESNET)
    assert spec == find("resnet34")
    assert module_text(spec.with_input((32, 32, 3))) == module_text(find("resnet34").with_input((32, 32, 3)))


def test_nested_layers_know_what_arrives():
    model = TiedHead(TokenPositionEmbed(5, 8), Chain((LayerNorm(),)), name="model")
    spec = NetSpec("n", (4,), (model,), dtype="i32")
    assert layers(spec) == [
        '.tiedHead (embed := .tokenPositionEmbed 5 4 8) (body := .chain (layers := [.layerNorm])) (name := "model")'
    ]
    assert TensorType(spec.input, "i32") == spec.x
    back(spec)
