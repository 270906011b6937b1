"""The passes: each keeps the meaning, each does what its header says, and the verifier sees planted faults."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netc.codegen.builder import Builder
from netc.codegen.ir import Function, IrError, Module
from netc.codegen.modules import layer_module
from netc.codegen.render import render
from netc.codegen.rewrite.conv_forms import CONV_FORMS, geometry, tiles
from netc.codegen.rewrite.cse import cse
from netc.codegen.rewrite.dce import dce
from netc.codegen.rewrite.fold import fold
from netc.codegen.rewrite.form_tables import FORM_TABLES, shape_of
from netc.codegen.rewrite.iree.lookups import part_lookups
from netc.codegen.rewrite.iree.repeated_sums import part_joined_sums, part_repeated_sums
from netc.codegen.rewrite.kernel_forms import folds
from netc.codegen.rewrite.lower import lower, passes
from netc.codegen.rewrite.precision import to_bf16
from netc.codegen.rewrite.products import sum_before_products
from netc.codegen.rewrite.reductions import COLUMNS_FROM, STAGES, WHOLE_FROM, split_reductions
from netc.codegen.rewrite.select_forms import POOL_FORMS, form_of, select_forms
from netc.codegen.rewrite.walk import rewrite
from netc.codegen.rewrite.winograd import suits
from netc.codegen.verify import verify
from netc.netspec.layers import Conv2d, MaxPool
from netc.netspec.types import TensorType
from tests.codegen.witness import by_evaluator, halves, module_of
from tests.netspec.strategies import conv_options, layers, pools

FAMILIES = sorted(FORM_TABLES)
PASSES = {
    "dce": dce, "cse": cse, "fold": fold, "split_reductions": split_reductions,
    "sum_before_products": sum_before_products,
    "part_repeated_sums": part_repeated_sums, "part_joined_sums": part_joined_sums, "part_lookups": part_lookups,
    **{f"select_forms-{f}": (lambda m, f=f: select_forms(m, f)) for f in FAMILIES},
    **{f"lower-{f}": (lambda m, f=f: lower(m, f)) for f in FAMILIES},
}  # fmt: skip
SHAPES = st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 4))


@st.composite
def layer_modules(draw, kinds):
    x = TensorType(draw(SHAPES))
    return layer_module(draw(kinds(x)), x, draw(st.integers(1, 3)))


def arguments(module, name="vjp", seed=0):
    rng = np.random.default_rng(seed)
    return [halves(rng, p.shape) for p in module.function(name).params]


def kinds_of(module, name="f"):
    return [op.kind for op in module.function(name).ops]


@pytest.mark.parametrize("name", PASSES)
@settings(max_examples=25)
@given(made=layer_modules(layers))
def test_a_pass_keeps_the_meaning(name, made):
    args = arguments(made)
    before, after = (by_evaluator(m, args, name="vjp") for m in (made, verify(PASSES[name](made))))
    for x, y in zip(before, after, strict=True):
        # sums in another order, in float64; batch norm of few values divides by sqrt(epsilon) and enlarges it
        np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-9)


def convs(x):
    return conv_options(x).map(lambda o: Conv2d(**{**o, "activation": "identity"}))


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=40)
@given(made=layer_modules(convs))
def test_schedules_of_convolutions_are_exact(family, made):
    """Sums of products of half-integers are exact in float64, so every form gives the same bits."""
    args = arguments(made)
    for x, y in zip(
        by_evaluator(made, args, name="vjp"), by_evaluator(lower(made, family), args, name="vjp"), strict=True
    ):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=40)
@given(made=layer_modules(pools))
def test_schedules_of_pools_with_ties(family, made):
    """Nine different numbers in up to 36 pixels: ties everywhere; a quarter of a window's dy is exact too."""
    args = arguments(made)
    for x, y in zip(
        by_evaluator(made, args, name="vjp"), by_evaluator(lower(made, family), args, name="vjp"), strict=True
    ):
        np.testing.assert_allclose(x, y, rtol=1e-15, atol=0)  # 1/3 and 1/9 round; the order of sums may differ


