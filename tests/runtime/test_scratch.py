"""Memory that a large step is given for its transient tensors: the same bits, nothing between calls, and said."""

import json

import numpy as np
import pytest

from netc.codegen.program import build
from netc.codegen.render import render
from netc.codegen.rewrite.iree import given_scratch
from netc.codegen.rewrite.lower import lower
from netc.netspec.check import check
from netc.netspec.find import find
from netc.netspec.layers import Conv2d, Dense, Flatten
from netc.netspec.recipe import Recipe
from netc.netspec.spec import NetSpec
from netc.proofs_oracle.certificate.certify import certify_program
from netc.proofs_oracle.certificate.statement import Settings
from netc.runtime.backends.iree import scratch_of
from netc.runtime.cache.store import Cache
from netc.runtime.manifest import manifest_of
from netc.runtime.measure.memory import compiled_peak
from netc.runtime.measure.profile import profile
from netc.runtime.prepare import prepare
from netc.runtime.session import Session
from netc.runtime.target import parse_target

NET = check(NetSpec("small", (8, 8, 1), (Conv2d(4, 3, activation="relu"), Flatten(), Dense(3))))
CPU = parse_target("cpu")


@pytest.fixture
def program(monkeypatch):
    """A program whose step counts as large."""
    monkeypatch.setattr(given_scratch, "LARGE", 1)
    return build(NET, Recipe(), 4)


def marked(program, profile="cpu"):
    return [f.name for f in lower(program.module, profile) if f.scratch]


def test_a_large_step_of_cpu_alone_is_given_memory(program, monkeypatch):
    assert marked(program) == ["train_step"]
    assert not any(marked(program, p) for p in ("gpu", "xla", "plain", "c"))
    text = render(lower(program.module, "cpu"), "iree")
    (line,) = (s for s in text.splitlines() if "@train_step(" in s)
    assert ", %scratch: !hal.buffer {iree.abi.transients}) -> (" in line
    assert text.count("%scratch") == 1
    made = sum(v.type.bytes for op in lower(program.module, "cpu").function("train_step").ops for v in op.results)
    monkeypatch.setattr(given_scratch, "LARGE", made + 1)
    assert marked(program) == []


def test_large_functions_that_only_look_are_given_memory_too(monkeypatch):
    program = build(NET, Recipe(), 4)
    made = {f.name: sum(v.type.bytes for op in f.ops for v in op.results) for f in lower(program.module, "cpu")}
    assert marked(program) == []
    for name in ("eval_step", "predict"):
        monkeypatch.setitem(given_scratch.LOOKING, name, made[name])
    assert marked(program) == ["eval_step", "predict"]
    for name in ("eval_step", "predict"):
        monkeypatch.setitem(given_scratch.LOOKING, name, made[name] + 1)
    assert marked(program) == []


def test_a_prediction_in_given_memory_has_the_same_bits(monkeypatch, tmp_path):
    x = np.random.default_rng(0).standard_normal((4, 8, 8, 1)).astype(np.float32)

    def predicted():
        session = Session(prepare(build(NET, Recipe(), 4), CPU, Cache(tmp_path / "cache")))
        state = session.init(0)
        logits = [session.predict(state, x) for _ in range(3)]
        return session, logits

    plain, wanted = predicted()
    monkeypatch.setitem(given_scratch.LOOKING, "predict", 1)
    given, got = predicted()
    assert scratch_of(plain.prepared.source.artefact) == {}
    assert [*scratch_of(given.prepared.source.artefact)] == ["predict"]
    assert len(given.loaded._unused["predict"]) == 1
    np.testing.assert_array_equal(got, wanted)


def test_a_function_that_calls_another_is_not(monkeypatch):
    monkeypatch.setattr(given_scratch, "LARGE", 1)
    program = build(NET, Recipe(), 4, steps_per_call=2)  # IREE refuses it for a function with calls
    assert "train_steps" not in marked(program)


def test_a_step_that_recomputes_blocks_goes_without(monkeypatch):
    monkeypatch.setattr(given_scratch, "LARGE", 1)
    net = check(find("tiny-gpt"))
    assert marked(build(net, Recipe(), 1)) == ["train_step"]
    assert marked(build(net, Recipe(remat=True), 1)) == []


def trained(program, tmp_path):
    """The state after three steps, with an evaluation and a prediction between, and what the loaded program held."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((4, 8, 8, 1)).astype(np.float32), np.arange(4, dtype=np.int32) % 3
    session = Session(prepare(program, CPU, Cache(tmp_path / "cache")))
    state, held = session.init(0), []
    for step in range(3):
        state, metrics = session.train(state, x, y, 0.01)
        held.append(sum(map(len, session.loaded._unused.values())))
        if step == 1:
            session.predict(state, x)
            held.append(sum(map(len, session.loaded._unused.values())))
    return session, {**session.fetch(state), "loss": metrics["loss"]}, held


def test_the_bits_are_those_without_it_and_it_is_kept_between_steps_alone(program, tmp_path, monkeypatch):
    session, got, held = trained(program, tmp_path)
    assert held == [1, 1, 0, 1]
    assert scratch_of(session.prepared.source.artefact)["train_step"] > 0
    monkeypatch.setattr(given_scratch, "LARGE", 1 << 60)
    other, wanted, held = trained(program, tmp_path)
    assert held == [0] * 4
    assert scratch_of(other.prepared.source.artefact) == {}
    assert other.prepared.sha256 != session.prepared.sha256
    for name, value in wanted.items():
        np.testing.assert_array_equal(got[name], value, err_msg=name)


def test_it_is_profiled_certified_and_said_in_the_manifest(program, tmp_path):
    made = prepare(program, CPU, Cache(tmp_path / "cache"))
    manifest = manifest_of(program, made.sha256, "cpu", artefact=made.source.artefact)
    assert manifest["functions"]["train_step"]["scratch_bytes"] == scratch_of(made.source.artefact)["train_step"]
    assert "scratch_bytes" not in manifest["functions"]["predict"]
    taken = compiled_peak(program, CPU)
    assert taken.transient == scratch_of(made.source.artefact)["train_step"]  # of it nothing is taken in the call
    assert "scratch_bytes" not in json.dumps(program.manifest)
    assert certify_program(program, CPU, Settings(4, 1, 0)).holds
    assert profile(program, CPU, Cache(tmp_path / "cache"), 2).busy > 0
