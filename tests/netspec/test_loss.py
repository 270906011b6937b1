"""Losses: every kind is known to all rooms, targets are of the type that the loss says, a misfit is a sentence."""

import pytest

from netc.codegen.losses import LOSS_RULES
from netc.codegen.program import build
from netc.netspec.check import check
from netc.netspec.errors import SpecError
from netc.netspec.layers import Dense, Flatten
from netc.netspec.loss import LOSSES, Branching, ByClass, CrossEntropy, MeanSquaredError
from netc.netspec.recipe import Recipe
from netc.netspec.spec import NetSpec
from netc.netspec.types import TensorType
from netc.proofs_oracle.references import losses


def test_every_kind_is_known_to_all_rooms():
    assert set(LOSS_RULES) == set(LOSSES.values())
    assert set(losses.LOSSES) == set(LOSSES)
    assert {case.loss.kind for case in losses.CASES} == set(LOSSES)
    assert {bad.loss.kind for bad in losses.BAD} == set(LOSSES) - {"meanSquaredError"}  # which takes every output
    assert all(kind == cls.kind and cls.__doc__ for kind, cls in LOSSES.items())


@pytest.mark.parametrize("bad", losses.BAD, ids=lambda b: f"{b.loss.kind}-{b.message[-20:]}")
def test_a_bad_loss_is_refused(bad):
    found = [*bad.loss.problems(), *bad.loss.misfits(TensorType(bad.shape))]
    assert any(bad.message in sentence for sentence in found)


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4)])
def test_the_target_of_an_output(kind, shape):
    loss, out = LOSSES[kind](), TensorType(shape)
    wanted = TensorType(shape[:-1], "i32") if isinstance(loss, ByClass) else out
    assert loss.target(out) == wanted
    fits = (
        out.rank == 2 if isinstance(loss, Branching) else not isinstance(loss, ByClass) or out.rank >= loss.least_rank
    )
    assert bool(list(loss.misfits(out))) == (not fits)


@pytest.mark.parametrize("loss", [CrossEntropy(), MeanSquaredError()])
def test_integers_are_no_output(loss):
    assert [*loss.misfits(TensorType((3,), "i32"))] == [
        f"{loss.kind} wants an output of floats, got i32; end the net in a layer that outputs floats"
    ]


def test_only_smoothing_is_left_out_of_evaluation():
    assert CrossEntropy(0.1, (1.0, 2.0)).evaluated == CrossEntropy(0.0, (1.0, 2.0))
    assert all(cls().evaluated == cls() for cls in LOSSES.values())


def test_the_module_takes_the_target_of_its_loss():
    net = check(NetSpec("n", (3, 5), (Dense(4, name="d"),)))
    for loss, shape, dtype in ((CrossEntropy(), [2, 3], "i32"), (MeanSquaredError(), [2, 3, 4], "f32")):
        functions = build(net, Recipe(loss=loss), 2).manifest["functions"]
        for name in ("train_step", "eval_step"):
            (y,) = [a for a in functions[name]["arguments"] if a["name"] == "y"]
            assert (y["shape"], y["dtype"]) == (shape, dtype)


def test_all_that_is_wrong_at_once():
    net = check(NetSpec("n", (3, 5), (Flatten(),)))
    with pytest.raises(SpecError) as caught:
        build(net, Recipe(loss=CrossEntropy(weights=(1.0,))), 0)
    assert len(caught.value.problems) == 3
