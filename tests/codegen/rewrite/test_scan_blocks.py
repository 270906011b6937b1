"""Equal blocks in a row as one loop: the same numbers, from less text."""

import dataclasses
import re

import numpy as np
import pytest
from click.testing import CliRunner

from netc.cli.main import cli
from netc.codegen.builder import Builder
from netc.codegen.c.folder import c_files
from netc.codegen.evaluator import run
from netc.codegen.ir import Module
from netc.codegen.location import location_of
from netc.codegen.program import build
from netc.codegen.render import render
from netc.codegen.rewrite.lower import lower
from netc.codegen.rewrite.scan_blocks import scan_blocks
from netc.codegen.verify import verify
from netc.netspec.check import check
from netc.netspec.errors import UserError
from netc.netspec.find import find
from netc.netspec.layers import (
    ConvBn,
    Dense,
    GlobalAvgPool,
    ResidualBlock,
    TiedHead,
    TokenPositionEmbed,
    TransformerEncoder,
)
from netc.netspec.recipe import Recipe
from netc.netspec.spec import NetSpec
from netc.netspec.types import TensorType
from netc.proofs_oracle.certificate.certify import certify_program
from netc.proofs_oracle.certificate.statement import Settings
from netc.runtime.cache.store import Cache
from netc.runtime.prepare import emit_text, prepare
from netc.runtime.target import parse_target
from netc.runtime.trainer import Trainer
from tests.codegen.witness import DTYPES

BATCH = 2


def resnet(first, second):
    layers = [ConvBn(4, (3, 3), name="stem"), ResidualBlock(4, first, name="stage1")]
    layers += [ResidualBlock(6, second, stride=2, name="stage2")] if second else []
    return check(NetSpec("resnet", (6, 6, 2), (*layers, GlobalAvgPool(), Dense(3, name="head"))))


def gpt(blocks, dropout=0.0):
    body = TransformerEncoder(2, 16, blocks, causal=True, dropout=dropout, name="blocks")
    return check(NetSpec("gpt", (6,), (TiedHead(TokenPositionEmbed(11, 8, std=0.2), body, name="m"),), dtype="i32"))


NETS = {"resnet": resnet(3, 4), "one stage": resnet(4, 0), "transformer": gpt(5)}
RECIPES = {"plain": Recipe(), "remat": Recipe(remat=True), "parts": Recipe(accumulate=2)}


def given(program, seed=0):
    """A state, and the batch and learning rate that the step takes besides."""
    rng = np.random.default_rng(seed)
    state = run(program.module, "init", [np.array([0, 1], np.uint32)])
    rest = []
    for v in program.module.function("train_step").params[len(state) :]:
        drawn = rng.standard_normal(v.shape) if v.type.dtype == "f32" and v.shape else np.float64(1e-2)
        rest.append(rng.integers(0, 3, v.shape).astype(np.int32) if v.type.dtype == "i32" else drawn)
    return state, rest


def both(net, recipe, family="xla"):
    module = lower(build(net, recipe, BATCH).module, family)
    return module, verify(scan_blocks(module), lowered=True)


def bits(values):
    return [np.asarray(v).tobytes() for v in values]


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
@pytest.mark.parametrize("net", NETS.values(), ids=NETS)
def test_a_step_is_the_same_to_the_bit(net, recipe):
    module, scanned = both(net, recipe)
    state, rest = given(build(net, recipe, BATCH))
    assert bits(run(module, "train_step", [*state, *rest])) == bits(run(scanned, "train_step", [*state, *rest]))


def test_evaluation_and_prediction_are_scanned_too():
    module, scanned = both(NETS["resnet"], Recipe())
    state, (x, *_) = given(build(NETS["resnet"], Recipe(), BATCH))
    params = module.function("predict").params
    kept = state[: len(params) - 1]
    assert scanned.function("predict").counts()["loop"] == 2  # both stages: there is no backward pass
    assert bits(run(module, "predict", [*kept, x])) == bits(run(scanned, "predict", [*kept, x]))


def loops(net, recipe=RECIPES["plain"]):
    _, scanned = both(net, recipe)
    return [op for op in scanned.needed("train_step").functions[-1].ops if op.kind == "loop"]


def test_a_row_of_blocks_is_a_loop_forward_and_one_backward_through_the_same_stacks():
    # the pullback of the last block before a mean over pixels is another one
    forward, backward = loops(NETS["one stage"])
    assert [(op.attr("trips"), op.attr("reverse")) for op in (forward, backward)] == [(4, False), (3, True)]
    assert [location_of(op.loc).phase for op in (forward, backward)] == ["forward", "vjp"]
    # what the backward pass reads of the forward pass and of the parameters: parts of the same stacks, none made anew
    whole = both(NETS["one stage"], Recipe())[1].function("train_step")
    assert "concatenate" in whole.counts()
    second = [op for op in whole.ops if op.kind == "loop"][1]
    assert "concatenate" not in {made_by(whole, v) for v in second.operands[1:]}


