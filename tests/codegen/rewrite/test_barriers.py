"""Barriers where IREE must not join two computations: sums and the rows that read them, taps, gradients."""

import pytest

from netc.codegen.builder import Builder
from netc.codegen.ir import Module
from netc.codegen.modules import layer_module
from netc.codegen.program import build
from netc.codegen.rewrite.form_tables import FORM_TABLES
from netc.codegen.rewrite.iree.batched_rows import part_batched_rows
from netc.codegen.rewrite.iree.fences import LARGE, fence_gradients
from netc.codegen.rewrite.iree.held_cotangents import hold_cotangents
from netc.codegen.rewrite.iree.lookups import part_lookups
from netc.codegen.rewrite.iree.repeated_sums import part_joined_sums, part_repeated_sums
from netc.codegen.rewrite.iree.single_rows import part_single_rows
from netc.codegen.rewrite.iree.turned_products import part_turned_products
from netc.codegen.rewrite.lower import lower, passes
from netc.codegen.verify import verify
from netc.netspec.check import check
from netc.netspec.errors import SpecError
from netc.netspec.layers import Conv2d, Dense, InstanceNorm
from netc.netspec.recipe import Recipe
from netc.netspec.spec import NetSpec
from netc.netspec.types import TensorType

FAMILIES = sorted(FORM_TABLES)
DEFAULT = Recipe()


def kinds_of(module, name="f"):
    return [op.kind for op in module.function(name).ops]


@pytest.mark.parametrize(
    ("dim", "barriers"),
    [(0, 1), (1, 0)],
    ids=["columns, whose sums every row reads again", "rows, each of which reads its own sum"],
)
def test_a_sum_that_rows_read_again_stands_behind_a_barrier(dim, barriers):
    b = Builder("f")
    x = b.parameter("x", TensorType((4, 6)))
    mean = b.mul(b.sum(x, (dim,)), 1 / x.shape[dim])
    module = part_repeated_sums(Module("m", (b.finish([("y", b.sub(x, b.broadcast(mean, x, (1 - dim,))))]),)))
    assert kinds_of(verify(module)).count("barrier") == barriers
    (broadcast,) = [op for op in module.function("f").ops if op.kind == "broadcast"]
    made_by = {op.result: op.kind for op in module.function("f").ops}
    assert made_by[broadcast.operands[0]] == ("barrier" if barriers else "mul")


@pytest.mark.parametrize(("rows", "barriers"), [(4, 1), (2, 0)], ids=["all rows", "a few others"])
def test_only_a_sum_of_as_many_elements_as_read_it_is_parted_for_the_cpu(rows, barriers):
    b = Builder("f")
    x, stage = b.parameter("x", TensorType((4, 6))), b.parameter("stage", TensorType((rows, 6)))
    mean = b.mul(b.sum(stage, (0,)), 1 / 4)
    module = Module("m", (b.finish([("y", b.sub(x, b.broadcast(mean, x)))]),))
    assert kinds_of(verify(part_joined_sums(module))).count("barrier") == barriers
    assert kinds_of(verify(part_repeated_sums(module))).count("barrier") == 1


def test_a_sum_in_two_stages_counts_as_one_of_all_its_elements():
    b = Builder("f")
    x = b.parameter("x", TensorType((4, 6)))
    stages = b.sum(b.reshape(x, (2, 2, 6)), (1,))
    mean = b.mul(b.sum(stages, (0,)), 1 / 4)
    module = Module("m", (b.finish([("y", b.sub(x, b.broadcast(mean, x)))]),))
    assert kinds_of(verify(part_joined_sums(module))).count("barrier") == 1


@pytest.mark.parametrize("summed", [True, False], ids=["summed", "read as they are"])
def test_rows_that_are_looked_up_and_then_summed_stand_behind_a_barrier(summed):
    b = Builder("f")
    table, ids = b.parameter("table", TensorType((5, 3))), b.parameter("ids", TensorType((4,), "i32"))
    x = b.mul(b.op("take", table, ids), 0.5)
    module = verify(part_lookups(Module("m", (b.finish([("y", b.sum(x, (1,)) if summed else x)]),))))
    kinds = kinds_of(module)
    assert kinds.count("barrier") == summed
    assert not summed or kinds.index("barrier") == kinds.index("take") + 1


@pytest.mark.parametrize(
    ("heads", "rows", "barriers"),
    [(2, 6, 2), (1, 6, 0), (2, 8, 0), (3, 11, 2), (3, 10, 0), (12, 63, 2), (16, 15, 0), (4, 6, 0)],
)
def test_a_few_matrices_whose_rows_do_not_fill_tiles_stand_behind_a_barrier(heads, rows, barriers):
    b = Builder("f")
    x, y = b.parameter("x", TensorType((heads, rows, 16))), b.parameter("y", TensorType((heads, 16, 16)))
    product = b.dot(b.unary("exp", x), y, ((2,), (1,)), ((0,), (0,)))
    module = verify(part_batched_rows(Module("m", (b.finish([("z", product)]),))))
    assert kinds_of(module).count("barrier") == barriers


