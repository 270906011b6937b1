"""`netc tune`: what it measures, what it refuses, what it keeps, and what the programs after it are made of."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from netc.codegen.modules import layer_module
from netc.codegen.rewrite.conv_forms import CONV_FORMS
from netc.codegen.rewrite.form_overrides import candidates, key_of
from netc.codegen.rewrite.select_forms import form_of
from netc.netspec.errors import UserError
from netc.netspec.layers import Conv2d
from netc.netspec.types import TensorType
from netc.runtime.cache.store import Cache
from netc.runtime.manifest import write_manifest
from netc.runtime.measure import tune
from netc.runtime.measure.tuned import Winner, all_tuned, choices_for, keep, nothing_for, path_of, remove, tuned_for
from netc.runtime.prepare import prepare
from netc.runtime.target import parse_target
from netc.runtime.trainer import Trainer

XLA = parse_target("xla")
KEY = "conv 4x6x6x2 3x3x2x4 /2 p1"  # of the tiny net
OTHER = "conv_kernel_grad 4x6x6x2 3x3x2x4 /2 p1"


def convolution(kind="conv", *args, x=(5, 5, 4), **options):
    made = layer_module(Conv2d(*args or (4, 3), **options), TensorType(x), 2)
    (op,) = [op for op in made.function("vjp").ops if op.kind == kind]
    return tune.Convolution(key_of(op), op, 1, 1000, 1.0)


@pytest.fixture(autouse=True)
def few_turns(monkeypatch):
    monkeypatch.setattr(tune, "MOST_ROUNDS", 10)


def nobody(text):
    raise AssertionError(text)


# -- what is measured ------------------------------------------------------------------------------------------------


def test_code_for_a_lesser_processor_is_measured_here():
    tune.check_here(parse_target("cpu:generic"))
    with pytest.raises(UserError, match=r"tune measures on this machine and wants cpu, xla, .*'cpu:aarch64'"):
        tune.check_here(parse_target("cpu:aarch64"))


def test_the_different_convolutions_of_a_step(tiny):
    found = tune.convolutions(tiny, negligible=True)
    keys = [c.key for c in found]
    assert KEY in keys and OTHER in keys
    assert "conv_input_grad 4x6x6x2 3x3x2x4 /2 p1" not in keys  # nobody needs the gradient of the images
    assert len(set(keys)) == len(keys) == 5
    assert all(c.count == 1 and c.flops > 0 for c in found)


def test_negligible_convolutions_are_left_out(tiny, monkeypatch):
    monkeypatch.setattr(tune, "NEGLIGIBLE", 0.2)
    assert 0 < len(tune.convolutions(tiny)) < 5


def test_the_forms_of_one_tap():
    """One product under several names is measured once, under the table's."""
    for kind, forms in (
        ("conv", ("im2col", "direct")),
        ("conv_input_grad", ("phase-shifted", "direct")),
        ("conv_kernel_grad", ("shifted", "convolution", "outer")),
    ):
        assert tune.forms_of("cpu", convolution(kind, 4, 1).op) == forms


def test_grouped_convolutions_of_gpus_are_not_tried_as_they_stand():
    op = convolution("conv", 4, 3, groups=2).op
    assert "direct" not in tune.forms_of("gpu", op)
    assert "direct" in tune.forms_of("xla", op)


@pytest.mark.parametrize("word", ["xla", "cpu"])
def test_every_form_of_a_convolution_is_timed(word):
    measured = tune.measure(convolution("conv_kernel_grad"), parse_target(word))
    more = {"outer", "winograd-stacked"} if word == "cpu" else set()
    assert set(measured.ms) == {"shifted", "im2col", "convolution", "winograd"} | more and not measured.failed
    assert all(ms > 0 for ms in measured.ms.values())
    assert measured.best in measured.ms


def test_a_form_that_computes_something_else_is_no_candidate(monkeypatch):
    right = CONV_FORMS["conv"]["shifted"]
    monkeypatch.setitem(CONV_FORMS["conv"], "shifted", lambda b, op, x, w: b.mul(right(b, op, x, w), 1.01))
    measured = tune.measure(convolution(), XLA)
    assert "shifted" not in measured.ms
    assert measured.failed["shifted"].startswith("computes something else: 1.0e-02 away")


