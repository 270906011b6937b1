"""The certificate: true gradients pass, planted faults do not, and the arithmetic under it is exact."""

from __future__ import annotations

import importlib.util
import json
import random
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from netc.cli.main import cli
from netc.codegen.builder import Builder
from netc.codegen.modules import layer_module
from netc.codegen.program import build
from netc.codegen.rewrite.lower import lower
from netc.netspec.check import check
from netc.netspec.errors import UserError
from netc.netspec.layer import Composite
from netc.netspec.layers import KINDS, Activation, BatchNorm, Conv2d, Dense, Flatten, MaxPool, SelfAttention
from netc.netspec.optimizers import Adadelta, Adagrad, RMSProp
from netc.netspec.recipe import SGD, Adam, Recipe
from netc.netspec.spec import NetSpec
from netc.netspec.types import TensorType
from netc.proofs_oracle.certificate import certify, claims, factors, residues
from netc.proofs_oracle.certificate.mutate import backward, faults
from netc.proofs_oracle.certificate.points import float_point
from netc.proofs_oracle.certificate.reading import read
from netc.proofs_oracle.certificate.run import Claim, Gradient, Run
from netc.proofs_oracle.certificate.statement import Settings, judge
from netc.proofs_oracle.references import REFERENCES
from netc.runtime.prepare import emit_text
from netc.runtime.target import parse_target

ROOT = Path(__file__).parents[3]
QUICK = Settings(primes=2)
SMALL = NetSpec(
    "small",
    (6, 6, 2),
    (Conv2d(3, 3, activation="relu"), BatchNorm(), MaxPool(2), Flatten(), Dense(4, activation="gelu"), Dense(3)),
)


def program(recipe: Recipe | None = None):
    return build(check(SMALL), recipe or Recipe(), 2)


# -- the arithmetic --------------------------------------------------------------------------------------------------


@pytest.fixture
def field():
    return residues.Residues(residues.draw_primes(3, np.random.default_rng(0)))


def exactly(x):
    return [[int(v) for v in row.reshape(-1)] for row in x]


