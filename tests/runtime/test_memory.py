"""What the compilers plan for a step, and what `netc memory` says."""

import json

import pytest
from click.testing import CliRunner

from netc.cli.main import cli
from netc.codegen.memory import memory_of
from netc.codegen.program import build
from netc.codegen.rewrite.lower import lower
from netc.netspec.check import check
from netc.netspec.errors import NetcError
from netc.netspec.recipe import Recipe, Schedule, Sgd
from netc.netspec.zoo import find
from netc.runtime.data.dataset import Augment
from netc.runtime.memory import compiled_peak, peak_of
from netc.runtime.run import RunConfig, from_json
from netc.runtime.target import parse_target

STREAM = """module {
  util.func public @train_step(%arg0: !hal.buffer_view) -> !hal.buffer_view {
    %a, %ta = stream.resource.alloca uninitialized on(#d) : !stream.resource<transient>{%c100} => !stream.timepoint
    %b, %tb = stream.resource.alloca uninitialized on(#d) await(%ta) => !stream.resource<transient>{%c40} => !stream.timepoint
    %1 = stream.cmd.execute on(#d) await(%tb) => with(%a as %arg1: !stream.resource<transient>{%c100}) {
    } => !stream.timepoint
    %2 = stream.resource.dealloca on(#d) await(%1) => %b : !stream.resource<transient>{%c40} => !stream.timepoint
    %3 = stream.timepoint.await %2 => %a : !stream.resource<transient>{%c100}
    %4 = stream.resource.subview %3[%c0] : !stream.resource<transient>{%c100} -> !stream.resource<transient>{%c10}
    %c, %tc = stream.resource.alloca uninitialized on(#d) await(%1) => !stream.resource<external>{%c60} => !stream.timepoint
    %5 = stream.cmd.execute on(#d) await(%tc) => with(%4 as %arg1: !stream.resource<transient>{%c10}) {
    } => !stream.timepoint
    %d, %td = stream.resource.alloca uninitialized on(#d) await(%5) => !stream.resource<transient>{%c20} => !stream.timepoint
    %6 = stream.cmd.execute on(#d) await(%td) => with(%d as %arg1: !stream.resource<transient>{%c20}) {
    util.return %6 : !hal.buffer_view
  }
}
"""  # noqa: E501


def test_a_slab_lives_until_it_is_freed_or_last_read():
    """a and b: 140; then a, by a view of it, and the result c: 160; then c, which stays, and d: 80."""
    peak = peak_of(STREAM, "train_step")
    assert (peak.results, peak.transient, peak.total) == (60, 100, 160)
    with pytest.raises(NetcError, match="no function predict"):
        peak_of(STREAM, "predict")
    with pytest.raises(NetcError, match="is not known before it runs"):
        peak_of(STREAM.replace("    %5 =", "    cf.br ^bb1\n    %5 ="), "train_step")


def test_counts_by_hand():
    """A linear net saves nothing but its logits' softmax; the rest is state, gradients and the batch."""
    program = build(check(find("mnist-linear")), Recipe(Sgd(), norms=False), 4)
    counted = memory_of(program.state, lower(program.module, "xla").function("train_step"))
    weights = 4 * (784 * 10 + 10)
    assert (counted.parameters, counted.moments, counted.gradients) == (weights, weights, weights)
    assert counted.batch == 4 * (4 * 784 + 4 + 1)
    assert 0 < counted.rows["saved activations"] <= 4 * 4 * 10 * 4
    assert counted.total == sum(counted.rows.values())


@pytest.mark.parametrize("word", ["cpu", "xla"])
def test_a_plan_holds_the_state_and_what_is_saved(word):
    program, target = build(check(find("mnist-linear")), Recipe(norms=False), 4), parse_target(word)
    peak = compiled_peak(program, target)
    held = sum(s.type.bytes for s in program.state)
    assert held <= peak.arguments <= held + 4 * (4 * 784 + 4 + 1) + 1024
    assert peak.total > peak.arguments
    if word == "cpu":
        assert peak.results + peak.transient >= held * 0.9  # the new state, beside the old


def test_the_command_shows_what_is_saved():
    words = ["memory", "mnist-linear", "--batch", "4", "--target", "xla"]
    found = json.loads(CliRunner().invoke(cli, [*words, "--json"]).stdout)
    assert found["sum"] == sum(found["parts"].values())
    assert found["peak"] == sum(found["compiled"].values())
    shown = CliRunner().invoke(cli, words).output
    assert all(word in shown for word in ("gradients", "saved activations", "transient", "of the sum"))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--target", "reference"], "--target wants one with a compiler, got reference"),
        (["--accumulate", "2"], "memory wants a step whose batch passes whole, got --accumulate 2"),
        (["--remat"], "remat wants a net with blocks (block0, block1, ..), got mnist-linear without"),
    ],
)
def test_mistakes_are_sentences(words, sentence):
    found = CliRunner().invoke(cli, ["memory", "mnist-linear", "--batch", "4", *words])
    assert found.exit_code != 0
    assert sentence in f"{found.output}{found.exception}"


def test_a_runs_file_records_it_and_older_files_load():
    def config(remat):
        return RunConfig(
            check(find("tiny-gpt")), Recipe(remat=remat), Schedule(1, 4, 0.1), "mnist", 0, "cpu", Augment(0, False)
        )

    again, plain = config(True), config(False)
    assert again.to_json()["recipe"]["remat"] is True
    assert from_json(again.to_json(), "here") == again
    assert "remat" not in plain.to_json()["recipe"]
    assert from_json(plain.to_json(), "here").recipe.remat is False
    table = again.to_json()
    table["recipe"]["remat"] = 1
    with pytest.raises(NetcError, match=r"recipe\.remat wants a finite bool, got int"):
        from_json(table, "here")


def test_the_jax_twin_refuses_it():
    found = CliRunner().invoke(cli, ["emit-jax", "resnet18", "--input", "8x8x1", "--remat"])
    assert found.exit_code != 0
    assert "emit-jax wants a training without --remat" in f"{found.output}{found.exception}"