@pytest.mark.parametrize(
    ("shape", "read", "barriers"),
    [((1, 1, 4), True, 1), ((1, 1, 4), False, 0), ((1, 2, 4), True, 0), ((1, 1, 16), True, 0), ((4,), True, 0)],
    ids=["one row", "read by the sum alone", "two rows", "as long as a vector", "a loss"],
)
def test_one_short_row_that_others_read_is_parted_from_its_sum(shape, read, barriers):
    b = Builder("f")
    x = b.mul(b.parameter("x", TensorType(shape)), 2.0)
    total = b.sum(x, (len(shape) - 1,))
    module = verify(part_single_rows(Module("m", (b.finish([("t", total), *([("x", x)] if read else [])]),))))
    assert kinds_of(module).count("barrier") == barriers


def test_modules_for_iree_part_the_sums_of_an_instance_norm():
    module = layer_module(InstanceNorm(), TensorType((4, 4, 12)), 2)
    count = {family: kinds_of(lower(module, family), "forward").count("barrier") for family in FAMILIES}
    assert count["gpu"] == count["xla"] + 2  # the mean, and 1 / sqrt(var)
    assert count["cpu"] == count["gpu"] + 1  # and the zero of the sum of squares


@pytest.mark.parametrize("family", FAMILIES)
def test_no_tap_of_a_depthwise_convolution_reads_the_image_before_it_is_padded(family):
    """IREE would compute the middle tap's product in the loop that makes the image, and unroll what is packed there."""
    module = lower(layer_module(Conv2d(8, (3, 3), padding="same", groups=8), TensorType((4, 4, 8)), 2), family)
    ops = {op.result: op for op in module.function("forward").ops}
    slices = [op for op in ops.values() if op.kind == "slice" and op.operands[0].shape == (2, 6, 6, 8)]
    assert len(slices) == 9
    assert {ops[op.operands[0]].kind for op in slices} == {"barrier"}


def joint_barriers(net, recipe=DEFAULT):
    step = fence_gradients(build(check(net), recipe, 2).module).function("train_step")
    return [op for op in step.ops if op.kind == "joint_barrier"]


def dense_net(name, features):
    """784 x features, features x 10: weights, and two moments of Adam each."""
    return NetSpec(name, (784,), (Dense(features), Dense(10)))


def test_large_gradients_stand_behind_one_barrier_and_small_ones_each_behind_their_own():
    small, large = (dense_net(n, 4 * round(LARGE / (12 * 794) / 4) + d) for n, d in (("small", -4), ("large", 4)))
    assert joint_barriers(small) == []
    (one,) = joint_barriers(large)
    assert len(one.results) == 4
    assert joint_barriers(large, Recipe(accumulate=2)) == []  # the sums are complete only after the loop


def test_a_large_net_without_blocks_is_none_to_recompute():
    with pytest.raises(SpecError, match="remat wants a net with blocks"):
        joint_barriers(dense_net("large", 4096), Recipe(remat=True))


@pytest.mark.parametrize(("activation", "held"), [("gelu", True), ("gelu-tanh", False), ("relu", False)])
def test_the_cotangent_of_gelu_is_computed_once(activation, held):
    net = check(NetSpec("n", (24,), (Dense(64, activation=activation), Dense(10))))
    module = build(net, DEFAULT, batch=256).module
    after = verify(hold_cotangents(module))
    barriers = {op.result for op in after.function("train_step").ops if op.kind == "barrier"}
    back = [op for op in after.function("train_step").ops if op.loc == "dense0 (vjp)"]
    read = [not barriers.isdisjoint(op.operands) for op in back if op.kind in ("dot", "reduce_sum")]
    assert read == [held] * 3  # by the products for x and the weights, and by the sum for the bias
    assert (after.function("train_step") is module.function("train_step")) is not held


@pytest.mark.parametrize("turned", [True, False])
def test_a_product_that_a_transpose_reads_stands_behind_a_barrier(turned):
    b = Builder("f")
    x, w = b.parameter("x", TensorType((6, 8))), b.parameter("w", TensorType((8, 12)))
    heads = b.reshape(b.slice(b.dot(x, w, (1, 0)), (0, 4), (6, 12)), (6, 2, 4))
    made = b.op("dot", x, w, contract=((1,), (0,)), batch=((), ()))  # read by nothing that turns it
    out = b.transpose(heads, (1, 0, 2)) if turned else heads
    module = Module("m", (b.finish([("out", out), ("made", b.unary("exp", made))]),))
    kinds = kinds_of(verify(part_turned_products(module)))
    assert kinds == ["dot", *["barrier"] * turned, "slice", "reshape", "dot", *["transpose"] * turned, "exp"]
    assert ("part_turned_products" in dict(passes("cpu"))) and "part_turned_products" not in dict(passes("xla"))
