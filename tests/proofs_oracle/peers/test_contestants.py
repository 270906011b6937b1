"""The peers of the benchmark are the same nets: from the same parameters the same losses, over steps of Adam."""

import numpy as np
import pytest

from netc.codegen.evaluator import run
from netc.netspec.check import check
from netc.netspec.errors import NetcError, UserError
from netc.netspec.find import find
from netc.netspec.layers import (
    AvgPool,
    Conv2d,
    ConvBn,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    InvertedResidual,
    MaxPool,
    ResidualBlock,
    TiedHead,
    TokenPositionEmbed,
    TransformerEncoder,
)
from netc.netspec.spec import NetSpec
from netc.proofs_oracle.peers import contestants as peers
from netc.runtime.measure.bench import RATE, Job

# what the benchmark's nets hold: strided and depthwise convolutions, relu6, a padded max-pool, a flattened image
NETS = {
    "mobile": NetSpec(
        "mobile", (9, 9, 3),
        (ConvBn(4, 3, 2, activation="relu6"), InvertedResidual(4, blocks=2), GlobalAvgPool(), Dropout(0.0), Dense(3)),
    ),
    "resnet": NetSpec(
        "resnet", (12, 12, 3),
        (Conv2d(4, 3, 2, "same-symmetric", bias=False), MaxPool(3, 2, "same-symmetric"), ResidualBlock(6, 1, 2),
         GlobalAvgPool(), Dense(3)),
    ),
    "flat": NetSpec(
        "flat", (6, 4, 2),
        (Conv2d(3, 3, 2, "same", activation="gelu"), Flatten(), Dense(5, activation="relu"), Dense(3)),
    ),
}  # fmt: skip
BLOCK = TransformerEncoder(2, 8, 1, causal=True)
TOKENS = NetSpec("tokens", (3,), (TiedHead(TokenPositionEmbed(7, 4), BLOCK),), dtype="i32")


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


@pytest.mark.parametrize("spec", [*NETS.values(), TOKENS], ids=lambda spec: spec.name)
def test_jax_is_the_same_net(spec):
    job = Job(check(spec), 4, 1)
    (contestant,) = peers.contestants(("jax",), job.net)
    assert (contestant.name, contestant.same_start) == ("JAX jit", True)
    step, _ = contestant.make(job)
    np.testing.assert_allclose([step() for _ in range(3)], our_losses(job), rtol=2e-4)


def test_torch_is_the_same_net_in_both_layouts(job):
    pytest.importorskip("torch")
    found = peers.contestants(("torch",), job.net)
    assert [c.name for c in found] == ["torch eager", "torch eager, channels last"]
    for contestant in found:
        step, _ = contestant.make(job)
        np.testing.assert_allclose([step() for _ in range(3)], our_losses(job), rtol=2e-4)


def test_what_torch_lacks_is_named():
    pytest.importorskip("torch")
    net = check(NetSpec("pooled", (4, 4, 2), (Conv2d(3), AvgPool(2), GlobalAvgPool(), Dense(3))))
    with pytest.raises(UserError, match=r"has no avgPool, which pooled holds; leave torch out"):
        peers.contestants(("torch",), net)


@pytest.mark.parametrize("name", peers.TRANSFORMERS)
def test_transformers_by_hand_have_the_same_count(name):
    pytest.importorskip("torch")
    job = Job(check(find(name)), 1, 1)
    contestant, *_ = peers.contestants(("torch",), job.net)
    assert not contestant.same_start  # their parameters have other shapes: only the count is compared
    contestant.make(job)  # raises if the counts differ
    changed = Job(check(find(name).with_classes(7)), 1, 1)
    with pytest.raises(NetcError, match="it is another net"):
        contestant.make(changed)


def test_the_benchmarks_new_nets_have_peers():
    pytest.importorskip("torch")
    for spec in (find("mobilenet_v2").with_input((32, 32, 3)).with_classes(10), find("resnet34")):
        assert len(peers.contestants(peers.WORDS, check(spec))) == 5
