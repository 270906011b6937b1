"""Groups: rates by depth, and layers that are not trained, whose backward pass is not there."""

import numpy as np
import pytest

from netc.codegen.analysis.memory import memory_of
from netc.codegen.evaluator import run
from netc.codegen.location import location_of
from netc.codegen.program import build
from netc.netspec.check import check
from netc.netspec.errors import SpecError
from netc.netspec.find import find
from netc.netspec.groups import Groups
from netc.netspec.layers import Dense, GlobalAvgPool, ResidualBlock
from netc.netspec.recipe_words import recipe_of
from netc.netspec.spec import NetSpec
from netc.proofs_oracle.certificate.certify import certify_program
from netc.proofs_oracle.certificate.statement import Settings
from netc.proofs_oracle.references.step_nets import MLP, RESNET, STEM
from netc.runtime.backends.xla import XlaLoaded
from netc.runtime.prepare import emit_text
from netc.runtime.target import parse_target

NET = check(RESNET)
B = 3


def lowered(**words):
    program = build(NET, recipe_of(**words), B)
    return program, emit_text(program, parse_target("cpu")).module


def backward(module, layer):
    """The operations of the backward pass of a layer, and of its update."""
    found = [location_of(op.loc) for op in module.function("train_step").ops]
    return [sum(at.phase == phase and at.path[0] == layer for at in found) for phase in ("vjp", "update")]


def test_what_is_frozen_has_no_backward_pass_and_no_moments():
    plain, module = lowered()
    kept, smaller = lowered(freeze="stem,stage1")
    assert all(backward(module, layer) != [0, 0] for layer in ("stem", "stage1"))
    assert [backward(smaller, layer) for layer in ("stem", "pool", "stage1")] == [[0, 0]] * 3
    assert backward(smaller, "head") == backward(module, "head")
    count = [len(m.function("train_step").ops) for m in (module, smaller)]
    assert count[1] < 0.75 * count[0]
    own = {s.name for s in plain.state} - {s.name for s in kept.state}
    assert own == {f"{m}/{p.name}" for m in "mv" for p in NET.params if p.name.startswith(("stem.", "stage1."))}
    assert [s.name for s in plain.kept] == [s.name for s in kept.kept]
    frozen = sum(4 * int(np.prod(p.shape)) for p in NET.params if p.name.startswith(("stem.", "stage1.")))
    whole, less = memory_of(plain.state, module), memory_of(kept.state, smaller)
    assert (whole.gradients - less.gradients, whole.moments - less.moments) == (frozen, 2 * frozen)


def test_what_thaws_later_stays_until_its_step():
    net = check(MLP)
    program = build(net, recipe_of(optimizer="adamw", weight_decay=0.1, thaw="hidden1=2"), B)
    names, rng = [s.name for s in program.state], np.random.default_rng(4)
    state = run(program.module, "init", [np.array([1, 2], np.uint32)], "f64")
    own = [i for i, n in enumerate(names) if n.startswith("hidden1")]
    for step in range(4):
        x, y = rng.standard_normal((B, *net.x.shape)), rng.integers(0, 4, B).astype(np.int32)
        new = run(program.module, "train_step", [*state, x, y, np.asarray(0.1)], "f64")[: len(names)]
        same = [np.array_equal(a, b) for a, b in zip(state, new, strict=True)]
        assert {same[i] for i in own} == {step < 2}
        assert not any(same[names.index(n)] for n in ("hidden2.kernel", "m/hidden1.kernel", "v/hidden1.kernel"))
        state = new


def updates(rate, steps, **words):
    """What each step adds to hidden1.kernel, of the rate, where the rate is so small that gradients stay the same."""
    net, found, rng = check(MLP), [], np.random.default_rng(4)
    program = build(net, recipe_of(**words), B)
    at = [s.name for s in program.state].index("hidden1.kernel")
    x, y = rng.standard_normal((B, *net.x.shape)), rng.integers(0, 4, B).astype(np.int32)
    state = run(program.module, "init", [np.array([1, 2], np.uint32)], "f64")
    for _ in range(steps):
        new = run(program.module, "train_step", [*state, x, y, np.asarray(rate)], "f64")[: len(state)]
        found.append((new[at] - state[at]) / rate)
        state = new
    return np.array(found)


def test_the_first_thawed_steps_of_adam_are_as_long_as_the_rate():
    found = np.abs(updates(1e-7, 12, optimizer="adam", epsilon=1e-12, thaw="hidden1=8"))
    assert not found[:8].any()
    np.testing.assert_allclose(found[8:][found[8:] > 0], 1, rtol=1e-3)  # elsewhere the gradient is 0
    assert (found[8:] > 0).mean() > 0.5


@pytest.mark.parametrize("word", ["adafactor", "adadelta", "lamb", "muon", "nadam", "sgd", "shampoo"])
def test_a_thawed_step_is_that_of_a_layer_that_never_waited(word):
    late, always = (updates(1e-7, 5, optimizer=word, **more) for more in ({"thaw": "hidden1=3"}, {}))
    assert not late[:3].any()
    assert np.abs(always[3:]).max() > 0
    np.testing.assert_allclose(late[3:], always[3:], rtol=1e-2, atol=1e-4 * np.abs(always[3:]).max())


