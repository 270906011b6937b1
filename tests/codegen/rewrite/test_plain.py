"""The text for nobody's target: portable StableHLO, without forms, that computes what the program says."""

import importlib.util
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jaxlib.mlir import ir
from jaxlib.mlir.dialects import chlo, stablehlo

from netc.codegen.evaluator import run
from netc.codegen.ir import IrError, Module
from netc.codegen.modules import layer_module
from netc.codegen.program import build
from netc.codegen.render import render
from netc.codegen.rewrite.dce import dce
from netc.codegen.rewrite.lower import lower, passes
from netc.codegen.rewrite.plain_forms import FORMS, erf_function
from netc.codegen.rewrite.select_forms import REPLACED
from netc.codegen.verify import UNSPELLED
from netc.netspec import layers as nn
from netc.netspec.check import check
from netc.netspec.recipe import SGD, Recipe
from netc.netspec.spec import NetSpec
from netc.netspec.types import TensorType
from tests.codegen.examples import EXAMPLES
from tests.codegen.witness import by_xla
from tests.conftest import ROOT


def script(name):
    found = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


families, plain_stablehlo = script("families"), script("plain_stablehlo")
BATCH = 2
OPTIONS = {
    "none": ({}, 1),
    "accumulate": ({"accumulate": 2}, 1),
    "steps": ({}, 3),
    "scan": ({"scan_blocks": True}, 1),
    "remat": ({"remat": True}, 1),
    "bf16": ({"precision": "bf16"}, 1),
    "all": ({"accumulate": 2, "scan_blocks": True, "remat": True, "precision": "bf16"}, 1),
}
# blocks in a row, so that every option has something to do
BLOCKS = NetSpec(
    "blocks", (8, 8, 3),
    (nn.Conv2d(4, 3, name="stem"), nn.InvertedResidual(4, 2.0, blocks=6, name="body"), *families.HEAD),
)  # fmt: skip
GELU = NetSpec("gelu", (4, 6), (nn.TransformerEncoder(2, 12, blocks=6, name="encoder"), *families.TOKENS))


def program_of(name, option="none"):
    changed, steps = OPTIONS[option]
    spec, loss = (
        (families.family(name)) if name in families.FAMILIES else ({"blocks": BLOCKS, "gelu": GELU}[name], None)
    )
    recipe = Recipe(SGD(0.0)) if loss is None else Recipe(SGD(0.0), loss)
    return build(check(spec), replace(recipe, **changed), BATCH, steps_per_call=steps)


def plain(program):
    return lower(program.module, "plain", scan=program.recipe.scan_blocks)


def accepted(module):
    found = plain_stablehlo.portable(render(module))
    assert set(found["dialects"]) <= {"func", "stablehlo"}
    assert found["same"]


@pytest.mark.parametrize("name", families.FAMILIES)
def test_a_net_of_every_family_is_portable(name):
    accepted(plain(program_of(name)))


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("name", ["blocks", "gelu"])
def test_every_option_is_portable(name, option):
    accepted(plain(program_of(name, option)))


@pytest.mark.parametrize("family", ["cpu", "xla"])
def test_what_is_not_plain_is_seen(family):
    with pytest.raises((ir.MLIRError, ValueError, AssertionError)):  # scf for IREE, chlo.erf for both
        accepted(lower(program_of("gelu", "accumulate").module, family))


def inputs(program, rng):
    step = program.module.function("train_step")
    state = run(program.module, "init", [np.array([1, 2], np.uint32)])
    x, y = (step.params[step.names.index(n)].type for n in ("x", "y"))
    classes = program.net.out.shape[-1]

    def drawn(t):
        return rng.integers(0, classes, t.shape) if t.dtype == "i32" else rng.normal(size=t.shape)

    return [*state, drawn(x), drawn(y), 0.1]


def but_for_erf(program):
    """The module before erf is approximated: that is for float32, and a norm over a few pixels makes much of it."""
    module = program.module
    for name, step in passes("plain", scan=program.recipe.scan_blocks):
        module = module if name == "erf_functions" else step(module)
    return module


def same_step(module, program):
    args = inputs(program, np.random.default_rng(0))
    for ours, wanted in zip(run(module, "train_step", args), run(program.module, "train_step", args), strict=True):
        # float64's rounding, in sums of another order
        np.testing.assert_allclose(ours, wanted, rtol=1e-10, atol=1e-11 * max(1.0, np.abs(wanted).max()))


@pytest.mark.parametrize("name", families.FAMILIES)
def test_it_computes_what_the_program_says(name):
    program = program_of(name)
    same_step(but_for_erf(program), program)


@pytest.mark.parametrize("option", ["none", "accumulate", "scan", "remat"])
@pytest.mark.parametrize("name", ["blocks", "gelu"])
def test_it_does_so_with_every_option(name, option):
    program = program_of(name, option)
    loops = [op for f in plain(program) for op in f.ops if op.kind == "loop"]
    assert bool(loops) == (option in ("accumulate", "scan"))
    same_step(but_for_erf(program), program)


