"""ONNX models of nets with their weights: onnxruntime computes what the reference evaluator does."""

import numpy as np
import pytest

from netc.codegen.builder import Builder
from netc.codegen.evaluator import run
from netc.codegen.inference import Levels, inference_module
from netc.codegen.ir import Module
from netc.codegen.ops import OPS
from netc.netspec.check import check
from netc.netspec.errors import UserError
from netc.netspec.find import find
from netc.netspec.types import TensorType
from netc.runtime.export.onnx_model import model_of
from netc.runtime.export.onnx_rows import ROWS
from tests.runtime.weights.drawn_weights import drawn

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

TOLERANCE = 1e-5  # float32 against float64, relative to the norm of all logits
NETS = (
    "mnist-mlp", "mnist-cnn", "resnet18:32", "mobilenet_v3_small:32", "vit_tiny_patch4_32", "convnext_tiny:32",
    "tiny-gpt", "unet:16", "shufflenet_v2_x0_5:32", "densenet121:32", "swin_t:224",
)  # fmt: skip


def answer(content, x):
    session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    return session.run(None, {given.name: x})[0]


def error(got, want):
    return np.linalg.norm(got - want) / np.linalg.norm(want)


@pytest.mark.parametrize("name", NETS)
def test_onnxruntime_agrees_with_the_evaluator(name):
    name, _, size = name.partition(":")
    spec = find(name)
    net = check(spec.with_input((int(size), int(size), spec.input[-1])) if size else spec)
    weights, tokens = drawn(net), net.x.dtype == "i32"
    channels = net.x.shape[-1]
    levels = None if tokens else Levels((1 / 60,) * channels, (-2.0,) * channels)
    module = inference_module(net, 2, levels)
    predict = module.function("predict")
    given = predict.params[-1]
    x = np.random.default_rng(0).integers(0, 60 if tokens else 256, given.shape)
    x = x.astype(np.int32 if tokens else np.uint8)
    content = model_of(predict, weights, {"netc.net": name})
    got = answer(content, x)
    (want,) = run(module, "predict", [*(weights[n] for n in predict.names[:-1]), x])
    assert got.dtype == np.float32
    assert error(got, want) < TOLERANCE
    assert {p.key: p.value for p in onnx.load_from_string(content).metadata_props} == {"netc.net": name}


def test_a_net_of_convolutions_is_turned_at_its_ends_only():
    net = check(find("resnet18").with_input((32, 32, 3)))
    content = model_of(inference_module(net, 1).function("predict"), drawn(net), {})
    kinds = [node.op_type for node in onnx.load_from_string(content).graph.node]
    assert kinds.count("Transpose") == 1  # of the image; the pooled features have no order of axes
    assert kinds.count("Conv") == 20


def one(kind, *types, known=(), **attrs):
    """A module of one operation of those operands; those whose place is in `known` are weights."""
    b = Builder("predict")
    args = [b.parameter(f"a{i}", t) for i, t in enumerate(types)]
    return Module("one", (b.finish([("y", b.op(kind, *args, **attrs))]),))


F, IMAGE = TensorType((2, 3)), TensorType((2, 5, 6, 4))
WINDOW = {"stride": (2, 1), "padding": ((1, 0), (0, 1)), "kernel": (2, 3)}
CONV = {"stride": (2, 1), "padding": ((1, 0), (0, 2)), "dilation": (1, 2), "groups": 2}
# what the nets above do not ask for: each option of a row that has several
SINGLE = (
    *(("compare", (F, F), {"direction": d}) for d in ("EQ", "NE", "GE", "GT", "LE", "LT")),
    *((kind, (F,), {}) for kind in ("neg", "exp", "sin", "cos", "tanh", "logistic", "erf")),
    *((kind, (F, F), {}) for kind in ("sub", "div", "max", "min")),
    ("log1p", (F,), {}), ("sqrt", (F,), {}), ("rsqrt", (F,), {}), ("log", (F,), {}),
    ("reverse", (TensorType((2, 3, 4)),), {"dims": (0, 2)}),
    ("slice", (IMAGE,), {"start": (0, 1, 0, 1), "limit": (2, 5, 6, 4), "stride": (1, 2, 1, 3)}),
    ("transpose", (IMAGE,), {"perm": (3, 0, 2, 1)}), ("concatenate", (IMAGE, IMAGE), {"dim": 3}),
    ("dot", (TensorType((2, 3, 4)), TensorType((4, 5, 2))), {"contract": ((2,), (0,)), "batch": ((0,), (2,))}),
    ("dot", (TensorType((3, 2, 4)), TensorType((2, 4, 5))), {"contract": ((1, 2), (0, 1)), "batch": ((), ())}),
    ("conv", (IMAGE, TensorType((2, 2, 2, 6))), CONV),
    ("conv", (IMAGE, TensorType((2, 2, 6, 2))), {**CONV, "swap": True}),
    ("conv_input_grad", (TensorType((2, 3, 6, 6)), TensorType((2, 2, 2, 6))), {**CONV, "size": (5, 6)}),
    ("max_pool", (IMAGE,), WINDOW), ("sum_pool", (IMAGE,), WINDOW),
)  # fmt: skip


@pytest.mark.parametrize(("kind", "types", "attrs"), SINGLE)
@pytest.mark.parametrize("weights", [False, True])
def test_a_row_says_what_the_operation_means(kind, types, attrs, weights):
    module = one(kind, *types, **attrs)
    rng = np.random.default_rng(3)
    args = [rng.uniform(0.5, 2, t.shape).astype(np.float32) for t in types]
    known = {f"a{i}": a for i, a in enumerate(args) if i} if weights else {}
    content = model_of(module.function("predict"), known, {})
    session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (got,) = session.run(None, {f"a{i}": a for i, a in enumerate(args) if f"a{i}" not in known})
    (want,) = run(module, "predict", args)
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=TOLERANCE, atol=TOLERANCE)


def test_an_operation_without_a_row_is_refused_by_name():
    net = check(find("tiny-mamba"))
    with pytest.raises(
        UserError, match=r"`onnx` wants a net whose operations ONNX has, got linear_scan at model\.body"
    ):
        model_of(inference_module(net, 1).function("predict"), drawn(net), {})


@pytest.mark.parametrize(
    ("kind", "types", "attrs", "why"),
    [
        ("pad", (F, TensorType(())), {"low": (0, 0), "high": (0, 0), "interior": (0, 1)}, "pad with zeros between"),
        ("reduce_max", (F, TensorType(())), {"dims": (0,)}, "reduce_max that starts from another number than -inf"),
    ],
)
def test_what_a_row_cannot_say_is_refused(kind, types, attrs, why):
    with pytest.raises(UserError, match=why):
        model_of(one(kind, *types, **attrs).function("predict"), {}, {})


def test_rows_are_of_operations_that_there_are():
    assert ROWS.keys() <= OPS.keys()


def test_weights_inside_are_the_same_as_weights_given():
    """Constants of one shape are told apart by every pass."""
    net = check(find("resnet18").with_input((16, 16, 3)))
    weights = drawn(net)
    inside = inference_module(net, 1, weights={n: w.tobytes() for n, w in weights.items()})
    outside = inference_module(net, 1)
    x = np.random.default_rng(0).normal(size=(1, 16, 16, 3))
    (got,) = run(inside, "predict", [x])
    (want,) = run(outside, "predict", [*(weights[n] for n in outside.function("predict").names[:-1]), x])
    assert np.array_equal(got, want)