@pytest.mark.parametrize("more", [{}, {"remat": True}, {"scan_blocks": True}, {"accumulate": 3}, {"ema": 0.9}], ids=str)
def test_frozen_weights_and_statistics_stay_and_the_rest_learns(more):
    stages = (STEM[0], ResidualBlock(3, 6, name="stage2"), GlobalAvgPool(), Dense(4, name="head"))
    net = check(NetSpec("blocks", (8, 8, 3), stages))
    program = build(net, recipe_of(optimizer="sgd", freeze=("stem", "stage2.block0"), **more), B)
    loaded, rng = XlaLoaded(emit_text(program, parse_target("xla"))), np.random.default_rng(2)
    first = state = run(program.module, "init", [np.array([1, 2], np.uint32)], "f32")
    x = rng.standard_normal((B, *net.x.shape)).astype(np.float32)
    args = [x, rng.integers(0, 4, B).astype(np.int32), np.float32(0.1)]
    for _ in range(2):
        results = [loaded.get(r) for r in loaded.call("train_step", [loaded.put(a) for a in (*state, *args)])]
        if more != {"scan_blocks": True}:  # which the evaluator's module does not have
            ours = run(program.module, "train_step", [*state, *args], "f32")
            for a, b in zip(ours, results, strict=True):
                # float32 through the batch norms of two blocks, with other orders of summation
                np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
        state = results[: len(program.state)]
    for slot, a, b in zip(program.state, first, state, strict=True):
        if slot.role in ("parameter", "statistic"):
            assert np.array_equal(a, b) == slot.name.startswith(("stem.", "stage2.block0.")), slot.name


def test_several_steps_and_the_certificate_of_a_net_with_frozen_layers():
    net = check(MLP)
    recipe = recipe_of(optimizer="sgd", freeze="hidden1", layer_decay=0.5)
    assert certify_program(build(net, recipe, 2), parse_target("cpu"), Settings()).holds
    program = build(net, recipe, B, steps_per_call=2)
    rng, state = np.random.default_rng(0), run(program.module, "init", [np.array([1, 2], np.uint32)], "f64")
    xs, ys = rng.standard_normal((2, B, *net.x.shape)), rng.integers(0, 4, (2, B)).astype(np.int32)
    at_once = run(program.module, "train_steps", [*state, xs, ys, np.full(2, 0.1)], "f64")
    for x, y in zip(xs, ys, strict=True):
        state = run(program.module, "train_step", [*state, x, y, np.asarray(0.1)], "f64")[: len(program.state)]
    for a, b in zip(at_once, state, strict=False):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("name", "groups", "some"),
    [
        ("resnet18", 10, {"stem.conv.kernel": 0, "stage1.block1.residual.body.conv1.conv.kernel": 2, "head.bias": 9}),
        (
            "vit_tiny_patch16_224",
            14,
            {"patch.project.kernel": 0, "encoder.block11.mlp.body.out.bias": 12, "norm.scale": 13},
        ),
        ("convnext_tiny", 20, {"downsample1.norm.scale": 4, "stage2.block0.body.norm.scale": 4, "head.kernel": 19}),
        ("vgg11_bn", 11, {"conv1_1.kernel": 0, "norm1_1.scale": 0, "conv2_1.kernel": 1, "head.kernel": 10}),
    ],
)
def test_depths_of_published_nets(name, groups, some):
    net = check(find(name))
    factors = Groups(layer_decay=0.5).factors(net)
    names = {p.name for p in net.params}
    assert len({factors.get(n, 1.0) for n in names}) == groups
    assert names.issuperset(some)
    assert {n: factors.get(n, 1.0) for n in some} == {n: 0.5 ** (groups - 1 - i) for n, i in some.items()}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"layer_decay": 0.0}, "`layer_decay` wants a number above 0 and at most 1, got 0.0"),
        ({"head_lr": -1.0}, "`head_lr` wants a positive number, got -1.0"),
        ({"freeze": "stem,"}, r"`freeze` wants names of layers, such as stem,stage1, got \('stem', ''\)"),
        (
            {"freeze": "stage"},
            "`freeze` wants layers that have parameters, got 'stage'; did you mean stage",
        ),
        (
            {"thaw": "stem"},
            r"`thaw` wants layers, each with the first step that trains it, such as stem=900, got",
        ),
        ({"thaw": "stem=0"}, "`thaw` wants layers, each with the first step that trains it"),
        ({"thaw": "stag=3"}, "`thaw` wants layers that have parameters, got 'stag'; did you mean stage"),
        ({"thaw": "stem=3", "freeze": "stem"}, "`freeze` and `thaw` both name stem, which would never be trained"),
        (
            {"thaw": "stem=3", "optimizer": "schedulefree"},
            "cannot start late, got `optimizer=schedulefree`, which averages them itself, and `thaw` or `unfreeze`; "
            "leave one out",
        ),
        (
            {"lookahead": 2, "optimizer": "schedulefree"},
            "averaged in one way, got `optimizer=schedulefree`, which averages them itself, and `lookahead`; leave one "
            "out",
        ),
        ({"freeze": 3}, "`freeze` wants names of layers, such as stem,stage1, got 3"),
        ({"freeze": "zzz"}, "got 'zzz'; its own layers with parameters are stem, stage1, stage2, head"),
        ({"freeze": "stem,stage1,stage2,head"}, "`freeze` leaves nothing to train, got stem,stage1,stage2,head"),
    ],
)
def test_sentences(words, sentence):
    with pytest.raises(SpecError, match=sentence):
        build(NET, recipe_of(**words), B)


def test_a_head_that_is_the_whole_net_has_no_rate_of_its_own():
    with pytest.raises(
        SpecError, match="tiny-gpt: `head_lr` wants a head that is separate from other layers, got a net of one layer"
    ):
        build(check(find("tiny-gpt")), recipe_of(head_lr=2.0), B)
