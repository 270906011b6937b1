"""Branching flows: the trees against the paper's own way to draw them, and a sampler's steps against NumPy's."""

import numpy as np
import pytest

from netc.codegen import evaluator
from netc.codegen.branching import Chances, bridged
from netc.codegen.builder import Builder
from netc.codegen.generator import build_generator
from netc.codegen.ir import Module
from netc.codegen.program import build
from netc.codegen.reverse_process import Drawn
from netc.codegen.slots import KEY
from netc.netspec.check import check
from netc.netspec.recipe_words import recipe_of
from netc.netspec.types import TensorType
from netc.proofs_oracle.references.mixing import gaussian, stream, words
from netc.proofs_oracle.references.step_nets import GROWING
from tests.codegen.witness import by_xla

WORDS = np.asarray([5, 9], np.uint32)
COUNT, LEVEL = 6000, 0.6


def at_level(x, deletions):
    """What the net sees of sequences x [B, S, 2] at the level, and its target."""
    b = Builder("pose")
    key, given = b.parameter("key", KEY), b.parameter("x", TensorType(x.shape))
    noise, time = b.constant(0.5, TensorType((len(x), 1))), b.constant(LEVEL, TensorType((len(x),)))
    found = bridged(b, given, noise, None, time, Chances(key, 7, x.shape[:2]), deletions)
    module = Module("pose", (b.finish(list(zip(("seen", "target"), found, strict=True))),))
    return evaluator.run(module, "pose", [WORDS, x], "f32")


def coalesced(rng, leaves, doomed, start=0.5):
    """Billera et al. 2025 by the letter: neighbours merge at random up to one root, and it is walked down to the level.

    A list of (number of leaves, place) at the level. Split times by `next_split_time` of src/coalescent_flow.jl: of the
    survival (1 - t)^2 of Beta(1, 2); deletions by the uniform distribution, from where a leaf begins.
    """
    nodes = [(1, value, (), gone) for value, gone in zip(leaves, doomed, strict=True)]
    while len(nodes) > 1:
        i = rng.integers(len(nodes) - 1)
        (w, a, *_), (v, c, *_) = nodes[i : i + 2]
        nodes[i : i + 2] = [(w + v, (w * a + v * c) / (w + v), (nodes[i], nodes[i + 1]), False)]

    def walk(node, place, level):
        weight, anchor, children, gone = node
        split = np.sqrt(level**2 * np.exp(-rng.exponential() / (weight - 1))) if children else 0.0
        after = max(split, LEVEL)
        place = anchor + after / level * (place - anchor)
        if split > LEVEL:
            return [one for child in children for one in walk(child, place, split)]
        return [] if gone and rng.random() >= LEVEL / level else [(weight, place)]

    return walk(nodes[0], start, 1.0)


def law(states):
    """How often each composition of runs comes, and the mean and deviation of the first place."""
    keys = [tuple(w for w, _ in state) for state in states]
    first = np.asarray([state[0][1] for state in states if state])
    return {key: keys.count(key) / len(keys) for key in set(keys)}, first.mean(), first.std()


def test_gaps_that_open_are_the_papers_trees():
    """The order of merging and the times of splits, of four leaves, one of which is to be deleted."""
    values = np.asarray([1.0, 2.0, 4.0, -1.0], np.float32)
    x = np.zeros((COUNT, 5, 2), np.float32)
    x[:, :4, 0], x[:, :4, 1] = values, 1
    seen, target = at_level(x, 0.0)
    ours = [
        [(int(k) + 1, v) for k, v in zip(t[:, 1], s[:, 0], strict=True) if k >= 0]
        for s, t in zip(seen, target, strict=True)
    ]
    rng = np.random.default_rng(0)
    theirs = [coalesced(rng, values.tolist(), [False] * 4) for _ in range(COUNT)]
    (shares, mean, deviation), (wanted, *others) = law(ours), law(theirs)
    assert shares.keys() == wanted.keys() and len(shares) == 8
    assert sum(abs(shares[key] - wanted[key]) for key in shares) < 0.05
    assert (mean, deviation) == pytest.approx(others, abs=0.02)


