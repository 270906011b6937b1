"""Proofs about texts that others made: JAX's lowering of a perceptron's SGD step and of a convolution net's gradients.

The texts were printed by `jax.jit(step).lower(..).as_text()`; no test makes them. Two more are small: windows of sums,
and numbers of a tensor at labels.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from click.testing import CliRunner
from jax.extend.backend import get_backend
from jaxlib import _jax

from netc.cli.main import cli
from netc.codegen.evaluator import FloatArithmetic, evaluate
from netc.netspec.errors import NetcError, UserError
from netc.proofs import lean
from netc.proofs.blame import refused
from netc.proofs.export import export
from netc.proofs.file import text_of
from netc.proofs.foreign.step import Claimed, step_of
from netc.proofs.prove import checked, prove_text
from netc.proofs.terms import restart
from netc.proofs_oracle.certificate.parse import parse
from netc.proofs_oracle.certificate.same import same
from tests.proofs.test_prove import prove_faults

TEXTS = Path(__file__).parent / "texts"
MLP, CNN, POOL, NUMBERS = ((TEXTS / f"{name}.mlir").read_text() for name in ("mlp_sgd", "cnn", "pool", "numbers"))
UPDATES = [Claimed(i, 1 + i, True) for i in range(4)]
GRADIENTS = [Claimed(i, 1 + i) for i in range(6)]


def there() -> None:
    if lean.found() is None:
        pytest.skip(lean.missing())


def proof(text: str, claims: list[Claimed]):
    return prove_text("step.mlir", parse(text), 0, claims, compare=same)


def run(text: str, args: list[np.ndarray]) -> list[np.ndarray]:
    """What XLA gives."""
    client = get_backend("cpu")
    loaded = client.compile_and_load(text, _jax.DeviceList(tuple(client.local_devices()[:1])), _jax.CompileOptions())
    return [np.asarray(v) for v in loaded.execute([jax.device_put(a) for a in args])]


@pytest.mark.parametrize(("text", "claims"), [(MLP, UPDATES), (CNN, GRADIENTS)], ids=["mlp", "cnn"])
def test_what_is_read_is_what_the_text_computes(text, claims):
    """The loss and, of updates, the new parameters; of gradients these: as XLA computes them from the text itself."""
    function = parse(text)
    step = step_of(function, 0, claims)
    rng = np.random.default_rng(1)
    args = [
        rng.integers(0, 3, v.shape).astype(np.int32) if v.type.dtype == "i32" else rng.normal(size=v.shape)
        for v in function.params
    ]
    single = [a.astype(np.float32) if a.dtype == np.float64 else a for a in args]
    found = evaluate(step.function, args, FloatArithmetic("f64"))
    ours = [found[0], *found[1 + len(claims) if step.updates else 1 :]]
    for got, wanted in zip(ours, run(text, single), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=2e-4, atol=1e-5)  # float32 there


def test_a_step_of_jax_is_proven_by_lean(tmp_path):
    there()
    path = tmp_path / "step.mlir"
    path.write_text(MLP)
    found = CliRunner().invoke(cli, ["prove", str(path), "--check", "-o", str(tmp_path / "step.lean")])
    assert found.exit_code == 0, found.output
    assert "found by itself, argument=result: 0=1:update" in found.output
    assert "Lean's kernel takes it, without an axiom" in found.output
    assert "theorem update3" in (tmp_path / "step.lean").read_text()


def test_a_convolution_net_of_jax_is_proven():
    """With a maximum whose ties are halved, max and average pools, and labels by take_along_axis."""
    found = proof(CNN, GRADIENTS)
    assert len(found.gradients) == 6
    assert found.said == ("no index is below 0", "every index is inside the axis that it indexes")
    assert any("two equal numbers" in said for said in found.assumptions)


SQUARE = (
    MLP.replace("4x3x", "4x5x")
    .replace("1x3x", "1x5x")
    .replace("5x3x", "5x5x")
    .replace("3x5x", "5x5x")
    .replace("tensor<3xf32>", "tensor<5xf32>")
)
FAULTS = {
    "a transposed operand": (
        SQUARE,
        "%23, %arg2, contracting_dims = [1] x [1]",
        "%23, %arg2, contracting_dims = [1] x [0]",
    ),
    "a sign": (MLP, "%0 = stablehlo.negate %arg2", "%0 = stablehlo.abs %arg2"),
    "an operand": (MLP, "dot_general %31, %arg4", "dot_general %4, %arg4"),
    "the other branch": (MLP, "stablehlo.select %6, %29, %30", "stablehlo.select %6, %30, %29"),
    "a comparison": (MLP, "compare GT, %3, %5", "compare LT, %3, %5"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_the_text_is_not_proven(fault):
    text, right, wrong = FAULTS[fault]
    assert text.count(right) == 1
    with pytest.raises(NetcError, match=r"the gradient of arg\d is not shown to be the derivative; .* of line \d+"):
        proof(text.replace(right, wrong), UPDATES)


AROUND = "high = [0, 1, 0, 0], interior = [0, 0, 0, 0] : (tensor<2x3x1x3xf32>, tensor<f32>) -> tensor<2x5x1x3xf32>"
PLAIN = "padding = dense<0> : tensor<4x2xi64>"
TURNED = "(tensor<3x3x1xi32>, tensor<3x3x1xi32>, tensor<3x3x1xi32>) -> tensor<3x3x3xi32>"
OTHERWISE = {
    "a pad with ones": (
        CNN,
        GRADIENTS,
        [("%cst_16 = stablehlo.constant dense<0.0", "%cst_16 = stablehlo.constant dense<1.0")],
        "pad with another number than 0",
    ),
    "a pad that cuts": (
        POOL,
        GRADIENTS[:1],
        [
            (AROUND, AROUND.replace("high = [0, 1", "high = [0, -1").replace("2x5x1", "2x3x1")),
            ("(%9, %10) <{base_dilations = array<i64: 1, 1, 1, 1>, " + PLAIN, "(%9, %10) <{base_dilations = array<i64: "
             "1, 1, 1, 1>, padding = dense<[[0,0],[0,2],[0,0],[0,0]]> : tensor<4x2xi64>"),
            (": (tensor<2x5x1x3xf32>", ": (tensor<2x3x1x3xf32>"),
        ],
        r"the gradient of arg0 is not shown to be the derivative; .* of line \d+ \(vjp\): pad",
    ),
    "indices of a transposed gradient": (
        NUMBERS,
        GRADIENTS[:1],
        [
            (
                '%33 = "stablehlo.scatter"(%32, %24',
                f'%99 = stablehlo.concatenate %22, %21, %23, dim = 2 : {TURNED}\n%33 = "stablehlo.scatter"(%32, %99',
            )
        ],
        "scatter of numbers at indices that count along another axis than they index",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", OTHERWISE)
def test_a_text_that_looks_like_another_is_refused(fault):
    """As it is, it is proven; with the fault, which pads and indices that are not read whole would hide, it is not."""
    text, claims, edits, said = OTHERWISE[fault]
    if text is not CNN:
        proof(text, claims)
    for right, wrong in edits:
        assert text.count(right) == 1
        text = text.replace(right, wrong)
    with pytest.raises(NetcError, match=said):
        proof(text, claims)


def test_what_was_read_is_compared_with_the_text():
    """A function that is right, but not the text's: whatever was read wrongly is found before anything is proven."""
    read, other = (
        step_of(parse(text), 0, UPDATES)
        for text in (MLP, MLP.replace("stablehlo.add %arg2, %6", "stablehlo.subtract %arg2, %6"))
    )
    same(read.source, read.function)
    with pytest.raises(UserError, match="a text that it reads as it computes, got result1 with other numbers"):
        same(other.source, read.function)


