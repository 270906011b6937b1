"""C is a column of the op table: every row has its spelling, and what is emitted is read from top to bottom."""

import re
from dataclasses import replace

import pytest

from netc.codegen.builder import Builder
from netc.codegen.c.expressions import EXPRESSIONS, bare, number, rounded
from netc.codegen.c.fusion import fuse
from netc.codegen.c.pieces import called_in, pieces
from netc.codegen.c.source import c_source
from netc.codegen.c.statements import STATEMENTS
from netc.codegen.c.views import VIEWS, View, of_root, reshape
from netc.codegen.ir import IrError, Module, Op, Value
from netc.codegen.ops import OPS
from netc.codegen.ops.contraction import REDUCTIONS
from netc.codegen.program import build
from netc.codegen.rewrite.lower import lower
from netc.netspec.check import check
from netc.netspec.find import find
from netc.netspec.recipe import Recipe
from netc.netspec.types import TensorType

MOVED = {*VIEWS, "constant", "iota", "joint_barrier"}  # read where they lie: views.py


def test_every_row_of_the_op_table_has_its_c():
    assert set(OPS) == {*EXPRESSIONS, *REDUCTIONS, *STATEMENTS, *MOVED}
    assert not set(EXPRESSIONS) & set(STATEMENTS)


def test_pieces_need_only_pieces_that_stand_before_them():
    seen = set()
    for piece in pieces().values():
        assert seen.issuperset(piece.needs), piece.name
        seen.add(piece.name)
    called = [piece.name for piece in called_in("net_matmulf(..); net_exp(..)")]
    assert called == ["tilef", "panelf", "least", "walk", "productf", "blas", "matmulf"]


@pytest.mark.parametrize(
    ("value", "dtype", "text"),
    [(0.1, "f32", "0.1f"), (1e-8, "f32", "1e-08f"), (262140.0, "f32", "262140.0f"), (-0.0, "f32", "-0.0f"),
     (1 / 3, "f32", "0.33333334f"), (1 / 3, "f64", "0.3333333333333333"), (float("-inf"), "f32", "-INFINITY"),
     (-(2**31), "i32", "INT32_MIN"), (0x1BD11BDA, "ui32", "0x1BD11BDAu"), (True, "i1", "1")],
)  # fmt: skip
def test_a_number_is_the_shortest_text_that_reads_back(value, dtype, text):
    assert number(value, dtype) == text
    if dtype == "f32" and "I" not in text:
        assert rounded(float(text[:-1]), "f32") == rounded(value, "f32")


def test_brackets_go_only_where_they_hold_the_whole():
    assert bare("(a + b)") == "a + b"
    assert bare("(a) + (b)") == "(a) + (b)"


def test_a_reshape_is_a_view_where_strides_say_it():
    x = of_root(Value(TensorType((2, 3, 4))))
    flat = reshape(x, Op("reshape", (), (("shape", (6, 4)),), Value(TensorType((6, 4))), ""))
    assert flat.strides == (4, 1)
    turned = View(x.root, (4, 3, 2), (1, 4, 12))
    assert reshape(turned, Op("reshape", (), (("shape", (12, 2)),), Value(TensorType((12, 2))), "")) is None


@pytest.fixture(scope="module")
def mlp():
    return lower(build(check(find("mnist-mlp")), Recipe(), 4).module, "c")


def test_an_update_is_one_loop_that_writes_where_it_reads(mlp):
    text = c_source(mlp).body
    loops = re.findall(r"\n    for \(size_t i = 0; i < 401408; i\+\+\) {\n((?:        .*\n)*)    }", text)
    (update,) = [loop for loop in loops if "v_hidden1_kernel" in loop]
    stores = re.findall(r"^        (\w+)\[i\] = ", update, re.MULTILINE)
    assert stores == ["m_hidden1_kernel", "v_hidden1_kernel", "hidden1_kernel"]  # once all is computed
    assert update.rstrip().splitlines()[-3].strip().startswith("m_hidden1_kernel[i] = ")


def step_of(results):
    """A step over two slots, `now` and `before`: what `results(builder, now, before)` gives is their new values."""
    b = Builder("train_step")
    now, before = (b.parameter(n, TensorType((3,))) for n in ("now", "before"))
    function = b.finish(list(zip(("now", "before"), results(b, now, before), strict=True)))
    return Module("shift", (replace(function, donated=2),))


def test_a_slot_is_copied_before_it_is_written_over():
    body = c_source(step_of(lambda b, now, before: (b.mul(now, 2.0), now))).body
    assert 0 < body.index("before[i] = now[i];") < body.index("now[i] = train_step_mul[i];")
    with pytest.raises(IrError, match="train_step: C wants no slots that are made of each other alone, got now, befo"):
        c_source(step_of(lambda b, now, before: (before, now)))


def test_a_product_of_what_is_read_backwards_takes_a_copy():
    b = Builder("predict")
    x, y = (b.parameter(n, TensorType((3, 3))) for n in ("x", "y"))
    body = c_source(Module("backwards", (b.finish([("z", b.dot(b.op("reverse", x, dims=(0,)), y, (1, 0)))]),))).body
    assert "net_matmulf(3, 3, 3, predict_copy, 3, 1, y, 3, 1, z, 3, 1);" in body


def test_the_arena_is_no_larger_than_what_is_live_at_once(mlp):
    source = c_source(mlp)
    assert source.live <= source.arena <= 1.1 * source.live


def test_kernels_are_few_and_compute_everything(mlp):
    step = mlp.function("train_step")
    kernels = fuse(step).kernels
    computed = {op for k in kernels for op in k.ops}
    assert {op for op in step.ops if op.kind in ("dot", "exp", "reduce_sum", "sqrt")} <= computed
    assert len(kernels) < len(step.ops) / 3


@pytest.mark.parametrize("name", ["mnist-cnn", "tiny-llama"])
def test_a_net_is_c_with_a_tight_arena(name):
    """scripts/c_of_the_zoo.py writes every net of the zoo."""
    source = c_source(lower(build(check(find(name)), Recipe(), 2).module, "c"))
    assert source.live <= source.arena <= 1.1 * source.live
    heads = re.findall(r"^void (net_\w+)\(", source.header, re.MULTILINE)
    assert heads == ["net_init", "net_train_step", "net_eval_step", "net_predict"]