def test_a_copy_is_deleted_as_often_as_the_paper_says():
    x = np.zeros((COUNT, 4, 2), np.float32)
    x[:, 0] = [2.0, 1.0]
    seen, target = at_level(x, 0.4)
    together, single = (((target[:, :, 1] == k) & (seen[:, :, 1] == 1)).sum(1) for k in (1, 0))
    marked = ((target[:, :, 2] == 1) & (target[:, :, 1] == 0)).sum(1)
    rng = np.random.default_rng(1)
    drawn = [coalesced(rng, [2.0] * 2, [True, False]) if rng.random() < 0.4 else [(1, 0)] for _ in range(COUNT)]
    one = np.mean([sum(w == 1 for w, _ in state) for state in drawn])
    assert together.mean() == pytest.approx(np.mean([state[0][0] == 2 for state in drawn]), abs=0.02)
    assert single.mean() == pytest.approx(one, abs=0.02) and set(np.unique(marked)) == {0, 1}
    assert (target[:, :, 2][target[:, :, 1] != 0] == 0).all()  # what splits is not deleted itself


def test_slots_bound_the_copies():
    x = np.ones((COUNT // 10, 4, 2), np.float32)
    seen, target = at_level(x, 0.9)
    assert (seen[:, :, 1] * (target[:, :, 1] + 1)).sum(1).max() == 4 and (target[:, :, 2] == 0).all()


STEPS, NUMBER = 6, 3


@pytest.fixture(scope="module")
def grown():
    """The sampler's program, its arguments, and the net's answer to what it sees."""
    net, recipe = check(GROWING), recipe_of(process="branching")
    program = build_generator(net, recipe, Drawn(NUMBER, STEPS, path=True)).program
    rng = np.random.default_rng(4)
    weights = [rng.standard_normal(s.type.shape).astype(np.float32) * 0.7 for s in program.kept]
    predict = build(net, recipe, NUMBER).module
    return program.module, [*weights, WORDS], lambda seen: evaluator.run(predict, "predict", [*weights, seen], "f64")[0]


def test_steps_move_split_and_delete(grown):
    import jax
    import jax.extend.random

    module, args, answer = grown
    samples, path = evaluator.run(module, "sample", args, "f64")
    slots, width = GROWING.input
    with jax.enable_x64(True):
        noise = np.asarray(
            gaussian(WORDS, (NUMBER, 1, width - 2), *(stream("(generator)", f"first{i}") for i in (0, 1)))
        )
    states = [[first] for first in noise[:, 0]]
    events = 0
    for i in range(STEPS):
        time, following = 1 - i / STEPS, 1 - (i + 1) / STEPS
        key = jax.extend.random.threefry_2x32(WORDS, np.asarray([i, 3], np.uint32))
        dies, splits = (
            ((np.asarray(w).reshape(NUMBER, slots) >> 9) + 0.5) / 2**23
            for w in words(key, stream("(generator)", "events"), NUMBER * slots)
        )
        with jax.enable_x64(True):
            fresh = [stream("(generator)", f"step{i}") for i in (0, 1)]
            wander = np.asarray(gaussian(np.asarray(key), (NUMBER, slots, width - 2), *fresh))
        seen = np.zeros((NUMBER, slots, width))
        for n, state in enumerate(states):
            seen[n, : len(state), :-2], seen[n, : len(state), -2] = np.reshape(state, (len(state), width - 2)), 1
        seen[..., -1] = time
        y = answer(seen)
        after = []
        for n, state in enumerate(states):
            now = []
            for j, element in enumerate(state):
                towards, expected, chance = y[n, j, :-2], np.exp(y[n, j, -2]), 1 / (1 + np.exp(-y[n, j, -1]))
                copies = 1 + (splits[n, j] < 1 - np.exp(-expected * (1 - (following / time) ** 2)))
                copies = 0 if dies[n, j] < chance * (1 - following / time) else copies
                bridge = 0.2 * np.sqrt(following * (time - following) / time) * wander[n, j]
                now += [towards + following / time * (element - towards) + bridge] * copies
                events += copies != 1
            after.append(now[:slots])
        states = after
        for n, state in enumerate(states):
            assert path[i, n, :, -1].tolist() == [1] * len(state) + [0] * (slots - len(state))
            np.testing.assert_allclose(path[i, n, : len(state), :-1], np.reshape(state, (-1, width - 2)), atol=1e-9)
    assert (samples == path[-1]).all() and events > 3


def test_xla_grows_the_same(grown):
    """Counts would differ where a chance is as close to its bound as exp rounds; here none is."""
    module, args, _ = grown
    ours, theirs = evaluator.run(module, "sample", args, "f32")[0], by_xla(module, "sample", args)[0]
    assert (ours[..., -1] == theirs[..., -1]).all()
    np.testing.assert_allclose(ours, theirs, atol=2e-5)
