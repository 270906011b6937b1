"""The JAX twin as text: what it says for each kind of layer, and which layer it cannot say."""

import ast

import jax
import jax.numpy as jnp
import pytest

from netc.netspec.activations import ACTIVATIONS as KNOWN
from netc.netspec.check import check
from netc.netspec.errors import UserError
from netc.netspec.find import find
from netc.netspec.layer import Composite
from netc.netspec.layers import KINDS, ConvBn, Dense, Dropout, Flatten, GlobalAvgPool, ResidualBlock
from netc.netspec.loss import LOSSES, CrossEntropy, Focal, MeanSquaredError
from netc.netspec.recipe import SGD, Adam, Recipe, TrainConfig
from netc.netspec.spec import NetSpec
from netc.netspec.types import TensorType
from netc.netspec.zoo import ZOO
from netc.proofs_oracle.references.activation import FUNCTIONS as REFERENCES
from netc.proofs_oracle.twin.forward import COMBINATORS, FUNCTIONS, LEAVES, forward_text
from netc.proofs_oracle.twin.losses import FUNCTIONS as LOSS_FUNCTIONS
from netc.proofs_oracle.twin.losses import NAMES
from netc.proofs_oracle.twin.script import Training, jax_script
from netc.proofs_oracle.twin.source import source_of
from netc.proofs_oracle.twin.spelling import ACTIVATIONS

NET = NetSpec("net", (8, 8, 1), (ConvBn(4, name="conv"), Flatten(), Dense(10, name="head")))


def script(net=NET, recipe=None):
    header = {"data": "digits", "data_sha256": "a" * 64}
    return jax_script(
        Training(check(net), recipe or Recipe(), TrainConfig(2, 16), 7, 1, False, (0.5,), (0.25,), header)
    )


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


@pytest.mark.parametrize("name", ZOO)
def test_every_net_of_the_zoo_is_python(name):
    compile(script(find(name)), name, "exec")


TABLE = {
    "doubled": lambda x, slope: 2 * x,
    "mish-like": lambda x, slope: x * jnp.tanh(jax.nn.softplus(x)), "tripled": lambda x, slope: 3 * x,
}  # fmt: skip


@pytest.mark.parametrize(
    ("word", "text"), [("mish-like", "x * jnp.tanh(jax.nn.softplus(x))"), ("tripled", "3 * x"), ("doubled", "2 * x")]
)
def test_a_reference_may_be_a_lambda_of_a_table(word, text, monkeypatch):
    monkeypatch.setitem(REFERENCES, word, TABLE[word])
    assert source_of(word, "f") == f"\ndef f(x, slope):\n    return {text}\n"
    monkeypatch.setitem(REFERENCES, word, abs)
    with pytest.raises(UserError, match=f"wants the reference of {word} as a def or a lambda, got something else"):
        source_of(word, "f")


def test_every_kind_has_a_form():
    leaves = {cls for cls in KINDS.values() if not issubclass(cls, Composite)}
    assert LEAVES.keys() | COMBINATORS.keys() == leaves


def test_a_layer_without_a_row_is_named():
    class Unknown(Dense):
        kind = "unknown"

    net = NetSpec("net", (4,), (Dense(8, name="stem"), Unknown(2, name="strange")))
    with pytest.raises(UserError, match=r"net: layer strange wants a kind that has a form in JAX text, got unknown;"):
        script(net)


def test_a_net_that_draws_is_given_the_key():
    drawing = NetSpec("net", (8,), (Dense(4, name="a"), Dropout(0.5, name="drop"), Dense(2, name="b")))
    assert 'x = dropout(x, 0.5, key, "drop")' in script(drawing)
    assert "step_key(state)" in script(drawing)
    assert "key=None" not in script() and "zlib" not in script()


def test_tokens_are_read_as_such():
    text = script(find("tiny-gpt"))
    assert "CONTEXT = 64" in text and "CROP" not in text
    assert "--tokens" in text


def test_names_may_hold_anything_printable():
    net = NetSpec('a\\b"c', (4,), (Dense(4, name='{}"\\<loss>'), Dense(2, name="b")))
    assert """p["\\x7b}\\"\\\\<loss>.kernel"]""" in script(net)
    compile(script(net), "names", "exec")


def test_every_loss_of_class_ids_has_a_form():
    out = TensorType((3, 2))
    assert set(NAMES) == {cls for cls in LOSSES.values() if cls().target(out).dtype == "i32"}
    assert set(NAMES.values()) == LOSS_FUNCTIONS.keys()


def test_another_loss_is_named():
    with pytest.raises(UserError, match=r"wants a loss of class ids, .* got meanSquaredError"):
        script(recipe=Recipe(loss=MeanSquaredError()))


def test_options_that_it_does_not_have_are_named():
    with pytest.raises(UserError, match="got `precision=bf16`"):
        script(recipe=Recipe(precision="bf16"))


def test_a_batch_in_parts_is_a_scan():
    text = script(recipe=Recipe(accumulate=4))
    compile(text, "parts", "exec")
    assert "PARTS = 4\n" in text and "lax.scan(part, nothing, parts)" in text
    assert "PARTS" not in script() and "scan" not in script()


@pytest.mark.parametrize(
    "recipe, said",
    [
        (Recipe(Adam(beta1=0.0)), "m = kept['m'] / 1\n"),
        (Recipe(Adam(weight_decay=0.1)), "new = new - lr * 0.1 * w"),
        (Recipe(Adam(weight_decay=0.1, decoupled=False)), "g = g + 0.1 * w"),
        (Recipe(SGD()), "new = w - lr * kept['velocity']"),
        (Recipe(SGD(nesterov=True)), "new = w - lr * (g + 0.9 * kept['velocity'])"),
        (Recipe(SGD(momentum=0.0)), "new = w - lr * g"),
        (Recipe(loss=Focal(alpha=(0.5,))), "focal(logits, y, alpha=(0.5,)).mean()"),
        (Recipe(loss=CrossEntropy(smoothing=0.1)), "cross_entropy(logits, y, smoothing=0.1).mean()"),
    ],
)
def test_the_recipe_is_in_the_script(recipe, said):
    text = script(recipe=recipe)
    ast.parse(text)
    assert said in text


def test_decay_touches_what_the_recipe_says():
    plain, every = (
        script(recipe=Recipe(SGD(weight_decay=0.1))),
        script(recipe=Recipe(SGD(weight_decay=0.1), decay_all=True)),
    )
    assert "'head.bias': ((10,), 'constant', 0.0, False)" in plain
    assert "'head.bias': ((10,), 'constant', 0.0, True)" in every


def test_every_activation_has_a_form():
    assert set(ACTIVATIONS) == set(KNOWN)


def test_functions_are_called_by_their_names():
    for name, text in (FUNCTIONS | LOSS_FUNCTIONS).items():
        assert text.startswith(f"\ndef {name}(")


def test_no_mark_of_the_template_is_left():
    assert not [line for line in script().splitlines() if line.strip().startswith("<") and line.strip().endswith(">")]
    assert "netc." not in script().replace("netc emit-jax", "")  # it imports nothing of netc