@pytest.mark.parametrize("family", FAMILIES)
def test_padding_that_makes_windows_fit_does_not_make_them_tile(family):
    """One window of 3 over 3 pixels, moved up by its padding: it sees the first two."""
    made = layer_module(MaxPool((3, 1), (3, 1), ((1, 1), (0, 0))), TensorType((3, 1, 1)), 1)
    args = [np.array([1.0, 2.0, 3.0]).reshape(1, 3, 1, 1), np.ones((1, 1, 1, 1))]
    y, dx = by_evaluator(lower(made, family), args, name="vjp")
    assert y.ravel().tolist() == [2.0]
    assert dx.ravel().tolist() == [0.0, 1.0, 0.0]


WINOGRAD = {"winograd", "winograd-stacked"}
# what a form says of itself in its docstring
ONE_GROUP = {
    "im2col", "phase-shifted", "phase-im2col", "col2im", "convolution", "patches", "winograd", "winograd-stacked",
    "outer", "folded",
}  # fmt: skip
FITS = {
    ("conv", "shifted"): lambda g, i, o: g == 1,
    ("conv_kernel_grad", "shifted"): lambda g, i, o: True,
    ("conv", "depthwise"): lambda g, i, o: g == i == o,
    ("conv_input_grad", "depthwise"): lambda g, i, o: g == i == o,
    ("conv_kernel_grad", "depthwise"): lambda g, i, o: g == i == o,
    ("conv_kernel_grad", "across"): lambda g, i, o: g == i == o,
}


def fits(kind, form, op):
    window, inputs, outputs, groups = geometry(op)
    if form == "patches" and not tiles(window):
        return False
    if form in WINOGRAD and not suits(window, groups):
        return False
    if form == "folded" and not folds(window, 1):
        return False
    rule = FITS.get((kind, form), lambda g, i, o: g == 1 or form not in ONE_GROUP)
    return rule(groups, inputs, outputs)


FORMS = [(kind, form) for kind, forms in CONV_FORMS.items() for form in forms]


def replaced(function: Function, kind: str, form: str) -> Function:
    def visit(b, op, operands):
        return CONV_FORMS[kind][form](b, op, *operands) if op.kind == kind and fits(kind, form, op) else None

    return rewrite(function, visit)


@pytest.mark.parametrize(("kind", "form"), FORMS, ids=lambda v: v)
@settings(max_examples=60)
@given(data=st.data())
def test_every_form_is_the_op_that_it_replaces(kind, form, data):
    depthwise = form in ("depthwise", "across") or data.draw(st.booleans())
    x = TensorType(data.draw(SHAPES))
    options = data.draw(conv_options(x))
    if depthwise:
        options |= {"groups": x.shape[2], "features": x.shape[2]}
    elif data.draw(st.booleans()):
        options |= {"groups": 1}
    if form == "patches":
        sides = data.draw(st.tuples(*(st.integers(1, n) for n in x.shape[:2])))
        options |= {"kernel": sides, "stride": sides, "padding": "valid", "dilation": 1}
    if form in WINOGRAD:
        sides = data.draw(st.tuples(*(st.tuples(st.integers(1, 4), st.integers(1, 4)) for _ in "hw")))
        options |= {"kernel": 3, "stride": 1, "dilation": 1, "padding": sides, "groups": 1}
    if form == "folded":
        options |= {"stride": data.draw(st.tuples(st.integers(2, 4), st.integers(2, 4))), "dilation": 1, "groups": 1}
    made = layer_module(Conv2d(**{**options, "activation": "identity"}), x, data.draw(st.integers(1, 3)))
    function = made.function("vjp")
    changed = verify(Module("m", (replaced(function, kind, form),)))
    args = arguments(made)
    for a, b in zip(by_evaluator(made, args, name="vjp"), by_evaluator(changed, args, name="vjp"), strict=True):
        np.testing.assert_array_equal(a, b)


