"""A large state on IREE's CPU: each step writes into the memory of the one before, and computes what it should."""

import numpy as np

from netc.codegen.program import build
from netc.codegen.rewrite.iree import fences
from netc.netspec.check import check
from netc.netspec.layers import Dense, LayerNorm
from netc.netspec.recipe import Recipe
from netc.netspec.spec import NetSpec
from netc.runtime.prepare import prepare
from netc.runtime.session import Session
from netc.runtime.target import parse_target


def address(buffer):
    return np.frombuffer(buffer.map(), np.uint8).__array_interface__["data"][0]


def test_steps_write_where_the_state_lies_and_are_those_of_the_reference(monkeypatch, compiled):
    """Moments begin as zeros and scales as ones, which IREE's init would return as one buffer for each shape."""
    monkeypatch.setattr(fences, "LARGE", 0)
    layers = (Dense(8), LayerNorm(), Dense(8), LayerNorm(), Dense(3, name="head"))
    program = build(check(NetSpec("toy", (8,), layers)), Recipe(), 4)
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((4, 8)).astype(np.float32), np.array([0, 1, 2, 1], np.int32)
    found = []
    for word in ("cpu", "reference"):
        session = Session(prepare(program, parse_target(word), compiled))
        state = session.init(seed=3)
        before = [*state.buffers]
        for _ in range(3):
            state, metrics = session.train(state, x, y, lr=1e-2)
        if word == "cpu":
            placed = session.prepared.source.module.function("train_step").in_place
            assert len(placed) > 12 and all(address(before[i]) == address(state.buffers[i]) for i in placed)
            assert len({address(state.buffers[i]) for i in placed}) == len(placed)
        found.append((session.fetch(state), metrics))
    (state, metrics), (wanted, told) = found
    for name, tensor in wanted.items():
        np.testing.assert_allclose(state[name], tensor, rtol=2e-5, atol=2e-6, err_msg=name)
    assert np.allclose([*metrics.values()], [*told.values()], rtol=1e-5)
