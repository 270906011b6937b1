"""The script that `netc emit-jax` writes: run, it draws the same first state and trains as the program does."""

import runpy

import numpy as np
import pytest

from netc.codegen.evaluator import run
from netc.codegen.program import build
from netc.netspec import layers as nn
from netc.netspec.activations import ACTIVATIONS
from netc.netspec.check import check
from netc.netspec.erasing import Erasing
from netc.netspec.groups import Groups
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
    ResidualBlock,
)
from netc.netspec.loss import CrossEntropy, Dice, DiceCrossEntropy, Focal, MeanSquaredError
from netc.netspec.mixing import Mixing
from netc.netspec.process import Generation
from netc.netspec.recipe import Recipe, TrainConfig
from netc.netspec.regularisation import Regularisation
from netc.netspec.spec import NetSpec
from netc.proofs_oracle.references.step_nets import EXPERTS
from netc.proofs_oracle.twin.agreement import agreement, executed, script_of
from netc.proofs_oracle.twin.forward import COMBINATORS, LEAVES
from netc.proofs_oracle.twin.script import Training, jax_script
from netc.runtime.compare.replay import first_state

# every row and part, in the forms that the options give
CLASSIC = NetSpec(
    "classic",
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


RESIZED = NetSpec(
    "resized",
    (5, 6, 4),
    (
        nn.SpaceToDepth(2, name="blocks"),
        nn.ConvTranspose2d(8, (3, 2), (2, 3), (1, 0), 1, groups=2, dilation=(2, 1), activation="tanh", name="grouped"),
        nn.ConvTranspose2d(6, 2, 2, size=(17, 18), bias=False, name="sized"),
        nn.AdaptiveAvgPool((3, 7), name="adaptive"),
        nn.NearestUpsample((2, 1), name="nearest"),
        nn.BilinearUpsample((1, 2), name="bilinear"),
        nn.GroupNorm(3, name="groups"),
        nn.InstanceNorm(name="instances"),
        nn.InstanceNorm(affine=True, name="affine"),
        nn.ChannelShuffle(3, name="shuffle"),
        nn.ChannelWindow(-1, 9, name="window"),
        nn.ChannelWindow(0, 8, name="first"),
        nn.Split((Conv2d(2, 1, activation="h-swish", name="a"), Identity(name="b")), (3, 5), name="split"),
        nn.ChannelWindow(0, 6, name="six"),
        nn.HalfProduct(name="product"),
        nn.HalfProduct(1, 3.0, name="gate"),
        nn.LayerScale(0.5, name="scale"),
        nn.LayerScale(0.5, shared=True, name="factor"),
        nn.SoftCap(2.0, name="cap"),
        nn.Dropout(0.3, name="drop"),
        Chain((nn.DropPath(0.4, name="path"), nn.Dropout(0.0, name="none")), name="inner"),
        GlobalAvgPool(),
        nn.SpatialBroadcast((2, 3), name="spread"),
        Flatten(),
        Dense(3, name="head"),
    ),
)
WINDOWS = NetSpec(
    "windows",
    (6, 7, 4),
    (
        nn.WindowPartition(3, (1, 2), name="cut"),
        Dense(12, name="qkv"),
        nn.WindowAttention(2, 3, 2, 3, (1, 2), dropout=0.2, name="attend"),
        nn.WindowMerge(6, 7, 3, (1, 2), name="back"),
        nn.ChannelWindow(0, 4, name="same"),
        nn.SwinStage(2, 2, window=4, name="swin"),
        Conv2d(4, 3, (1, 1), ((0, 0), (0, 1)), name="even"),
        nn.WindowPartition(2, across=True, name="unfold"),
        nn.MultiHeadAttention(2, rope=True, causal=True, groups=4, attention_dropout=0.1, name="groups"),
        nn.SpatialUnflatten(4, 6, name="image"),
        nn.SpatialFlatten(name="again"),
        nn.LearnedTokens(3, name="learned"),
        nn.LearnedPositions(name="positions"),
        nn.SinusoidalPositions(name="waves"),
        nn.CrossAttention(2, 3, attention_dropout=0.2, name="cross"),
        nn.OnTokens(1, Dense(4, name="f"), Dense(4, name="g"), whole=True, name="whole"),
        nn.TakeTokens(2, 1, name="take"),
        nn.PreviousToken(name="before"),
        nn.SelectToken(-1, name="last"),
        nn.PositionalEncoding(2, name="nerf"),
        Dense(1, activation="tanh", name="time"),
        nn.TimeFeatures(3, name="features"),
        Dense(3, name="head"),
    ),
)


def language(*blocks, **embed):
    return (nn.TiedHead(nn.TokenPositionEmbed(5, 8, bias=True, **embed), Chain(blocks), name="model"),)


WORDS = NetSpec(
    "words",
    (6,),
    language(
        nn.MultiHeadAttention(2, causal=True, tile=4, attention_dropout=0.2, name="attention"),
        nn.MultiHeadAttention(
            4, causal=True, rope=True, kv_heads=2, rope_base=50.0, qk_norm=True, window=3, name="shared"
        ),
        nn.MultiHeadAttention(1, rope=True, rope_base=50.0, rope_scaling=(8.0, 1.0, 2.0, 16.0), name="longer"),
        nn.MambaBlock(2, layers=1, name="mamba"),
        nn.MixtureOfExperts(3, 3, balance=0.2, std=0.5, name="experts"),
        nn.RMSNorm(name="norm"),
        nn.RMSNorm(scale=False, name="plain"),
    ),
    dtype="i32",
)
NORMED = NetSpec(
    "normed",
    (4, 4, 2),
    (Conv2d(3, 3, bias=False, name="conv"), BatchNorm(name="bn"), Flatten(), nn.Dropout(0.5), Dense(3, name="head")),
)
DROPPING = NetSpec(
    "dropping", (4,), (Dense(8), nn.Dropout(0.9), nn.Residual(Chain((Dense(8), nn.DropPath(0.0)))), Dense(3))
)
ROWS = Chain((Dense(48, activation="tanh", name="dense"), nn.ChannelsToTokens(6, name="rows")))
STREAMS = NetSpec(
    "streams",
    (4, 4, 3),
    (
        nn.ConditionedPatches(8, classes=2, class_tokens=2, frequencies=3, name="patches"),
        nn.Modulated(Dense(8, name="d"), ROWS, apart=2, name="apart"),
        nn.DoubleStream(2, 3, 2, bias=True, name="double"),
        nn.SingleStream(1, 3, 2, name="single"),
        nn.DitBlocks(2, 4, name="dit"),
        Dense(16, name="wide"),
        nn.TakeTokens(4, 3, name="image"),
        nn.SpatialUnflatten(2, 2, name="grid"),
        nn.DepthToSpace(2, name="squares"),
        Flatten(),
        nn.GaussianSample(0.1, name="sample"),
        Dense(3, name="head"),
    ),
)
PLACES = NetSpec("places", (6,), language(LayerNorm(name="norm"), positions=False), dtype="i32")
NETS = {spec.name: spec for spec in (CLASSIC, RESIZED, WINDOWS, WORDS, STREAMS)}
SEED = 2**40 + 5


def test_the_nets_have_every_kind():
    met = {type(row.layer) for spec in NETS.values() for row in check(spec).walk()}
    # what a composite stands for is not in the walk, its parts are
    assert LEAVES.keys() | COMBINATORS.keys() <= met | {Chain}


@pytest.mark.parametrize("name", NETS)
def test_a_step_is_the_same(name):
    found = agreement(check(NETS[name]), batch=3)
    assert found.same_start
    assert max(found.loss, found.grad_norm) < 1e-12, found
    assert found.worst < 1e-9, found


def gated(balance):
    moe = nn.MixtureOfExperts(3, 3, balance=balance, std=0.5, name="moe")
    return NetSpec("gated", (5, 4), (Dense(4, name="up"), moe, Dense(3, name="head")))


@pytest.mark.parametrize(
    ("spec", "more"),
    [(gated(0.0), {}), (gated(0.5), {"groups": Groups(freeze=("moe",))}), (gated(0.0), {"accumulate": 3}),
     (EXPERTS, {})],
    ids=["no-balance", "frozen", "in-parts", "one-of-four"],
)  # fmt: skip
def test_a_step_of_experts_is_the_same(spec, more):
    found = agreement(check(spec), batch=3, **more)
    assert max(found.loss, found.grad_norm, found.worst) < 1e-9, found


CHANGED = {
    "mixup": {"mixing": Mixing(0.2)},
    "cutmix": {"mixing": Mixing(cutmix=4.0), "loss": CrossEntropy(0.1)},
    "either": {"mixing": Mixing(0.8, 1.0, 0.9), "loss": Focal()},
    "erased": {"erasing": Erasing(0.8)},
    "all": {"mixing": Mixing(0.8, 1.0), "erasing": Erasing(0.8, erasing_pixels=True), "accumulate": 2},
    "stated-rates": {"regularisation": Regularisation(0.3, 0.1)},
}


PROCESSES = {
    "flow": Generation("flow", label_count=3, label_drop=0.5),
    "flow-image": Generation("flow", "logit-normal", "x", label_count=3, label_drop=0.5),
    "ddpm": Generation("ddpm", predicts="v", noise_schedule="cosine", noise_steps=77, label_count=3),
    "masked": Generation("masked"),
}
ASKED = NetSpec("asked", (4, 4, 4), (nn.TimeCondAdd(4, name="time"), Conv2d(2, 3, name="conv")))
HIDDEN = NetSpec(
    "hidden",
    (7,),
    (nn.TokenPositionEmbed(1001, 4, name="embed"), nn.TakeTokens(6, name="take"), Dense(9, name="head")),
    dtype="i32",
)


@pytest.mark.parametrize("name", PROCESSES)
def test_a_step_of_a_process_is_the_same(name):
    spec, loss = (HIDDEN, CrossEntropy()) if name == "masked" else (ASKED, MeanSquaredError())
    found = agreement(check(spec), batch=4, loss=loss, generation=PROCESSES[name], accumulate=2)
    assert found.same_start and max(found.loss, found.grad_norm) < 1e-12 and found.worst < 1e-9, found


DRAWS = [(name, 5) for name in CHANGED] + [(name, seed) for name in ("either", "all") for seed in (6, 2**40 + 7)]


@pytest.mark.parametrize(("name", "seed"), DRAWS)
def test_a_step_that_changes_its_examples_is_the_same(name, seed):
    spec = DROPPING if name == "stated-rates" else NORMED
    found = agreement(check(spec), batch=6, seed=seed, **CHANGED[name])
    assert max(found.loss, found.grad_norm) < 1e-12, found
    assert found.worst < 1e-9, found


@pytest.mark.parametrize("spec", [NORMED, WORDS], ids=["normed", "words"])
def test_a_step_in_parts_is_the_same(spec):
    """Batch norm's statistics move on from part to part, and each part draws its own masks."""
    found = agreement(check(spec), batch=6, accumulate=3)
    assert found.same_start
    assert max(found.loss, found.grad_norm) < 1e-12, found
    assert found.worst < 1e-9, found


@pytest.mark.parametrize(
    "loss",
    [CrossEntropy(0.1, (0.5, 1, 2, 1, 3)), Focal(1.5), Focal(0.5, (0.3,)), Focal(alpha=(1, 2, 3, 4, 5)), Dice(0.5),
     DiceCrossEntropy(2.0)],
    ids=repr,
)  # fmt: skip
def test_losses_are_the_same(loss):
    found = agreement(check(PLACES), loss=loss)
    assert max(found.loss, found.grad_norm, found.worst) < 1e-11, found


@pytest.fixture(scope="module")
def twin():
    return executed(script_of(check(CLASSIC), Recipe(), 4, SEED))


def test_the_first_state_is_the_same_bits(twin):
    program = build(check(CLASSIC), Recipe(), 4)
    drawn = twin["initial_state"](SEED)
    held = {**drawn["params"], **drawn["statistics"]}
    for slot, value in zip(program.state, first_state(program, SEED), strict=True):
        if slot.name in held:
            np.testing.assert_array_equal(np.asarray(held[slot.name]), value, err_msg=slot.name)


@pytest.mark.parametrize("name", ["classic", "resized"])
def test_logits_are_the_same(name):
    net = check(NETS[name])
    program, scope = build(net, Recipe(), 4), executed(script_of(net, Recipe(), 4, 9))
    state = first_state(program, 9)
    x = np.random.default_rng(0).normal(size=(4, *net.x.shape)).astype(np.float32)
    held = {s.name: v for s, v in zip(program.state, state, strict=True)}
    wanted = run(program.module, "predict", [held[s.name] for s in program.kept] + [x], "f32")[0]
    got, _ = scope["forward"](held, held, x, False)  # no key: nothing is dropped
    np.testing.assert_allclose(np.asarray(got), wanted, rtol=1e-4, atol=1e-5)


def test_numbers_are_spelled_as_in_a_trace(twin):
    from netc.traces.schema import single_to_json

    values = np.array([0.1, 1e-38, 3e38, -0.0, np.nan, np.inf, -np.inf, 7.038531e-26], np.float32)
    assert [twin["number"](v) for v in values] == [single_to_json(float(v)) for v in values]


def test_the_order_of_the_data_is_the_same(tmp_path):
    from netc.netspec.augment import Augment
    from netc.runtime.data.batches import Normalise, train_batches
    from netc.runtime.data.digits import read_digits

    train, _ = read_digits()
    header = {"data": "digits", "data_sha256": "a" * 64}
    net = NetSpec("net", (8, 8, 1), (Flatten(), Dense(10, name="head")))
    text = jax_script(Training(check(net), Recipe(), TrainConfig(1, 64), 3, 2, True, (0.3,), (0.4,), header))
    (tmp_path / "order.py").write_text(text)
    scope = runpy.run_path(str(tmp_path / "order.py"))
    wanted = train_batches(
        train, batch=64, seed=3, epoch=2, normalise=Normalise((0.3,), (0.4,)), augment=Augment(2, True)
    )
    for (x, y), batch in zip(scope["batches"]((train.pixels, train.labels), 2), wanted, strict=True):
        np.testing.assert_array_equal(x, batch.x)
        np.testing.assert_array_equal(y, batch.y)