def test_every_form_was_tried_with_every_geometry_it_takes():
    """The test above lets a form pass over what it does not take; here each is seen to take something."""
    x = TensorType((5, 6, 4))
    for kind, form in FORMS:
        taken = []
        for groups, features in ((1, 4), (2, 4), (4, 4), (4, 8)):
            stride, padding = ((3, 2), "valid") if form == "patches" else ((2, 2 if form == "folded" else 1), "same")
            plain = form in WINOGRAD
            conv = Conv2d(features, 3 if plain else (3, 2), 1 if plain else stride, padding, groups=groups)
            function = layer_module(conv, x, 2).function("vjp")
            (op,) = [op for op in function.ops if op.kind == kind]
            if fits(kind, form, op):
                taken.append(groups)
                if form != "direct" or kind != "conv":
                    assert kind not in [o.kind for o in replaced(function, kind, form).ops if o is op]
        assert taken


@pytest.mark.parametrize("kernel", [1, 3, 7])
@pytest.mark.parametrize("size", [2, 8, 32])
def test_a_schedule_has_a_form_that_fits_each_op(kernel, size):
    for groups, stride, channels in product((1, 2, 4), (1, 2), (4, 64, 256)):
        layer = Conv2d(channels, kernel, stride, groups=groups)
        for op in layer_module(layer, TensorType((size, size, channels)), 2).function("vjp").ops:
            for family in FAMILIES if op.kind in CONV_FORMS else ():
                assert fits(op.kind, form_of(family, op), op), (family, layer)


def test_every_form_that_a_row_names_is_there():
    named = {(kind, form) for rows in FORM_TABLES.values() for kind, _, form in rows}
    assert named <= set(FORMS)
    assert set(POOL_FORMS) == {"max_pool", "max_pool_grad", "sum_pool", "sum_pool_grad"}


def test_every_row_is_the_first_to_fit_some_convolution():
    """A row behind others that take all it would is dead, and what was measured for it is not what happens."""
    found = set()
    for size, channels, features, kernel, stride, groups in (
        *product((7, 8, 16, 32), (1, 3, 64, 256), (64, 128, 256), (1, 2, 3, 7), (1, 2), (1, 2)),
        (8, 64, 64, 3, 1, 64), (8, 64, 64, 7, 1, 64), (32, 3, 64, 4, 4, 1),
    ):  # fmt: skip
        if channels % groups:
            continue
        conv = Conv2d(features, kernel, stride, groups=groups)
        made = layer_module(conv, TensorType((size, size, channels)), 32)
        for op in (*made.function("vjp").ops, *to_bf16(made).function("vjp").ops):
            if op.kind in CONV_FORMS:
                for rows in FORM_TABLES.values():
                    found.add(next(row for row in rows if row[0] == op.kind and row[1](shape_of(op))))
    assert [row for rows in FORM_TABLES.values() for row in rows if row not in found] == []


def test_an_op_without_a_row_is_an_error(monkeypatch):
    monkeypatch.setitem(FORM_TABLES, "cpu", ())
    with pytest.raises(IrError, match="conv2d: no row of the cpu table of forms covers conv"):
        select_forms(layer_module(Conv2d(2), TensorType((3, 3, 1)), 1), "cpu")


# -- each pass's own promises ----------------------------------------------------------------------------------------


def test_dce_keeps_the_signature():
    made = module_of(
        lambda b, x, y: [b.unary("exp", x), (b.unary("log", y), b.add(x, 1.0))[1]][0], F := TensorType((2,)), F
    )
    after = dce(made)
    assert kinds_of(after) == ["exp"]
    assert after.functions[0].names == ("a0", "a1")


def test_cse_tells_zeros_apart():
    x = TensorType((2,))

    def make(b, a):
        zeros = [b.constant(v, x) for v in (0.0, -0.0, 0.0, -0.0)]
        others = [b.constant(v, TensorType((2,), d)) for v, d in ((0, "i32"), (False, "i1"), (0.0, "f64"))]
        return [*zeros, *others, b.add(a, a), b.add(a, a)]

    after = cse(module_of(make, x))
    assert kinds_of(after) == ["constant"] * 5 + ["add"]
    results = by_evaluator(after, [np.ones(2)])
    assert [bool(np.signbit(r[0])) for r in results[:4]] == [False, True, False, True]
    assert [r.dtype for r in results[4:6]] == [np.int32, np.bool_]


def test_cse_does_not_commute_and_keeps_attributes_apart():
    x = TensorType((2, 2))
    after = cse(
        module_of(lambda b, a, c: [b.sub(a, c), b.sub(c, a), b.transpose(a, (1, 0)), b.transpose(a, (0, 1))], x, x)
    )
    assert kinds_of(after) == ["sub", "sub", "transpose", "transpose"]


W = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-310, 3.0])
X7 = TensorType((7,))


@pytest.mark.parametrize(
    ("make", "kinds"),
    [
        (lambda b, x: b.mul(x, 1.0), []),
        (lambda b, x: b.mul(1.0, x), []),
        (lambda b, x: b.div(x, 1.0), []),
        (lambda b, x: b.sub(x, 0.0), []),
        (lambda b, x: b.add(x, -0.0), []),
        (lambda b, x: b.mul(x, 0.0), ["mul"]),  # inf 0 = nan
        (lambda b, x: b.sub(x, x), ["sub"]),  # inf - inf = nan
        (lambda b, x: b.div(x, x), ["div"]),
        (lambda b, x: b.sub(0.0, x), ["sub"]),
        (lambda b, x: b.div(1.0, x), ["div"]),
        (lambda b, x: b.mul(x, b.mul(b.constant(2.0, X7), 3.0)), ["mul", "mul"]),
        (lambda b, x: b.mul(x, b.mul(b.constant(np.inf, X7), 3.0)), ["mul", "mul"]),
        (lambda b, x: b.mul(x, b.broadcast(b.scalar(1.0), x, ())), []),
        (lambda b, x: b.reshape(b.reshape(x, (7, 1)), (7,)), []),
        (lambda b, x: b.reshape(b.transpose(b.op("transpose", b.reshape(x, (7, 1)), perm=(1, 0)), (1, 0)), (7,)), []),
        (lambda b, x: b.op("transpose", x, perm=(0,)), []),
        (lambda b, x: b.select(b.constant(True, TensorType((7,), "i1")), x, b.unary("neg", x)), []),
        (lambda b, x: b.select(b.compare("GT", x, 0.0), x, x), []),
    ],
)  # fmt: skip
def test_fold_by_rule(make, kinds):
    made = module_of(make, X7)
    after = verify(dce(fold(made)))
    assert [k for k in kinds_of(after) if k != "constant"] == kinds
    (x,), (y,) = by_evaluator(made, [W]), by_evaluator(after, [W])
    np.testing.assert_array_equal(x, y)  # NaN where NaN, and numbers alike; zeros may change sign only where promised
    np.testing.assert_array_equal(np.signbit(x), np.signbit(y))


def test_fold_of_x_plus_zero_may_keep_the_minus():
    (y,) = by_evaluator(dce(fold(module_of(lambda b, x: b.add(x, 0.0), X7))), [W])
    np.testing.assert_array_equal(y, W)


@pytest.mark.parametrize("kind", ["add", "sub", "mul"])
@pytest.mark.parametrize(
    "pair", [(0.1, 0.2), (3e38, 3e38), (1e30, -1e30), (1e-30, 1e-30), (1 / 3, 3.0), (16777216.0, 1.0)]
)
def test_fold_of_constants_is_what_float32_gives(kind, pair):
    """What is computed here and what the device would compute must be one number, whatever the pass decides."""
    made = module_of(lambda b: b.op(kind, *(b.scalar(v) for v in pair)))
    (wanted,), (got,) = by_evaluator(made, [], "f32"), by_evaluator(fold(made), [], "f32")
    assert got == wanted


def test_fold_leaves_integers_and_truths_alone():
    u = TensorType((2,), "ui32")
    made = module_of(lambda b: b.add(b.constant(2**32 - 1, u), 2))
    assert kinds_of(fold(made))[-1] == "add"
    assert list(by_evaluator(fold(made), [])[0]) == [1, 1]
    t = TensorType((2,), "i1")
    truths = module_of(lambda b, x: [b.op("mul", x, b.constant(True, t)), b.op("add", x, b.constant(False, t))], t)
    assert kinds_of(fold(truths)) == ["constant", "mul", "constant", "add"]


