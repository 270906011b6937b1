"""The parts of a recipe in the script: its steps are the evaluator's, weights, statistics and averages."""

import jax
import numpy as np
import pytest

from netc.codegen import evaluator
from netc.codegen.program import build
from netc.netspec.check import check
from netc.netspec.layers import BatchNorm, Conv2d, ConvTranspose2d, Dense, GlobalAvgPool
from netc.netspec.recipe_words import recipe_of
from netc.netspec.spec import NetSpec
from netc.proofs_oracle.twin.agreement import executed, script_of
from netc.proofs_oracle.witness import compiled

LAYERS = (Conv2d(3, 3, name="conv"), BatchNorm(name="norm"), GlobalAvgPool(), Dense(3, name="head"))
NET = check(NetSpec("small", (4, 4, 2), LAYERS))
B, STEPS = 4, 5
WORDS = [
    {"clip_norm": 0.1}, {"clip_norm": 0.1, "accumulate": 2}, {"clip_norm": 1e3}, {"clip_value": 0.05}, {"agc": 0.05},
    {"layer_decay": 0.5, "head_lr": 3.0, "weight_decay": 0.1},
    {"freeze": "conv,norm"}, {"freeze": "norm", "accumulate": 2, "lookahead": 2},
    {"lookahead": 2}, {"lookahead": 3, "lookahead_share": 0.8, "ema": 0.9}, {"sam": 0.05},
    {"sam": 0.1, "accumulate": 2, "clip_norm": 0.1}, {"sam": 0.1, "freeze": "conv"},
    {"optimizer": "schedulefree", "epsilon": 1e-3},
    {"optimizer": "schedulefree", "epsilon": 1e-3, "weight_decay": 0.1, "sam": 0.1},
    {"optimizer": "shampoo", "epsilon": 1e-3, "damping": 0.01},
    {"optimizer": "shampoo", "epsilon": 1e-3, "damping": 0.01, "largest": 4},
    {"ema": 0.9}, {"ema": 0.3, "ema_warmup": True}, {"swa_start": 2}, {"swa_start": 1, "swa_every": 2},
]  # fmt: skip


def wide(value):
    array = np.asarray(value)
    return array.astype(np.float64) if array.dtype == np.float32 else array


@pytest.mark.parametrize("words", WORDS, ids=str)
def test_steps_are_the_same(words):
    same_steps(NET, words)


def test_the_units_of_an_up_convolution_are_its_outputs():
    up = (ConvTranspose2d(4, 2, 2, groups=2, name="up"), ConvTranspose2d(2, 2, 2), GlobalAvgPool(), Dense(3))
    same_steps(check(NetSpec("up", (2, 2, 4), up)), {"agc": 0.02})


def same_steps(net, words):
    recipe = recipe_of(**{"optimizer": "sgd", **words})
    scope, program = executed(script_of(net, recipe, B, 7)), build(net, recipe, B)
    names = [s.name for s in program.state]
    state = evaluator.run(program.module, "init", [np.array([0, 7], np.uint32)], "f32")
    state, twin = [wide(v) for v in state], jax.tree.map(wide, scope["initial_state"](7))
    step, rng = compiled(scope["train_step"].__wrapped__), np.random.default_rng(3)
    for _ in range(STEPS):
        x, y = rng.standard_normal((B, *net.x.shape)), rng.integers(0, 3, B).astype(np.int32)
        results = evaluator.run(program.module, "train_step", [*state, x, y, np.asarray(0.3)], "f64")
        twin, (loss, norm, _) = step(twin, x, y, 0.3)
        ours, state = dict(zip(names, results, strict=False)), results[: len(names)]
        np.testing.assert_allclose([loss, norm], [results[len(names)], results[len(names) + 2]], rtol=1e-9)
        averages = {f"{recipe.averaging.word}/{n}": v for n, v in twin.get("averages", {}).items()}
        for name, value in {**twin["params"], **twin["statistics"], **averages}.items():
            close = 1e-6 if name in averages else 1e-8  # the share of a step in an average is a float32 in the script
            np.testing.assert_allclose(value, ours[name], rtol=close, atol=1e-9)
    assert bool(averages) == bool(program.averages)