def made_by(function, value):
    return next((op.kind for op in function.ops if value in op.results), "argument")


def test_only_blocks_that_are_equal_both_ways_are_scanned():
    # stage2 has three equal blocks forward and two backward
    assert [(op.loc, op.attr("trips")) for op in loops(NETS["resnet"])] == [
        ("stage1.block*", 3),
        ("stage1.block* (vjp)", 3),
    ]
    # of five causal blocks the first makes the mask, which the others read; the last is another one backward
    assert [op.attr("trips") for op in loops(gpt(5))] == [4, 3]


def test_a_loop_stays_in_its_stage_and_a_first_block_on_the_input_is_left_out():
    layers = (ResidualBlock(4, 4, name="stage1"), ResidualBlock(4, 4, name="stage2"), GlobalAvgPool(), Dense(3))
    found = [(op.loc, op.attr("trips")) for op in loops(check(NetSpec("two", (6, 6, 4), layers)))]
    assert found == [
        ("stage1.block*", 3), ("stage2.block*", 4), ("stage2.block* (vjp)", 3), ("stage1.block* (vjp)", 3),
    ]  # fmt: skip


def test_what_is_computed_again_is_computed_in_the_backward_loop():
    forward, backward = loops(NETS["one stage"], Recipe(remat=True))
    plain_forward, plain_backward = loops(NETS["one stage"])
    kept = [sum(v.type.bytes for v in op.extra_results) for op in (forward, plain_forward)]
    assert kept[0] < kept[1] / 2
    assert len(backward.operands) < len(plain_backward.operands)


def test_text_grows_with_the_different_blocks_and_not_with_depth():
    plain, scanned = zip(*(both(gpt(n), Recipe(norms=False)) for n in (5, 13)), strict=True)
    grown = [len(render(b).splitlines()) - len(render(a).splitlines()) for a, b in (plain, scanned)]
    assert grown[1] < grown[0] / 2  # what is left is the updates, and the stacking of parameters
    each = [[f.counts() for f in module if "_blocks" in f.name] for module in scanned]
    assert each[0] == each[1]


# IREE compiles each loop by itself: those of one stage are of both kinds, unequal in length as two stages' are
@pytest.mark.parametrize(("net", "word"), [("resnet", "xla"), ("one stage", "cpu"), ("transformer", "xla")])
def test_a_backend_computes_it_as_the_evaluator_does(net, word, tmp_path):
    whole = build(NETS[net], Recipe(scan_blocks=True), BATCH)
    step = whole.module.function("train_step")  # the loops of evaluation are its loops forward
    program = dataclasses.replace(whole, module=Module(whole.module.name, (step,)))
    state, (x, y, _) = given(whole)
    x = x.astype(np.float32) if x.dtype == np.float64 else x
    found = []
    for target in (word, "reference"):
        session = Trainer(prepare(program, parse_target(target), Cache(tmp_path / "cache")))
        session.restore({s.name: v.astype(DTYPES[s.type.dtype]) for s, v in zip(program.state, state, strict=True)})
        found.append([session.train_step(x, y, 1e-2)["loss"] for _ in range(3)])
    # three steps of float32 in two orders of summation
    np.testing.assert_allclose(found[0], found[1], rtol=1e-4)


def test_for_iree_a_loop_is_one_in_which_buffers_are_written_where_they_lie():
    text = emit_text(build(NETS["resnet"], Recipe(scan_blocks=True), BATCH), parse_target("cpu")).text
    assert text.count("scf.for") == 2 + 2 + 2
    assert "cf.cond_br" not in text
    for begun in (re.findall(r"_held\d+ = (%\w+)", args) for args in re.findall(r"iter_args\((.*?)\)", text)):
        assert len(begun) == len(set(begun))


@pytest.mark.parametrize(
    ("net", "got"),
    [
        (resnet(2, 2), "resnet with 2"), (gpt(4), "gpt with 2"), (gpt(5, dropout=0.1), "gpt with none"),
        (check(find("mnist-mlp")), "mnist-mlp with none"),
    ],
    ids=["two", "four", "dropout", "none"],
)  # fmt: skip
def test_a_net_without_three_equal_blocks_is_refused(net, got):
    program = build(net, Recipe(scan_blocks=True), BATCH)
    for emit in (lambda: emit_text(program, parse_target("xla")), lambda: c_files(program)):
        with pytest.raises(UserError, match=rf"`scan_blocks` wants 3 or more blocks in a row .* got {got} \(the first"):
            emit()


def test_blocks_whose_sums_over_devices_have_a_number_each_are_refused():
    program = build(NETS["one stage"], Recipe(scan_blocks=True, sync_bn=True), BATCH, replicas=2)
    with pytest.raises(UserError, match=r"got resnet with .* \(the sums of `sync_bn` have a number each\); leave it"):
        emit_text(program, parse_target("xla"))


