"""Certificates of steps that pass a batch in parts, and of programs that tie exp and logistic."""

import hashlib
import re
from dataclasses import replace

import numpy as np
import pytest

from netc.codegen.builder import Builder
from netc.codegen.evaluator import run
from netc.codegen.ir import Module
from netc.codegen.modules import layer_module
from netc.codegen.program import build
from netc.codegen.rewrite.lower import lower
from netc.codegen.rewrite.walk import rewrite
from netc.netspec.check import check
from netc.netspec.layers import BatchNorm, Dense, Dropout, MambaBlock, SelectToken, TransformerEncoder
from netc.netspec.recipe import SGD, Adam, Recipe
from netc.netspec.spec import NetSpec
from netc.netspec.types import TensorType
from netc.proofs_oracle.certificate import certify, claims, residues
from netc.proofs_oracle.certificate.degree import VARIABLE
from netc.proofs_oracle.certificate.dual import CertifyError, Dual, Identities
from netc.proofs_oracle.certificate.functions import TranscendentalField
from netc.proofs_oracle.certificate.meanings import meaning_of
from netc.proofs_oracle.certificate.mutate import backward, faults
from netc.proofs_oracle.certificate.parse import parse
from netc.proofs_oracle.certificate.points import float_point
from netc.proofs_oracle.certificate.reader import FOLDING, UNREAD
from netc.proofs_oracle.certificate.run import Claim, Gradient
from netc.proofs_oracle.certificate.statement import Settings, judge
from netc.proofs_oracle.certificate.tied import falling, rising
from netc.runtime.prepare import emit_text
from netc.runtime.target import parse_target

QUICK = Settings(primes=2)
CPU = parse_target("cpu")
NET = NetSpec("net", (4,), (Dense(3, activation="relu", name="a"), BatchNorm(name="bn"), Dropout(0.5), Dense(2)))


def program(recipe=None):
    return build(check(NET), recipe or Recipe(accumulate=2), 6)


def planted(made, function, kind, loc, change):
    """The program with one operation of a function replaced: the last of that kind at that place."""
    old = made.module.function(function)
    last = [op for op in old.ops if (op.kind, op.loc) == (kind, loc)][-1]
    new = rewrite(old, lambda b, op, operands: change(b, op, operands) if op is last else None)
    functions = tuple(new if f is old else f for f in made.module)
    return replace(made, module=Module(made.module.name, functions))


@pytest.mark.parametrize(
    "recipe", [Recipe(accumulate=3), Recipe(Adam(weight_decay=0.1), accumulate=2), Recipe(SGD(0.0), accumulate=2)]
)
@pytest.mark.parametrize("target", ["cpu", "xla"])
def test_a_part_and_the_step_are_certified(recipe, target):
    found = certify.certify_program(program(recipe), parse_target(target), QUICK)
    assert found.holds
    part, whole = found.statements
    assert part.name == f"micro_step of net, one of {recipe.accumulate} parts"
    assert whole.name == f"train_step of net, {recipe.accumulate} parts in turn"
    assert part.meaning[0].endswith("- gradient/a.kernel), and so on")
    assert len(part.gradients) == len(whole.gradients) == len(check(NET).params)
    assert whole.operations > 1.5 * part.operations


