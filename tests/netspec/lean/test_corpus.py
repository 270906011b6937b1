"""The corpus of tests/lean_corpus: every spec is read, fits together and has the count that it should have."""

from __future__ import annotations

import time
from collections import Counter
from functools import lru_cache
from pathlib import Path

import pytest

from netc.codegen.program import build
from netc.codegen.rewrite.lower import lower
from netc.codegen.text import text_of
from netc.netspec.check import check
from netc.netspec.errors import UserError
from netc.netspec.find import find
from netc.netspec.layers import COUNTED
from netc.netspec.lean.config import config_of
from netc.netspec.lean.constructors import TABLE
from netc.netspec.lean.file import from_text, load
from netc.netspec.lean.found import LeanFile
from netc.netspec.lean.listing import listed, summaries
from netc.netspec.lean.meaning import counted, read, spec_of
from netc.netspec.lean.source import Built, Product, Record, Value
from netc.netspec.lean.write import to_lean
from netc.netspec.recipe import Recipe
from netc.netspec.spec import NetSpec
from tests.calls import SLOW_MACHINE, calls_of
from tests.lean_corpus.counts import BROKEN, COUNTS, ODD

CORPUS = Path(__file__).parents[2] / "lean_corpus"
NETS = [(file, name) for file, specs in COUNTS.items() for name in specs]


@lru_cache
def loaded(file: str) -> LeanFile:
    return load(CORPUS / file)


def spec(file: str, name: str) -> NetSpec:
    return next(s for s in loaded(file).specs if s.name == name).read(spec_of)


def module_text(net: NetSpec) -> str:
    return text_of(lower(build(check(net), Recipe(), batch=2).module, "cpu"), "cpu")


# -- what is in the files ------------------------------------------------------------------------------------------


def test_the_corpus_is_what_it_should_be():
    assert len(NETS) >= 60
    assert {path.name for path in CORPUS.glob("*.lean")} == COUNTS.keys() | ODD.keys()
    assert all(source for specs in COUNTS.values() for _, source in specs.values())


@pytest.mark.parametrize("file", COUNTS)
def test_a_file_holds_its_specs_and_nothing_else(file):
    assert {s.name for s in loaded(file).specs} == COUNTS[file].keys() | BROKEN.get(file, {}).keys()


@pytest.mark.parametrize(("file", "name"), NETS, ids=[":".join(net) for net in NETS])
def test_counts(file, name):
    wanted, source = COUNTS[file][name]
    assert check(spec(file, name)).count == wanted, source


@pytest.mark.parametrize(("file", "name"), [(f, n) for f, specs in ODD.items() for n in specs])
def test_what_disagrees_is_counted_as_it_is_written_and_not_trained(file, name):
    found = next(s for s in loaded(file).specs if s.name == name)
    assert {s.name for s in loaded(file).specs} == ODD[file].keys()
    wanted, sentence = ODD[file][name]
    meaning = found.read(counted)
    assert check(meaning.spec).count == wanted
    assert meaning.disagreements[0].sentence.startswith(sentence)
    summary = next(s for s in summaries(loaded(file)) if s.name == name)
    assert (summary.status, summary.parameters) == ("counted", wanted)
    assert sentence in summary.reason
    with pytest.raises(UserError) as caught:
        found.read(spec_of)
    assert " (netc show counts the net as it is written)\n" in str(caught.value)


def test_what_fits_is_the_same_however_it_is_read():
    for file, name in NETS:
        found = next(s for s in loaded(file).specs if s.name == name)
        meaning = found.read(counted)
        assert meaning == found.read(read)
        assert not meaning.disagreements


@pytest.mark.parametrize(("file", "name"), [(f, n) for f, names in BROKEN.items() for n in names])
def test_what_cannot_be_read_says_so_at_its_place(file, name):
    with pytest.raises(UserError) as caught:
        spec(file, name)
    place, sentence = str(caught.value).split(": ", 1)
    line, column = map(int, place.removeprefix(f"{CORPUS / file}:").split(":"))
    text = (CORPUS / file).read_text(encoding="utf-8").split("\n")
    assert sentence.startswith(BROKEN[file][name])
    assert sentence.split("\n")[1] == text[line - 1]
    assert sentence.split("\n")[2].index("^") == column - 1


def test_configs():
    def names(file):
        return [c.name for c in loaded(file).configs]

    assert names("Mnist.lean") == ["mnistMlpConfig"]
    assert names("ResNet.lean") == ["resnetConfig"]
    assert names("Recipes.lean") == ["Recipes.plain", "Recipes.withMomentum", "Recipes.full"]
    plain, momentum, full = (c.read(config_of).options for c in loaded("Recipes.lean").configs)
    assert (plain["optimizer"], plain["batch"], plain["lr"]) == ("sgd", 128, 0.1)
    assert (momentum["momentum"], momentum["seed"], momentum["epochs"]) == (0.9, 7, 12)
    assert (full["optimizer"], full["epochs"], full["batch"], full["accumulate"]) == ("adamw", 30, 128, 2)
    assert full["weight_decay"] == 1.0 / 10000
    assert full["decay"] == "cosine"