def by_hand(block, begun, count=4, after=lambda b, values: values[-1]):
    """A module of `count` blocks: block(b, values so far) -> value, on values begun from the argument."""
    b = Builder("f")
    x = b.parameter("x", TensorType((3,)))
    values = [b.unary("tanh", x) for _ in range(begun)] if begun else [x]
    for n in range(count):
        with b.at("stage"), b.at(f"block{n}"):
            values.append(block(b, values))
    return Module("m", (b.finish([("y", after(b, values))]),))


def one(b, values):
    return b.mul(b.unary("tanh", values[-1]), 2.0)


MASKS = []


def masked(b, values):
    MASKS.append(b.select(*(b.compare("GT", values[-1], limit) for limit in (0.0, 1.0, -1.0))))
    return b.select(MASKS[-1], one(b, values), values[-1])


def test_blocks_that_something_outside_ties_to_each_other_stay_as_they_are():
    """block3 reads what is made of block1's result outside of blocks; and another row of blocks comes after."""
    b = Builder("f")
    x = b.parameter("x", TensorType((3,)))
    values, extra = [b.unary("tanh", x)], None
    for stage in ("s", "t"):
        for n in range(4):
            with b.at(stage), b.at(f"block{n}"):
                y = b.mul(b.unary("tanh", values[-1]), 2.0)
                y = b.add(y, extra) if extra is not None and stage == "s" and n == 3 else b.add(y, values[0])
            values.append(y)
            if extra is None and n == 1:
                extra = b.unary("sqrt", b.mul(y, y))
    module = Module("m", (b.finish([("y", values[-1])]),))
    scanned = verify(scan_blocks(module))
    args = [np.array([0.1, -0.4, 2.0])]
    assert bits(run(module, "f", args)) == bits(run(scanned, "f", args))
    assert [op.loc for op in scanned.function("f").ops if op.kind == "loop"] == ["t.block*"]


@pytest.mark.parametrize(
    ("module", "trips"),
    [
        (by_hand(one, 1), [4]),
        (by_hand(one, 1, after=lambda b, v: b.add(v[2], b.add(v[0], v[-1]))), [4]),
        (by_hand(one, 0), [3]),  # begins as the argument: the first is none of them
        (by_hand(one, 0, count=3), []),
        (by_hand(masked, 1, after=lambda b, v: b.select(MASKS[1], v[-1], v[0])), []),  # a stack of truth values
        (by_hand(lambda b, v: b.mul(one(b, v), v[-2]), 2), []),  # reads the block before the last as well
        (by_hand(lambda b, v: b.mul(one(b, v), v[0]), 2), [4]),  # and one that all read
        (by_hand(lambda b, v: b.mul(one(b, v[:1]), v[0]), 1), []),  # reads no block
        (by_hand(one, 1, count=2), []),
    ],
    ids=["one", "rows", "argument", "short", "mask", "skip", "constant", "apart", "two"],
)  # fmt: skip
def test_what_blocks_read_of_each_other(module, trips):
    scanned = verify(scan_blocks(module))
    assert [op.attr("trips") for op in scanned.function("f").ops if op.kind == "loop"] == trips
    args = [np.array([0.1, -0.4, 2.0])]
    assert bits(run(module, "f", args)) == bits(run(scanned, "f", args))


@pytest.mark.parametrize(
    ("recipe", "count"), [(Recipe(scan_blocks=True, accumulate=2), 1), (Recipe(scan_blocks=True), 2)]
)
def test_a_loop_in_a_loop_is_refused_for_iree(recipe, count):
    program = build(NETS["resnet"], recipe, BATCH, steps_per_call=count)
    name = "accumulate" if count == 1 else "steps_per_call"
    with pytest.raises(UserError, match=rf"`scan_blocks` wants no `{name}` on cpu, got 2: .* leave one of the two out"):
        emit_text(program, parse_target("cpu"))
    emit_text(program, parse_target("xla"))


def test_the_certificate_is_of_the_loops_written_out():
    found = certify_program(build(gpt(5), Recipe(scan_blocks=True), 1), parse_target("xla"), Settings(exact=False))
    assert found.holds


def test_from_the_command_line(tmp_path):
    said = CliRunner().invoke(
        cli, ["emit-mlir", "resnet34", "--input", "32x32x3", "--target", "xla", "--scan-blocks", "-o", str(tmp_path)]
    )
    assert said.exit_code == 0, said.output
    text = (tmp_path / "resnet34.mlir").read_text()
    assert text.count("stablehlo.while") == 2 * 3 + 3 + 3
    said = CliRunner().invoke(cli, ["emit-jax", "resnet34", "--scan-blocks"])
    assert "without `scan_blocks`" in str(said.exception)
