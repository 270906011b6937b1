"""One small net for each family of layers, compiled by IREE for the CPU and by XLA: the gradient of one train step.

The oracle judges the rules in float64; here each rule's operations, in the forms that a target's schedule gives them,
go through the compiler beside other layers, as they will in a net.
"""

import dataclasses
import math

import numpy as np
import pytest

from netc.codegen.evaluator import run
from netc.codegen.ir import Module
from netc.codegen.program import build
from netc.netspec import layers as nn
from netc.netspec.check import check
from netc.netspec.loss import CrossEntropy, DiceCrossEntropy, MeanSquaredError
from netc.netspec.recipe import Recipe, Sgd
from netc.netspec.spec import NetSpec
from netc.netspec.types import Constant, Normal
from netc.runtime.session import Session, prepare
from netc.runtime.target import parse_target

BATCH = 3
CLASSES = 5
HEAD = (nn.GlobalAvgPool(), nn.Dense(CLASSES, name="head"))
TOKENS = (nn.LayerNorm(name="last"), *HEAD)


def language(*blocks, norm, **embed):
    """Ids in, a logit for each token and place out, one matrix at both ends."""
    return (nn.TiedHead(nn.TokenPositionEmbed(CLASSES, 8, **embed), nn.Chain((*blocks, norm)), name="model"),)


# name: input, layers, loss
FAMILIES = {
    "pooled-linear": (
        (16, 12, 3),
        (nn.Conv2d(4, activation="relu"), nn.Conv2d(4, 3), *HEAD),
        CrossEntropy(),
    ),
    "mobile": (
        (13, 12, 3),
        (
            nn.ConvBn(8, 3, 2, "same-symmetric", activation="h-swish", name="stem"),
            nn.SeparableConv(8, name="separable"),
            nn.InvertedResidual(8, 2.0, name="inverted"),
            nn.MbConv(8, 2.0, kernel=5, stride=2, blocks=2, drop_path=0.2, name="mbconv"),
            nn.MbConvV3(8, 16, squeeze=True, activation="h-swish", name="v3"),
            nn.FusedMbConv(8, 2.0, squeeze=0.25, name="fused"),
            nn.Uib(8, 2.0, start_kernel=3, middle_kernel=5, name="uib"),
            *HEAD,
        ),
        CrossEntropy(),
    ),
    "branches": (
        (13, 12, 4),
        (
            nn.CeilMaxPool(3, 2, name="ceil"),
            nn.InceptionModule(4, 2, 4, 2, 4, 4, name="inception"),
            nn.FireModule(4, 4, 4, name="fire"),
            nn.DenseBlock(4, 2, bottleneck=2, name="dense"),
            nn.ConvTranspose2d(6, 3, 2, 1, name="transposed"),
            nn.TransitionLayer(8, name="transition"),
            nn.AsppModule(4, (1, 3), name="aspp"),
            nn.AdaptiveAvgPool(2, name="adaptive"),
            nn.Flatten(),
            nn.Dropout(0.4, name="dropout"),
            nn.Dense(CLASSES, name="head"),
        ),
        CrossEntropy(),
    ),
    "residuals": (
        (10, 8, 4),
        (
            nn.ShuffleBlock(16, 2, 2, name="shuffle"),
            nn.ShuffleV2Block(24, 2, name="shuffle2"),
            nn.CspBlock(8, name="csp"),
            nn.DarknetBlock(1, name="darknet"),
            nn.ResidualBlock(8, name="basic"),
            nn.BottleneckBlock(16, name="bottleneck"),
            *HEAD,
        ),
        CrossEntropy(),
    ),
    "convnext": (
        (16, 16, 3),
        (
            nn.ConvNextStem(8, 4, name="stem"),
            nn.ConvNextStage(2, drop_path=(0.2, 0.4), name="stage"),
            nn.ConvNextDownsample(12, name="down"),
            nn.GroupNorm(3, name="group"),
            nn.InstanceNorm(affine=True, name="instance"),
            nn.SqueezeExcite(3, name="squeeze"),
            *TOKENS,
        ),
        CrossEntropy(),
    ),
    "transformer": (
        (8, 12, 3),
        (
            nn.PatchEmbed(8, 4, dropout=0.1, name="patch"),
            nn.TransformerEncoder(2, 12, dropout=0.1, attention_dropout=0.1, drop_path=0.2, name="encoder"),
            nn.TransformerDecoder(2, 12, 1, 3, norm_first=False, name="decoder"),
            nn.SelectToken(1, name="pick"),
            nn.LayerNorm(name="norm"),
            nn.Dense(CLASSES, name="head"),
        ),
        CrossEntropy(),
    ),
    "swin": (
        (16, 16, 3),
        (
            nn.Conv2d(8, 4, 4, "valid", name="patch"),
            nn.SwinStage(2, 2, 3, 2.0, attention_dropout=0.1, drop_path=(0.0, 0.2), name="stage1"),
            nn.PatchMerging(name="merge"),
            nn.SwinStage(2, 1, 2, 2.0, name="stage2"),
            *TOKENS,
        ),
        CrossEntropy(),
    ),
    "mobilevit": (
        (8, 8, 4),
        (nn.MobileVitBlock(8, 2, 12, 1, name="block"), nn.ConvBn(8, 1, 1, "valid", activation="swish"), *HEAD),
        CrossEntropy(),
    ),
    "gpt": (
        (9,),
        language(
            nn.TransformerEncoder(2, 12, causal=True, activation="gelu-tanh", name="dense"),
            nn.TransformerEncoder(2, 12, causal=True, rope=True, tile=4, norm="rms", name="tiled"),
            norm=nn.LayerNorm(name="norm"),
        ),
        CrossEntropy(),
    ),
    "mamba": (
        (9,),
        language(nn.MambaBlock(4, 2, 2, name="blocks"), norm=nn.RmsNorm(name="norm"), positions=False),
        CrossEntropy(),
    ),
    "wavenet": (
        (9,),
        (
            nn.TokenPositionEmbed(CLASSES, 8, positions=False, name="embed"),
            nn.SinusoidalPositions(),
            nn.WaveNetBlock(8, 6, 3, name="block"),
            nn.LmHead(CLASSES, bias=True, name="head"),
        ),
        CrossEntropy(),
    ),
    "unet": (
        (12, 10, 3),
        (
            nn.Unet(4, 1, name="body"),
            nn.UnetUp(nn.UnetDown(6), 4, "bilinear", name="up"),
            nn.Conv2d(CLASSES, 1, 1, "valid", name="head"),
        ),
        DiceCrossEntropy(),
    ),
    "diffusion": (
        (8, 8, 3),
        (
            nn.TimeCondAdd(4, name="time"),
            nn.FpnModule((nn.ConvBn(4, name="s0"), nn.ConvBn(6, stride=2, name="s1")), 4, "all", name="pyramid"),
            nn.Conv2d(2, 3, name="head"),
        ),
        MeanSquaredError(),
    ),
}  # fmt: skip