def test_sums_are_split_only_when_long():
    def sum_of(shape, dims):
        made = module_of(lambda b, x: b.sum(x, dims), TensorType(shape))
        after = verify(split_reductions(made))
        x = np.random.default_rng(0).integers(-8, 8, shape)  # exact in any order
        np.testing.assert_array_equal(by_evaluator(made, [x])[0], by_evaluator(after, [x])[0])
        return kinds_of(after).count("reduce_sum")

    long = -(-COLUMNS_FROM // STAGES) * STAGES  # the first number of rows that is long and divides
    assert sum_of((long, 3), (0,)) == 2
    assert sum_of((long // 4, 2, 2, 3), (0, 1, 2)) == 2
    assert sum_of((long - STAGES, 3), (0,)) == 1
    assert sum_of((long + 1, 3), (0,)) == 1
    assert sum_of((WHOLE_FROM,), (0,)) == 2
    assert sum_of((WHOLE_FROM // 4, 4), (0, 1)) == 2
    assert sum_of((WHOLE_FROM + 3,), (0,)) == 1  # a prime
    assert sum_of((WHOLE_FROM - 1,), (0,)) == 1
    assert sum_of((3, long), (1,)) == 1


def example():
    """A few ops that every pass has something to say about."""
    b = Builder("f")
    x = b.parameter("x", TensorType((1, 4, 4, 1)))
    with b.at("pool"):
        y = b.op("max_pool", x, kernel=(2, 2), stride=(2, 2), padding=((0, 0), (0, 0)))
        b.unary("exp", y)
    with b.at("scale"):
        twice = b.add(b.mul(y, 1.0), b.mul(b.add(y, 0.0), 1.0))
        same = b.add(b.mul(y, 1.0), b.mul(b.add(y, 0.0), 1.0))
    with b.at("sum"):
        total = b.sum(b.broadcast(b.reshape(b.mul(twice, same), (4,)), TensorType((1 << 16, 4))), (0,))
    return Module("example", (b.finish([("total", total)]),))


@pytest.mark.parametrize("name", ["dce", "cse", "fold", "split_reductions", "select_forms-cpu", "lower-cpu"])
def test_golden_text_of_a_pass(name, golden):
    after = PASSES[name](example())
    if not name.startswith(("select_forms", "lower")):
        after = select_forms(after, "cpu")  # so that it can be written
    golden(f"passes/{name}.mlir", render(after))


def test_the_pipeline_is_what_it_says():
    names = {family: [name for name, _ in passes(family)] for family in FAMILIES}
    fences = ["fence_rounded_operands", "fence_gelu", "fence_loss", "fence_gradients", "fence_norms"]
    common = ["dce", "fold", "cse", "select_forms", "sum_before_products", "split_reductions", "fold", "cse", "dce"]
    own = ["sum_columns", "split_reductions", "hold_cotangents", "add_rows_in_place", "cut_long_products"]
    own += ["part_vector_products", "part_turned_products", "part_packed_windows", "add_unseen_zeros"]
    on_cpu = [*common[:5], *own, *common[6:], "part_joined_sums", "part_shared_products", "part_packed_twice"]
    on_cpu += ["part_packed_addends", "part_lookups", "part_single_rows", "part_batched_rows", "crop_unseen_pixels"]
    on_gpu = ["crop_unseen_pixels", "part_repeated_sums", "part_narrow_copies"]
    last = ["give_scratch", "part_joint_barriers", "share_draws", "update_in_place"]
    assert names == {
        "cpu": ["buckets", *fences, *on_cpu, *last],
        "cpu-avx2": ["buckets", *fences, *on_cpu, *last],
        "gpu": ["buckets", *fences, *common, *on_gpu, "part_joint_barriers"],
        "xla": ["buckets", *fences, *common[:6], "hold_masks", *common[6:]],
    }
    forms = common.index("select_forms")
    plain = [*common[:forms], "plain_forms", *common[forms + 3 :]]
    assert [name for name, _ in passes("plain")] == ["buckets", *plain, "erf_functions"]
    assert [name for name, _ in passes("plain", scan=True)] == ["buckets", *plain, "scan_blocks", "erf_functions"]
    scanned = [name for name, _ in passes("cpu", scan=True)]
    assert scanned == ["buckets", *fences, *on_cpu, "scan_blocks", *last]


# -- the verifier ----------------------------------------------------------------------------------------------------

F2 = TensorType((2,))