@pytest.mark.parametrize("kind", ["maxPool", "avgPool", "convTranspose2d", "selectiveScan", "tokenPositionEmbed"])
def test_a_layer_is_what_it_was(kind):
    example = EXAMPLES[kind]
    made = layer_module(example.layer, example.x, 2)
    vjp, rng = made.function("vjp"), np.random.default_rng(2)
    args = [
        rng.integers(0, 3, v.shape) if v.type.dtype in ("i32", "ui32") else rng.normal(size=v.shape) for v in vjp.params
    ]
    for ours, wanted in zip(run(lower(made, "plain"), "vjp", args), run(made, "vjp", args), strict=True):
        np.testing.assert_allclose(ours, wanted, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", ["mobile", "gpt"])
def test_xla_takes_the_first_step(name):
    program = program_of(name)
    args = inputs(program, np.random.default_rng(0))
    typed = [
        np.asarray(a, {"f32": np.float32, "i32": np.int32, "ui32": np.uint32}[v.type.dtype])
        for a, v in zip(args, program.module.function("train_step").params, strict=True)
    ]
    wanted = run(program.module, "train_step", typed, "f32")
    for ours, theirs in zip(by_xla(plain(program), "train_step", typed), wanted, strict=True):
        # float32 sums in another order, through a whole step
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=2e-5 * max(1.0, np.abs(theirs).max()))


def test_there_are_no_forms():
    """One StableHLO operation for each convolution, pool and pooled gradient, and no barriers."""
    layers = (nn.Conv2d(4, 3, 2, name="a"), nn.MaxPool(3, 2, name="p"), nn.Conv2d(4, 1, name="b"), *families.HEAD)
    program = build(check(NetSpec("small", (16, 16, 3), layers)), Recipe(SGD(0.0)), BATCH)
    before, after = (m.function("train_step").counts() for m in (dce(program.module), plain(program)))
    assert [before[k] for k in ("conv", "conv_input_grad", "conv_kernel_grad")] == [2, 1, 2]
    assert [after[k] for k in ("conv", "conv_kernel_grad", "reverse", "window_max", "scatter_to_max")] == [
        3,
        2,
        1,
        1,
        1,
    ]
    assert lower(program.module, "cpu").function("train_step").counts()["barrier"] > 0
    assert not {"barrier", "transpose", "concatenate"} & set(after)
    text = render(Module("m", (plain(program).function("train_step"),)))
    assert text.count("stablehlo.convolution") == 5
    assert text.count("lhs_dilate") == 1
    assert plain(program_of("blocks", "remat")).function("train_step").counts()["barrier"] > 0  # these are what it is


def test_a_large_state_has_no_joint_barrier():
    wide = NetSpec("wide", (2304,), (nn.Dense(4096, name="a"), nn.Dense(3, name="b")))
    program = build(check(wide), Recipe(SGD(0.0)), BATCH)
    assert "joint_barrier" in lower(program.module, "xla").function("train_step").counts()
    module = plain(program)
    assert "joint_barrier" not in module.function("train_step").counts()
    accepted(module)


def test_every_op_without_a_word_has_a_form():
    assert set(FORMS) >= UNSPELLED
    assert UNSPELLED <= REPLACED


# -- erf ---------------------------------------------------------------------------------------------------------------


def erf_by(evaluate, xs):
    t = TensorType(xs.shape)
    function = replace(erf_function(t), private=False)
    return evaluate(Module("m", (function,)), function.name, xs)


@given(st.lists(st.floats(-6, 6, width=32), min_size=1, max_size=20))
def test_erf_is_erf_to_float32s_rounding(values):
    xs = np.array(values, np.float32)
    (ours,) = erf_by(lambda m, n, x: run(m, n, [x], "f32"), xs)
    np.testing.assert_allclose(ours, [math.erf(x) for x in xs.astype(float)], atol=5e-7)


def test_erf_of_other_numbers_is_a_sentence():
    with pytest.raises(IrError, match=r"erf wants float32 or float64 numbers in plain StableHLO, got bf16\[3\]"):
        erf_function(TensorType((3,), "bf16"))


def test_exported_erf_has_the_same_operations():
    """JAX's own, which XLA's developers wrote: the names of operations and the literals are equal."""
    import jax
    from jax import export

    made = export.export(jax.jit(jax.lax.erf))(jax.ShapeDtypeStruct((3,), np.float32)).mlir_module()
    with plain_stablehlo.context() as known:
        chlo.register_dialect(known)
        stablehlo.register_dialect(known)
        literals = [
            {
                float(np.array(op.attributes["value"]).reshape(-1)[0])
                for f in ir.Module.parse(text).body.operations
                for op in f.regions[0].blocks[0].operations
                if op.operation.name == "stablehlo.constant"
            }
            for text in (made, render(Module("m", (erf_function(TensorType((3,))),))))
        ]
    assert literals[0] == literals[1] != set()
