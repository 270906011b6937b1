"""The cost of a step on a mesh: what is exchanged, by the alpha-beta model, and what each device holds."""

import pytest

from netc.codegen.analysis.chips import CHIPS
from netc.codegen.analysis.mesh_cost import Link, joined, mesh_cost, seconds
from netc.codegen.analysis.spread import ALL_GATHER, ALL_REDUCE, PERMUTE, REDUCE_SCATTER, spread
from netc.codegen.analysis.step_cost import Ceiling
from netc.codegen.rewrite.lower import lower
from netc.codegen.sharding.mesh import parse_sharding
from netc.programs import request_program

BATCH, TOKENS, WIDTH, BLOCKS = 4, 8, 16, 2
CEILING, LINK = Ceiling(1e12, 1e11), Link(1e9, 1e-6)


@pytest.fixture(scope="module")
def sizes():
    return {"layers": BLOCKS, "heads": 4, "width": WIDTH, "context": TOKENS}


@pytest.fixture(scope="module")
def small(sizes):
    program = request_program("tiny-gpt", batch=BATCH, optimizer="adamw", **sizes).build()
    return program, lower(program.module, "xla")


def cost(small, mesh, shard=None):
    return mesh_cost(*small, parse_sharding(mesh, shard), CEILING, LINK)


def test_exchanges_by_the_alpha_beta_model():
    assert seconds(ALL_REDUCE, 8_000, 4, LINK) == pytest.approx(2 * 3 / 4 * 8e-6 + 6e-6)
    assert seconds(ALL_GATHER, 8_000, 4, LINK) == pytest.approx(3 / 4 * 8e-6 + 3e-6)
    assert seconds(PERMUTE, 8_000, 4, LINK) == pytest.approx(2e-6 + 1e-6)
    assert seconds(ALL_REDUCE, 8_000, 1, LINK) == 0


def test_kernels_over_model_sum_twice_a_block_each_way(small):
    """Megatron's count: behind attention and perceptron forward, before them backward."""
    program, lowered = small
    kernels = {s.name: s.type for s in program.state}
    split = {n: 1 for n in kernels if n.endswith(("qkv.kernel", "hidden.kernel"))}
    split |= {n: 0 for n in kernels if n.endswith(("out.kernel", "qkv.bias", "hidden.bias"))}
    sums = [e for e in spread(lowered, split, 2).exchanges if e.kind == ALL_REDUCE]
    assert len(sums) == 4 * BLOCKS
    assert {e.bytes for e in sums} == {4 * BATCH * TOKENS * WIDTH}
    assert not [e for e in spread(lowered, split, 2).exchanges if e.kind == ALL_GATHER]


def test_tokens_gather_keys_and_values_and_sum_their_gradients(sizes):
    """As XLA's partitioner has it for one example a place (docs/measurements/sequence.md)."""
    program = request_program("tiny-gpt", batch=1, optimizer="adamw", **sizes).build()
    found = spread(lower(program.module, "xla"), {"x": 1, "y": 1}, 4, axis="sequence").exchanges
    gathers, sums = ([e for e in found if e.kind == kind] for kind in (ALL_GATHER, ALL_REDUCE))
    size = 4 * TOKENS * WIDTH
    assert [e.bytes for e in gathers] == [size] * 2 * BLOCKS and all("attend" in e.loc for e in gathers)
    assert [e.bytes for e in joined(found) if "attend" in e.loc and e.kind == ALL_REDUCE] == [2 * size] * BLOCKS
    parameters = sum(s.type.bytes for s in program.state if s.role == "parameter")
    tied = 4 * WIDTH * program.net.out.shape[-1]  # summed twice, for the tokens and for the head
    assert sum(e.bytes for e in sums) - 2 * size * BLOCKS == parameters + tied - size  # of places each has its own


def test_data_sums_every_gradient_once(small):
    found = cost(small, "data=8")
    size = sum(s.type.bytes for s in small[0].state if s.role == "parameter")
    assert found.moved == {("data", ALL_REDUCE): pytest.approx(2 * 7 / 8 * size)}
    assert found.step == pytest.approx(found.computing + found.exchanged["data", ALL_REDUCE])
    assert found.overlapped == pytest.approx(max(found.computing, found.exchanged["data", ALL_REDUCE]))


def test_what_is_split_is_held_in_parts(small):
    whole, fsdp, zero1 = cost(small, "data=1"), cost(small, "data=8", "fsdp"), cost(small, "data=8", "zero1")
    assert not whole.exchanged
    assert fsdp.memory["parameters"] * 8 == pytest.approx(whole.memory["parameters"], rel=0.01)
    assert fsdp.memory["moments"] == zero1.memory["moments"]
    assert zero1.memory["parameters"] == whole.memory["parameters"]
    kinds = {kind for _, kind in fsdp.exchanged} - {ALL_REDUCE}  # of what 8 does not divide
    assert kinds == {kind for _, kind in zero1.exchanged} - {ALL_REDUCE} == {ALL_GATHER, REDUCE_SCATTER}
    assert fsdp.moved["data", ALL_GATHER] == pytest.approx(2 * zero1.moved["data", ALL_GATHER])  # twice a step
    assert fsdp.computing < whole.computing  # the update, a part of it


def test_model_divides_the_work(small):
    one, four = cost(small, "model=1"), cost(small, "model=4")
    assert four.computing < one.computing
    assert four.memory["saved activations"] < one.memory["saved activations"]


def test_every_chip_has_a_source_and_some_peak():
    assert all(
        chip.source and chip.sheet.startswith("https://") and max(chip.bf16, chip.f32) > 0 and chip.bandwidth > 0
        for chip in CHIPS.values()
    )