def test_the_kernel_refuses_faults(tmp_path):
    """The right text's proof about a wrong text, in which a sign is lost; and with an operand transposed."""
    there()
    proven, path = proof(MLP, UPDATES), tmp_path / "proof.lean"
    wrong = step_of(parse(MLP.replace("stablehlo.add %arg2, %6", "stablehlo.subtract %arg2, %6")), 0, UPDATES)
    restart()
    exported = export(wrong.function, wrong.trained, layers=wrong.layers)
    transposed = next(text for fault, _, text in prove_faults.faults(proven.text) if fault == "indices exchanged")
    for text in (text_of(replace(proven.proved, exported=exported), "A sign is lost."), transposed):
        path.write_text(text, encoding="utf-8")
        answer = checked(proven, path)
        assert not answer.holds and "ype mismatch" in answer.messages
        assert refused(proven.text, answer.messages)


def test_what_no_update_is_read_from_is_said():
    text = MLP.replace("stablehlo.subtract %arg3, %47", "stablehlo.divide %arg3, %47")
    with pytest.raises(UserError, match=r"updates p - rate \* gradient with a rate that is one number, got result 4"):
        proof(text, UPDATES)


def test_an_operation_without_a_meaning_has_its_line():
    text = MLP.replace("stablehlo.log %8 : tensor<4x1xf32>", "stablehlo.cbrt %8 : tensor<4x1xf32>")
    line = next(i for i, t in enumerate(text.split("\n"), 1) if "cbrt" in t)
    with pytest.raises(UserError, match=f"meaning for, got line {line}: root, in step.mlir; `netc certify` checks"):
        proof(text, UPDATES)


