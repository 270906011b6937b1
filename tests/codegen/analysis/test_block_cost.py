"""The cost of many equal blocks, from few, is that of all."""

import pytest

from netc.codegen.analysis.block_cost import step_rows
from netc.codegen.analysis.step_cost import Ceiling, step_works, table, useful_flops
from netc.codegen.program import build
from netc.codegen.rewrite.lower import lower
from netc.netspec.check import check
from netc.netspec.layers import (
    BottleneckBlock,
    Dense,
    GlobalAvgPool,
    PatchEmbed,
    Repeat,
    ResidualBlock,
    SwinStage,
    TransformerEncoder,
)
from netc.netspec.recipe import Recipe
from netc.netspec.spec import NetSpec

CEILING = Ceiling(1e10, 1e10)
NETS = {
    "residual": (ResidualBlock(8, 17, 2), GlobalAvgPool(), Dense(3)),
    "two stages": (ResidualBlock(8, 14), BottleneckBlock(16, 13, 2), GlobalAvgPool(), Dense(3)),
    "repeat": (GlobalAvgPool(), Repeat(Dense(4, activation="relu"), 30), Dense(3)),
    "encoder": (PatchEmbed(8, 4), TransformerEncoder(2, 16, blocks=15), Dense(3)),
    "shifted windows": (SwinStage(2, blocks=16, window=4), GlobalAvgPool(), Dense(3)),
}


def lowered(program):
    return lower(program.module, "cpu")


@pytest.mark.parametrize("name", NETS)
def test_the_rows_are_those_of_all_blocks(name):
    net = check(NetSpec("n", (8, 8, 4), NETS[name]))
    program = build(net, Recipe(), 2)
    whole = table(step_works(lowered(program)), CEILING)
    rows, useful = step_rows(net, Recipe(), 2, lowered, CEILING)
    assert [(r.layer, r.phase) for r in rows] == [(r.layer, r.phase) for r in whole]
    assert useful == pytest.approx(useful_flops(program.module), rel=1e-3)
    for row, all_blocks in zip(rows, whole, strict=True):
        # norms of the gradient's parts are added 16 at a time, wherever a block ends
        assert row.flops == pytest.approx(all_blocks.flops, rel=1e-3, abs=64)
        assert row.bytes == pytest.approx(all_blocks.bytes, rel=1e-3, abs=256)
        assert row.seconds == pytest.approx(all_blocks.seconds, rel=1e-3, abs=3e-8)


def test_a_thousand_blocks_take_the_work_of_few():
    made = []
    net = check(NetSpec("n", (8, 8, 4), (ResidualBlock(8, 1000), GlobalAvgPool(), Dense(3))))
    rows, _ = step_rows(net, Recipe(), 2, lambda p: made.append(len(p.net.params)) or lowered(p), CEILING)
    assert len(made) == 2 and max(made) < 100  # parameters of what was built
    fewer = check(NetSpec("n", (8, 8, 4), (ResidualBlock(8, 500), GlobalAvgPool(), Dense(3))))
    half, _ = step_rows(fewer, Recipe(), 2, lowered, CEILING)
    flops = [sum(r.flops for r in found if r.layer.startswith("residual")) for found in (rows, half)]
    assert flops[0] == pytest.approx(2 * flops[1], rel=0.01)
