"""The script that `netc emit-jax` writes: run, it draws the same first state and trains as the program does."""

import runpy

import numpy as np
import pytest

from netc.codegen.evaluator import run
from netc.codegen.jax_layers import PARTS, ROWS
from netc.codegen.jax_script import Training, jax_script
from netc.codegen.program import build
from netc.netspec.check import check
from netc.netspec.layers import (
    Activation,
    AvgPool,
    BatchNorm,
    Chain,
    Concat,
    Conv2d,
    Dense,
    Flatten,
    Gate,
    GlobalAvgPool,
    Identity,
    LayerNorm,
    MaxPool,
    Repeat,
    Residual,
    ResidualBlock,
)
from netc.netspec.layers.activation import ACTIVATIONS
from netc.netspec.recipe import Recipe, Schedule
from netc.netspec.spec import NetSpec
from netc.runtime.replay import first_state

# every row and part, in the forms that the options give
EVERYTHING = NetSpec(
    "everything",
    (8, 8, 2),
    (
        Conv2d(4, (3, 5), (1, 2), "same", dilation=(2, 1), name="dilated"),
        Conv2d(4, 3, 1, "same-symmetric", groups=2, bias=False, activation="gelu", name="grouped"),
        Concat(
            (
                Conv2d(4, 1, name="a"),
                Chain((AvgPool(3, 1, ((1, 1), (1, 1)), name="mean"), Identity(name="same")), name="b"),
                AvgPool(3, 1, ((1, 1), (1, 1)), count_padding=True, name="c"),
            ),
            name="side",
        ),
        Gate(Chain((GlobalAvgPool(), Dense(12, activation="sigmoid", name="w"))), name="se"),
        Gate(Conv2d(12, 1, activation="tanh", name="w"), name="each"),
        Repeat(Conv2d(12, 3, activation="relu", name="c"), 2, name="more"),
        MaxPool(3, 2, ((1, 1), (1, 1)), name="max"),
        ResidualBlock(8, 2, 2, name="stage"),
        LayerNorm(name="ln"),
        *(Activation(f, name=f) for f in ACTIVATIONS),
        BatchNorm(1e-3, 0.2, name="bn"),
        Flatten(),
        Dense(3, bias=False, name="head"),
    ),
)


@pytest.fixture(scope="module")
def twin(tmp_path_factory):
    path = tmp_path_factory.mktemp("twin") / "twin.py"
    header = {"data": "digits", "data_sha256": "a" * 64}
    path.write_text(
        jax_script(Training(check(EVERYTHING), Recipe(), Schedule(1, 4), 2**40 + 5, 0, False, (0.5,), (0.25,), header))
    )
    return runpy.run_path(str(path))


@pytest.fixture(scope="module")
def program():
    return build(check(EVERYTHING), Recipe(), 4)


def test_the_net_has_every_row():
    met = {type(row.layer) for row in check(EVERYTHING).walk()}
    assert ROWS.keys() | PARTS.keys() <= met | {Chain, Residual}  # which the residual block is made of


def test_the_first_state_is_the_same_bits(twin, program):
    drawn = twin["initial_state"](2**40 + 5)
    held = {**drawn["params"], **drawn["statistics"]}
    for slot, value in zip(program.state, first_state(program, 2**40 + 5), strict=True):
        if slot.name in held:
            np.testing.assert_array_equal(np.asarray(held[slot.name]), value, err_msg=slot.name)


def test_logits_are_the_same(twin, program):
    state = first_state(program, 9)
    x = np.random.default_rng(0).normal(size=(4, 8, 8, 2)).astype(np.float32)
    held = {s.name: v for s, v in zip(program.state, state, strict=True)}
    wanted = run(program.module, "predict", [held[s.name] for s in program.kept] + [x], "f32")[0]
    got, _ = twin["forward"](held, held, x, False)
    np.testing.assert_allclose(np.asarray(got), wanted, rtol=1e-4, atol=1e-5)


def test_numbers_are_spelled_as_in_a_trace(twin):
    from netc.traces.schema import single_to_json

    values = np.array([0.1, 1e-38, 3e38, -0.0, np.nan, np.inf, -np.inf, 7.038531e-26], np.float32)
    assert [twin["number"](v) for v in values] == [single_to_json(float(v)) for v in values]


def test_the_order_of_the_data_is_the_same(tmp_path):
    from netc.runtime.data.batches import Normalise, train_batches
    from netc.runtime.data.dataset import Augment
    from netc.runtime.data.digits import read_digits

    train, _ = read_digits()
    header = {"data": "digits", "data_sha256": "a" * 64}
    net = NetSpec("net", (8, 8, 1), (Flatten(), Dense(10, name="head")))
    text = jax_script(Training(check(net), Recipe(), Schedule(1, 64), 3, 2, True, (0.3,), (0.4,), header))
    (tmp_path / "order.py").write_text(text)
    scope = runpy.run_path(str(tmp_path / "order.py"))
    wanted = train_batches(
        train, batch=64, seed=3, epoch=2, normalise=Normalise((0.3,), (0.4,)), augment=Augment(2, True)
    )
    for (x, y), batch in zip(scope["batches"](train.pixels, train.labels, 2), wanted, strict=True):
        np.testing.assert_array_equal(x, batch.x)
        np.testing.assert_array_equal(y, batch.y)
