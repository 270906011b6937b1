"""The step of several replicas: certified as one, against one device's loss, and the faults that only replicas have."""

import itertools
from dataclasses import replace
from fractions import Fraction

import pytest

from netc.codegen.program import build
from netc.codegen.rewrite.walk import rewrite
from netc.netspec.check import check
from netc.netspec.clipping import Clipping
from netc.netspec.errors import UserError
from netc.netspec.layers import BatchNorm, Dense, Dropout
from netc.netspec.recipe import SGD, Recipe
from netc.netspec.spec import NetSpec
from netc.proofs_oracle.certificate.certify import certify_foreign, certify_program
from netc.proofs_oracle.certificate.dual import UnreadError
from netc.proofs_oracle.certificate.statement import Settings
from netc.runtime.prepare import emit_text
from netc.runtime.target import PLAIN, parse_target

MANY, BATCH, QUICK, XLA = 3, 6, Settings(4), parse_target("xla")
PLAIN_NET = check(NetSpec("plain", (4,), (Dense(5, name="a", activation="tanh"), Dense(3, name="b"))))
NORM = check(NetSpec("norm", (4,), (Dense(5, name="a"), BatchNorm(name="n"), Dense(3, name="b"))))
DROP = check(NetSpec("drop", (4,), (Dense(5, name="a"), Dropout(0.4), Dense(3, name="b"))))
WHOLE, EACH = "of the whole batch", "of each part"
KEYED, OWN = "its key at 3 + 4 r for replica r", "the replicas return"
CASES = {
    "adam": (PLAIN_NET, Recipe(), WHOLE),
    "clipped": (PLAIN_NET, Recipe(SGD(), clipping=Clipping(clip_norm=0.1)), WHOLE),
    "labels": (PLAIN_NET, Recipe(check_labels=True), WHOLE),
    "parts": (PLAIN_NET, Recipe(SGD(), accumulate=2), WHOLE),
    "joint norm": (NORM, Recipe(SGD(), sync_bn=True), WHOLE),
    "own norm": (NORM, Recipe(SGD()), EACH),
    "drawn": (DROP, Recipe(SGD()), KEYED),
    "drawn in parts": (DROP, Recipe(SGD(), accumulate=2), KEYED),
    "drawn, labels": (DROP, Recipe(SGD(), check_labels=True), OWN),
}


@pytest.mark.parametrize("case", CASES)
def test_the_gradients_are_those_of_the_whole_batch(case):
    net, recipe, judge = CASES[case]
    found = certify_program(build(net, recipe, BATCH, replicas=MANY), XLA, QUICK)
    (statement,) = found.statements
    assert found.holds and statement.name == f"train_step of {net.spec.name}, 3 replicas"
    assert any(judge in s for s in statement.meaning)
    assert "3 replicas written out, each with data of its own, and the sums over them as sums" in statement.meaning


def planted(net, recipe, fault, kind="all_reduce"):
    """The program with `fault(n, b, op, operands)` in the place of the n-th such operation of its step."""
    program, count = build(net, recipe, BATCH, replicas=MANY), itertools.count()

    def change(f):
        if f.name != "train_step":
            return f
        return rewrite(f, lambda b, op, args: fault(next(count), b, op, args), (kind,))

    return replace(program, module=replace(program.module, functions=tuple(map(change, program.module))))


SUMS = [p.name for p in NORM.params]  # gradients, then loss and hits, then statistics
FAULTS = {
    "mean for sum": (
        PLAIN_NET, "all_reduce", lambda n, b, op, args: b.mul(b.op("all_reduce", *args, **dict(op.attrs)), 1 / MANY),
        "a gradient is not the derivative",
    ),
    "one left out": (
        PLAIN_NET, "all_reduce", lambda n, b, op, args: args[0] if n == 2 else None, "a gradient is not the derivative",
    ),
    "a statistic left out": (
        NORM, "all_reduce", lambda n, b, op, args: args[0] if n == len(SUMS) + 2 else None,
        "the replicas end with different n.mean",
    ),
    "keys not folded": (
        DROP, "replica_id", lambda n, b, op, args: b.scalar(0, "ui32"), "a gradient is not the derivative",
    ),
    "mean for sum of all": (
        DROP, "all_reduce", lambda n, b, op, args: b.mul(b.op("all_reduce", *args, **dict(op.attrs)), 1 / MANY),
        "a gradient is not the derivative",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_of_replicas_are_told(fault):
    net, kind, change, sentence = FAULTS[fault]
    found = certify_program(planted(net, Recipe(SGD()), change, kind), XLA, QUICK)
    assert found.false and found.sentence.startswith(sentence)


def test_a_text_and_its_manifest_say_enough():
    program = build(PLAIN_NET, Recipe(), BATCH, replicas=MANY)
    given = {"manifest": program.manifest, "loss": None, "wrt": (), "scale": Fraction(1), "limit": 3}
    text = emit_text(program, PLAIN).text
    assert certify_foreign(text, None, QUICK, **given).holds
    with pytest.raises(UserError, match="certify wants a program of one number of replicas with arguments x, y"):
        nameless = text.replace('loc("x")', 'loc("u")').replace('loc("y")', 'loc("v")')
        certify_foreign(nameless, None, QUICK, **{**given, "manifest": None, "wrt": ("0=8",)})
    in_groups = text.replace("replica_groups = dense<[[0, 1, 2]]>", "replica_groups = dense<[[0, 2, 1]]>")
    with pytest.raises(UnreadError, match=r"wants a sum of one tensor over all replicas, got add over \[\[0, 2, 1\]\]"):
        certify_foreign(in_groups, None, QUICK, **given)


def test_keys_that_are_not_folded_are_told_where_the_loss_is_the_replicas_own():
    change = FAULTS["keys not folded"][2]
    found = certify_program(planted(DROP, Recipe(SGD(), check_labels=True), change, "replica_id"), XLA, QUICK)
    assert found.false and found.sentence.startswith("all replicas draw the same in")


@pytest.mark.parametrize("case", CASES)
def test_the_text_for_another_number_of_replicas_has_other_numbers_and_is_the_same(case):
    """What holds of three holds of any number: only shares of the batch, counts of labels and of replicas differ."""
    net, recipe, _ = CASES[case]
    few, many = (build(net, recipe, n * 2, replicas=n).module.needed("train_step") for n in (3, 7))
    for f, g in zip(few, many, strict=True):
        for a, b in zip(f.ops, g.ops, strict=True):
            assert (a.kind, a.loc, [v.type for v in a.results]) == (b.kind, b.loc, [v.type for v in b.results])
            x, y = dict(a.attrs), dict(b.attrs)
            if a.kind == "constant" and x["value"] != y["value"]:
                by_count = {x["value"] * 3 / (y["value"] * 7), x["value"] / 3 * 7 / y["value"]}
                assert any(q == pytest.approx(1, 1e-12) for q in by_count) or _unbiased(x["value"], y["value"])
            elif a.kind == "all_reduce":
                assert (x.pop("replicas"), y.pop("replicas")) == (3, 7) and x == y
            else:
                assert x == y


def _unbiased(x, y):
    """n / (n - 1) of the variance, over 6 and over 14 examples."""
    return (x, y) == pytest.approx((6 / 5, 14 / 13))
