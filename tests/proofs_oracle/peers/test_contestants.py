"""The peers of the benchmark are the same nets: from the same parameters the same losses, over steps of Adam."""

import numpy as np
import pytest

from netc.codegen.evaluator import run
from netc.netspec.check import check
from netc.netspec.errors import UserError
from netc.netspec.find import find
from netc.netspec.layers import (
    Activation,
    Chain,
    ChannelShuffle,
    Conv2d,
    ConvBn,
    ConvNextDownsample,
    ConvNextStage,
    ConvNextStem,
    Dense,
    DenseBlock,
    Dropout,
    Flatten,
    GlobalAvgPool,
    InvertedResidual,
    LayerNorm,
    MambaBlock,
    MaxPool,
    PatchEmbed,
    PatchMerging,
    ResidualBlock,
    RMSNorm,
    SelectToken,
    SqueezeExcite,
    SwinStage,
    TiedHead,
    TokenPositionEmbed,
    TransformerEncoder,
    TransitionLayer,
    Unet,
)
from netc.netspec.spec import NetSpec
from netc.proofs_oracle.peers import contestants as peers
from netc.runtime.measure.bench import RATE, Job

HEAD = (GlobalAvgPool(), Dense(3))
BLOCK = TransformerEncoder(2, 8, 1, causal=True)


def tokens(name, body):
    return NetSpec(name, (5,), (TiedHead(TokenPositionEmbed(7, 4), body),), dtype="i32")


# what the benchmark's nets hold: strided and depthwise convolutions, relu6, a padded max-pool, a flattened image, ..
NETS = {spec.name: spec for spec in (
    NetSpec("mobile", (9, 9, 3), (
        ConvBn(4, 3, 2, activation="relu6"), InvertedResidual(4, blocks=2), GlobalAvgPool(), Dropout(0.0), Dense(3))),
    NetSpec("resnet", (12, 12, 3), (
        Conv2d(4, 3, 2, "same-symmetric", bias=False), MaxPool(3, 2, "same-symmetric"), ResidualBlock(6, 1, 2), *HEAD)),
    NetSpec("flat", (6, 4, 2), (
        Conv2d(3, 3, 2, "same", activation="gelu"), Flatten(), Dense(5, activation="relu"), Dense(3))),
    NetSpec("excited", (8, 8, 3), (ConvBn(4, 3, 2, activation="swish"), SqueezeExcite(2, "swish"), *HEAD)),
    NetSpec("convnext", (8, 8, 3), (
        ConvNextStem(4, 2), ConvNextStage(1, kernel=3, scale=0.5), ConvNextDownsample(6), *HEAD)),
    NetSpec("swin", (10, 6, 2), (
        Conv2d(4, 2, 2, "valid"), SwinStage(2, 2, 2), PatchMerging(), SwinStage(2, 2, 2), LayerNorm(), *HEAD)),
    NetSpec("dense", (8, 8, 3), (ConvBn(4, 3), DenseBlock(3, 2), TransitionLayer(), *HEAD)),
    NetSpec("unet", (9, 8, 3), (Unet(4, 2), Conv2d(2, 1))),
    NetSpec("vit", (8, 8, 3), (PatchEmbed(6, 4), TransformerEncoder(2, 8), LayerNorm(), SelectToken(0), Dense(3))),
    tokens("gpt", Chain((BLOCK, LayerNorm()))),
    tokens("mamba", Chain((MambaBlock(2, layers=2), RMSNorm()))),
)}  # fmt: skip


def our_losses(job, steps=3):
    program = job.program
    start = job.start()
    state = run(program.module, "init", [np.zeros(2, np.uint32)], "f32")
    state = [start.get(s.name, v) for s, v in zip(program.state, state, strict=True)]
    losses = []
    for _ in range(steps):
        results = run(program.module, "train_step", [*state, *job.data(), np.float32(RATE)], "f32")
        state = results[: len(state)]
        losses.append(float(results[len(state)]))
    return losses


@pytest.fixture(params=NETS)
def job(request):
    return Job(check(NETS[request.param]), 4, 1)


@pytest.mark.parametrize("name", ["mobile", "resnet", "flat", "gpt"])
def test_jax_is_the_same_net(name):
    job = Job(check(NETS[name]), 4, 1)
    (contestant,) = peers.contestants(("jax",), job.net)
    assert (contestant.name, contestant.same_start) == ("JAX jit", True)
    step, _ = contestant.make(job)
    np.testing.assert_allclose([step() for _ in range(3)], our_losses(job), rtol=2e-4)


@pytest.mark.parametrize("name", ["flat", "unet", "gpt"])
def test_gradients_have_netcs_names_and_axes(name):
    pytest.importorskip("torch")
    job = Job(check(NETS[name]), 4, 1)
    wide, narrow, jaxs = (
        peers.torch_gradients(job, wide=True),
        peers.torch_gradients(job, wide=False),
        peers.jax_gradients(job)(job),
    )
    assert {n: g.shape for n, g in wide.items()} == {p.name: p.shape for p in job.net.params}
    for n, g in wide.items():
        assert g.dtype == np.float64 and narrow[n].dtype == np.float32
        for other in (narrow[n], jaxs[n]):
            np.testing.assert_allclose(other, g, rtol=0, atol=1e-5 * np.abs(g).max() + 1e-8)


def test_torch_is_the_same_net_in_both_layouts(job):
    pytest.importorskip("torch")
    found = peers.contestants(("torch",), job.net)
    layouts = ["torch eager", "torch eager, channels last"]
    assert [c.name for c in found] == layouts[: 1 if job.net.x.dtype == "i32" else 2]
    for contestant in found:
        step, _ = contestant.make(job)
        np.testing.assert_allclose([step() for _ in range(3)], our_losses(job), rtol=2e-4)


@pytest.mark.parametrize(
    ("layers", "sentence"),
    [
        ((ChannelShuffle(2),), r"has no channelShuffle, which lacking holds; leave torch out"),
        ((PatchEmbed(4, 2), TransformerEncoder(2, 8, rope=True)), r"has no rope of selfAttention; leave torch out"),
        ((Activation("relu2"),), r"wants a net of .*, got relu2; leave torch out"),
    ],
)
def test_what_torch_lacks_is_named(layers, sentence):
    pytest.importorskip("torch")
    net = check(NetSpec("lacking", (4, 4, 4), (*layers, *HEAD)))
    with pytest.raises(UserError, match=sentence):
        peers.contestants(("torch",), net)


def test_the_benchmarks_new_nets_have_peers():
    pytest.importorskip("torch")
    for spec in (find("mobilenet_v2").with_input((32, 32, 3)).with_classes(10), find("resnet34")):
        assert len(peers.contestants(peers.WORDS, check(spec))) == 5
