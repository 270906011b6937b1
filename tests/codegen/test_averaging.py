"""Averages of the weights: what torch's AveragedModel makes of the same weights, and what stays as it was without."""

import numpy as np
import pytest

from netc.codegen.analysis.memory import memory_of
from netc.codegen.evaluator import run
from netc.codegen.program import build
from netc.netspec.check import check
from netc.netspec.errors import SpecError
from netc.netspec.layers import BatchNorm, Conv2d, Dense, GlobalAvgPool
from netc.netspec.recipe_words import recipe_of
from netc.netspec.spec import NetSpec
from netc.runtime.backends.xla import XlaLoaded
from netc.runtime.prepare import emit_text
from netc.runtime.target import parse_target

LAYERS = (Conv2d(3, 3, name="conv"), BatchNorm(), GlobalAvgPool(), Dense(3, name="head"))
NET = check(NetSpec("small", (4, 4, 2), LAYERS))
B = 4


def trained(words, steps, seed=1, **parts):
    """The state after each of so many steps, in float64, by slot."""
    program, rng = build(NET, recipe_of(optimizer="sgd", **words), B, **parts), np.random.default_rng(seed)
    names = [s.name for s in program.state]
    state = run(program.module, "init", [np.array([1, 2], np.uint32)], "f64")
    found = []
    for _ in range(steps):
        x, y = rng.standard_normal((B, *NET.x.shape)), rng.integers(0, 3, B).astype(np.int32)
        state = run(program.module, "train_step", [*state, x, y, np.asarray(0.1)], "f64")[: len(names)]
        found.append(dict(zip(names, state, strict=True)))
    return program, found


WORDS = {
    "ema": {"ema": 0.9},
    "swa": {"swa_start": 1},
    "swa-later": {"swa_start": 3},
    "swa-every": {"swa_start": 2, "swa_every": 3},
    "accumulated": {"ema": 0.9, "accumulate": 2},
    "bf16": {"ema": 0.9, "precision": "bf16"},
}


@pytest.mark.parametrize("name", WORDS)
def test_torch_averages_the_same_weights_alike(name):
    torch = pytest.importorskip("torch")
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    words = WORDS[name]
    program, states = trained(words, 12)
    kept = [s.name for s in program.kept]
    word, start, every = program.recipe.averaging.word, words.get("swa_start", 0), words.get("swa_every", 1)

    class Held(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.held = torch.nn.ParameterList(torch.zeros(states[0][n].shape, dtype=torch.float64) for n in kept)

    model = Held()
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9) if word == "ema" else None)
    for step, state in enumerate(states):
        for parameter, n in zip(model.held, kept, strict=True):
            parameter.data = torch.from_numpy(state[n].astype(np.float64))
        if step >= start and (step - start) % every == 0:
            average.update_parameters(model)
        theirs = average.module if step >= start else model
        for parameter, n in zip(theirs.held, kept, strict=True):
            np.testing.assert_allclose(state[f"{word}/{n}"], parameter.detach().numpy(), rtol=1e-12, atol=1e-14)


def test_a_warm_up_lets_the_decay_rise_to_its_bound():
    """1 - a share of the way towards weights that stand still: the product of the decays is what is left."""
    _, states = trained({"ema": 0.3, "ema_warmup": True}, 6)
    name, expected = "head.kernel", states[0]["head.kernel"]
    for t, state in enumerate(states):
        decay = min(0.3, (1 + t) / (10 + t))
        expected = decay * expected + (1 - decay) * state[name] if t else state[name]
        np.testing.assert_allclose(state[f"ema/{name}"], expected, rtol=1e-12)


def test_weights_that_stand_still_are_their_own_average():
    """Rounding does not draw an average of 0.9999 away from them, as 0.9999 a + 0.0001 w in float32 would."""
    program = build(NET, recipe_of(optimizer="sgd", momentum=0.0, ema=0.9999), B)
    state = run(program.module, "init", [np.array([1, 2], np.uint32)], "f32")
    x, y = np.zeros((B, *NET.x.shape), np.float32), np.zeros(B, np.int32)
    for _ in range(50):
        state = run(program.module, "train_step", [*state, x, y, np.float32(0)], "f32")[: len(program.state)]
    held = dict(zip((s.name for s in program.state), state, strict=True))
    for p in NET.params:
        np.testing.assert_array_equal(held[f"ema/{p.name}"], held[p.name])


@pytest.mark.parametrize("words", [{"ema": 0.9, "ema_warmup": True}, {"swa_start": 1, "swa_every": 2}], ids=str)
def test_xla_and_several_steps_in_one_call_agree(words):
    program, states = trained(words, 4)
    rng, state = np.random.default_rng(1), None
    draws = [(rng.standard_normal((B, *NET.x.shape)), rng.integers(0, 3, B).astype(np.int32)) for _ in range(4)]
    xs, ys = (np.stack(v) for v in zip(*draws, strict=True))
    joint = build(NET, program.recipe, B, steps_per_call=4)
    state = run(joint.module, "init", [np.array([1, 2], np.uint32)], "f64")
    at_once = run(joint.module, "train_steps", [*state, xs, ys, np.full(4, 0.1)], "f64")
    loaded = XlaLoaded(emit_text(program, parse_target("xla")))
    theirs = [loaded.put(v) for v in run(joint.module, "init", [np.array([1, 2], np.uint32)], "f32")]
    for x, y in draws:
        args = [loaded.put(v) for v in (x.astype(np.float32), y, np.float32(0.1))]
        theirs = loaded.call("train_step", [*theirs, *args])[: len(program.state)]
    for slot, a, b in zip(program.state, at_once, theirs, strict=False):
        np.testing.assert_array_equal(a, states[-1][slot.name])
        np.testing.assert_allclose(loaded.get(b), a, rtol=1e-4, atol=1e-5)  # four steps of float32 through batch norm


def test_the_state_has_averages_only_where_they_are_kept():
    plain, kept = build(NET, recipe_of(), B), build(NET, recipe_of(ema=0.9), B)
    assert not plain.averages
    assert [s.name for s in kept.averages] == [f"ema/{s.name}" for s in plain.kept]
    assert {s.name for s in kept.state} - {s.name for s in plain.state} == {s.name for s in kept.averages}
    assert memory_of(plain.state, plain.module).averages == 0
    assert memory_of(kept.state, kept.module).rows["averages"] == sum(s.type.bytes for s in plain.kept)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"ema": 1.0}, r"`ema` wants a decay in \[0, 1\), where 0 turns it off, got 1.0"),
        ({"ema": float("nan")}, r"`ema` wants a decay in \[0, 1\)"),
        ({"ema_warmup": True}, "`ema_warmup` belongs to `ema`, got no `ema`; give `ema=0.9999`, or leave it out"),
        ({"swa_start": -1}, "`swa_start` wants a number of steps of at least 0, got -1"),
        ({"swa_start": 1, "swa_every": 0}, "`swa_every` wants a number of steps of at least 1, got 0"),
        ({"swa_every": 2}, "`swa_every` belongs to `swa_start`, got no `swa_start`"),
        (
            {"ema": 0.9, "swa_start": 3},
            "weights are averaged in one way, got `ema` and `swa_start`; leave one out",
        ),
    ],
)
def test_sentences(words, sentence):
    with pytest.raises(SpecError, match=sentence):
        recipe_of(**words)
