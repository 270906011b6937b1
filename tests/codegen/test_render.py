"""The text: goldens of each rule, a digest of each net, and every number and name read back as it was written."""

import hashlib
import json
import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jaxlib.mlir import ir

from netc.codegen.builder import Builder
from netc.codegen.ir import Module
from netc.codegen.modules import layer_module, loss_module, optimizer_module
from netc.codegen.ops.movement import literal
from netc.codegen.program import build
from netc.codegen.render import quoted, render
from netc.codegen.rewrite.lower import lower
from netc.codegen.text import modules_in, text_of
from netc.netspec.activations import ACTIVATIONS
from netc.netspec.check import check
from netc.netspec.find import find
from netc.netspec.layer import Composite
from netc.netspec.layers import KINDS, Activation, Dense
from netc.netspec.loss import LOSSES, CrossEntropy, Focal
from netc.netspec.recipe import SGD, Adam, Recipe
from netc.netspec.types import TensorType
from netc.netspec.zoo import ZOO
from tests.calls import calls_of
from tests.codegen.examples import EXAMPLES, VECTOR
from tests.codegen.siblings import LARGER
from tests.codegen.witness import DTYPES, context, parsed
from tests.conftest import GOLDEN


def test_every_kind_with_a_rule_has_an_example():
    ruled = {kind for kind, cls in KINDS.items() if not issubclass(cls, Composite)}
    assert ruled - set(EXAMPLES) == set()
    assert all(kind == e.layer.kind for kind, e in EXAMPLES.items())


@pytest.mark.parametrize("kind", EXAMPLES)
def test_golden_text_of_a_rule(kind, golden):
    example = EXAMPLES[kind]
    made = lower(layer_module(example.layer, example.x, 2), "cpu")
    text = text_of(Module(made.name, (made.function("vjp"),)), "cpu")
    parsed(text)
    golden(f"rules/{kind}.mlir", text)


@pytest.mark.parametrize("function", ACTIVATIONS)
def test_golden_text_of_an_activation(function, golden):
    made = lower(layer_module(Activation(function), VECTOR, 2), "cpu")
    text = text_of(Module(made.name, (made.function("vjp"),)), "cpu")
    parsed(text)
    golden(f"rules/activation-{function}.mlir", text)


LOSS_EXAMPLES = {kind: cls() for kind, cls in LOSSES.items()}
LOSS_EXAMPLES |= {"crossEntropy": CrossEntropy(0.1, (1.0, 2.0, 0.5, 1.0)), "focal": Focal(1.5, (0.25,))}


@pytest.mark.parametrize(
    ("name", "module"),
    [
        *((f"loss-{n}", loss_module(loss, TensorType((3, 4)), 2)) for n, loss in LOSS_EXAMPLES.items()),
        ("adam", optimizer_module(Adam(weight_decay=0.01), ((2, 3), (3,)), (True, False))),
        ("adam-coupled", optimizer_module(Adam(weight_decay=0.01, decoupled=False), ((2,),), (True,))),
        ("sgd", optimizer_module(SGD(nesterov=True, weight_decay=0.01), ((2,),), (True,))),
        ("sgd-plain", optimizer_module(SGD(0.0), ((2,),), (True,))),
    ],
)
def test_golden_text_of_losses_and_optimizers(name, module, golden):
    text = text_of(lower(module, "cpu"), "cpu")
    parsed(text)
    golden(f"rules/{name}.mlir", text)


def test_goldens_have_no_orphans():
    activations = {f"activation-{f}" for f in ACTIVATIONS}
    losses = {f"loss-{kind}" for kind in LOSSES}
    wanted = {*EXAMPLES, *activations, *losses, "adam", "adam-coupled", "sgd", "sgd-plain"}
    assert {p.stem for p in (GOLDEN / "rules").iterdir()} == wanted
    assert {p.stem for p in (GOLDEN / "digests").iterdir()} == set(ZOO)


FAMILIES = ("cpu", "gpu", "plain", "xla")


def named(module):
    """The name of a module, and of its functions but for erf's."""
    names = [ir.StringAttr(op.attributes["sym_name"]).value for op in (module.operation, *module.body.operations)]
    return [n for n in names if not n.startswith("erf_")]


@pytest.mark.parametrize("name", ZOO)
def test_every_net_is_valid_and_its_text_is_known(name, golden):
    """Of nets that differ in sizes only the smallest is known for all families, the others where sizes choose forms."""
    families = ("cpu",) if name in LARGER else FAMILIES
    program, path = build(check(find(name)), Recipe(), 2), GOLDEN / "digests" / f"{name}.json"
    texts = {family: text_of(lower(program.module, family), family) for family in families}
    digests = {family: hashlib.sha256(text.encode()).hexdigest() for family, text in texts.items()}
    known = json.loads(path.read_text()) if path.exists() else {}
    functions = ["init", "train_step", "eval_step", "predict"]
    for family, text in texts.items():
        if family == "plain" or known.get(family) != digests[family]:  # what is known was valid when it was written
            names = [name for part in modules_in(text) for name in named(parsed(part))]
            whole = [program.module.name, *functions]
            assert names == (whole if family != "xla" else [n for f in functions for n in (f, "main")])
    golden(f"digests/{name}.json", json.dumps(digests, indent=1) + "\n")


def test_text_is_the_same_every_time():
    net = check(find("mnist-cnn"))
    first, second = (text_of(lower(build(net, Recipe(), 2).module, "cpu"), "cpu") for _ in "12")
    assert first == second


