"""Blocks computed again in the backward pass: the same numbers, from a program that compilers keep as it is."""

import dataclasses
import json
import re

import numpy as np
import pytest
from click.testing import CliRunner

from netc.cli.main import cli
from netc.codegen.analysis.memory import memory_of
from netc.codegen.analysis.step_cost import works
from netc.codegen.builder import Builder
from netc.codegen.evaluator import run
from netc.codegen.ir import Module
from netc.codegen.program import build
from netc.codegen.render import render
from netc.codegen.rewrite.lower import lower
from netc.codegen.text import text_of
from netc.codegen.verify import verify
from netc.netspec.check import check
from netc.netspec.errors import SpecError
from netc.netspec.find import find
from netc.netspec.groups import Groups
from netc.netspec.layers import (
    ConvBn,
    Dense,
    GlobalAvgPool,
    ResidualBlock,
    TiedHead,
    TokenPositionEmbed,
    TransformerEncoder,
)
from netc.netspec.recipe import SGD, Recipe
from netc.netspec.spec import NetSpec
from netc.netspec.toml import to_toml
from netc.netspec.types import TensorType
from netc.proofs_oracle.certificate.parse import parse
from netc.runtime.backends.protocol import Source
from netc.runtime.backends.xla import XlaLoaded
from netc.runtime.cache.store import Cache
from netc.runtime.prepare import prepare
from netc.runtime.target import parse_target
from netc.runtime.trainer import Trainer

RESNET = check(
    NetSpec(
        "resnet",
        (6, 6, 2),
        (ConvBn(4, (3, 3), name="stem"), ResidualBlock(4, 2, name="stage1"),
         ResidualBlock(6, 1, stride=2, name="stage2"), GlobalAvgPool(), Dense(3, name="head")),
    )
)  # fmt: skip


def gpt(dropout, blocks=2, width=8):
    body = TransformerEncoder(2, 2 * width, blocks, causal=True, dropout=dropout, name="blocks")
    return check(NetSpec("gpt", (6,), (TiedHead(TokenPositionEmbed(11, width, std=0.2), body, name="m"),), dtype="i32"))


NETS = {"resnet": RESNET, "dropout": gpt(0.3), "transformer": gpt(0.0)}


def arguments(program, dtype="f64"):
    net, rng = program.net, np.random.default_rng(3)
    shape = (program.batch, *net.x.shape)
    x = rng.integers(0, 11, shape) if net.x.dtype == "i32" else rng.standard_normal(shape)
    y = rng.integers(0, net.out.shape[-1], (program.batch, *net.out.shape[:-1]))
    return [*run(program.module, "init", [np.array([1, 2], np.uint32)], dtype), x, y, 1e-2]


def built(net, remat, **more):
    return build(net, Recipe(SGD(), remat=remat, **more), 4)


@pytest.mark.parametrize("family", [None, "cpu", "xla", "gpu"])
@pytest.mark.parametrize("net", NETS.values(), ids=NETS)
def test_every_result_is_the_plain_steps(net, family):
    """Loss, gradients (the velocities after a step), statistics: no bit differs, dropout's masks included."""
    results = []
    for remat in (False, True):
        program = built(net, remat)
        module = program.module if family is None else lower(program.module, family)
        results.append(run(module, "train_step", arguments(program)))
    for plain, again in zip(*results, strict=True):
        np.testing.assert_array_equal(again, plain)


def test_blocks_are_computed_twice_and_nothing_else_is():
    plain, again = (built(RESNET, remat).module for remat in (False, True))
    before, after = (m.function("train_step").counts() for m in (plain, again))
    assert after["conv"] == before["conv"] + 7  # two in each of three blocks, and a shortcut
    assert len(waiting(again.function("train_step"))) == 3
    assert before["conv_kernel_grad"] == after["conv_kernel_grad"]
    for name in ("eval_step", "predict", "init"):
        assert again.function(name).counts() == plain.function(name).counts()
    places = {op.loc for op in again.function("train_step").ops if op.loc.endswith("(remat)")}
    assert "stage1.block0.residual.body.conv1.conv (remat)" in places
    assert not any(p.startswith(("stem", "head")) for p in places)


def test_named_blocks_alone_are_computed_twice():
    """With the same bits as without."""
    plain = built(RESNET, False)
    named = built(RESNET, False, remat_blocks=("stage1.block1", "stage2"))
    step = named.module.function("train_step")
    assert len(waiting(step)) == 2
    again = {op.loc.removesuffix(" (remat)") for op in step.ops if op.loc.endswith("(remat)")}
    assert {".".join(place.split(".")[:2]) for place in again} == {"stage1.block1", "stage2.block0"}
    results = [run(p.module, "train_step", arguments(p)) for p in (plain, named)]
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [({"remat_blocks": ("stage1.block7",)}, r"resnet: `remat_blocks` wants blocks .*, got 'stage1.block7'; did you"),
     ({"remat_blocks": ("stem",)}, r"got 'stem'; its blocks are stage1.block0, stage1.block1, stage2.block0"),
     ({"remat_blocks": ("stage1",), "remat": True}, "`remat` recomputes all blocks and `remat_blocks` some, got both"),
     ({"remat_blocks": "stage1"}, "`remat_blocks` wants names of blocks, as stage1,stage2.block0, got 'stage1'")],
)  # fmt: skip
def test_blocks_that_there_are_not(words, sentence):
    with pytest.raises(SpecError, match=sentence):
        build(RESNET, Recipe(**words), 4)