def test_primes_are_prime_differ_and_have_a_root_of_two(field):
    assert len(set(field.primes)) == 3
    for p in field.primes:
        assert 1 << 25 <= p < 1 << 26
        assert all(p % d for d in range(2, 10_000) if d * d <= p)
        assert pow(2, (p - 1) // 2, p) == 1


@pytest.mark.parametrize("k", [1, 7, 300, 40_000])
def test_products_of_matrices_are_exact(field, k):
    rng = np.random.default_rng(k)
    x, y = residues.uniform(field, (3, k), rng), residues.uniform(field, (k, 2), rng)
    x[:, 0], y[:, :, 0] = (field.p // 2)[:, None], -(field.p // 2)[:, None]  # the largest there are
    found = field.matmul(x, y)
    for r, p in enumerate(field.primes):
        a, b = ([[int(v) for v in row] for row in m[r]] for m in (x, y))
        wanted = [[sum(u * b[i][j] for i, u in enumerate(row)) % p for j in range(2)] for row in a]
        assert (found[r].astype(int) % p).tolist() == wanted
        assert np.abs(found[r]).max() <= p // 2


def test_elementwise_operations_are_exact_and_have_one_spelling(field):
    rng = np.random.default_rng(1)
    x, y = (residues.uniform(field, (50,), rng) for _ in range(2))
    x[:, 0] = y[:, 0] = field.p // 2
    for name, function in (("add", int.__add__), ("sub", int.__sub__), ("mul", int.__mul__)):
        found = getattr(field, name)(x, y)
        for a, b, c, p in zip(exactly(x), exactly(y), exactly(found), field.primes, strict=True):
            assert all(function(u, v) % p == w % p and abs(w) <= p // 2 for u, v, w in zip(a, b, c, strict=True))
    one = field.mul(y, field.inverse(y))
    assert (one == 1).all()
    with pytest.raises(residues.ZeroDivisorError):
        field.inverse(np.zeros((3, 2)))


@pytest.mark.parametrize(
    ("value", "dtype", "shown"),
    [
        (0.5, "f32", "0.5"), (1 / 3, "f32", "1/3"), (1 / 50176, "f32", "1/50176"), (0.9, "f32", "9/10"),
        (1 - 0.9, "f64", "1/10"), (0.134145, "f32", "26829/200000"), (2**-0.5, "f32", "sqrt(1/2)"),
        (32**-0.5, "f64", "1/4 sqrt(1/2)"), (0.3989422804014327, "f32", "1/2 sqrt(2/pi)"),
        (126 / 125, "f32", "126/125"),
    ],
)  # fmt: skip
def test_literals_are_read_as_what_they_round(value, dtype, shown):
    assert read(value, dtype).text == shown
    held = float(np.float32(value)) if dtype == "f32" else value
    assert read(value, dtype, exact=True).fraction == Fraction(held)
    beside = float(np.nextafter(np.float32(value), np.float32(9))) if dtype == "f32" else value * (1 + 1e-12)
    assert read(beside, dtype).text != shown  # the next float is another number


def test_fractions_are_found_again(field):
    for wanted in (Fraction(10), Fraction(-3, 7)):
        assert factors.rational(field.fraction(wanted), field.primes) == wanted
    assert factors.rational([11, 5, 77777], field.primes) is None
    assert factors.rational(field.fraction(10 + Fraction(1, 10**12)), field.primes) is None


# -- true gradients --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(Adam()), Recipe(Adam(weight_decay=0.01)), Recipe(Adam(weight_decay=0.01, decoupled=False)),
        Recipe(SGD(momentum=0.9, weight_decay=1e-4)), Recipe(SGD(momentum=0.9, nesterov=True)),
        Recipe(SGD(momentum=0.0, weight_decay=0.01), decay_all=True),
        Recipe(RMSProp(weight_decay=0.01)), Recipe(RMSProp(momentum=0.9, centered=True)),
        Recipe(RMSProp(momentum=0.9, inside=True, initial=1.0)), Recipe(Adagrad(initial=0.1, weight_decay=0.01)),
        Recipe(Adadelta(weight_decay=0.01)),
    ],
)  # fmt: skip
def test_gradients_are_read_from_every_optimizer(recipe):
    found = certify.certify_program(program(recipe), parse_target("cpu"), QUICK)
    assert found.holds
    assert len(found.statements[0].gradients) == len(check(SMALL).params)


@pytest.mark.parametrize("target", ["xla", "vulkan"])
def test_the_text_of_every_target_is_certified(target):
    assert certify.certify_program(program(), parse_target(target), QUICK).holds


def test_layers_of_a_net_and_its_loss():
    found = list(certify.certify_layers(program(), parse_target("cpu"), QUICK))
    assert all(s.holds for s in found)
    assert [s.name.split()[0] for s in found] == [
        "conv2d", "batchNorm", "maxPool", "flatten", "dense", "dense", "loss",
    ]  # fmt: skip


def test_exact_literals_expose_a_rounded_mean():
    """Batch norm uses sum(x - mean) = 0, which needs n (1/n) = 1."""
    for batch, holds in ((2, True), (3, False)):  # 2 * 4 * 4 is a power of two
        function = layer_module(BatchNorm(), TensorType((4, 4, 2)), batch).function("vjp")
        settings = replace(QUICK, exact=True)
        assert judge("", function, claims.claim_of_layer(function), settings, float_point(2)).holds is holds


def test_a_fade_between_tiles_needs_exp_to_turn_sums_into_products():
    x = TensorType((4, 12))
    for layer, additive in ((SelfAttention(2, causal=True), False), (SelfAttention(2, causal=True, tile=2), True)):
        function = layer_module(layer, x, 2).function("vjp")
        claim = claims.claim_of_layer(function)
        found = judge("", function, claim, QUICK, float_point(2))
        assert found.holds
        assert found.identities.additive is additive
        tiny = [f for f in faults(function, backward(function, function.results[:1])) if f.kind == "one part in 1e12"]
        for fault in random.Random(0).sample(tiny, 3):
            assert not judge("", fault.function, claim, QUICK, float_point(2)).holds


def test_functions_of_one_number_obey_their_identities():
    for function in ("swish", "tanh", "gelu", "gelu-tanh", "sigmoid"):
        f = layer_module(Activation(function), TensorType((3,)), 2).function("vjp")
        assert judge("", f, claims.claim_of_layer(f), QUICK, float_point(2)).holds


def unary_claim(kind, slope):
    """y = f(x), and dx = dy slope(x, y)."""
    b = Builder("vjp")
    x, dy = b.parameter("x", TensorType((3,))), b.parameter("dy", TensorType((3,)))
    y = b.unary(kind, x)
    return b.finish([("y", y), ("dx", b.mul(dy, slope(b, x, y)))])


SLOPES = {
    "log": lambda b, x, y: b.div(1.0, x),
    "log1p": lambda b, x, y: b.div(1.0, b.add(x, 1.0)),
    "sqrt": lambda b, x, y: b.div(0.5, y),
    "rsqrt": lambda b, x, y: b.mul(b.div(y, x), -0.5),
    "sin": lambda b, x, y: b.unary("cos", b.unary("neg", x)),
    "cos": lambda b, x, y: b.unary("sin", b.unary("neg", x)),
    "logistic": lambda b, x, y: b.mul(y, b.unary("logistic", b.unary("neg", x))),
    "exp": lambda b, x, y: b.div(b.unary("logistic", x), b.unary("logistic", b.unary("neg", x))),
}


@pytest.mark.parametrize("kind", SLOPES)
def test_each_function_by_its_own_slope_and_no_other(kind):
    def positive(name, t, rng):
        return rng.uniform(0.5, 2.0, t.shape)

    right = unary_claim(kind, SLOPES[kind])
    wrong = unary_claim(kind, lambda b, x, y: b.mul(SLOPES[kind](b, x, y), 1.5))
    for function, holds in ((right, True), (wrong, False)):
        assert judge("", function, claims.claim_of_layer(function), QUICK, positive).holds is holds


# -- false gradients -------------------------------------------------------------------------------------------------


def test_one_part_in_a_million_million_is_caught_and_named():
    function = lower(layer_module(Dense(4), TensorType((4,)), 2), "cpu").function("vjp")
    claim = claims.claim_of_layer(function)
    forward = [function.results[0]]
    kernel = function.results[list(function.result_names).index("dkernel")]
    own = [op for op in backward(function, forward) if op.result is kernel]
    tiny = [f for f in faults(function, own) if f.kind == "one part in 1e12"]
    assert judge("", function, claim, QUICK, float_point(2)).wrong == ()
    assert judge("", tiny[0].function, claim, QUICK, float_point(2)).wrong == ("kernel",)


@pytest.mark.parametrize("layer", [Conv2d(3, 3, stride=2, activation="relu"), BatchNorm(), SelfAttention(2)])
def test_every_kind_of_fault_is_caught(layer):
    x = TensorType((4, 12)) if isinstance(layer, SelfAttention) else TensorType((5, 5, 3))
    function = lower(layer_module(layer, x, 3), "cpu").function("vjp")
    claim = claims.claim_of_layer(function)
    gradients = {function.results[g.result] for g in claim.gradients}
    forward = [v for v in function.results if v not in gradients]
    by_kind: dict[str, list] = {}
    for fault in faults(function, backward(function, forward)):
        by_kind.setdefault(fault.kind, []).append(fault)
    assert len(by_kind) >= 5
    for own in by_kind.values():
        verdicts = [judge("", f.function, claim, QUICK, float_point(2)).holds for f in random.Random(0).sample(own, 1)]
        assert not any(verdicts), own[0].kind


def mutation_check(monkeypatch):
    spec = importlib.util.spec_from_file_location("mutation_check", ROOT / "scripts" / "mutation_check.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_some_of_the_fifty_faults(monkeypatch, capsys):
    script = mutation_check(monkeypatch)
    monkeypatch.setattr(script, "SUBJECTS", script.SUBJECTS[:1])
    monkeypatch.setattr("sys.argv", ["mutation_check", "--faults", "8"])
    script.main()
    assert "the certificate 8" in capsys.readouterr().out


# -- the command -----------------------------------------------------------------------------------------------------


def invoke(*arguments):
    return CliRunner().invoke(cli, ["certify", *map(str, arguments)])


@pytest.fixture
def emitted(tmp_path):
    made = program()
    text = emit_text(made, parse_target("cpu")).text
    (tmp_path / "small.mlir").write_text(text)
    (tmp_path / "small.json").write_text(json.dumps(made.manifest))
    return tmp_path


def test_a_file_with_its_manifest(emitted):
    out = emitted / "certificate.json"
    done = invoke(emitted / "small.mlir", "--manifest", emitted / "small.json", "--ids", 3, "-o", out)
    assert done.exit_code == 0, done.output
    found = json.loads(out.read_text())
    assert found["holds"] and found["failure_log2"] < -20
    assert "10 result" in found["statements"][0]["read_as"][0]


def test_a_file_without_its_manifest(tmp_path, monkeypatch):
    """On a net of six parameters: each is tried against each, side by side in float64."""
    runs, evaluate = [], Run.evaluate
    monkeypatch.setattr(Run, "evaluate", lambda *given: runs.append(evaluate(*given)) or runs[-1])
    net = NetSpec("smaller", (2, 2, 1), (Conv2d(2, 1, activation="relu"), BatchNorm(), Flatten(), Dense(3)))
    (tmp_path / "smaller.mlir").write_text(emit_text(build(check(net), Recipe(), 2), parse_target("cpu")).text)
    done = invoke(tmp_path / "smaller.mlir", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)["statements"][0]
    assert len(found["gradients"]) == 6 and "10 result 8" in found["read_as"][0], found["read_as"]
    assert len(runs) < 20  # by exact numbers alone: 308


def test_a_file_that_was_tampered_with(emitted):
    text = (emitted / "small.mlir").read_text()
    changed = text.replace("stablehlo.compare GT", "stablehlo.compare LT", 1)
    assert changed != text
    (emitted / "small.mlir").write_text(changed)
    done = invoke(emitted / "small.mlir", "--manifest", emitted / "small.json", "--ids", 3, "--json")
    assert done.exit_code == 1
    assert not json.loads(done.output)["holds"]


def test_a_net_of_the_zoo():
    done = invoke("mnist-linear", "--primes", 2)
    assert done.exit_code == 0
    assert "the derivative of the forward" in done.output
    done = invoke("mnist-linear", "--layers", "--primes", 2, "--json")
    assert [s["holds"] for s in json.loads(done.output)["statements"]] == [True] * 3


def test_mistakes_are_sentences(emitted):
    mlir, empty = emitted / "small.mlir", emitted / "empty.json"
    empty.write_text("{}")
    shapes = ("[1, 2]", "3", '{"functions": []}', '{"functions": {"train_step": {"arguments": ["x"], "results": []}}}')
    others = [emitted / f"other{i}.json" for i in range(len(shapes))]
    for path, text in zip(others, shapes, strict=True):
        path.write_text(text)
    cases = [
        ((mlir, "--loss", 0), "`loss` wants the number of a scalar result"),
        ((mlir, "--wrt", "x"), "`wrt` wants"),
        ((mlir, "--wrt", "0=1"), "a gradient has its argument's type"),
        ((mlir, "--function", "nothing"), "`function` wants one of"),
        ((mlir, "--scale", "0"), "other than 0"),
        ((mlir, "--manifest", mlir), "wants JSON"),
        *(((mlir, "--manifest", path), "one that netc wrote, got JSON of another shape") for path in others),
        ((mlir, "--manifest", empty), "with the function train_step, got no 'functions'"),
        ((mlir, "--layers", "--batch", 4), "--batch, --layers wants a NET"),
        (("mnist-linear", "--wrt", "0=1", "--ids", 3), "--wrt, --ids wants a FILE.mlir, got mnist-linear"),
        ((emitted / "small.json",), "FILE wants a StableHLO text or bytecode named .mlir or .mlirbc"),
    ]
    for arguments, sentence in cases:
        done = invoke(*arguments)
        assert isinstance(done.exception, UserError), arguments
        assert sentence in str(done.exception)


def test_a_gradient_of_the_wrong_argument():
    b = Builder("f")
    x, y = (b.parameter(n, TensorType((2,))) for n in "xy")
    loss = b.sum(b.mul(x, y), (0,))
    function = b.finish([("loss", loss), ("dx", y), ("dy", x)])
    for swapped, holds in ((False, True), (True, False)):
        pairs = ((0, 2), (1, 1)) if swapped else ((0, 1), (1, 2))
        claim = Claim(((0, None),), tuple(Gradient(of, result) for of, result in pairs))
        assert judge("", function, claim, QUICK, float_point(2)).holds is holds


# -- every rule ------------------------------------------------------------------------------------------------------


# their outputs are the same whatever goes in: no statement
CONSTANT = {"topKGates/one-expert", "previousToken/one-token"}


@pytest.mark.parametrize("kind", REFERENCES)
def test_every_rule_on_the_oracles_cases(kind):
    """At the oracle's shapes and options, exactly; a composite, whose parts are judged so, in its first two cases."""
    for case in REFERENCES[kind].cases[: 2 if issubclass(KINDS[kind], Composite) else None]:
        function = layer_module(case.layer, case.x, case.batch, training=case.training).function("vjp")
        claim = claims.claim_of_layer(function)
        if claim.gradients and f"{kind}/{case.name}" not in CONSTANT:
            assert judge(case.name, function, claim, QUICK, float_point(max(2, case.ids))).holds, case.name


def test_a_weak_bound_is_no_certificate():
    found = certify.certify_program(program(), parse_target("cpu"), Settings(primes=1))
    assert found.failure > certify.ENOUGH
    assert not found.holds
    assert not found.false
    done = invoke("mnist-linear", "--primes", 1)
    assert done.exit_code == 1
    assert "undecided" in done.output
