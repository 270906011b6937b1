"""Sizes of a net of the zoo, chosen in place of its own."""

import inspect
from pathlib import Path

import pytest

import netc
from netc.netspec.check import check
from netc.netspec.errors import UserError
from netc.netspec.find import find
from netc.netspec.zoo import ZOO
from netc.netspec.zoo.sizes import SIZES

SIZED = [name for name in ZOO if ZOO[name].sizes]


@pytest.mark.parametrize("name", SIZED)
def test_each_size_changes_the_net(name):
    plain, entry = check(find(name)), ZOO[name]
    for word in entry.sizes:
        value = {"width": 14_400, "context": 48, "experts": 4}.get(word, 1)  # a width of 16, 20, 25 heads and others
        more = {"kv_heads": 1} if word == "heads" and "kv_heads" in entry.sizes else {}
        net = find(name, {word: value, **more})
        assert net != plain.spec, word
        assert f"; here with {word} " in net.source
        check(net)


def test_nanogpts_own_size_has_its_count():
    """nanoGPT says 10.65 million, without positions and biases."""
    width, blocks = 384, 6
    block = 12 * width * width + 4 * width + (width + 4 * width + width)  # two norms; biases of out, hidden, out
    net = check(netc.load("tiny-gpt", layers=6, heads=6, width=384, context=256))
    assert net.count == 65 * width + 256 * width + blocks * block + 2 * width
    assert net.x.shape == (256,)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: find("resnet18", {"layers": 6}), r"`layers` is for a net whose sizes may be chosen \(tiny-gpt, "),
        (lambda: find("tiny-gpt", {"kv_heads": 2}), "tiny-gpt wants sizes among `layers`, `heads`, `width`, `context`"),
        (lambda: find("tiny-gpt", {"layers": 0}), "`layers` wants an integer from 1 to 16,777,216, got 0"),
        (lambda: netc.load("tiny-gpt", layer=6), "got `layer`; did you mean `layers`"),
        (lambda: netc.load("tiny-gpt", layers=6.5), "`layers` wants an integer, got 6.5"),
        (lambda: netc.compile(find("tiny-gpt"), layers=6), "`layers` is a size of nets that `netc ls` shows"),
    ],
)
def test_sizes_that_misfit_are_refused(call, sentence):
    with pytest.raises(UserError, match=sentence):
        call()


def test_a_size_of_a_file_is_refused(tmp_path):
    file = tmp_path / "own.toml"
    file.write_text('name = "own"\ninput = [4]\n\n[[layers]]\nkind = "dense"\nfeatures = 3\n')
    with pytest.raises(UserError, match=r"`width` is a size of nets that `netc ls` shows, got it for .*own.toml"):
        find(str(file), {"width": 3})


def test_a_word_of_sizes_is_a_parameter_of_some_net():
    assert {word for name in SIZED for word in ZOO[name].sizes} == {*SIZES}


def test_the_page_of_language_models_has_each_with_its_sizes():
    page = (Path(__file__).parents[2] / "docs" / "language.md").read_text(encoding="utf-8")
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.split("\n") if line.startswith("| ")]
    rows = {name: cells for name, *cells in table}
    rows = {name: cells for name, cells in rows.items() if name in ZOO}
    assert set(rows) == set(SIZED)
    for name, (count, layers, heads, width, context, vocabulary) in rows.items():
        net = check(find(name))
        assert count == f"{net.count:,}" and context == f"{net.x.size:,}" and vocabulary == f"{net.out.shape[-1]:,}"
        own = {n: p.default for n, p in inspect.signature(ZOO[name].make).parameters.items()}
        shown = "/".join(str(own[word]) for word in ("heads", "kv_heads") if word in own)
        assert (layers, heads, width) == (str(own["layers"]), shown, f"{own['width']:,}"), name
