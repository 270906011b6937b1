"""The order in which blocks are computed again."""

import itertools

import pytest

from netc.codegen.analysis.memory import memory_of
from netc.codegen.analysis.recompute import Block, _fullest, choices
from netc.codegen.program import build
from netc.codegen.rewrite.lower import lower
from netc.netspec.check import check
from netc.netspec.layers import TiedHead, TokenPositionEmbed, TransformerEncoder
from netc.netspec.recipe import SGD, Recipe
from netc.netspec.spec import NetSpec

BLOCKS = 4


@pytest.fixture(scope="module")
def steps():
    """A step of four equal blocks, lowered without and with all of them computed again."""
    body = TransformerEncoder(2, 16, BLOCKS, causal=True, name="body")
    net = check(NetSpec("gpt", (6,), (TiedHead(TokenPositionEmbed(11, 8), body, name="m"),), dtype="i32"))
    programs = [build(net, Recipe(SGD(), norms=False, remat=remat), 4) for remat in (False, True)]
    return programs[0].state, *(lower(p.module, "xla") for p in programs)


def test_the_fullest_moment_is_at_the_last_block_that_is_large():
    """m0 = 5, m1 = 5 + 8, m2 = 5 + 8 + 1; with the second again m1 = 5 + 8, m2 = 5 + 2 + 1: no more than m1."""
    blocks = [Block("a", 1, 5, 1), Block("b", 1, 8, 2), Block("c", 1, 1, 0)]
    assert _fullest(blocks, set()) == (14, 2)
    assert _fullest(blocks, {blocks[1]}) == (13, 1)
    assert _fullest(blocks, set(blocks[:2])) == (9, 1)


def test_each_choice_is_the_one_before_and_one_more(steps):
    found = choices(*steps)
    assert [len(c.blocks) for c in found] == [*range(BLOCKS + 1)]
    for less, more in itertools.pairwise(found):
        assert set(less.blocks) < set(more.blocks) and less.share < more.share
        assert more.bytes < less.bytes or len(more.blocks) == BLOCKS
    assert found[-1].blocks == tuple(f"m.body.block{n}" for n in range(BLOCKS))


def test_the_ends_are_what_is_counted_of_both_steps(steps):
    """The last block gains nothing: what it saves is held at the fullest moment, or is computed again then."""
    found, (state, plain, again) = choices(*steps), steps
    assert found[0].bytes == memory_of(state, plain).total
    assert found[-1].bytes == found[-2].bytes == pytest.approx(memory_of(state, again).total, rel=0.25)
    assert found[-2].blocks == tuple(f"m.body.block{n}" for n in range(BLOCKS - 1))


def test_blocks_that_give_more_for_their_time_come_first():
    cheap, dear, last = Block("cheap", 1, 10, 0), Block("dear", 3, 10, 0), Block("last", 1, 10, 0)
    assert sorted((dear, last, cheap), key=lambda b: b.rate)[0].rate == 0.1
    assert Block("nothing", 1, 4, 4).rate == float("inf")
    assert cheap.rate < dear.rate
