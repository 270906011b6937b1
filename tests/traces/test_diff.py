"""Two traces are compared: what agrees, what differs and where, and what may not be compared at all."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from netc.traces.alike import differing_field, mode_of, same_program
from netc.traces.diff import diff, first_difference, ulps
from netc.traces.errors import TraceError
from netc.traces.floor import MEASURED, Floor
from netc.traces.read import Trace
from netc.traces.schema import ChangeRecord, EvalRecord, Header, StepRecord

STEPS, WINDOW = 40, 10
RECIPE = {
    "recipe": {"optimizer": {"kind": "adam", "beta1": 0.9}, "norms": True},
    "schedule": {"lr": 0.1, "epochs": 2},
    "augment": {"crop": 0},
}
HEADER = Header(
    net="mlp", spec_sha256="a" * 64, module_sha256="b" * 64, data="digits", data_sha256="c" * 64, recipe=RECIPE,
    seed=7, batch=32, target="cpu", versions={"netc": "1", "numpy": "2", "iree-base-compiler": "3"},
)  # fmt: skip
XLA = replace(HEADER, target="xla", module_sha256="d" * 64, versions={"netc": "1", "numpy": "2", "jaxlib": "0.5"})
FLOOR = Floor(
    net="mlp", spec_sha256="a" * 64, data_sha256="c" * 64, recipe=RECIPE, seed=7, batch=32, steps=STEPS,
    twins=("cpu forms",), differences={f: tuple(1e-7 * 1.1**s for s in range(STEPS)) for f in MEASURED},
    window=WINDOW, means=(1e-7,) * (STEPS // WINDOW), gradient=1e-6, gradient_of="w", doubling=None,
)  # fmt: skip


def trace(header=HEADER, factor=lambda step: 1.0, accuracy=0.9, steps=STEPS, norms=True):
    """A run whose loss is the plain one times `factor(step)`."""
    records = [
        StepRecord(
            s, s // 20, 2.0 * 0.95**s * factor(s), 0.1, 1.5 + 0.01 * s if norms else math.nan,
            3.0 + 0.1 * s if norms else math.nan,
        )
        for s in range(steps)
    ]  # fmt: skip
    evals = tuple(EvalRecord(s, s // 20, 0.5, accuracy, 1000) for s in range(19, steps, 20))
    return Trace(header, tuple(records), evals)


def apart(report, name="loss"):
    return next(f for f in report.fields if f.field == name)


def test_the_same_run_is_the_same_bit_for_bit():
    report = diff(trace(), trace(), "ulp")
    assert report.agree
    assert report.verdict == "agree (ulp) over 40 steps: every number is the same, bit for bit"
    assert apart(report).first is None


def test_one_ulp_is_seen_and_located():
    report = diff(trace(), trace(factor=lambda s: 1 + 2.0**-23 * (s == 7)), "ulp")
    assert not report.agree
    assert "the first divergence is at step 7: loss is " in report.verdict
    assert (apart(report).first, apart(report).worst_step) == (7, 7)


def test_ulps_may_be_allowed():
    b = trace(factor=lambda s: 1 + 2.0**-23)
    assert diff(trace(), b, "ulp", ulp=2).agree
    assert not diff(trace(), b, "ulp", ulp=0).agree


def test_an_evaluation_counts_too():
    report = diff(trace(), trace(accuracy=0.901), "ulp")
    assert "at step 19: accuracy" in report.verdict


def test_within_the_floor_another_compiler_agrees():
    report = diff(trace(), trace(XLA, lambda s: 1 + 3e-7), "cross-compiler", FLOOR)
    assert report.agree
    assert "times the noise floor (8 are allowed" in report.verdict


def test_the_same_compiler_is_held_tighter():
    b = trace(factor=lambda s: 1 + 6e-7)
    assert diff(trace(), b, "cross-compiler", FLOOR).agree
    report = diff(trace(), b, "same-compiler", FLOOR)
    assert not report.agree
    assert "2 are allowed" in report.verdict


def test_a_step_outside_of_the_envelope_is_named():
    report = diff(trace(), trace(XLA, lambda s: 1 + 1e-3 * (s >= 12)), "cross-compiler", FLOOR)
    assert not report.agree
    assert "loss is 0.001 apart at step 12" in report.verdict


def test_a_bias_below_every_steps_bound_shows_in_the_means():
    loud = replace(FLOOR, differences=dict.fromkeys(MEASURED, (0.001,) * STEPS))
    report = diff(trace(), trace(XLA, lambda s: 1 + 1e-4), "cross-compiler", loud)
    assert not report.agree
    assert "the mean loss of steps" in report.verdict


def test_another_accuracy_is_judged_by_the_count_of_images():
    assert diff(trace(), trace(XLA, accuracy=0.89), "cross-compiler", FLOOR).agree  # 1 % of 1000 images
    report = diff(trace(), trace(XLA, accuracy=0.8), "cross-compiler", FLOOR)
    assert "the final accuracies 90.00% and 80.00% are 10.00% apart" in report.verdict


def test_a_run_without_an_accuracy_is_not_judged_by_it():
    report = diff(trace(accuracy=0.0), trace(XLA, accuracy=0.0), "cross-compiler", FLOOR)
    assert report.agree and "accurac" not in report.verdict
    short = replace(FLOOR, steps=10, means=())
    assert (
        "of the 30 after them nothing is judged;"
        in diff(trace(accuracy=0.0), trace(XLA, accuracy=0.0), "cross-compiler", short).notes[0]
    )


def test_a_perfect_score_has_a_spread_too():
    assert diff(trace(accuracy=1.0), trace(XLA, accuracy=0.999), "cross-compiler", FLOOR).agree


def test_norms_that_were_not_recorded_are_left_out_and_named():
    report = diff(trace(), trace(replace(XLA, target="vulkan"), norms=False), "cross-compiler", FLOOR)
    assert report.agree
    assert "grad_norm is left out: B did not record it, as on GPU targets" in report.notes
    assert apart(report, "param_norm").steps == 0


def test_a_loss_that_is_no_number_is_no_agreement():
    report = diff(trace(), trace(XLA, lambda s: math.nan if s == 30 else 1.0), "cross-compiler", FLOOR)
    assert not report.agree
    assert "loss is inf apart at step 30" in report.verdict
    assert json.dumps(report.to_json(), allow_nan=False)


def test_a_shorter_run_is_no_agreement_unless_asked_for():
    report = diff(trace(), trace(steps=25), "ulp")
    assert "A has 40 steps and B 25; compare 25 of them" in report.verdict
    assert diff(trace(), trace(steps=25), "ulp", steps=25).agree


def test_steps_beyond_the_floor_are_not_judged_and_that_is_said():
    short = replace(FLOOR, steps=10, differences=dict.fromkeys(MEASURED, (1e-07,) * 10), means=(1e-7,))
    report = diff(trace(), trace(XLA, lambda s: 1 + 0.1 * (s > 20)), "cross-compiler", short)
    assert report.agree
    assert "of the 30 after them only the accuracy is judged" in report.notes[0]
    whole = replace(short, means=(1e-7,) * 4)
    judged = diff(trace(), trace(XLA, lambda s: 1 + 0.1 * (s > 20)), "cross-compiler", whole)
    assert not judged.agree
    assert "only mean losses, up to step 39, and the accuracy are" in judged.notes[0]


def changed(path, value):
    recipe = json.loads(json.dumps(RECIPE))
    inner = recipe
    for key in path[:-1]:
        inner = inner.setdefault(key, {})
    inner[path[-1]] = value
    return {"recipe": recipe}


@pytest.mark.parametrize(
    "change, said",
    [
        ({"spec_sha256": "e" * 64}, r"spec_sha256 \(the spec\): aaaaaaaaaaaa.. and eeeeeeeeeeee.."),
        ({"data_sha256": "e" * 64}, r"data_sha256 \(the data\)"),
        ({"seed": 8}, r"seed \(the initial state and the order of the data\): 7 and 8"),
        ({"batch": 16}, r"batch \(the order of the data\): 32 and 16"),
        (changed(["schedule", "lr"], 0.2), r"recipe.schedule.lr \(the learning rates\): 0.1 and 0.2"),
        (changed(["augment", "crop"], 1), r"recipe.augment.crop \(the images\)"),
        (changed(["init"], "f" * 64), r"recipe.init \(the initial state\): None and ffff"),
        (changed(["recipe", "optimizer", "beta1"], 0.8), r"recipe.recipe.optimizer.beta1 \(the training step\)"),
    ],
)
def test_another_training_is_refused_and_the_field_named(change, said):
    other = trace(replace(HEADER, **change))
    with pytest.raises(TraceError, match=said):
        diff(trace(), other, "ulp")


def test_recording_norms_or_not_is_the_same_training():
    assert differing_field(HEADER, replace(HEADER, **changed(["recipe", "norms"], False))) == ""


def test_a_mode_wants_its_floor():
    with pytest.raises(TraceError, match="cross-compiler wants a measured noise floor, got none"):
        diff(trace(), trace(), "cross-compiler")
    with pytest.raises(TraceError, match="got that of a different batch"):
        diff(trace(), trace(), "cross-compiler", replace(FLOOR, batch=64))
    with pytest.raises(TraceError, match="the mode wants one of ulp"):
        diff(trace(), trace(), "bits")


def test_runs_without_a_common_step_are_refused():
    with pytest.raises(TraceError, match="wants runs with steps in common"):
        diff(trace(), trace(steps=0), "ulp")


def test_other_learning_rates_of_one_recipe_are_a_fault():
    b = trace(XLA)
    b = replace(b, steps=tuple(replace(s, lr=0.2) if s.step > 5 else s for s in b.steps))
    assert "the learning rates differ from step 6 on" in diff(trace(), b, "cross-compiler", FLOOR).verdict


def test_the_strictest_mode_that_can_hold():
    assert mode_of(HEADER, HEADER) == "ulp"
    assert mode_of(HEADER, replace(HEADER, target="cpu:znver3", module_sha256="f" * 64)) == "same-compiler"
    assert mode_of(HEADER, XLA) == "cross-compiler"
    newer = replace(HEADER, versions={**HEADER.versions, "iree-base-compiler": "4"})
    assert mode_of(HEADER, newer) == "cross-compiler"
    assert mode_of(HEADER, replace(HEADER, versions={**HEADER.versions, "netc": "9"})) == "ulp"


def test_ulps_count_the_numbers_between():
    up = np.nextafter(np.float32(1), np.float32(2))
    tiny = np.nextafter(np.float32(0), np.float32(1))
    a = np.array([1, 1, -tiny, 0.0, np.nan, np.nan], np.float32)
    b = np.array([1, up, tiny, -0.0, np.nan, 1], np.float32)
    assert ulps(a, b).tolist() == [0, 1, 2, 0, 0, 2**32]


def test_the_first_difference_of_any_number():
    assert first_difference(trace(), trace()) is None
    assert first_difference(trace(), trace(factor=lambda s: 1 + 1e-6 * (s > 3))) == 4


@pytest.mark.parametrize(
    ("ours", "theirs", "same"), [("1", "1", True), ("1", "2", False), ("1", "", None), ("", "", None)]
)
def test_the_report_says_whether_the_programs_are_one(ours, theirs, same):
    a, b = (trace(replace(HEADER, program_sha256=d * 64)) for d in (ours, theirs))
    report = diff(a, b, "ulp")
    assert (report.agree, report.same_program, report.to_json()["same_program"]) == (True, same, same)


def test_a_continued_run_has_one_program_only_if_all_its_parts_do():
    whole = trace(replace(HEADER, program_sha256="1" * 64))
    turned = replace(whole, changes=(ChangeRecord(20, {"program_sha256": "2" * 64}),))
    assert same_program(whole, whole) is True
    assert same_program(whole, turned) is False