FAULTS = {
    # function, kind, place, change; whether it is false of a part, of the step
    "slope": ("micro_step", "select", "a (vjp)", lambda b, op, x: b.mul(b.op("select", *x), 2.0), (False, False)),
    "lost sum": ("micro_step", "add", "accumulate", lambda b, op, x: x[1], (False, False)),
    "twice": ("micro_step", "add", "accumulate", lambda b, op, x: b.add(b.add(*x), x[1]), (False, False)),
    "update": ("train_step", "add", "a.kernel (update)", lambda b, op, x: b.add(b.add(*x), x[1]), (True, False)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_of_a_part_and_of_the_sum_are_told_apart(fault):
    function, kind, loc, change, verdicts = FAULTS[fault]
    made = program(Recipe(SGD(), accumulate=2))
    found = certify.certify_program(planted(made, function, kind, loc, change), CPU, QUICK)
    assert tuple(s.holds for s in found.statements) == verdicts
    assert found.false


def test_layers_see_one_part():
    found = list(certify.certify_layers(program(), CPU, QUICK))
    whole = list(certify.certify_layers(build(check(NET), Recipe(), 3), CPU, QUICK))
    assert all(s.holds for s in found)
    assert [(s.name, s.degree) for s in found] == [(s.name, s.degree) for s in whole]


@pytest.mark.parametrize("target", ["cpu", "cuda:sm_80", "xla"])
def test_steps_in_one_call_are_read_from_the_text_with_their_stacked_outputs(target):
    made, where = build(check(NET), Recipe(), 2, steps_per_call=2), parse_target(target)
    written = parse(emit_text(made, where).text, "train_steps")
    rng = np.random.default_rng(0)
    state = run(made.module, "init", [np.array([0, 1], np.uint32)])
    given = [_drawn(rng, v.type) for v in written.params[len(state) :]]
    want = run(made.module, "train_steps", [*state, *given])
    held = dict(zip(written.params, map(np.asarray, [*state, *given]), strict=True))
    for op in written.ops:
        held[op.result] = meaning_of(op.kind)(FOLDING, op, *(held[v] for v in op.operands))
    got = [held[v] for v in written.results]
    for ours, theirs in zip(got, want, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)  # literals of a text are float32


def _drawn(rng, of):
    return rng.standard_normal(of.shape) if of.dtype == "f32" else rng.integers(0, 2, of.shape).astype(np.int32)


BLOCKS = NetSpec("blocks", (4, 6), (TransformerEncoder(2, 12, blocks=6, name="encoder"), SelectToken(), Dense(2)))


@pytest.mark.parametrize("target", ["cpu", "xla"])
def test_blocks_as_a_loop_are_read_from_the_text(target):
    made = build(check(BLOCKS), Recipe(SGD(), scan_blocks=True, norms=False), 2)
    found = certify.certify_program(made, parse_target(target), Settings(primes=4))
    assert found.holds
    assert [s.name for s in found.statements] == ["train_step of blocks"]
    assert found.sha256 == hashlib.sha256(emit_text(made, parse_target(target)).text.encode()).hexdigest()


JUMPING = """func.func @main(%w: tensor<i32>, %x: tensor<f32>) -> tensor<f32> {
  %first = tensor.extract %w[] : tensor<i32>
  %two = arith.constant 2 : i32
  cf.br ^turn(%first, %x : i32, tensor<f32>)
  ^turn(%i: i32, %y: tensor<f32>):
  %more = arith.cmpi PREDICATE, %i, %two : i32
  cf.cond_br %more, ^body, ^done
  ^body:
  %one = arith.constant 1 : i32
  %next = arith.addi %i, %one : i32
  %twice = stablehlo.add %y, %y : tensor<f32>
  cf.br ^turn(%next, %twice : i32, tensor<f32>)
  ^done:
  return %y : tensor<f32>
}"""


@pytest.mark.parametrize(
    ("predicate", "sentence"),
    [("slt", "cf.cond_br to a block that the text does not fix has no rule"), ("eq", "other than slt has no rule")],
)
def test_a_jump_that_hangs_on_an_argument_is_refused(predicate, sentence):
    with pytest.raises(CertifyError, match=re.escape(sentence)):
        found = parse(JUMPING.replace("PREDICATE", predicate), "main")
        raise CertifyError(next(op.attr("why") for op in found.ops if op.kind == UNREAD))


def test_a_jump_that_literals_fix_is_followed():
    text = JUMPING.replace("PREDICATE", "slt").replace("tensor.extract %w[] : tensor<i32>", "arith.constant 0 : i32")
    adds = [op for op in parse(text, "main").ops if (op.kind, op.result.type.dtype) == ("add", "f32")]
    assert len(adds) == 2


# -- exp and logistic ------------------------------------------------------------------------------------------------


@pytest.fixture
def point():
    rng = np.random.default_rng(0)
    field = residues.Residues(residues.draw_primes(3, rng))
    made = TranscendentalField(field, rng, Identities(tied=True), False)
    x = Dual(rng.standard_normal(8), residues.uniform(field, (8,), rng), None, VARIABLE)
    return made, x


def part(x, start, limit):
    return Dual(x.real[start:limit], x.res[:, start:limit], None, x.deg)


def ones(A, e, u):
    """u (1 + e), which is 1."""
    return A.mul(u, A.add(A.number(1, e), e)).res


def test_a_logistic_alone_has_no_denominator(point):
    A, x = point
    u = rising(A, x)
    assert u.deg == VARIABLE and not A.reciprocals.families
    assert rising(A, part(x, 2, 5)).deg == VARIABLE


def test_exp_first_makes_the_logistic_a_reciprocal(point):
    A, x = point
    e = falling(A, part(x, 0, 4))
    u = rising(A, x)  # half of it is known by its exp
    assert e.deg == VARIABLE
    assert u.deg.total == 1 and [*u.deg.powers.values()] == [1]
    assert [(count, inner.total) for count, inner in A.reciprocals.families.values()] == [(8, 1)]
    assert (ones(A, e, part(u, 0, 4)) == 1).all()
    assert falling(A, part(x, 4, 8)).deg.powers  # counted in u, as its logistic was
    assert falling(A, part(x, 0, 4)).deg == VARIABLE


def test_the_logistic_first_makes_exp_a_reciprocal(point):
    A, x = point
    u, e = rising(A, x), falling(A, x)
    assert u.deg == VARIABLE
    assert e.deg.total == 0 and [*e.deg.powers.values()] == [1]
    assert A.reciprocals.cleared(e.deg) == 8  # one for each
    assert (ones(A, e, u) == 1).all()


def state_space(layers):
    function = lower(layer_module(MambaBlock(2, layers=layers), TensorType((3, 4)), 4), "cpu").function("vjp")
    return function, claims.claim_of_layer(function)


def test_state_spaces_are_certified_with_a_small_bound():
    found = judge("", *state_space(2), QUICK, float_point(2))
    assert found.holds and found.identities.tied
    assert found.degree < 2000  # with every logistic as a reciprocal it is above 14,000


def test_faults_of_a_state_space_are_caught():
    function, claim = state_space(1)
    gradients = {function.results[g.result] for g in claim.gradients}
    forward = [v for v in function.results if v not in gradients]
    places = [op for op in backward(function, forward) if "scan" in op.loc or "swish" in op.loc]
    by_kind = {fault.kind: fault for fault in faults(function, places)}
    assert len(by_kind) >= 5
    for kind, fault in by_kind.items():
        assert not judge("", fault.function, claim, QUICK, float_point(2)).holds, kind


def test_a_softplus_by_its_logistic_and_by_nothing_else():
    """d log(1 + exp(-x)) = -logistic(-x) dx where exp and logistic are tied; another slope is refused."""

    def function(slope):
        b = Builder("vjp")
        x, dy = b.parameter("x", TensorType((3,))), b.parameter("dy", TensorType((3,)))
        y = b.unary("log1p", b.unary("exp", b.unary("neg", x)))
        return b.finish([("y", y), ("dx", b.mul(dy, slope(b, x)))])

    claim = Claim(((0, 1),), (Gradient(0, 1),))
    right = function(lambda b, x: b.unary("neg", b.unary("logistic", b.unary("neg", x))))
    wrong = function(lambda b, x: b.unary("neg", b.unary("logistic", x)))
    assert judge("", right, claim, QUICK, float_point(2)).holds
    assert not judge("", wrong, claim, QUICK, float_point(2)).holds
