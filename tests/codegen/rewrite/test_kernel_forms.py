"""The kernel gradient's forms for few channels, beside the op itself; where the cpu table takes them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netc.codegen.builder import Builder
from netc.codegen.ir import Module
from netc.codegen.modules import layer_module
from netc.codegen.rewrite import kernel_forms
from netc.codegen.rewrite.conv_forms import CONV_FORMS
from netc.codegen.rewrite.form_overrides import candidates, key_of
from netc.codegen.rewrite.lower import lower
from netc.codegen.rewrite.precision import to_bf16
from netc.codegen.rewrite.select_forms import form_of, select_forms
from netc.netspec.layers import Conv2d
from netc.netspec.types import TensorType
from tests.codegen.witness import by_evaluator, halves


def gradient(x, features, kernel=3, stride=1, padding=1, dtype="f32"):
    """A module whose function `f` is one kernel gradient, and its op."""
    b = Builder("f")
    size = tuple((n + 2 * padding - kernel) // stride + 1 for n in x[1:3])
    image = b.parameter("x", TensorType(x, dtype))
    dy = b.parameter("dy", TensorType((x[0], *size, features), dtype))
    window = {"stride": (stride,) * 2, "padding": ((padding,) * 2,) * 2, "dilation": (1, 1), "groups": 1}
    dw = b.op("conv_kernel_grad", image, dy, kernel=(kernel, kernel), **window)
    return Module("m", (b.finish([("dw", dw)]),)), b.ops[-1]


def three(x, features, kernel=3, stride=1, padding=1, groups=1):
    """A convolution and its gradients: the three operations."""
    b = Builder("f")
    window = {"stride": (stride,) * 2, "padding": ((padding,) * 2,) * 2, "dilation": (1, 1), "groups": groups}
    image = b.parameter("x", TensorType(x))
    w = b.parameter("w", TensorType((kernel, kernel, x[3] // groups, features)))
    y = b.op("conv", image, w, **window)
    b.op("conv_input_grad", y, w, size=x[1:3], **window)
    b.op("conv_kernel_grad", image, y, kernel=(kernel, kernel), **window)
    return b.ops


@pytest.mark.parametrize(
    ("form", "made"),
    [
        ("outer", gradient((128, 28, 28, 32), 32)),  # mnist-cnn's second convolution
        ("outer", gradient((8, 56, 56, 64), 64)),  # resnet34's first stage
        ("outer", gradient((2, 28, 28, 32), 32)),
        ("outer", gradient((8, 14, 14, 20), 7)),
        ("outer", gradient((8, 28, 28, 24), 128)),
        ("shifted", gradient((8, 28, 28, 32), 128)),
        ("shifted", gradient((8, 28, 28, 30), 30)),
        ("shifted", gradient((8, 28, 28, 24), 50)),
        ("outer", gradient((64, 28, 28, 40), 40)),
        ("shifted", gradient((2, 28, 28, 40), 40)),  # few pixels
        ("winograd-stacked", gradient((8, 28, 28, 128), 128)),
        ("winograd-stacked", gradient((32, 32, 32, 128), 128)),
        ("winograd-stacked", gradient((8, 28, 28, 64), 64)),  # the caches hold its transforms
        ("shifted", gradient((32, 32, 32, 96), 96)),  # not these
        ("winograd-stacked", gradient((64, 2, 2, 512), 512)),
        ("shifted", gradient((32, 2, 2, 512), 512)),  # the kernel's transform is more than the products
        ("shifted", gradient((512, 1, 1, 512), 512)),  # three quarters of each tile are empty
        ("winograd-stacked", gradient((8, 14, 14, 256), 256)),
        ("shifted", gradient((8, 149, 149, 32), 32)),  # odd: no block of it fits
        ("shifted", gradient((32, 112, 112, 64), 64)),  # 32 blocks
        ("shifted", gradient((1, 91, 91, 64), 64)),  # no even number of pixels to add first
        ("shifted", gradient((32, 32, 32, 48), 48)),
        ("shifted", gradient((128, 28, 28, 32), 32, dtype="bf16")),
        ("shifted", gradient((32, 32, 32, 32), 64, stride=2)),
        ("shifted", gradient((8, 56, 56, 64), 64, kernel=1, padding=0)),
        ("outer", gradient((8, 112, 112, 32), 16, kernel=1, padding=0)),
        ("shifted", gradient((8, 112, 112, 24), 144, kernel=1, padding=0)),
        ("shifted", gradient((8, 14, 14, 24), 24, kernel=1, padding=0)),
        ("folded", gradient((8, 224, 224, 3), 64, kernel=7, stride=2, padding=3)),  # a ResNet's stem
        ("im2col", gradient((8, 224, 224, 3), 32, kernel=3, stride=2)),  # a MobileNet's
    ],
)
def test_the_table_of_cpu(form, made):
    assert form_of("cpu", made[1]) == form


@pytest.mark.parametrize(
    ("forms", "x", "features", "options"),
    [
        (("direct", "direct", "outer"), (128, 28, 28, 32), 32, {}),
        (("winograd-stacked",) * 3, (128, 14, 14, 32), 64, {}),
        (("winograd-stacked",) * 3, (32, 30, 30, 24), 24, {}),
        (("winograd-stacked",) * 3, (4, 128, 128, 64), 64, {}),
        (("shifted", "phase-shifted", "outer"), (32, 28, 28, 12), 40, {"kernel": 5, "padding": 2}),
        (("shifted", "phase-shifted", "shifted"), (8, 56, 56, 64), 128, {"stride": 2}),
        (("direct", "phase-shifted", "folded"), (8, 224, 224, 3), 64, {"kernel": 7, "stride": 2, "padding": 3}),
        (("grouped", "grouped", "shifted"), (8, 16, 16, 128), 128, {"groups": 32}),
        (("direct", "direct", "depthwise"), (8, 16, 16, 96), 96, {"kernel": 7, "padding": 3, "groups": 96}),
    ],
)
def test_the_table_of_avx2(forms, x, features, options):
    """The forward pass, the image's gradient and the kernel's."""
    assert tuple(form_of("cpu-avx2", op) for op in three(x, features, **options)) == forms


@pytest.mark.parametrize(
    ("form", "made"),
    [
        ("winograd", gradient((32, 8, 8, 256), 256)),
        ("convolution", gradient((32, 16, 16, 128), 128)),
        ("convolution", gradient((128, 28, 28, 32), 32)),
        ("im2col", gradient((8, 7, 7, 64), 512)),
        ("im2col", gradient((8, 56, 56, 64), 128, stride=2)),
        ("shifted", gradient((8, 224, 224, 3), 64, kernel=7, stride=2, padding=3)),
        ("patches", gradient((8, 224, 224, 3), 96, kernel=4, stride=4, padding=0)),
        ("shifted", gradient((8, 56, 56, 64), 64, kernel=1, padding=0)),
    ],
)
def test_the_table_of_xla(form, made):
    assert form_of("xla", made[1]) == form


@pytest.mark.parametrize(
    ("kind", "form", "x", "features", "options"),
    [
        ("conv", "winograd", (8, 8, 256), 256, {}),
        ("conv_input_grad", "winograd", (14, 14, 256), 256, {}),
        ("conv", "im2col", (7, 7, 512), 512, {}),
        ("conv_input_grad", "col2im", (7, 7, 512), 512, {}),
        ("conv", "direct", (16, 16, 128), 128, {}),
        ("conv_input_grad", "direct", (16, 16, 128), 128, {}),
        ("conv_input_grad", "col2im", (16, 16, 128), 256, {"stride": 2}),
        ("conv_input_grad", "phase-shifted", (32, 32, 64), 128, {"stride": 2}),
        ("conv", "im2col", (112, 112, 3), 32, {"stride": 2}),
        ("conv", "direct", (224, 224, 3), 64, {"kernel": 7, "stride": 2}),
        ("conv_input_grad", "patches", (56, 56, 96), 192, {"kernel": 2, "stride": 2}),
    ],
)
def test_images_on_xla(kind, form, x, features, options):
    made = layer_module(Conv2d(features, **{"kernel": 3, **options}), TensorType(x), 8).function("vjp")
    (op,) = [op for op in made.ops if op.kind == kind]
    assert form_of("xla", op) == form


@pytest.mark.parametrize(("family", "kind"), [("cpu", "reshape"), ("xla", "concatenate")])
def test_winograd_transforms_a_kernel_once(family, kind):
    """The input gradient takes the forward's G w Gᵀ, its places in another order."""
    made = lower(layer_module(Conv2d(512), TensorType((8, 8, 256)), 4), family).function("vjp")
    kernels = [op for op in made.ops if op.kind == kind and op.result.shape == (16, 256, 512)]
    assert len(kernels) == 1
    readers = [op for op in made.ops if op.kind == "dot" and kernels[0].result in op.operands]
    assert sorted(op.result.shape[2] for op in readers) == [256, 512]


