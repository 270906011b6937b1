"""The JAX twin as text: what it says for each kind of layer, and which layer it cannot say."""

import ast

import pytest

from netc.codegen.jax_layers import ACTIVATIONS, FUNCTIONS, forward_text
from netc.codegen.jax_script import Training, jax_script
from netc.netspec.check import check
from netc.netspec.errors import UserError
from netc.netspec.layers import Conv2d, ConvBn, Dense, Dropout, Flatten, GlobalAvgPool, GroupNorm, ResidualBlock
from netc.netspec.layers.activation import ACTIVATIONS as KNOWN
from netc.netspec.loss import CrossEntropy, Focal
from netc.netspec.recipe import Adam, Recipe, Schedule, Sgd
from netc.netspec.spec import NetSpec
from netc.netspec.zoo import find

NET = NetSpec("net", (8, 8, 1), (ConvBn(4, name="conv"), Flatten(), Dense(10, name="head")))


def script(net=NET, recipe=None):
    header = {"data": "digits", "data_sha256": "a" * 64}
    return jax_script(Training(check(net), recipe or Recipe(), Schedule(2, 16), 7, 1, False, (0.5,), (0.25,), header))


def test_the_forward_pass_reads_like_one():
    functions, lines = forward_text(check(NET))
    assert lines.splitlines() == [
        'x = conv2d(x, p["conv.conv.kernel"], (1, 1), ((1, 1), (1, 1)))',
        'x = batch_norm(x, p, stats, new, "conv.norm", training, 1e-05, 0.1)',
        "x = jax.nn.relu(x)",
        "x = x.reshape(x.shape[0], -1)",
        'x = x @ p["head.kernel"] + p["head.bias"]',
    ]
    assert "def conv2d" in functions
    assert "def max_pool" not in functions  # only what is called


def test_a_residual_keeps_its_input():
    net = NetSpec("net", (8, 8, 4), (ResidualBlock(4, 2, name="b"), GlobalAvgPool(), Dense(2, name="head")))
    _, lines = forward_text(check(net))
    assert lines.count("x = y + x") == 2
    assert 'y = conv2d(x, p["b.block1.residual.body.conv1.conv.kernel"]' in lines


@pytest.mark.parametrize("name", ["mnist-linear", "mnist-mlp", "mnist-cnn", "cifar-cnn", "cifar-bn", "resnet18",
                                  "resnet50", "resnet34-cifar", "squeezenet1_0", "densenet121"])  # fmt: skip
def test_nets_of_the_zoo_are_python(name):
    spec = find(name)
    if "Dropout" in repr(spec.layers):
        with pytest.raises(UserError, match="draws random masks"):
            script(spec)
    else:
        ast.parse(script(spec))


def test_a_layer_without_a_row_is_named():
    net = NetSpec("net", (8, 8, 4), (Conv2d(8, name="stem"), GroupNorm(4, name="norm"), Flatten(), Dense(2, name="h")))
    with pytest.raises(UserError, match=r"net: layer norm \(groupNorm g4\) has no form in JAX text yet, .*conv2d"):
        script(net)


def test_a_layer_that_draws_is_named():
    net = NetSpec("net", (8,), (Dense(4, name="a"), Dropout(0.5, name="drop"), Dense(2, name="b")))
    with pytest.raises(UserError, match=r"net: layer drop \(dropout 0.5\) draws random masks"):
        script(net)


def test_another_loss_is_named():
    with pytest.raises(UserError, match=r"wants the loss crossEntropy .* got focal"):
        script(recipe=Recipe(loss=Focal()))


@pytest.mark.parametrize(
    "recipe, said",
    [
        (Recipe(Adam(beta1=0.0)), "m = kept['m'] / 1\n"),
        (Recipe(Adam(weight_decay=0.1)), "new = new - lr * 0.1 * w"),
        (Recipe(Adam(weight_decay=0.1, decoupled=False)), "g = g + 0.1 * w"),
        (Recipe(Sgd()), "new = w - lr * kept['velocity']"),
        (Recipe(Sgd(nesterov=True)), "new = w - lr * (g + 0.9 * kept['velocity'])"),
        (Recipe(Sgd(momentum=0.0)), "new = w - lr * g"),
        (Recipe(loss=CrossEntropy(smoothing=0.1)), "cross_entropy(logits, y, 0.1, ())"),
    ],
)
def test_the_recipe_is_in_the_script(recipe, said):
    text = script(recipe=recipe)
    ast.parse(text)
    assert said in text


def test_decay_touches_what_the_recipe_says():
    plain, every = (
        script(recipe=Recipe(Sgd(weight_decay=0.1))),
        script(recipe=Recipe(Sgd(weight_decay=0.1), decay_all=True)),
    )
    assert "'head.bias': ((10,), 'constant', 0.0, False)" in plain
    assert "'head.bias': ((10,), 'constant', 0.0, True)" in every


def test_every_activation_has_a_form():
    assert ACTIVATIONS.keys() == KNOWN.keys()


def test_functions_are_called_by_their_names():
    for name, text in FUNCTIONS.items():
        assert text.startswith(f"\ndef {name}(")


def test_no_mark_of_the_template_is_left():
    assert not [line for line in script().splitlines() if line.strip().startswith("<") and line.strip().endswith(">")]
    assert "netc." not in script().replace("netc emit-jax", "")  # it imports nothing of netc
