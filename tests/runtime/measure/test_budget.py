"""A budget of memory: the blocks that are recomputed for it, and the run that keeps them."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

import netc
from netc import layers as nn
from netc.cli.main import cli
from netc.codegen.program import build
from netc.netspec.check import check
from netc.netspec.find import find
from netc.netspec.recipe import SGD, Recipe
from netc.netspec.toml import to_toml
from netc.runtime.measure import budget
from netc.runtime.measure.budget import Fit, fit_blocks
from netc.runtime.measure.memory import compiled_peak
from netc.runtime.run.config import read_config
from netc.runtime.target import parse_target

BLOCK = nn.Chain((nn.Dense(64, activation="relu", name="up"), nn.Dense(8, name="down")))
NET = netc.NetSpec("net", (8,), (nn.Repeat(BLOCK, 6, name="stage1"), nn.Dense(3, name="head")))
XLA, BATCH = parse_target("xla"), 64
X, Y = np.random.default_rng(0).standard_normal((192, 8)), np.arange(192) % 3


def of(recipe):
    return build(check(NET), recipe, BATCH)


@pytest.fixture(scope="module")
def plans():
    """What XLA plans without, and with all blocks recomputed."""
    return [compiled_peak(of(Recipe(SGD(), remat=remat)), XLA).total for remat in (False, True)]


def planned_as(monkeypatch, peaks):
    """What is planned, by how many blocks are computed again, instead of by a compiler; the numbers asked for."""
    asked = []

    def peak(program, target, forms):
        asked.append(len(program.recipe.remat_blocks))
        return type("Peak", (), {"total": peaks[asked[-1]]})

    monkeypatch.setattr(budget, "compiled_peak", peak)
    return asked


def test_the_fewest_blocks_whose_plan_fits(monkeypatch):
    asked = planned_as(monkeypatch, [100, 96, 90, 70, 60, 50, 55])
    for wanted, blocks in ((100, 0), (99, 1), (69, 4), (50, 5)):
        asked.clear()
        found = fit_blocks(of, Recipe(SGD()), XLA, wanted)
        assert len(found.blocks) == blocks and found.peak <= wanted and found.without == 100
        assert len(asked) == len(set(asked)) <= budget.MOST
    assert asked[:2] == [0, 5]  # the last block gains nothing by the count, and is asked for only where 5 do not fit


@pytest.mark.parametrize(
    ("words", "bound", "sentence"),
    [({}, 49, r"wants at least 0.1 MB for net at a batch of 64 on xla, its smallest plan, 5 of 6 blocks recomp"),
     ({"remat": True}, 99, "chooses the blocks to recompute, got `remat` too; leave one of them out"),
     ({"remat_blocks": ("stage1",)}, 99, "chooses the blocks to recompute, got `remat_blocks` too")],
)  # fmt: skip
def test_what_cannot_be(monkeypatch, words, bound, sentence):
    planned_as(monkeypatch, [100, 96, 90, 70, 60, 50, 55])
    with pytest.raises(netc.UserError, match=f"`memory_budget` {sentence}"):
        fit_blocks(of, Recipe(SGD(), **words), XLA, bound)


def test_a_net_without_blocks_has_one_plan(monkeypatch):
    planned_as(monkeypatch, [100])

    def mlp(recipe):
        return build(check(find("mnist-linear")), recipe, 2)

    assert fit_blocks(mlp, Recipe(SGD()), XLA, 100) == Fit((), 0, 100, 100, 0.0)
    with pytest.raises(netc.UserError, match=r"its plan, for it has no blocks to recompute, got 0\.000099 MB; give"):
        fit_blocks(mlp, Recipe(SGD()), XLA, 99)


def test_blocks_in_a_row_are_said_as_a_range():
    blocks = ("a.block0", "a.block1", "a.block3", "b.block4")
    said = str(Fit(blocks, 9, 1_000_000, 2_450_000, 0.25))
    assert said.startswith(
        "recomputes 4 of 9 blocks, a.block0-1, a.block3, b.block4: the plan of a step is 1.0 MB, 2.5"
    )
    assert said.endswith("by the cost model a step takes 25% longer")


def test_a_run_keeps_its_choice_and_goes_on_bit_for_bit(plans, tmp_path, monkeypatch):
    """Of a budget between the plan without and that with all blocks; it is the run that names these blocks."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NETC_CACHE_DIR", str(tmp_path / "cache"))
    bound, notes = sum(plans) // 2, []
    data = netc.Dataset.from_arrays(X, Y, X[:8], Y[:8])
    words = {"target": "xla", "batch": BATCH, "epochs": 2, "optimizer": "sgd"}
    asked = {**words, "memory_budget": str(bound)}
    part = netc.train(NET, data, out="part", on_step=lambda done: done.step == 2, on_note=notes.append, **asked)
    assert part.stopped
    assert any("recomputes" in note and "of 6 blocks, stage1.block" in note for note in notes)
    config = read_config(part.folder)
    blocks = config.recipe.remat_blocks
    assert config.memory_budget == bound
    assert 0 < len(blocks) < 6
    assert compiled_peak(of(config.recipe), XLA).total <= bound
    monkeypatch.setattr(budget, "fit_blocks", None)  # what was chosen is not chosen again
    assert netc.train(NET, data, out="part", auto_resume=True, **asked).steps == 6
    whole = netc.train(NET, data, out="whole", remat_blocks=blocks, **words)
    assert (whole.folder / "trace.jsonl").read_bytes() == (part.folder / "trace.jsonl").read_bytes()
    with pytest.raises(netc.UserError, match=r"`auto_resume` wants the options .* memory_budget"):
        netc.train(NET, data, out="part", auto_resume=True, **{**asked, "memory_budget": "9GB"})


def test_the_commands_choose_the_same(plans, tmp_path):
    path = tmp_path / "net.toml"
    path.write_text(to_toml(NET), encoding="utf-8")
    bound = sum(plans) // 2
    words = ["memory", str(path), "--batch", str(BATCH), "--optimizer", "sgd", "--target", "xla", "--json"]
    found = CliRunner().invoke(cli, [*words, "--memory-budget", str(bound)])
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)["peak"] <= bound
    assert "netc: recomputes" in found.stderr
    compiled = netc.compile(NET, batch=BATCH, optimizer="sgd", target="xla", memory_budget=str(bound))
    assert 0 < len(compiled.program.recipe.remat_blocks) < 6
    wrong = CliRunner().invoke(cli, [*words, "--memory-budget", "1kB"])
    assert "`memory_budget` wants at least" in str(wrong.exception)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [({"memory_budget": "much"}, "`memory_budget` wants a size such as 500MB or 2GB, got 'much'"),
     ({"memory_budget": "0"}, "`memory_budget` wants a size such as 500MB or 2GB, got '0'; leave it out for no bound"),
     ({"memory_budget": "1GB", "steps_per_call": 2}, "`memory_budget` applies to one step .*, got `steps_per_call`"),
     ({"memory_budget": "1GB", "mesh": "data=2", "target": "xla"}, "got `mesh` too; leave one out, or name"),
     ({"memory_budget": "1GB", "target": "reference"}, "`target` wants one with a compiler, got reference")],
)  # fmt: skip
def test_words_that_do_not_go_with_it(words, sentence):
    with pytest.raises(netc.UserError, match=sentence):
        netc.compile(NET, **words)
