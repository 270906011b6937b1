"""Whole train steps: the nets and recipes that the oracle trains for a few steps, and what a step means."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import jax
import jax.extend.random
import jax.numpy as jnp

from netc.netspec.averaging import Averaging
from netc.netspec.check import check
from netc.netspec.clipping import Clipping
from netc.netspec.distilling import Distilling
from netc.netspec.documents import Documents
from netc.netspec.erasing import Erasing
from netc.netspec.groups import Groups
from netc.netspec.layer import Layer, part_names
from netc.netspec.layers import Chain
from netc.netspec.loss import (
    BinaryCrossEntropy,
    Branching,
    CrossEntropy,
    DiceCrossEntropy,
    Focal,
    Huber,
    MeanSquaredError,
    OneVersusRest,
)
from netc.netspec.mixing import Mixing
from netc.netspec.optimizers import ScheduleFree
from netc.netspec.process import Generation
from netc.netspec.recipe import SGD, Adam, Recipe
from netc.netspec.regularisation import Regularisation
from netc.netspec.spec import NetSpec
from netc.netspec.toml import to_toml
from netc.netspec.wrapping import Wrapping
from netc.proofs_oracle.reference import AUXILIARY, CHOICES, KEY, STREAM, apply, under, within
from netc.proofs_oracle.references import losses
from netc.proofs_oracle.references.documents import numbered
from netc.proofs_oracle.references.mixing import erased, mixture
from netc.proofs_oracle.references.process import answered, question
from netc.proofs_oracle.references.step_nets import (
    BOTTLENECKS,
    CNN,
    CODED,
    DENOISING,
    DRAWING,
    EXPERTS,
    GROWING,
    MLP,
    PIXELS,
    RESNET,
    SPEAKING,
    TIED,
    TIMED,
    TOKENS,
    TURNING,
    UNMASKING,
    UNMASKING_EXPERTS,
    UP,
)

TEACHER = "teacher/"

if TYPE_CHECKING:
    from jax import Array

    from netc.proofs_oracle.reference import Applied


@dataclass(frozen=True, slots=True)
class StepCase:
    """A net trained by a recipe for `steps` steps on random batches.

    `rates` are the factors of the rates of layers, by the beginnings of their paths, where they are not 1. `outputs`
    are the axis that counts the outputs of a parameter and the groups of its inputs, where not the last and 1.
    """

    name: str
    net: NetSpec
    recipe: Recipe
    batch: int = 3
    steps: int = 3
    lr: float = 0.01
    rates: tuple[tuple[str, float], ...] = ()
    outputs: tuple[tuple[str, tuple[int, int]], ...] = ()

    def factor(self, parameter: str) -> float:
        """The factor of a parameter's rate."""
        return next((f for name, f in self.rates if parameter.startswith(f"{name}.")), 1.0)


def loss_and_gradients(net: NetSpec, recipe: Recipe) -> Callable[..., Any]:
    """(params, states, x, target, key, step) -> ((mean loss, (correct, new states)), gradients by name).

    By autodiff of the net. What is drawn comes from the words of Threefry-2x32 at counter (step, 3) of the key. Where
    examples are mixed, the loss and what is correct are those of both targets, each with its share. A teacher's
    parameters and statistics stand among the states, under `teacher/`.
    """
    loss, body = recipe.loss, recipe.regularisation.of(net).body

    def mean_loss(
        params: Mapping[str, Array], state: Mapping[str, Array], x: Array, target: Array, key: Array, step: Array
    ) -> Any:
        counter = jnp.stack([step.astype(jnp.uint32), jnp.uint32(3)])
        drawn = {KEY: jax.extend.random.threefry_2x32(key, counter), STREAM: 0, **numbered(recipe.documents, x)}
        if recipe.generation.process:
            asked = question(recipe.generation, (net.x, check(net).out), drawn[KEY], x, target)
            z, new = trained(body, recipe.groups.freeze, params, {**state, **drawn}, asked.x)
            added, new = parted(new, drawn)
            return jnp.mean(answered(loss, z, asked)) + added, (jnp.zeros(()), new)
        if recipe.erasing.random_erasing:
            x = erased(recipe.erasing, drawn[KEY], x)
        x, share = mixture(recipe.mixing, drawn[KEY], x) if recipe.mixing.on else (x, 1.0)
        own = {name: value for name, value in state.items() if not name.startswith(TEACHER)}
        z, new = trained(body, recipe.groups.freeze, params, {**own, **drawn}, x)
        added, new = parted(new, drawn)
        both = [
            (jnp.mean(losses.each(loss, z, t)), jnp.sum(losses.correct(loss, z, t))) for t in (target, target[::-1])
        ]
        mean, right = (share * own + (1 - share) * other for own, other in zip(*both, strict=True))
        if recipe.distilling.net:
            mean = taught(recipe.distilling, state, x, z, mean)
        return mean + added, (right, new)

    return jax.value_and_grad(mean_loss, has_aux=True)  # type: ignore[no-any-return]