def test_the_work_of_emission_grows_with_the_net_and_no_faster():
    """The calls of functions, which no clock has a part in: resnet34 has twice the blocks of resnet18."""

    def emitted(name):
        net = check(find(name))
        return text_of(lower(build(net, Recipe(), 2).module, "cpu"), "cpu")

    emitted("mnist-cnn")  # what is imported or kept on the first call
    small, large = (calls_of(lambda name=name: emitted(name)) for name in ("resnet18", "resnet34"))
    assert small < 1_600_000  # 1,578,000 in Python 3.11; 90,000 of them for the zeros in sums of products
    assert large < 2.1 * small
    assert len(emitted("resnet34")) < 2.2 * len(emitted("resnet18")) < 2.2 * 1_450_000


def test_xla_gets_a_module_for_each_function_and_the_state_of_a_step_is_donated():
    program = build(check(find("mnist-linear")), Recipe(accumulate=2), 2)
    parts = modules_in(text_of(lower(program.module, "xla"), "xla"))
    read = [parsed(part) for part in parts]
    assert [named(module) for module in read] == [
        ["init", "main"], ["train_step", "micro_step", "main"], ["eval_step", "main"], ["predict", "main"]
    ]  # fmt: skip
    assert [part.count("func.func public") for part in parts] == [1] * 4
    assert [part.count("jax.buffer_donor = true") for part in parts] == [0, len(program.state), 0, 0]
    assert "donor" not in text_of(lower(program.module, "cpu"), "cpu")


# -- names and numbers ----------------------------------------------------------------------------------------------


def places(text):
    module = ir.Module.parse(text, context())
    ops = [op for f in module.body.operations for op in f.regions[0].blocks[0].operations]
    return [op.location.name_str for op in ops[:-1]]


@given(st.text(min_size=1, max_size=12))
def test_any_place_and_name_is_quoted_right(text):
    b = Builder("f")
    x = b.parameter(text, TensorType((2,)))
    with b.at(text, "vjp"):
        y = b.unary("exp", x)
    module = Module("m", (b.finish([("y", y)]),))
    (place,) = places(render(module))
    assert place == f"{text} (vjp)"


def test_quoted_by_hand():
    assert quoted('stage2.block0 "a"\\\n') == '"stage2.block0 \\22a\\22\\5C\\0A"'
    assert quoted("é") == '"\\C3\\A9"'


@pytest.mark.parametrize(
    "name", ["1net", "", "a b", 'x"y', "é", "a-b", "@f", "main", "a.b", "\\", "module", "%0", "a" * 300]
)
def test_any_name_that_a_net_may_have_makes_a_module(name):
    from netc.netspec.spec import NetSpec

    program = build(check(NetSpec(name, (2,), (Dense(2, name="d"),))), Recipe(), 2)
    parsed(render(lower(program.module, "cpu")))
    json.dumps(program.manifest, allow_nan=False)


BITS = {"f32": ("<f", "<I"), "f64": ("<d", "<Q")}


def constant_of(module):
    """The elements of a function's first constant, as the parser reads them."""
    read = parsed(render(module))  # held: its parts die with it
    function = read.body.operations[0]
    constant = function.regions[0].blocks[0].operations[0]
    return np.array(ir.DenseElementsAttr(constant.attributes["value"]))


def read_back(value, dtype):
    """The bytes of the constant that MLIR's parser makes of the text."""
    b = Builder("f")
    module = Module("m", (b.finish([("c", b.scalar(value, dtype))]),))
    return constant_of(module).astype(DTYPES[dtype])


FLOATS = [
    0.0,
    -0.0,
    1.0,
    -1.5,
    0.1,
    1 / 3,
    1e-38,
    1e-40,
    1.4e-45,
    3.4e38,
    1e16,
    1e22,
    1.5e-7,
    123456789.0,
    math.pi,
    2.0**24 + 1,
]
WIDE = [5e-324, 1.7e308, 1e300, 2.0**53 + 1]


@pytest.mark.parametrize(("dtype", "value"), [*(("f32", v) for v in FLOATS), *(("f64", v) for v in FLOATS + WIDE)])
def test_floats_are_read_back(dtype, value):
    got = read_back(value, dtype)
    assert got.tobytes() == np.array(value, DTYPES[dtype]).tobytes()


@given(st.floats(width=32, allow_nan=False))
def test_any_float32_is_read_back(value):
    assert read_back(value, "f32").tobytes() == np.float32(value).tobytes()


@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_what_is_not_finite_is_read_back(dtype, value):
    np.testing.assert_array_equal(read_back(value, dtype), np.array(value, DTYPES[dtype]))
    form, word = BITS[dtype]
    assert literal(value, dtype) == f"0x{struct.unpack(word, struct.pack(form, value))[0]:X}"


@pytest.mark.parametrize("value", [3.5e38, 6e38, -1e300])
def test_a_float_beyond_float32_is_infinite(value):
    with np.errstate(over="ignore"):
        assert read_back(value, "f32") == np.float32(value) == math.copysign(math.inf, value)


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        ("i32", -(2**31)), ("i32", 2**31 - 1), ("i32", 0), ("ui32", 2**32 - 1), ("i64", -(2**63)), ("i1", True),
        ("i1", False),
    ],
)  # fmt: skip
def test_integers_are_read_back(dtype, value):
    assert read_back(value, dtype) == value


@given(st.lists(st.integers(1, 3), min_size=1, max_size=4), st.randoms())
def test_tensors_are_read_back_in_row_major_order(shape, random):
    count = math.prod(shape)
    values = tuple(random.uniform(-9, 9) for _ in range(count))
    b = Builder("f")
    module = Module("m", (b.finish([("c", b.constant(values, TensorType(tuple(shape))))]),))
    np.testing.assert_array_equal(constant_of(module), np.array(values, np.float32).reshape(shape))
