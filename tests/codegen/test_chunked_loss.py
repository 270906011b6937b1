"""The loss by chunks of tokens: the same numbers, without the logits of all."""

import numpy as np
import pytest

from netc.codegen.evaluator import run
from netc.codegen.program import build
from netc.codegen.verify import verify
from netc.netspec import layers as nn
from netc.netspec.check import check
from netc.netspec.errors import NetcError
from netc.netspec.groups import Groups
from netc.netspec.loss import CrossEntropy, Dice, Focal, OneVersusRest
from netc.netspec.recipe import SGD, Recipe
from netc.netspec.spec import NetSpec
from netc.proofs_oracle.certificate.certify import certify_program
from netc.proofs_oracle.certificate.statement import Settings
from netc.runtime.target import parse_target

WORDS, WIDTH, CONTEXT, BATCH = 13, 4, 6, 4
EMBED = nn.TokenPositionEmbed(WORDS, WIDTH, std=0.5, name="embed")
SQUARE = nn.TokenPositionEmbed(WORDS, WORDS, std=0.5, name="embed")
BLOCKS = nn.Repeat(nn.Residual(nn.Dense(WIDTH, activation="tanh", name="dense"), name="add"), 2, name="blocks")
NETS = {
    "tied": (nn.TiedHead(EMBED, nn.Chain((BLOCKS, nn.LayerNorm(name="norm"))), name="model"),),
    "own": (EMBED, BLOCKS, nn.LMHead(WORDS, bias=True, name="head")),
    "in a chain": (EMBED, nn.Chain((BLOCKS, nn.Dense(WORDS, name="out")), name="rest")),
    "experts": (EMBED, nn.MixtureOfExperts(WIDTH, 3, 1, balance=0.5, name="moe"), nn.LMHead(WORDS, name="head")),
    "soft-capped": (EMBED, BLOCKS, nn.LMHead(WORDS, name="head"), nn.SoftCap(2.0, name="cap")),
    "capped": (EMBED, BLOCKS, nn.LMHead(WORDS, name="head"), nn.Activation("tanh", name="cap")),
    "as wide as its vocabulary": (
        SQUARE,
        nn.Residual(nn.Dense(WORDS, name="dense"), name="add"),
        nn.LayerNorm(name="norm"),
        nn.LMHead(WORDS, name="head"),
    ),
    "so in a chain": (
        SQUARE,
        nn.Chain((nn.Residual(nn.Dense(WORDS, name="dense"), name="add"), nn.Dense(WORDS, name="out")), name="rest"),
    ),
    "gates at the end": (
        SQUARE,
        nn.LMHead(WORDS, name="head"),
        nn.TopKGates(2, balance=0.5, name="gates"),
        nn.Dense(WORDS, name="out"),
    ),
    "capped, tied": (nn.TiedHead(EMBED, BLOCKS, name="model"), nn.Activation("tanh", name="cap")),
}
RECIPES = {
    "plain": {},
    "smoothed": {"loss": CrossEntropy(0.1)},
    "focal": {"loss": Focal()},
    "one against the rest": {"loss": OneVersusRest(0.1)},
    "labels checked": {"check_labels": True},
    "in parts": {"accumulate": 2},
    "remat": {"remat": True},
    "body frozen": {"groups": Groups(freeze=("blocks",))},
    "head frozen": {"groups": Groups(freeze=("head",))},
}
PAIRS = [(net, "plain") for net in NETS] + [("own", recipe) for recipe in RECIPES if recipe != "plain"]


def net_of(layers):
    return check(NetSpec("words", (CONTEXT,), layers, dtype="i32"))


def program(layers, chunk, **recipe):
    return build(net_of(layers), Recipe(SGD(), chunked_loss=chunk, **recipe), BATCH)


def results(made):
    """Of one step and one evaluation in float64, from one state, on one batch with a label that is no class."""
    rng = np.random.default_rng(0)
    state = [rng.normal(size=v.shape) for v in made.module.function("init").results[:-2]]
    held = [*state, np.int32(0), np.zeros(2, np.uint32)]
    x, y = rng.integers(0, WORDS, (2, BATCH, CONTEXT)).astype(np.int32)
    if made.recipe.check_labels:
        y[0, 2] = -1
    found = run(made.module, "train_step", [*held, x, y, np.float64(0.1)], "f64")
    weight = np.array([1.0, 0.5, 0.0, 1.0])
    return found + run(made.module, "eval_step", [*held[: len(made.kept)], x, y, weight], "f64")


@pytest.mark.parametrize(("net", "recipe"), PAIRS)
def test_it_is_the_loss_of_all_tokens(net, recipe):
    whole = results(program(NETS[net], 0, **RECIPES[recipe]))
    for chunk in (3, CONTEXT * BATCH // RECIPES[recipe].get("accumulate", 1)):
        made = program(NETS[net], chunk, **RECIPES[recipe])
        verify(made.module)
        for ours, theirs in zip(results(made), whole, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("net", ["tied", "own"])
def test_no_step_holds_the_logits_of_all(net):
    made = program(NETS[net], 3)
    for f in made.module:
        wide = [v.type for op in f.ops for v in op.results if v.type.size >= BATCH * CONTEXT * WORDS]
        assert bool(wide) == (f.name == "predict"), (f.name, wide)


def test_its_certificate():
    made = build(net_of(NETS["tied"]), Recipe(SGD(), chunked_loss=6, norms=False), 2)
    assert certify_program(made, parse_target("xla"), Settings()).holds


@pytest.mark.parametrize(
    ("layers", "recipe", "said"),
    [
        (NETS["own"], {"chunk": 5}, "`chunked_loss` 5 wants a divisor of the 24 tokens .*; give for example 4"),
        (NETS["own"], {"chunk": -1}, "`chunked_loss` wants a number of tokens, or 0 for all at once, got -1"),
        (NETS["own"], {"chunk": 6, "loss": Dice()}, "`chunked_loss` wants a loss that judges each token by itself"),
        ((EMBED, nn.SelectToken()), {"chunk": 2}, "`chunked_loss` 2 wants a net from tokens"),
        ((SQUARE, nn.Dense(WORDS), nn.TopKGates(2)), {"chunk": 2}, "got one that ends in topKGates 2"),
        ((EMBED, nn.Dense(12), nn.SelfAttention(2, True)), {"chunk": 2}, "got one that ends in"),
    ],
)
def test_what_it_refuses(layers, recipe, said):
    recipe = dict(recipe)
    with pytest.raises(NetcError, match=said):
        program(layers, recipe.pop("chunk"), **recipe)
