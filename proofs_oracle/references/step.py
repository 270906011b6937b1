"""Whole train steps: the nets and recipes that the oracle trains for a few steps, and what a step means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from netc.netspec.layers import BottleneckBlock, ConvBn, Dense, Flatten, GlobalAvgPool, MaxPool, ResidualBlock
from netc.netspec.recipe import Adam, Recipe, Sgd
from netc.netspec.spec import NetSpec
from netc.proofs_oracle.reference import apply
from netc.proofs_oracle.references.losses import softmax_cross_entropy

if TYPE_CHECKING:
    from jax import Array


@dataclass(frozen=True, slots=True)
class StepCase:
    """A net trained by a recipe for `steps` steps on random batches."""

    name: str
    net: NetSpec
    recipe: Recipe
    batch: int = 3
    steps: int = 3
    lr: float = 0.01


def loss_and_gradients(net: NetSpec, smoothing: float) -> Callable[..., Any]:
    """(params, states, x, labels) -> ((mean loss, (logits, new states)), gradients by name), by autodiff of the net."""

    def loss(params: Mapping[str, Array], state: Mapping[str, Array], x: Array, labels: Array) -> Any:
        logits, new = apply(net.body, params, state, x, True)
        return softmax_cross_entropy(logits, labels, smoothing), (logits, new)

    return jax.value_and_grad(loss, has_aux=True)  # type: ignore[no-any-return]


def evaluation(net: NetSpec) -> Callable[..., Any]:
    """(params, states, x, labels, weight) -> (logits, weighted sums of loss, hits and 1), with running statistics."""

    def evaluate(
        params: Mapping[str, Array], state: Mapping[str, Array], x: Array, labels: Array, weight: Array
    ) -> Any:
        logits, _ = apply(net.body, params, state, x, False)
        own = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=-1)[:, 0]
        hits = jnp.argmax(logits, axis=-1) == labels
        return logits, jnp.sum(-own * weight), jnp.sum(hits * weight), jnp.sum(weight)

    return evaluate


MLP = NetSpec(
    "small-mlp",
    (4, 4, 1),
    (
        Flatten(),
        Dense(6, activation="relu", name="hidden1"),
        Dense(5, activation="relu", name="hidden2"),
        Dense(4, name="head"),
    ),
)
CNN = NetSpec(
    "small-cnn",
    (8, 8, 1),
    (
        ConvBn(3, name="conv1"),
        ConvBn(3, name="conv2"),
        MaxPool(2, name="pool1"),
        ConvBn(4, name="conv3"),
        ConvBn(4, name="conv4"),
        MaxPool(2, name="pool2"),
        Flatten(),
        Dense(6, activation="relu", name="hidden"),
        Dense(4, name="head"),
    ),
)
STEM = (ConvBn(3, 3, 1, "same-symmetric", name="stem"), MaxPool(3, 2, ((1, 1), (1, 1)), name="pool"))
RESNET = NetSpec(
    "small-resnet",
    (8, 8, 3),
    (
        *STEM,
        ResidualBlock(3, 1, name="stage1"),
        ResidualBlock(5, 2, 2, name="stage2"),
        GlobalAvgPool(),
        Dense(4, name="head"),
    ),
)
BOTTLENECKS = NetSpec(
    "small-bottlenecks",
    (8, 8, 3),
    (*STEM, BottleneckBlock(4, 1, name="stage1"), BottleneckBlock(8, 1, 2, name="stage2"), GlobalAvgPool(), Dense(4)),
)

# Batch norm takes some gradients to 0 exactly, so that what is left is rounding; Adam's usual epsilon of 1e-8 would
# enlarge that to a difference of the parameters.
ADAM = Adam(epsilon=1e-4)

CASES = (
    StepCase("mlp-adam", MLP, Recipe()),
    StepCase("mlp-sgd", MLP, Recipe(Sgd())),
    StepCase("mlp-adamw-smoothing", MLP, Recipe(Adam(weight_decay=0.1), label_smoothing=0.1)),
    StepCase("mlp-sgd-plain", MLP, Recipe(Sgd(0.0), norms=False), batch=1),
    StepCase("cnn-adam", CNN, Recipe(ADAM)),
    StepCase("cnn-nesterov-decay", CNN, Recipe(Sgd(nesterov=True, weight_decay=0.1), label_smoothing=0.1)),
    StepCase("cnn-sgd", CNN, Recipe(Sgd())),
    StepCase("resnet-sgd", RESNET, Recipe(Sgd())),
    StepCase("resnet-adam-l2-on-all", RESNET, Recipe(replace(ADAM, weight_decay=0.1, decoupled=False), decay_all=True)),
    StepCase("bottlenecks-sgd", BOTTLENECKS, Recipe(Sgd(), label_smoothing=0.1)),
)