def test_a_stacked_transform_is_two_operations_and_no_copies():
    """What IREE makes a kernel of each: 16 places of a concatenation would be 16, and as many copies."""
    made = lower(layer_module(Conv2d(128), TensorType((14, 14, 128)), 8), "cpu").function("vjp")
    assert not [op for op in made.ops if op.kind == "concatenate"]
    assert len([op for op in made.ops if op.kind == "dot"]) == 3


@pytest.mark.parametrize(
    ("x", "features", "options", "forms"),
    [
        ((28, 28, 32), 32, {}, "widened widened shifted"),
        ((14, 14, 32), 64, {}, "widened widened shifted"),
        ((56, 56, 64), 64, {}, "widened widened shifted"),
        ((16, 16, 128), 128, {}, "shifted phase-shifted shifted"),
        ((14, 14, 256), 256, {}, "shifted phase-shifted shifted"),
        ((7, 7, 512), 512, {}, "shifted col2im shifted"),
        ((32, 32, 64), 128, {"stride": 2}, "shifted phase-shifted shifted"),
        ((28, 28, 1), 32, {}, "widened widened im2col"),
        ((224, 224, 3), 64, {"kernel": 7, "stride": 2}, "widened phase-shifted folded"),
        ((8, 8, 64), 64, {}, "shifted phase-shifted shifted"),
        ((56, 56, 64), 64, {"kernel": 1}, "im2col phase-shifted shifted"),
        ((28, 28, 128), 128, {"groups": 32}, "widened widened shifted"),
        ((7, 7, 16), 16, {}, "shifted phase-shifted shifted"),
        ((7, 7, 128), 128, {"kernel": 7}, "shifted phase-shifted shifted"),
        ((14, 14, 128), 128, {"stride": 2}, "shifted phase-shifted shifted"),
    ],
)
def test_bf16_on_cpu(x, features, options, forms):
    made = to_bf16(layer_module(Conv2d(features, **{"kernel": 3, **options}), TensorType(x), 32))
    found = {op.kind: form_of("cpu", op) for op in made.function("vjp").ops if op.kind in CONV_FORMS}
    assert " ".join(found[kind] for kind in CONV_FORMS) == forms


