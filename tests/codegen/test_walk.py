"""What passes share: a visit of chosen kinds, and types that are inferred once."""

from dataclasses import replace

import pytest

from netc.codegen.builder import Builder
from netc.codegen.ir import IrError, Module, Op, Value
from netc.codegen.ops import infer
from netc.codegen.rewrite.cse import cse
from netc.codegen.rewrite.dce import dce
from netc.codegen.rewrite.fold import fold
from netc.codegen.rewrite.products import sum_before_products
from netc.codegen.rewrite.reductions import split_reductions
from netc.codegen.rewrite.select_forms import select_forms
from netc.codegen.rewrite.walk import rewrite
from netc.codegen.verify import verify
from netc.netspec.types import TensorType

F2 = TensorType((2,))


def plain():
    """exp(x) + x: nothing that any pass would change."""
    b = Builder("f")
    x = b.parameter("x", F2)
    return b.finish([("y", b.add(b.unary("exp", x), x))])


def on_cpu(module):
    return select_forms(module, "cpu")


PASSES = [dce, fold, cse, on_cpu, sum_before_products, split_reductions]


@pytest.mark.parametrize("step", PASSES, ids=[p.__name__ for p in PASSES])
def test_a_pass_that_changes_nothing_gives_the_function_itself(step):
    function = plain()
    assert step(Module("m", (function,))).functions == (function,)


def test_only_the_kinds_that_are_asked_for_are_visited():
    seen = []

    def visit(b, op, operands):
        seen.append(op.kind)
        return b.sub(*operands) if op.kind == "add" else None

    changed = rewrite(plain(), visit, ("add",))
    assert seen == ["add"]
    assert [op.kind for op in changed.ops] == ["exp", "sub"]
    assert changed.results == (changed.ops[-1].result,)


def test_types_are_inferred_once_and_faults_every_time():
    attrs = (("shape", (1, 2)),)
    assert infer("reshape", (F2,), attrs) is infer("reshape", (TensorType((2,)),), (("shape", (1, 2)),))
    for _ in range(2):
        with pytest.raises(IrError, match="wants 2 elements"):
            infer("reshape", (F2,), (("shape", (3,)),))


def test_what_was_found_sound_hides_no_fault():
    function, sound = plain(), set()
    verify(Module("m", (function,)), sound=sound)
    assert sound == {function, *function.ops}
    first, last = function.ops
    wrong = Op("add", last.operands, (), Value(TensorType((3,))), "here")
    broken = replace(function, ops=(first, wrong), results=(wrong.result,))
    with pytest.raises(IrError, match=r"is written as f32\[3\], but its type is f32\[2\]"):
        verify(Module("m", (broken,)), sound=sound)
    with pytest.raises(IrError, match="uses a value that no operation before it makes"):
        verify(Module("m", (replace(function, ops=(last, first)),)), sound=sound)