def test_turns_and_who_leaves(monkeypatch):
    now, log = [0.0], []

    def call(name, seconds):
        def run():
            now[0] += seconds
            log.append(name)

        return run

    monkeypatch.setitem(tune.CLOCKS, "wall", (lambda: now[0], 0.0, min))
    monkeypatch.setattr(tune, "MOST_ROUNDS", 1000)
    calls = {"a": call("a", 0.03), "close": call("close", 0.04), "slow": call("slow", 0.13)}
    times = tune.take_turns(calls, rounds=2, budget=1.0)
    assert {name: round(t[0], 6) for name, t in times.items()} == {"a": 0.03, "close": 0.04, "slow": 0.13}
    assert log[:6] == ["a", "close", "slow"] * 2 and log.count("slow") == 2
    assert log.count("a") == log.count("close") > 30


def test_the_table_stays_where_nothing_is_clearly_faster():
    def of(ms):
        return tune.Measured(convolution(), "direct", ms).best

    assert of({"direct": 1.0, "im2col": 0.99}) == "direct"
    assert of({"direct": 1.0, "im2col": 0.9}) == "im2col"
    assert of({"im2col": 0.9, "shifted": 0.8}) == "shifted"  # the table's own failed


def test_the_whole_step_decides(tiny, tmp_path):
    trial = tune.Trial("table", {}, 10.0, 11.0)
    assert tune.Steps((trial, tune.Trial("all chosen", {KEY: "im2col"}, 9.95, 9.95))).best is trial
    faster = tune.Trial("conv as im2col", {KEY: "im2col"}, 9.0, 12.0)
    assert tune.Steps((trial, faster)).best is faster
    steps = tune.measure_steps(tiny, XLA, Cache(tmp_path), {KEY: "im2col"})
    assert [t.name for t in steps.trials] == ["table", "all chosen"] and all(t.ms > 0 for t in steps.trials)


def test_parts_of_the_choices_are_tried_alone_and_those_that_help_together(tiny, tmp_path, monkeypatch):
    third = "conv_kernel_grad 4x5x5x4 3x3x4x4 /1 p1"
    cost = {KEY: -1.0, OTHER: 5.0, third: -2.0}
    now = [0.0]

    def step(choices):
        def run():
            now[0] += 20.0 + sum(cost[key] for key in choices)

        return run

    monkeypatch.setattr(tune, "prepare", lambda program, target, cache, choices: choices)
    monkeypatch.setattr(tune, "step_of", step)
    monkeypatch.setitem(tune.CLOCKS, "wall", (lambda: now[0], 0.0, min))
    steps = tune.measure_steps(tiny, XLA, Cache(tmp_path), {KEY: "im2col", OTHER: "im2col", third: "shifted"})
    assert {t.name: t.ms / 1e3 for t in steps.trials} == {
        "table": 20.0, "all chosen": 22.0, "conv as im2col": 19.0, "conv_kernel_grad as im2col": 25.0,
        "conv_kernel_grad as shifted": 18.0, "those that help": 17.0,
    }  # fmt: skip
    assert dict(steps.best.choices) == {KEY: "im2col", third: "shifted"}


@pytest.mark.parametrize(
    ("word", "by", "sentence"),
    [
        ("reference", "wall", "tune measures on this machine and wants cpu, xla, vulkan or a GPU .* got 'reference'"),
        ("cpu:znver4", "wall", "got 'cpu:znver4'; use `target=cpu`"),
        ("vulkan", "cpu", "CPU time says nothing about 'vulkan'"),
    ],
)
def test_targets_that_are_not_this_machine(word, by, sentence):
    with pytest.raises(UserError, match=sentence):
        tune.check_here(parse_target(word), by)


def test_a_target_without_its_device(monkeypatch):
    def missing(target):
        raise UserError("wants a device for the driver 'cuda', got none on this machine")

    monkeypatch.setattr(tune, "check_device", missing)
    with pytest.raises(UserError, match="got none on this machine"):
        tune.check_here(parse_target("cuda:sm_89"))


# -- what is kept ----------------------------------------------------------------------------------------------------


def test_kept_winners_come_back_and_add_up(tmp_path):
    assert choices_for(XLA, tmp_path, nobody) == {}
    keep(XLA, tmp_path, "one b4", {KEY: Winner("im2col", "direct", 1.0, 2.0)}, nobody)
    keep(XLA, tmp_path, "two b4", {OTHER: Winner("shifted", "convolution", 1.0, 2.0)}, nobody)
    assert choices_for(XLA, tmp_path, nobody) == {KEY: "im2col", OTHER: "shifted"}
    (found,) = all_tuned(tmp_path, nobody)
    assert found.nets == ("one b4", "two b4") and found.target == "xla"
    assert choices_for(parse_target("cpu"), tmp_path, nobody) == {}
    assert choices_for(parse_target("reference"), tmp_path, nobody) == {}


