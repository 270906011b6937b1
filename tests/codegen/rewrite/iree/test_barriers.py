"""The barriers of a text for IREE, and where the values of its loops are said to lie."""

from dataclasses import replace

import numpy as np
import pytest

from netc.codegen.builder import Builder
from netc.codegen.evaluator import run
from netc.codegen.ir import Module
from netc.codegen.program import build
from netc.codegen.render import render
from netc.codegen.rewrite.iree.joint_barriers import LOST, part_joint_barriers
from netc.codegen.rewrite.lower import lower
from netc.codegen.text import text_of
from netc.codegen.verify import verify
from netc.netspec.check import check
from netc.netspec.errors import UserError
from netc.netspec.find import find
from netc.netspec.recipe import Recipe
from netc.netspec.types import TensorType
from netc.proofs_oracle.certificate.parse import parse
from netc.proofs_oracle.certificate.reader import UNREAD
from tests.codegen.witness import parsed

COMPUTE, STABLEHLO = '"iree_tensor_ext.compute_barrier.start"', "stablehlo.optimization_barrier"


def held(size, across=True):
    """Two values behind a joint barrier, one behind a barrier, and a tensor of that many numbers held across the first.

    Or one that is made and read before it.
    """
    b = Builder("f")
    x, y = b.parameter("x", TensorType((2,))), b.parameter("y", TensorType((), "i32"))
    large = b.unary("tanh", b.parameter("large", TensorType((size,))))
    read = b.sum(large, (0,))
    u, v = b.joint_barrier(x, y)
    return Module("m", (b.finish([("u", b.op("barrier", u)), ("v", v), ("large", large if across else read)]),))


@pytest.mark.parametrize(
    ("size", "across"), [(1, True), (LOST[0] // 4, True), (LOST[1] // 4 + 1, True), (LOST[1] // 4, False)]
)
def test_only_barriers_on_one_value_change(size, across):
    text = render(verify(part_joint_barriers(held(size, across))), "iree")
    parsed(text)
    assert (text.count(STABLEHLO), text.count(COMPUTE)) == (1, 1)


@pytest.mark.parametrize("size", [LOST[0] // 4 + 1, LOST[1] // 4])
def test_none_on_several_values_stays_where_the_device_would_lose_memory(size):
    text = render(verify(part_joint_barriers(held(size))), "iree")
    parsed(text)
    assert (text.count(STABLEHLO), text.count(COMPUTE)) == (0, 3)


@pytest.mark.parametrize(("returned", "parted"), [(True, True), (False, False)])
def test_a_function_that_is_given_its_memory_loses_only_results(returned, parted):
    b = Builder("f")
    large = b.unary("tanh", b.parameter("large", TensorType((LOST[1] // 4,))))
    u, v = b.joint_barrier(*(b.parameter(name, TensorType((2,))) for name in "xy"))
    last = large if returned else b.sum(large, (0,))
    function = b.finish([("u", u), ("v", v), ("last", last)])
    after = part_joint_barriers(Module("m", (replace(function, scratch=True),))).function("f")
    assert ("joint_barrier" not in [op.kind for op in after.ops]) == parted


def test_the_values_are_the_same():
    module = part_joint_barriers(held(LOST[1] // 4))
    small = replace(module.functions[0], results=module.functions[0].results[:2], result_names=("u", "v"))
    args = [np.arange(2.0), np.int32(7), np.zeros(LOST[1] // 4)]
    for got, wanted in zip(run(Module("m", (small,)), "f", args), args, strict=False):
        np.testing.assert_array_equal(got, wanted)


def looping(apart):
    b = Builder("turn")
    x, key = b.parameter("x", TensorType((3,))), b.parameter("key", TensorType((2,), "ui32"))
    callee = replace(b.finish([("x", b.unary("tanh", x)), ("key", b.add(key, key)), ("row", x)]), private=True)
    b = Builder("f")
    values = [b.parameter(n, v.type) for n, v in zip(callee.names, callee.params, strict=True)]
    u, v = b.joint_barrier(*b.loop(callee, 4, values, apart=apart)[:2])
    return Module("m", (callee, b.finish([("u", u), ("v", v)])))


@pytest.mark.parametrize("apart", [True, False])
def test_what_a_loop_carries_is_placed_but_for_unsigned_integers(apart):
    text = text_of(lower(looping(apart), "cpu"), "cpu")
    parsed(text)
    placed = [line for line in text.splitlines() if "flow.tensor.barrier" in line]
    assert len(placed) == 2  # x and the rows
    assert all("{target = #hal.device.promise<@__device_0>}" in line and "ui32" not in line for line in placed)
    assert "flow" not in text_of(lower(looping(apart), "xla"), "xla")


def test_no_host_waits_in_a_turn_of_blocks():
    blocks, plain = (text_of(lower(looping(apart), "cpu"), "cpu") for apart in (True, False))
    assert STABLEHLO not in blocks and blocks.count(COMPUTE) > 2
    assert STABLEHLO in plain  # the joint one, outside of a `for`


def test_the_text_is_read_by_the_certificate():
    program = build(check(find("mnist-mlp").with_input((4, 4, 1))), Recipe(), 2)
    text = text_of(lower(program.module, "cpu"), "cpu")
    assert COMPUTE in text and STABLEHLO not in text
    function = parse(text, "train_step")
    assert {"dot", "exp"} <= {op.kind for op in function.ops}


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("(%w, %v) : (T, T) -> T", "of 2 tensors to 1 has no rule"),
        ("() : () -> T", "of 0 tensors to 1 has no rule"),
        ("(%w) {foo = 1 : i32} : (T) -> T", "the attribute foo of iree_tensor_ext.compute_barrier.start is not judged"),
        ("(%w) : (T) -> tensor<4xf32>", "gives f32[4], read as f32[3]"),
    ],
)
def test_what_is_no_barrier_is_not_read_as_one(written, sentence):
    gives = "tensor<4xf32>" if "4xf32" in written else "T"
    text = f"""func.func @main(%w: T, %v: T) -> {gives} {{
      %b = {COMPUTE}{written}
      return %b : {gives}
    }}"""
    (read,) = [op for op in parse(text.replace("T", "tensor<3xf32>"), "main").ops if op.kind == UNREAD]
    assert sentence in read.attr("why")


@pytest.mark.parametrize("written", ['"foo.return"(%w) : (T) -> ()', '%b = "foo.bar"(%w) : (T) -> T\n return %b : T'])
def test_no_other_operation_that_mlir_does_not_know_is_let_in(written):
    text = f"func.func @main(%w: T) -> T {{\n {written} }}".replace("T", "tensor<3xf32>")
    with pytest.raises(UserError, match=r"line 2: foo\.\w+ is not a known operation"):
        parse(text, "main")