def test_a_type_without_a_meaning_has_the_line_where_it_is():
    log, low = "stablehlo.log %8 : tensor<4x1xf32>", "tensor<4x1xf8E4M3FN>"
    head, line = MLP[: MLP.index(log)].rpartition("\n")[0], MLP[: MLP.index(log)].count("\n") + 1
    there = f"%98 = stablehlo.convert %8 : (tensor<4x1xf32>) -> {low}"
    back = f"%99 = stablehlo.convert %98 : ({low}) -> tensor<4x1xf32>"
    text = "\n".join((head, there, back, MLP[len(head) + 1 :].replace(log, log.replace("%8", "%99"))))
    with pytest.raises(UserError, match=f"got line {line}: stablehlo.convert wants elements of .*, got {low}; there"):
        proof(text, UPDATES)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            (),
            "no result is a multiple of the derivative of result 0 by an argument; say which by `wrt=ARGUMENT=RESULT`",
        ),
        (("--loss", "none"), "prove wants the loss among the results, got --loss none; let the step return it, too"),
        (
            ("--loss", "crossEntropy"),
            "for a text, --loss wants the number of the result that is the loss, got crossEnt",
        ),
        (("--batch", "2"), "--batch wants a NET, and its text is there already"),
    ],
)
def test_a_text_that_is_no_step_is_one_sentence(tmp_path, words, said):
    path = tmp_path / "step.mlir"
    path.write_text(
        "func.func @main(%w: tensor<2xf32>, %x: tensor<2xf32>) -> (tensor<f32>, tensor<2xf32>) {\n"
        "  %z = stablehlo.constant dense<0.0> : tensor<f32>\n  %p = stablehlo.multiply %w, %x : tensor<2xf32>\n"
        "  %s = stablehlo.reduce(%p init: %z) applies stablehlo.add across dimensions = [0] "
        ": (tensor<2xf32>, tensor<f32>) -> tensor<f32>\n"
        "  %q = stablehlo.tanh %p : tensor<2xf32>\n  return %s, %q : tensor<f32>, tensor<2xf32>\n}\n"
    )
    found = CliRunner().invoke(cli, ["prove", str(path), *words])
    assert isinstance(found.exception, NetcError) and said in str(found.exception)