@given(
    images=st.sampled_from([1, 2, 3, 4, 16]),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    kernel=st.sampled_from([1, 3]),
    block=st.sampled_from([1, 2000, 10**9]),
)
def test_outer_products_in_any_blocks_are_the_op(images, size, kernel, block):
    """Whatever the blocks and the parts of one; and no product of matrices is left for a compiler to pack."""
    module, op = gradient((images, *size, 2), 3, kernel=kernel, padding=kernel // 2)
    rng = np.random.default_rng(0)
    args = [halves(rng, v.shape) for v in op.operands]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel_forms, "BLOCK", block)
        patch.setattr(kernel_forms, "FEWEST", 1)
        b = Builder("f")
        x, dy = (b.parameter(n, v.type) for n, v in zip(("x", "dy"), op.operands, strict=True))
        changed = Module("m", (b.finish([("dw", kernel_forms.kernel_outer(b, op, x, dy))]),))
    (want,), (got,) = by_evaluator(module, args, name="f"), by_evaluator(changed, args, name="f")
    np.testing.assert_array_equal(got, want)
    assert "dot" not in {o.kind for o in changed.function("f").ops}


def test_what_tune_tries():
    assert "outer" in candidates(gradient((32, 32, 32, 16), 96, kernel=1, padding=0)[1])
    assert "outer" not in candidates(gradient((32, 16, 16, 128), 128)[1])
    assert "outer" not in candidates(gradient((8, 149, 149, 32), 32)[1])
    assert "folded" in candidates(gradient((8, 224, 224, 3), 192, kernel=16, stride=16, padding=0)[1])
    assert "folded" not in candidates(gradient((8, 14, 14, 64), 64)[1])


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(7, 2, 3), (11, 4, 2), (5, 3, 0), (3, 2, 1), (2, 4, 0)])
def test_folded_windows_take_a_product_for_each_column(kernel, stride, padding):
    module, op = gradient((2, 19, 23, 3), 4, kernel=kernel, stride=stride, padding=padding)
    rng = np.random.default_rng(0)
    args = [halves(rng, v.shape) for v in op.operands]
    changed = select_forms(module, "cpu", {key_of(op): "folded"})
    (want,), (got,) = by_evaluator(module, args, name="f"), by_evaluator(changed, args, name="f")
    np.testing.assert_array_equal(got, want)
    assert [o.kind for o in changed.function("f").ops].count("dot") == -(-kernel // stride)
