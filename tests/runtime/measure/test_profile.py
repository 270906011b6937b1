"""Real profiles of a small net; and the targets that have none."""

import pytest

from netc.cli.profile import FUNCTIONS
from netc.cli.views.profile import lines, tables
from netc.codegen.c.source import c_source
from netc.codegen.program import build
from netc.codegen.rewrite.lower import lower
from netc.netspec.check import check
from netc.netspec.errors import UserError
from netc.netspec.find import find
from netc.netspec.recipe import Recipe
from netc.runtime.backends.iree import takes_large_pages
from netc.runtime.measure.calls import CALLS
from netc.runtime.measure.profile import profile
from netc.runtime.target import parse_target


@pytest.fixture(scope="module")
def program():
    return build(check(find("mnist-linear")), Recipe(norms=False), 4)


def test_every_dispatch_of_a_step_has_a_layer(program, compiled):
    found = profile(program, parse_target("cpu"), compiled, steps=3)
    assert {layer.layer for layer in found.layers()} >= {"head", "loss"}
    assert all(d.site.loc for d in found.dispatches)
    phases = found.phases()
    assert min(phases["forward"], phases["vjp"], phases["update"]) > 0
    assert sum(layer.total for layer in found.layers()) == pytest.approx(found.busy)
    assert found.busy > 0
    product = [d for d in found.dispatches if d.flops and d.site.loc == "head"]
    assert [d.flops for d in product] == [2 * 4 * 784 * 10]


@pytest.mark.parametrize("word", ["cpu", "c"])
@pytest.mark.parametrize("function", ["predict", "eval_step"])
def test_what_only_looks_at_the_state_has_a_forward_pass_alone(
    program, compiled, c_compiler, monkeypatch, word, function
):
    monkeypatch.setenv("CFLAGS", "-O1")
    found = profile(program, parse_target(word), compiled, 3, function=function)
    assert list(found.phases()) == ["forward"] and {layer.layer for layer in found.layers()} >= {"head"}
    assert [d.flops for d in found.dispatches if d.flops and d.site.loc == "head"] == [2 * 4 * 784 * 10]
    shown = {"predict": "a prediction", "eval_step": "an evaluation"}[function]
    assert f"{word}: {shown} takes" in lines(found)[0]


def test_a_step_of_a_small_state_is_profiled_in_small_pages_as_it_is_trained():
    module = lower(build(check(find("mnist-cnn")), Recipe(norms=False), 128).module, "cpu")
    assert {f.name: takes_large_pages(module, f.name) for f in module if f.name in CALLS} == {
        "train_step": False, "eval_step": True, "predict": True,
    }  # fmt: skip


def test_the_command_offers_the_functions_that_can_be_profiled():
    assert tuple(CALLS) == FUNCTIONS


def test_every_part_of_a_step_in_c_has_a_layer(program, compiled, c_compiler, monkeypatch):
    monkeypatch.setenv("CFLAGS", "-O1")
    found = profile(program, parse_target("c"), compiled, steps=3)
    assert {layer.layer for layer in found.layers()} >= {"head", "loss"}
    phases = found.phases()
    assert min(phases["forward"], phases["vjp"], phases["update"]) > 0
    assert 0 < sum(layer.total for layer in found.layers()) == pytest.approx(found.busy) and found.busy < found.profiled
    (product,) = [d for d in found.dispatches if d.flops and d.site.loc == "head"]
    assert (product.site.function, product.flops) == ("dot f32[4, 10]", 2 * 4 * 784 * 10)
    assert lines(found)[1].startswith("parts run in ") and tables(found, 0, 3)[1].heads[0] == "part"
    assert "net_tick" not in c_source(lower(program.module, "c")).text  # nobody pays for it who does not ask


@pytest.mark.parametrize("word", ["xla", "reference", "vulkan", "cuda:sm_89"])
def test_other_targets_are_refused_with_what_to_do(program, compiled, word):
    with pytest.raises(UserError, match=f"wants a target of IREE's cpu, or c, got '{word}'; use `target=cpu`"):
        profile(program, parse_target(word), compiled)