def heads(value: Value, found: Counter[str]) -> None:
    """Count the constructors in a value."""
    if isinstance(value, Built):
        found[value.head] += 1
    inside = (
        value if isinstance(value, tuple)
        else value.items if isinstance(value, Product)
        else (*value.args, *value.named.values()) if isinstance(value, Built)
        else [v for v, _ in value.fields.values()] if isinstance(value, Record)
        else ()
    )  # fmt: skip
    for item in inside:
        heads(item, found)


def test_every_constructor_of_the_original_appears():
    found: Counter[str] = Counter()
    for file in COUNTS:
        for s in loaded(file).specs:
            if s.record is not None:
                heads(s.record, found)
    assert sorted(TABLE.keys() - found.keys()) == []
    assert len(TABLE) >= 49


# -- what becomes of them ------------------------------------------------------------------------------------------

# at the size that they are written in, or at one that keeps their shapes whole
EMITTED = {
    "Mnist.lean": {"mnistLinear": None, "lenet5": None},
    "Cifar.lean": {"resnet20": (16, 16, 3)},
    "ResNet.lean": {"Zoo.ResNet.imagenette34": (32, 32, 3)},
    "Classic.lean": {"squeezeNet11": (64, 64, 3)},
    "ConvNext.lean": {"convNextCifar": (16, 16, 3)},
    "Vision.lean": {"ViT.twoParts": None},
    "Language.lean": {"ropeGpt": None},
    "Detection.lean": {"Darknet.cspNet": (32, 32, 3), "Darknet.yoloTiny": None},
    "Pixels.lean": {"upsampler": None, "ddpmTrainable": None},
    "Fold.lean": {"Field.plainField": None},
    "Ablation.lean": {"piped": None, "Größe.réseau": None},
    "Tokens.lean": {
        "Tokens.reader": None,
        "Tokens.sound": None,
        "Tokens.turns": None,
        "Tokens.pyramid": None,
        "Tokens.sighted": None,
        "Tokens.residualUnet": None,
    },
    "Workshop.lean": {"small": None},
    "Recipes.lean": {"Recipes.digits": None, "Recipes.digitsDepthwise": None},
}


@pytest.mark.parametrize(("file", "name"), [(f, n) for f, names in EMITTED.items() for n in names])
def test_it_is_emitted(file, name):
    net, size = spec(file, name), EMITTED[file][name]
    assert module_text(net if size is None else net.with_input(size)).startswith("module @")


def counted_only() -> list[tuple[str, str]]:
    return [net for net in NETS if any(layer.layer.kind in COUNTED for layer in check(spec(*net)).walk())]


def test_which_are_counted_only():
    assert {name for _, name in counted_only()} == {
        "Darknet.fpnDetector", "Pyramid.resnet50Fpn", "ddpm", "AlphaFold.evoformer", "AlphaFold.structureModule",
        "AlphaFold.alphaFold", "Field.nerf",
    }  # fmt: skip
    for net in counted_only():
        with pytest.raises(UserError, match="cannot be emitted yet") as caught:
            build(check(spec(*net)), Recipe(), batch=1)
        assert "\n" not in str(caught.value), net


def test_the_resnet_is_the_zoos_byte_for_byte():
    here, zoo = spec("Exact.lean", "resnet34"), find("resnet34")
    assert here == zoo
    assert module_text(here) == module_text(zoo)


# -- how soon ------------------------------------------------------------------------------------------------------


def test_300_lines_are_read_in_few_calls():
    """A reader of 50 ms on the machine that this was written on; a clock would judge the machine as well."""
    files = ["Classic.lean", "Mobile.lean", "Cifar.lean"]
    text = "\n".join((CORPUS / file).read_text(encoding="utf-8") for file in files)
    assert text.count("\n") >= 300

    def read_all() -> None:
        found = from_text(text)
        assert len(found.specs) >= 20
        for s in found.specs:
            s.read(read)

    read_all()  # what is imported or kept on the first call
    assert calls_of(read_all) < 300_000  # 264,069 in Python 3.11


HUGE = {
    "layers": ".convBn 3 64 3 1 .same :: List.replicate 1000 (.residualBlock 64 64 1000 1)",
    "tensors": ".conv2d 3 256 1 .same .relu :: List.replicate 9999 (.evoformerBlock 256 128 1000)",
}


@pytest.mark.parametrize("layers", HUGE.values(), ids=HUGE)
def test_a_huge_net_is_refused_soon(layers):
    text = f'def a : NetSpec where\n  name := "a"\n  imageH := 8\n  imageW := 8\n  layers := {layers}\n'
    start = time.process_time()
    with pytest.raises(UserError, match="wants at most 200000 layers in all"):
        check(from_text(text).specs[0].read(spec_of))
    assert time.process_time() - start < SLOW_MACHINE


def test_a_list_of_huge_nets_ends(monkeypatch):
    monkeypatch.setattr("netc.netspec.lean.listing.PATIENCE", 0.0)
    lines = listed(from_text((CORPUS / "Recipes.lean").read_text(encoding="utf-8"))).split("\n")
    assert len(lines) == 4
    assert lines[-1].split("  ")[-1] == "not counted, for those above are large"


@pytest.mark.parametrize("file", COUNTS)
def test_what_is_written_again_is_the_same_spec(file):
    for name in COUNTS[file]:
        net = spec(file, name)
        assert from_text(to_lean(net)).specs[0].read(spec_of) == net, name