def waiting(function):
    """The sums x + 0 dy[0, ..], one for each block that is computed again: of its x behind a barrier."""
    behind = {op.result for op in function.ops if op.kind == "barrier"}
    return [op for op in function.ops if op.kind == "add" and op.loc.endswith("(remat)") and op.operands[0] in behind]


@pytest.mark.parametrize("family", ["cpu", "xla"])
@pytest.mark.parametrize("net", NETS.values(), ids=NETS)
def test_the_passes_keep_what_is_computed_again(net, family):
    saved = []
    for remat in (False, True):
        program = built(net, remat)
        lowered = lower(program.module, family)
        saved.append(memory_of(program.state, lowered))
        assert sum(w.flops for w in works(lowered.function("train_step"))) > 0
    plain, again = saved
    assert not plain.again
    assert again.again
    assert again.rows["saved activations"] < 0.6 * plain.rows["saved activations"]
    assert again.total < plain.total


def test_xla_plans_less_memory_with_it():
    """Without `x + 0 dy` in the program XLA computes all blocks again at once, and plans as much as without."""
    sizes, dots = [], []
    for remat in (False, True):
        program = build(gpt(0.0, blocks=4, width=32), Recipe(SGD(), norms=False, remat=remat), 16)
        module = lower(program.module, "xla")
        loaded = XlaLoaded(Source(module, text_of(module, "xla")))
        sizes.append(loaded.memory("train_step"))
        dots.append(module.function("train_step").counts()["dot"])
    (arguments_plain, _, transient_plain), (arguments_again, _, transient_again) = sizes
    assert arguments_plain == arguments_again
    assert transient_again < 0.7 * transient_plain
    assert dots[1] > dots[0]


def test_iree_compiles_it_with_dropout(tmp_path):
    """A key behind one of its compute barriers is refused; the masks are those of the evaluator."""
    whole = built(gpt(0.3, blocks=1), True)
    *state, x, y, lr = arguments(whole, "f32")
    step = whole.module.function("train_step")  # the only function with a block that is computed again
    assert len(waiting(step)) == 1
    program = dataclasses.replace(whole, module=Module(whole.module.name, (step,)))
    losses = []
    for word in ("cpu", "reference"):
        session = Trainer(prepare(program, parse_target(word), Cache(tmp_path)))
        session.restore({slot.name: v for slot, v in zip(program.state, state, strict=True)})
        losses.append([session.train_step(x.astype(np.int32), y.astype(np.int32), lr)["loss"] for _ in range(2)])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)
    assert losses[0][0] != losses[0][1]


def test_it_goes_with_the_other_options():
    for more in ({"precision": "bf16"}, {"accumulate": 2}):
        program = built(RESNET, True, **more)
        lower(program.module, "cpu")
        assert any(waiting(f) for f in program.module)


def test_a_net_without_blocks_is_refused():
    with pytest.raises(SpecError, match=r"remat wants a net with blocks \(block0, .*\), got mnist-cnn without; leave"):
        build(check(find("mnist-cnn")), Recipe(remat=True), 4)


def test_frozen_blocks_are_said_to_be_frozen():
    frozen = Groups(freeze=("stem", "stage1", "stage2"))
    with pytest.raises(SpecError, match=r"remat wants a block that is trained, got resnet with all frozen; leave"):
        build(RESNET, Recipe(remat=True, groups=frozen), 4)


def test_a_block_in_a_block_is_computed_again_once():
    """MobileNetV3's stage `block1` has the parts block0, block1, ..; only the stage is computed again."""
    program = build(check(find("mobilenet_v3_small")), Recipe(remat=True, norms=False), 2)
    step = program.module.function("train_step")
    stages = {re.match(r"block\d+", s.name)[0] for s in program.state if s.name.startswith("block")}
    assert len(waiting(step)) == len(stages)


@pytest.mark.parametrize("name", ["resnet", "dropout"])
def test_its_text_is_certified(name, tmp_path):
    path = tmp_path / "net.toml"
    path.write_text(to_toml(NETS[name].spec), encoding="utf-8")
    words = ["certify", str(path), "--batch", "2", "--primes", "4", "--remat", "--json"]
    found = CliRunner().invoke(cli, words)
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)["holds"]


# -- the operation ----------------------------------------------------------------------------------------------


def joint():
    b = Builder("main")
    x, y = b.parameter("x", TensorType((2, 3))), b.parameter("y", TensorType((4,), "i32"))
    u, v = b.joint_barrier(x, y)
    b.joint_barrier(x, y)  # dead
    return verify(Module("m", (b.finish([("u", u), ("v", v)]),)))


def test_a_joint_barrier_is_the_identity_for_every_reader():
    module = lower(joint(), "xla")
    assert module.functions[0].counts() == {"joint_barrier": 1}
    x, y = np.arange(6.0).reshape(2, 3), np.arange(4, dtype=np.int32)
    for got, wanted in zip(run(module, "main", [x, y]), (x, y), strict=True):
        np.testing.assert_array_equal(got, wanted)
    text = render(module)
    line = "%joint0_0, %joint0_1 = stablehlo.optimization_barrier %arg0, %arg1 : tensor<2x3xf32>, tensor<4xi32>"
    assert line in text
    read = parse(text)
    assert not read.ops
    assert read.results == read.params