def drawn(rng, param):
    """Values around where the layer starts, so that no gradient is zero because a gate or a kernel is."""
    if isinstance(param.init, Constant):
        return (param.init.value + 0.2 * rng.standard_normal(param.shape)).astype(np.float32)
    std = param.init.std if isinstance(param.init, Normal) else param.init.bound / math.sqrt(3)
    return rng.normal(0, max(std, 0.1), param.shape).astype(np.float32)


@pytest.fixture(scope="module")
def judged():
    """For each family: its program (a train step alone), a state, a batch, and the results of the step in float64."""
    made = {}

    def make(name):
        if name not in made:
            shape, body, loss = FAMILIES[name]
            net = check(NetSpec(name, shape, body, dtype="i32" if len(shape) == 1 else "f32"))
            whole = build(net, Recipe(Sgd(0.9), loss, norms=False), BATCH)
            step = whole.module.function("train_step")
            program = dataclasses.replace(whole, module=Module(whole.module.name, (step,)))
            rng = np.random.default_rng(0)
            state = {s.name: np.zeros(s.type.shape, np.float32) for s in whole.state}
            state |= {p.name: drawn(rng, p) for p in net.params}
            state |= {s.name: np.full(s.shape, s.init.value, np.float32) for s in net.state}
            state |= {"step": np.int32(0), "key": np.array([1, 2], np.uint32)}
            batch = []
            for t in (step.params[step.names.index(n)].type for n in ("x", "y")):
                floats = rng.standard_normal(t.shape).astype(np.float32)
                batch.append(rng.integers(0, CLASSES, t.shape).astype(np.int32) if t.dtype == "i32" else floats)
            # the judge: the module before any pass
            exact = run(program.module, "train_step", [*state.values(), *batch, np.float32(0)], "f64")
            made[name] = program, state, batch, dict(zip(step.result_names, exact, strict=True))
        return made[name]

    return make


@pytest.mark.parametrize("word", ["cpu", "xla"])
@pytest.mark.parametrize("name", FAMILIES)
def test_a_train_step_is_that_of_the_evaluator(name, word, judged, compiled):
    program, state, batch, exact = judged(name)
    session = Session(prepare(program, parse_target(word), compiled))
    session.restore(state)
    metrics = session.train_step(*batch, 0.0)
    assert metrics["loss"] == pytest.approx(float(exact["loss"]), rel=1e-5)
    after = session.fetch()
    # after the first step from rest, SGD's velocity is the gradient
    gradients = {s.name: (after[s.name], exact[s.name]) for s in program.state if s.role == "moment"}
    size = math.sqrt(sum(np.sum(np.square(e)) for _, e in gradients.values()))
    assert size > 0
    for tensor, (ours, wanted) in gradients.items():
        error = np.linalg.norm(ours - wanted)
        # Roundings of 6e-8 through some tens of layers, enlarged by norms over a few values. A bias before a norm has
        # gradient zero, of which float32 leaves a trace of the terms that cancel: hence the part of the whole.
        assert error <= 1e-4 * np.linalg.norm(wanted) + 1e-6 * size, tensor
    for slot in program.state:
        if slot.role == "statistic":
            np.testing.assert_allclose(after[slot.name], exact[slot.name], rtol=1e-4, atol=1e-5)
