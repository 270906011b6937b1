"""The gradient in the first update of an optimizer: behind a root, and by what a manifest says of the update."""

import json
import random
from fractions import Fraction

import pytest

from netc.codegen.rewrite.lower import lower
from netc.netspec.clipping import Clipping
from netc.netspec.errors import UserError
from netc.netspec.groups import Groups
from netc.netspec.optimizers import Adadelta, Adafactor, Adagrad, RMSProp
from netc.netspec.recipe import SGD, Adam, Recipe
from netc.proofs_oracle.certificate import certify, claims
from netc.proofs_oracle.certificate.mutate import faults
from netc.proofs_oracle.certificate.points import float_point
from netc.proofs_oracle.certificate.statement import Settings, judge
from netc.proofs_oracle.certificate.updates import update_of
from netc.runtime.prepare import emit_text
from netc.runtime.target import parse_target
from tests.proofs_oracle.certificate.test_certify import QUICK, program


@pytest.mark.parametrize(
    "optimizer",
    [
        RMSProp(momentum=0.9, centered=True), Adagrad(), Adadelta(), Adafactor(weight_decay=0.05),
        Adafactor(smallest=2), Adafactor(smallest=2, threshold=0.01, weight_decay=0.05),
        Adafactor(smallest=2, threshold=0.01, absolute=True),
    ],
    ids=["rmsprop", "adagrad", "adadelta", "adafactor", "factored", "shortened", "absolute"],
)  # fmt: skip
def test_a_fault_is_found_behind_a_root(optimizer):
    """The step of a wrong gradient over the root of its square is wrong still."""
    made = program(Recipe(optimizer))
    function = lower(made.module, "xla").function("train_step")
    claim, update = claims.claim_of_program(made, False), update_of(made)
    assert judge("", update.undone(function), claim, QUICK, float_point(3)).holds
    pullbacks = [f for f in faults(function, function.ops) if "(vjp)" in f.place and f.kind != "one part in 1e12"]
    for fault in random.Random(0).sample(pullbacks, 3):
        assert judge("", update.undone(fault.function), claim, QUICK, float_point(3)).verdict == "false", fault.place


# -- beside a manifest -----------------------------------------------------------------------------------------------

UPDATES = [
    Recipe(Adam(weight_decay=0.01, decoupled=False)), Recipe(SGD(momentum=0.0, weight_decay=0.01), decay_all=True),
    Recipe(RMSProp(weight_decay=0.01)), Recipe(Adafactor(smallest=2, weight_decay=0.01)),
    Recipe(Adam(), clipping=Clipping(clip_norm=0.05)),
    Recipe(SGD(momentum=0.0), groups=Groups(head_lr=3.0)), Recipe(Adagrad(), groups=Groups(layer_decay=0.7)),
    Recipe(SGD(momentum=0.0), groups=Groups(freeze=("conv2d0",))),
]  # fmt: skip


def beside(text, manifest, settings=QUICK):
    given = {"loss": None, "wrt": (), "scale": Fraction(1), "limit": 3}
    return certify.certify_foreign(text, "train_step", settings, manifest=manifest, **given)


@pytest.mark.parametrize(
    "recipe", UPDATES, ids=["adam", "sgd", "rmsprop", "adafactor", "clipped", "head", "layers", "frozen"]
)
def test_a_manifest_says_what_becomes_of_a_gradient(recipe):
    """The coupled decay of a first moment was taken for a fault."""
    made = program(recipe)
    settings = Settings() if isinstance(recipe.optimizer, Adafactor) else QUICK  # of a higher degree
    assert beside(emit_text(made, parse_target("xla")).text, json.loads(json.dumps(made.manifest)), settings).holds
    assert certify.certify_program(made, parse_target("xla"), settings).holds


def test_a_manifest_that_does_not_say_it_leaves_a_decay_undecided():
    made = program(UPDATES[0])
    found = beside(emit_text(made, parse_target("xla")).text, {**made.manifest, "optimizer": None})
    assert found.verdict == "undecided"
    assert "whose weight decay may be in them: write it again" in found.statements[0].why


def test_another_decay_than_the_manifest_says_is_no_gradient():
    made = program(UPDATES[2])
    other = {**made.manifest, "optimizer": {**made.manifest["optimizer"], "weight_decay": 0.02}}
    assert beside(emit_text(made, parse_target("xla")).text, other).false


@pytest.mark.parametrize(
    ("optimizer", "sentence"),
    [
        ({"kind": "adamx"}, "wants an optimizer of adadelta, adafactor, adagrad, adam, .*, got 'adamx'"),
        ({"kind": "adam", "beta3": 0.9}, "wants the options of adam, got beta3"),
        ({"kind": "sgd", "clip_value": 0.1}, "`clip_value` bounds each in its own way"),
    ],
)
def test_what_a_manifest_says_of_another_optimizer_is_a_sentence(optimizer, sentence):
    made = program()
    with pytest.raises(UserError, match=sentence):
        beside(emit_text(made, parse_target("xla")).text, {**made.manifest, "optimizer": optimizer})