def test_another_compiler_or_cpu_is_another_machine(tmp_path, monkeypatch):
    keep(XLA, tmp_path, "one b4", {KEY: Winner("im2col", "direct", 1.0, 2.0)}, nobody)
    for name, other in (("version_of", lambda package: "9.9"), ("host_cpu", lambda: "another")):
        with monkeypatch.context() as patch:
            patch.setattr(f"netc.runtime.measure.tuned.{name}", other)
            assert choices_for(XLA, tmp_path, nobody) == {}
    assert choices_for(XLA, tmp_path, nobody)


def damaged(path, change):
    body = json.loads(path.read_text())
    change(body)
    path.write_text(json.dumps(body))


@pytest.mark.parametrize(
    "harm",
    [
        lambda path: path.write_text("{"),
        lambda path: path.write_text("[]"),
        lambda path: path.write_bytes(b"\xff\xfe"),
        lambda path: damaged(path, lambda body: body["winners"][KEY].update(form="shifted")),
        lambda path: damaged(path, lambda body: body.pop("sha256")),
    ],
)
def test_a_damaged_file_is_reported_and_made_anew(tmp_path, harm):
    path = keep(XLA, tmp_path, "one b4", {KEY: Winner("im2col", "direct", 1.0, 2.0)}, nobody)
    harm(path)
    said = []
    assert choices_for(XLA, tmp_path, said.append) == {}
    assert len(said) == 1 and "is damaged" in said[0] and said[0].endswith("is not used; run it again")
    keep(XLA, tmp_path, "one b4", {OTHER: Winner("shifted", "convolution", 1.0, 2.0)}, said.append)
    assert choices_for(XLA, tmp_path, nobody) == {OTHER: "shifted"}


def test_a_form_that_this_netc_does_not_have(tmp_path):
    keep(XLA, tmp_path, "one b4", {KEY: Winner("magic", "direct", 1.0, 2.0)}, nobody)
    said = []
    assert choices_for(XLA, tmp_path, said.append) == {}
    assert "it names a form that this netc does not have" in said[0]


def test_removing(tmp_path):
    path = keep(XLA, tmp_path, "one b4", {KEY: Winner("im2col", "direct", 1.0, 2.0)}, nobody)
    assert remove(tmp_path, frozenset({"another"})) == 0 and path.exists()
    assert remove(tmp_path, frozenset({tuned_for(XLA, tmp_path, nobody).digest})) > 0
    assert not path.exists() and remove(tmp_path) == 0
    assert path == path_of(tmp_path, replace(nothing_for(XLA), updated=datetime.now(UTC)))


# -- what uses it ----------------------------------------------------------------------------------------------------


def test_a_prepared_program_has_the_chosen_forms(tiny, tmp_path, batches):
    cache = Cache(tmp_path)
    plain = prepare(tiny, XLA, cache)
    assert plain.choices == {}
    ops = {key_of(op): op for op in tiny.module.function("train_step").ops if op.kind in CONV_FORMS}
    table = {KEY: form_of("xla", ops[KEY]), "conv 1x1x1x1 1x1x1x1 /1 p0": "im2col"}  # its own form, and of another net
    assert prepare(tiny, XLA, cache, table).sha256 == plain.sha256
    forms = {key: next(f for f in candidates(ops[key]) if f != form_of("xla", ops[key])) for key in (KEY, OTHER)}
    chosen = prepare(tiny, XLA, cache, {**table, **forms})
    assert chosen.choices == forms and chosen.sha256 != plain.sha256
    losses = []
    for prepared in (plain, chosen):
        session = Trainer(prepared)
        session.init(3)
        losses.append([session.train_step(x, y, 1e-3)["loss"] for x, y in batches])
    np.testing.assert_allclose(*losses, rtol=1e-5)
    write_manifest(tmp_path / "m.json", tiny, chosen.sha256, "xla", chosen.choices)
    assert json.loads((tmp_path / "m.json").read_text())["tuned"]["forms"] == chosen.choices
    write_manifest(tmp_path / "m.json", tiny, plain.sha256, "xla", plain.choices)
    assert "tuned" not in json.loads((tmp_path / "m.json").read_text())


def test_a_choice_that_cannot_be_used_is_a_users_mistake(tiny, tmp_path):
    with pytest.raises(UserError, match="wants a form of direct"):
        prepare(tiny, XLA, Cache(tmp_path), {KEY: "magic"})
