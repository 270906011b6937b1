"""Mixed precision: what is rounded to bf16 and what is not, beside JAX with the same casts."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from netc.codegen.builder import Builder
from netc.codegen.evaluator import rounded_to_bf16, run
from netc.codegen.ir import IrError, Module
from netc.codegen.modules import layer_module
from netc.codegen.program import build
from netc.codegen.rewrite.conv_forms import CONV_FORMS
from netc.codegen.rewrite.form_overrides import fits
from netc.codegen.rewrite.lower import lower
from netc.codegen.rewrite.precision import CONTRACTIONS, to_bf16
from netc.codegen.rewrite.walk import rewrite
from netc.codegen.text import modules_in, text_of
from netc.codegen.verify import verify
from netc.netspec.check import check
from netc.netspec.errors import SpecError
from netc.netspec.layers import (
    AdaptiveAvgPool,
    BilinearUpsample,
    Chain,
    Conv2d,
    Dense,
    GlobalAvgPool,
    SelfAttention,
    SeparableConv,
)
from netc.netspec.recipe import SGD, Recipe
from netc.netspec.spec import NetSpec
from netc.netspec.types import TensorType
from tests.codegen.witness import by_evaluator, by_xla, one_op, parsed

ROOT = Path(__file__).parents[3]
found = importlib.util.spec_from_file_location("families", ROOT / "scripts" / "families.py")
families = importlib.util.module_from_spec(found)
found.loader.exec_module(families)

# On bf16 numbers these give what they would give in float32, without a rounding of their own.
MOVES = {
    "constant",
    "reshape",
    "transpose",
    "broadcast",
    "slice",
    "pad",
    "concatenate",
    "reverse",
    "barrier",
    "convert",
}
BF16 = Recipe(SGD(), precision="bf16")


# -- the numbers -------------------------------------------------------------------------------------------------------


def test_rounding_is_that_of_ml_dtypes_on_every_kind_of_float():
    bits = np.random.default_rng(0).integers(0, 2**32, 200_000, np.uint32)
    ties = (np.arange(0, 2**16, dtype=np.uint32) << 16) | 0x8000  # halfway between neighbours, infinities, NaNs
    x = np.concatenate([bits, ties, ties - 1, ties + 1]).view(np.float32)
    x = np.where(np.isnan(x), np.float32(np.nan), x)  # NumPy warns of signalling ones
    wanted = x.astype(ml_dtypes.bfloat16).astype(np.float32)
    np.testing.assert_array_equal(rounded_to_bf16(x), wanted)
    np.testing.assert_array_equal(rounded_to_bf16(x.astype(np.float64)), wanted)


def test_float64_is_rounded_once():
    above = 1 + 2.0**-8 + 2.0**-40  # float32 would make it a tie, and the tie an even 1
    assert rounded_to_bf16(np.array(above)) == 1 + 2.0**-7


def test_a_literal_is_rounded_where_it_is_made():
    b = Builder("f")
    module = Module("m", (b.finish([("r", b.constant((1.00390625, 1 / 3), TensorType((2,), "bf16")))]),))
    (ours,), (theirs,) = by_evaluator(module, []), by_xla(module, "f", [])
    np.testing.assert_array_equal(ours, np.asarray(theirs, np.float64))


def test_products_of_bf16_numbers_are_float32():
    b = Builder("f")
    x, w = (b.parameter(n, TensorType((2, 3, 3, 2), "bf16")) for n in "xw")
    window = {"stride": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1), "groups": 1}
    assert b.dot(x, w, (3, 3)).type.dtype == "f32"
    image = b.parameter("image", TensorType((2, 4, 4, 3), "bf16"))
    y = b.op("conv", image, b.parameter("k", TensorType((3, 3, 3, 2), "bf16")), **window)
    assert y.type == TensorType((2, 2, 2, 2))
    dy = b.convert(y, "bf16")
    kernel = b.op("conv_kernel_grad", image, dy, kernel=(3, 3), **window)
    assert kernel.type == TensorType((3, 3, 3, 2))
    k16 = b.convert(kernel, "bf16")
    assert b.op("conv_input_grad", dy, k16, size=(4, 4), **window).type == TensorType((2, 4, 4, 3))
    for other in (
        ("conv_kernel_grad", image, y, {"kernel": (3, 3)}),
        ("conv_input_grad", dy, kernel, {"size": (4, 4)}),
    ):
        kind, first, second, more = other
        with pytest.raises(IrError, match="one element type"):
            b.op(kind, first, second, **more, **window)


# -- what the pass does ------------------------------------------------------------------------------------------------


def kinds_on_bf16(module):
    """The operations that read bf16 numbers or make them."""
    return {op.kind for f in module for op in f.ops for v in (*op.operands, *op.results) if v.type.dtype == "bf16"}


def program_of(name):
    spec, loss = families.family(name)
    return build(check(spec), replace(BF16, loss=loss), 3)


@pytest.mark.parametrize("name", families.FAMILIES)
def test_nothing_is_computed_in_bf16_but_products(name):
    program = program_of(name)
    for f in program.module:
        assert {v.type.dtype for v in (*f.params, *f.results)} <= {"f32", "i32", "ui32"}, "the state stays float32"
    for family in ("cpu", "gpu", "xla"):
        lowered = lower(program.module, family)
        assert kinds_on_bf16(lowered) <= MOVES | CONTRACTIONS
        step = lowered.function("train_step")
        assert any(op.kind in ("dot", "conv") and op.operands[0].type.dtype == "bf16" for op in step.ops)
        [parsed(part) for part in modules_in(text_of(lowered, family))]


@pytest.mark.parametrize("name", ["pooled-linear", "mobile", "transformer", "swin"])
def test_every_schedule_rounds_at_the_same_places(name):
    program, rng = program_of(name), np.random.default_rng(1)
    step = program.module.function("train_step")
    state = run(program.module, "init", [np.array([0, 1], np.uint32)], "f64")
    x, y, _ = step.params[len(state) :]
    args = [*state, rng.standard_normal(x.shape), rng.integers(0, families.CLASSES, y.shape), 0.5]
    wanted = run(program.module, "train_step", args)
    for family in ("cpu", "gpu", "xla"):
        for name_, a, w in zip(
            step.result_names, run(lower(program.module, family), "train_step", args), wanted, strict=True
        ):
            np.testing.assert_allclose(a, w, rtol=1e-9, atol=1e-11, err_msg=f"{family}: {name_}")


def test_float32_is_left_as_it_was():
    net = check(NetSpec("net", (4,), (Dense(3), Dense(2))))
    assert kinds_on_bf16(build(net, Recipe(), 2).module) == set()
    with pytest.raises(SpecError, match="`precision` wants f32, bf16 or f64, got 'f16'"):
        build(net, Recipe(precision="f16"), 2)


@pytest.mark.parametrize(
    ("layer", "x"),
    [(AdaptiveAvgPool((3, 2)), TensorType((4, 4, 2))), (BilinearUpsample(3), TensorType((2, 2, 3))),
     (GlobalAvgPool(), TensorType((2, 2, 3)))],
    ids=lambda v: getattr(v, "kind", ""),
)  # fmt: skip
def test_means_and_interpolations_stay_float32(layer, x):
    assert kinds_on_bf16(to_bf16(layer_module(layer, x, 2))) == set()


def test_depthwise_convolutions_stay_float32():
    made = to_bf16(layer_module(SeparableConv(4), TensorType((4, 4, 3)), 2))
    for op in made.function("vjp").ops:
        if op.kind in CONTRACTIONS:
            assert (op.operands[0].type.dtype == "f32") == ("depthwise" in op.loc), op.loc


def test_a_value_is_rounded_once_for_forward_and_backward():
    net = check(NetSpec("net", (4,), (Dense(3, activation="tanh"), Dense(2, bias=False))))
    step = lower(build(net, BF16, 2).module, "xla").function("train_step")
    rounded = [op.operands[0] for op in step.ops if op.kind == "convert" and op.result.type.dtype == "bf16"]
    assert len(rounded) == len(set(rounded))


# -- beside JAX with the same casts ------------------------------------------------------------------------------------


def low(x):
    return x.astype(jnp.bfloat16)


def product(spec, x, w):
    """An einsum of bf16 operands, accumulated and given in float32."""
    return jnp.einsum(spec, low(x), low(w), preferred_element_type=jnp.float32)


def checked(layer, x, reference, tolerance, seed=0):
    """Our `vjp`, by the evaluator and by XLA, beside the reference (params.., x, dy) -> (y, dx, dparams..)."""
    made = to_bf16(layer_module(layer, x, 3))
    f, rng = made.function("vjp"), np.random.default_rng(seed)
    args = [rng.standard_normal(v.shape).astype(np.float32) for v in f.params]
    wanted = [np.asarray(v) for v in reference(*args)]
    plain = run(layer_module(layer, x, 3), "vjp", args, "f32")
    assert max(np.linalg.norm(p - w) / np.linalg.norm(w) for p, w in zip(plain, wanted, strict=True)) > 1e-3
    for family in ("cpu", "gpu", "xla"):
        lowered = lower(made, family)
        for got in (run(lowered, "vjp", args, "f32"), *([by_xla(lowered, "vjp", args)] if family == "xla" else [])):
            for name, a, w in zip(f.result_names, got, wanted, strict=True):
                assert np.linalg.norm(a - w) <= tolerance * np.linalg.norm(w), f"{family}: {name}"


FLOAT32_NOISE = 2e-6


def test_dense_agrees_with_jax():
    def reference(w, b, x, dy):
        y = product("nk,km->nm", x, w) + b
        return y, product("nm,km->nk", dy, w), product("nk,nm->km", x, dy), dy.sum(0)

    checked(Dense(7), TensorType((33,)), reference, FLOAT32_NOISE)


@pytest.mark.parametrize("stride", [1, 2])
def test_conv_agrees_with_jax(stride):
    def reference(w, b, x, dy):
        def conv(x, w):  # linear in each, so its gradients are products of rounded numbers too
            return jax.lax.conv_general_dilated(
                x, w, (stride, stride), ((1, 1), (1, 1)), dimension_numbers=("NHWC", "HWIO", "NHWC")
            )

        at = [low(v).astype(jnp.float32) for v in (x, w)]
        y, pull = jax.vjp(conv, *at)
        dx, dw = pull(low(dy).astype(jnp.float32))
        low_y = jax.lax.conv_general_dilated(
            low(x), low(w), (stride, stride), ((1, 1), (1, 1)), dimension_numbers=("NHWC", "HWIO", "NHWC"),
            preferred_element_type=jnp.float32,
        )  # fmt: skip
        np.testing.assert_allclose(low_y, y, rtol=1e-4, atol=1e-4)
        return y + b, dx, dw, dy.sum((0, 1, 2))

    checked(Conv2d(5, 3, stride, "same-symmetric", name="c"), TensorType((7, 6, 8)), reference, FLOAT32_NOISE)


def test_attention_agrees_with_jax():
    heads, tokens, d = 2, 6, 8

    def reference(x, dy):
        def split(v):
            return v.reshape(v.shape[0], tokens, heads, d).transpose(0, 2, 1, 3)

        def join(v):
            return v.transpose(0, 2, 1, 3).reshape(v.shape[0], tokens, heads * d)

        q, k, v = (split(part) for part in jnp.split(x, 3, 2))
        do, qs = split(dy), q * np.float32(d**-0.5)
        s = product("nhtd,nhsd->nhts", qs, k)
        e = jnp.exp(s - s.max(-1, keepdims=True))
        total = e.sum(-1, keepdims=True)
        o = product("nhts,nhsd->nhtd", e, v) / total
        g = do / total
        de = product("nhtd,nhsd->nhts", g, v)
        ds = e * (de - (g * o).sum(-1, keepdims=True))
        dq, dk = product("nhts,nhsd->nhtd", ds, k) * np.float32(d**-0.5), product("nhts,nhtd->nhsd", ds, qs)
        dv = product("nhts,nhtd->nhsd", e, g)
        return join(o), jnp.concatenate([join(part) for part in (dq, dk, dv)], 2)

    # e, g and ds are rounded from float32 sums: where these lie beside a tie, one bf16 number is another
    checked(SelfAttention(heads), TensorType((tokens, 3 * heads * d)), reference, 5e-4)


def test_a_pooled_dy_is_summed_in_float32():
    layers = Chain((Conv2d(4, 3, name="c"), GlobalAvgPool()))
    made = to_bf16(layer_module(layers, TensorType((9, 9, 3)), 2))
    args = [np.random.default_rng(3).standard_normal(v.shape) for v in made.function("vjp").params]
    for family in ("cpu", "gpu", "xla"):
        lowered = lower(made, family)
        assert "reduce_sum" not in kinds_on_bf16(lowered)
        for a, w in zip(run(lowered, "vjp", args), run(made, "vjp", args), strict=True):
            np.testing.assert_allclose(a, w, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("kind", CONV_FORMS)
def test_every_form_computes_in_float32(kind):
    """Also those that only `netc tune` chooses: each gives what the op itself means, on bf16 operands."""
    image, kernel, out = ((2, 8, 8, 4), (3, 3, 4, 6), (2, 8, 8, 6))
    window = {"stride": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 1}
    shapes, more = {
        "conv": ((image, kernel), {}),
        "conv_input_grad": ((out, kernel), {"size": image[1:3]}),
        "conv_kernel_grad": ((image, out), {"kernel": kernel[:2]}),
    }[kind]
    made = one_op(kind, [TensorType(shape, "bf16") for shape in shapes], **window, **more)
    function = made.function("f")
    args = [rounded_to_bf16(np.random.default_rng(4).standard_normal(shape)) for shape in shapes]
    wanted = by_evaluator(made, args)
    names = [name for name in CONV_FORMS[kind] if fits(function.ops[0], name)]
    assert len(names) > 1
    for name in names:

        def visit(b, op, operands, name=name):
            return CONV_FORMS[kind][name](b, op, *operands)

        changed = verify(Module("m", (rewrite(function, visit),)))
        assert kinds_on_bf16(changed) <= MOVES | CONTRACTIONS, name
        np.testing.assert_allclose(by_evaluator(changed, args)[0], wanted[0], atol=1e-12, err_msg=name)