def parted(new: Mapping[str, Array], drawn: Mapping[str, Any]) -> tuple[Any, dict[str, Array]]:
    """What layers add to the loss, and the states, of what a net leaves, without what was drawn.

    The shares of experts of all layers are one of these states, CHOICES.
    """
    added = sum(value for name, value in new.items() if name.endswith(AUXILIARY))
    told = [value for name, value in new.items() if name.endswith(CHOICES)]
    rest = {n: value for n, value in new.items() if n not in drawn and not n.endswith((AUXILIARY, CHOICES))}
    return added, {**rest, CHOICES: jnp.concatenate(told)} if told else rest


def taught(distilling: Distilling, state: Mapping[str, Array], x: Array, z: Array, mean: Array) -> Array:
    """The loss of Hinton et al. 2015: (1 - a) mean + a T^2 KL(softmax(u / T) || softmax(z / T)), u the teacher's."""
    assert distilling.net is not None
    own = {name.removeprefix(TEACHER): value for name, value in state.items() if name.startswith(TEACHER)}
    u, _ = apply(distilling.net.spec.body, own, own, x, False)
    a, t = distilling.distill_weight, distilling.distill_temperature
    p = jax.nn.softmax(u / t)
    each = jnp.sum(p * (jax.nn.log_softmax(u / t) - jax.nn.log_softmax(z / t)), -1)
    return (1 - a) * mean + a * t**2 * jnp.mean(each)


def trained(
    body: Layer, frozen: Sequence[str], params: Mapping[str, Array], state: Mapping[str, Array], x: Array
) -> Applied:
    """The net in training, those of its own layers that are frozen as in evaluation."""
    if not frozen:
        return apply(body, params, state, x, True)
    assert isinstance(body, Chain)
    found: dict[str, Array] = {}
    for name, part in zip(part_names(body.layers), body.layers, strict=True):
        x, new = apply(part, under(params, name), under(state, name), x, name not in frozen)
        found |= within(name, new)
    return x, found


def evaluation(net: NetSpec, recipe: Recipe) -> Callable[..., Any]:
    """(params, states, x, target, weight) -> weighted sums of loss, correct and 1, by running statistics.

    Labels are not smoothed.
    """
    loss = recipe.loss
    plain = replace(loss, smoothing=0.0) if isinstance(loss, CrossEntropy | OneVersusRest) else loss

    def evaluate(
        params: Mapping[str, Array], state: Mapping[str, Array], x: Array, target: Array, weight: Array
    ) -> Any:
        if recipe.generation.process:
            asked = question(recipe.generation, (net.x, check(net).out), None, x, target)
            own = answered(plain, apply(net.body, params, state, asked.x, False)[0], asked)
            return jnp.sum(own * weight), jnp.zeros(()), jnp.sum(weight)
        z = prediction(net, recipe)(params, state, x)
        own, right = losses.each(plain, z, target), losses.correct(plain, z, target)
        return jnp.sum(own * weight), jnp.sum(right * weight), jnp.sum(weight)

    return evaluate


def prediction(net: NetSpec, recipe: Recipe) -> Callable[..., Any]:
    """(params, states, x) -> the net's output, by running statistics."""
    return lambda params, state, x: apply(net.body, params, {**state, **numbered(recipe.documents, x)}, x, False)[0]


MSE, BRANCHING = MeanSquaredError(), Branching()
DDPM = Generation("ddpm", predicts="v", noise_schedule="cosine", label_count=3)
SMOOTHED = CrossEntropy(0.1)
TAUGHT = Distilling("a run", teacher=to_toml(CNN))
TAUGHT_TOKENS = Distilling("a run", 2.0, 0.5, teacher=to_toml(TOKENS))

# Batch norm takes some gradients to 0 exactly, so that what is left is rounding; Adam's usual epsilon of 1e-8 would
# enlarge that to a difference of the parameters.
ADAM = Adam(epsilon=1e-4)

CASES = (
    StepCase("mlp-adam", MLP, Recipe()),
    StepCase("mlp-sgd", MLP, Recipe(SGD())),
    StepCase("mlp-adamw-smoothing", MLP, Recipe(Adam(weight_decay=0.1), SMOOTHED)),
    StepCase("mlp-sgd-plain", MLP, Recipe(SGD(0.0), norms=False), batch=1),
    StepCase("cnn-adam", CNN, Recipe(ADAM)),
    StepCase("cnn-nesterov-decay", CNN, Recipe(SGD(nesterov=True, weight_decay=0.1), SMOOTHED)),
    StepCase("cnn-sgd", CNN, Recipe(SGD())),
    StepCase("resnet-sgd", RESNET, Recipe(SGD())),
    StepCase("resnet-adam-l2-on-all", RESNET, Recipe(replace(ADAM, weight_decay=0.1, decoupled=False), decay_all=True)),
    StepCase("bottlenecks-sgd", BOTTLENECKS, Recipe(SGD(), SMOOTHED)),
    StepCase("tokens-sgd", TOKENS, Recipe(SGD(), CrossEntropy(0.1, (0.5, 2.0, 1.0)))),
    StepCase("experts-sgd", EXPERTS, Recipe(SGD())),
    StepCase("experts-accumulated-remat", EXPERTS, Recipe(SGD(), accumulate=2, remat=True), batch=4),
    StepCase("experts-frozen", EXPERTS, Recipe(SGD(), groups=Groups(freeze=("block0",)))),
    StepCase("tokens-focal", TOKENS, Recipe(SGD(), Focal())),
    StepCase("pixels-sgd", PIXELS, Recipe(SGD())),
    StepCase("pixels-dice-adam", PIXELS, Recipe(ADAM, DiceCrossEntropy())),
    StepCase("binary-sgd", MLP, Recipe(SGD(), BinaryCrossEntropy(2.0))),
    StepCase("regression-sgd", PIXELS, Recipe(SGD(), MeanSquaredError())),
    StepCase("dropout-sgd", DRAWING, Recipe(SGD()), batch=4),
    StepCase("cnn-sgd-accumulated", CNN, Recipe(SGD(), accumulate=2), batch=6),
    StepCase(
        "mlp-layer-decay",
        MLP,
        Recipe(SGD(weight_decay=0.1), groups=Groups(layer_decay=0.5, head_lr=3.0)),
        rates=(("hidden1", 0.25), ("hidden2", 0.5), ("head", 3.0)),
    ),
    StepCase(
        "resnet-layer-decay",
        RESNET,
        Recipe(ADAM, groups=Groups(layer_decay=0.5)),
        rates=(("stem", 0.0625), ("stage1.block0", 0.125), ("stage2.block0", 0.25), ("stage2.block1", 0.5)),
    ),
    StepCase("cnn-frozen", CNN, Recipe(SGD(), groups=Groups(freeze=("conv1", "conv2")))),
    StepCase("cnn-frozen-between", CNN, Recipe(ADAM, groups=Groups(freeze=("conv2", "conv3", "head")))),
    StepCase("dropout-frozen", DRAWING, Recipe(SGD(), groups=Groups(freeze=("hidden",))), batch=4),
    StepCase("cnn-frozen-accumulated", CNN, Recipe(SGD(), accumulate=2, groups=Groups(freeze=("conv1",))), batch=6),
    StepCase("cnn-thawed", CNN, Recipe(ADAM, groups=Groups(thaw=("conv1=3", "conv3=1"), freeze=("conv2",))), steps=4),
    StepCase("mlp-thawed-decay", MLP, Recipe(SGD(weight_decay=0.1), groups=Groups(thaw=("hidden1=2",))), steps=4),
    StepCase("mlp-lookahead", MLP, Recipe(SGD(), wrapping=Wrapping(lookahead=2)), steps=5),
    StepCase(
        "cnn-lookahead-ema",
        CNN,
        Recipe(SGD(0.0), wrapping=Wrapping(lookahead=3, lookahead_share=0.8), averaging=Averaging(ema=0.9)),
        steps=4,
    ),
    StepCase("cnn-sam", CNN, Recipe(SGD(), wrapping=Wrapping(sam=0.05))),
    StepCase(
        "dropout-sam-accumulated",
        DRAWING,
        Recipe(ADAM, accumulate=2, wrapping=Wrapping(sam=0.1), clipping=Clipping(0.1)),
        batch=4,
    ),
    StepCase("cnn-schedule-free", CNN, Recipe(ScheduleFree(epsilon=1e-4, weight_decay=0.1)), steps=5),
    StepCase(
        "dropout-schedule-free-sam-accumulated",
        DRAWING,
        Recipe(ScheduleFree(0.5, epsilon=1e-4), accumulate=2, wrapping=Wrapping(sam=0.1), clipping=Clipping(agc=0.02)),
        batch=4,
    ),
    StepCase("cnn-ema", CNN, Recipe(SGD(), averaging=Averaging(ema=0.9))),
    StepCase("mlp-ema-warmup", MLP, Recipe(averaging=Averaging(ema=0.25, ema_warmup=True)), steps=5),
    StepCase("cnn-ema-accumulated", CNN, Recipe(ADAM, accumulate=2, averaging=Averaging(ema=0.99)), batch=6),
    StepCase("cnn-swa", CNN, Recipe(SGD(), averaging=Averaging(swa_start=1)), steps=4),
    StepCase("mlp-swa-every", MLP, Recipe(SGD(), averaging=Averaging(swa_start=2, swa_every=2)), steps=8),
    StepCase("mlp-clip-norm", MLP, Recipe(SGD(), clipping=Clipping(clip_norm=0.5))),
    StepCase("mlp-clip-norm-far", MLP, Recipe(SGD(), norms=False, clipping=Clipping(clip_norm=1e4))),
    StepCase("cnn-clip-norm-accumulated", CNN, Recipe(ADAM, accumulate=2, clipping=Clipping(0.25)), batch=6),
    StepCase("cnn-clip-value", CNN, Recipe(SGD(), clipping=Clipping(clip_value=0.05))),
    StepCase("cnn-agc", CNN, Recipe(SGD(), clipping=Clipping(agc=0.02))),
    StepCase("tokens-agc", TOKENS, Recipe(SGD(), clipping=Clipping(agc=0.1))),
    StepCase(
        "up-convolution-agc",
        UP,
        Recipe(SGD(), clipping=Clipping(agc=0.02)),
        outputs=(("up.kernel", (2, 1)), ("grouped.kernel", (2, 2))),
    ),
    StepCase("tied-agc", TIED, Recipe(SGD(), clipping=Clipping(agc=0.02)), outputs=(("model.embed.tokens", (0, 1)),)),
    StepCase("tied-chunked", TIED, Recipe(SGD(), SMOOTHED, chunked_loss=6)),
    StepCase("tied-chunked-accumulated", TIED, Recipe(ADAM, chunked_loss=2, accumulate=3)),
    StepCase("tokens-chunked", TOKENS, Recipe(SGD(), Focal(), chunked_loss=5, groups=Groups(freeze=("up",)))),
    StepCase("tokens-chunked-frozen-head", TOKENS, Recipe(SGD(), chunked_loss=3, groups=Groups(freeze=("head",)))),
    StepCase("regression-huber", PIXELS, Recipe(SGD(), Huber(0.5))),
    StepCase("one-versus-rest-mixup", MLP, Recipe(SGD(), OneVersusRest(0.1), mixing=Mixing(0.4)), batch=4),
    StepCase("mlp-mixup", MLP, Recipe(SGD(), SMOOTHED, mixing=Mixing(0.4)), batch=5),
    StepCase(
        "regression-mixup", PIXELS, Recipe(SGD(), MeanSquaredError(), mixing=Mixing(1.0, mixup_prob=0.7)), batch=4
    ),
    StepCase("binary-mixup", MLP, Recipe(SGD(), BinaryCrossEntropy(2.0), mixing=Mixing(8.0)), batch=4),
    StepCase("focal-mixup", MLP, Recipe(SGD(), Focal(), mixing=Mixing(0.2)), batch=4),
    StepCase("cnn-cutmix", CNN, Recipe(SGD(), SMOOTHED, mixing=Mixing(cutmix=1.0)), batch=4),
    StepCase("cnn-mixup-cutmix", CNN, Recipe(SGD(), mixing=Mixing(0.8, 1.0, 0.9)), batch=4, steps=6),
    StepCase("cnn-cutmix-accumulated", CNN, Recipe(SGD(), accumulate=2, mixing=Mixing(cutmix=1.0)), batch=6),
    StepCase("resnet-erasing", RESNET, Recipe(SGD(), erasing=Erasing(0.7))),
    StepCase("cnn-erasing-pixels-mixup", CNN, Recipe(SGD(), mixing=Mixing(0.8), erasing=Erasing(1.0, True)), batch=4),
    StepCase("dropout-mixup", DRAWING, Recipe(SGD(), mixing=Mixing(0.4)), batch=4),
    StepCase("drop-path-dropout-stated", DRAWING, Recipe(SGD(), regularisation=Regularisation(0.3, 0.6)), batch=4),
    StepCase("cnn-distilled", CNN, Recipe(SGD(), SMOOTHED, distilling=TAUGHT), steps=2),
    StepCase("tokens-distilled", TOKENS, Recipe(SGD(), Focal(), distilling=TAUGHT_TOKENS)),
    StepCase("dropout-distilled", DRAWING, Recipe(ADAM, distilling=Distilling("a run", 1.0, 1.0, to_toml(DRAWING)))),
    StepCase(
        "cnn-distilled-mixed-accumulated",
        CNN,
        Recipe(SGD(), accumulate=2, mixing=Mixing(0.8, 1.0), erasing=Erasing(0.5), distilling=TAUGHT),
        batch=4,
    ),
    StepCase(
        "cnn-distilled-sam-frozen",
        CNN,
        Recipe(SGD(), groups=Groups(freeze=("conv1",)), wrapping=Wrapping(sam=0.05), distilling=TAUGHT),
        steps=2,
    ),
    StepCase("documents-positions", SPEAKING, Recipe(SGD(), documents=Documents(True, 1)), batch=4),
    StepCase("documents-chunked", SPEAKING, Recipe(ADAM, chunked_loss=6, documents=Documents(True, 3)), batch=3),
    StepCase(
        "documents-turned-accumulated-remat",
        TURNING,
        Recipe(SGD(), accumulate=2, remat=True, documents=Documents(True, 2)),
        batch=4,
    ),
    StepCase("latents", CODED, Recipe(SGD(), MeanSquaredError()), batch=3),
    StepCase("latents-accumulated", CODED, Recipe(SGD(), MeanSquaredError(), accumulate=2), batch=4),
    StepCase("latents-mixup", CODED, Recipe(SGD(), MeanSquaredError(), mixing=Mixing(0.4)), batch=4),
    StepCase("latents-frozen", CODED, Recipe(SGD(), MeanSquaredError(), groups=Groups(freeze=("encoder",))), batch=3),
    StepCase(
        "flow-sgd", DENOISING, Recipe(SGD(), MSE, generation=Generation("flow", label_drop=0.4, label_count=3)), 8
    ),
    StepCase("flow-logit-normal", TIMED, Recipe(SGD(), MSE, generation=Generation("flow", "logit-normal")), batch=4),
    StepCase(
        "flow-image",
        DENOISING,
        Recipe(SGD(), MSE, generation=Generation("flow", flow_predicts="x", label_drop=0.4, label_count=3)),
        batch=8,
    ),
    StepCase(
        "flow-image-huber-accumulated",
        TIMED,
        Recipe(SGD(), Huber(), accumulate=2, generation=Generation("flow", "logit-normal", "x")),
        batch=4,
    ),
    StepCase("flow-huber-accumulated", TIMED, Recipe(SGD(), Huber(), accumulate=2, generation=Generation("flow")), 4),
    StepCase("ddpm-epsilon", TIMED, Recipe(SGD(), MSE, generation=Generation("ddpm")), batch=4),
    StepCase("ddpm-v-cosine", DENOISING, Recipe(ADAM, MSE, generation=DDPM), batch=5),
    StepCase("ddpm-x0", TIMED, Recipe(SGD(), MSE, generation=Generation("ddpm", predicts="x0", noise_steps=50))),
    StepCase("masked-sgd", UNMASKING, Recipe(SGD(), generation=Generation("masked")), batch=6),
    StepCase("masked-experts", UNMASKING_EXPERTS, Recipe(SGD(), generation=Generation("masked")), batch=4),
    StepCase("masked-ema-accumulated", UNMASKING, Recipe(ADAM, accumulate=2, generation=Generation("masked")), 6),
    StepCase("branching-sgd", GROWING, Recipe(SGD(), BRANCHING, generation=Generation("branching")), batch=12),
    StepCase(
        "branching-without-deletions-accumulated",
        GROWING,
        Recipe(ADAM, BRANCHING, accumulate=2, generation=Generation("branching", deletions=0.0, wander=0.0)),
        batch=6,
    ),
    StepCase("dropout-adam-accumulated", DRAWING, Recipe(ADAM, accumulate=3), batch=6),
)
