"""Losses whose targets are class ids, as the data gives them: what the script calls and the text of it."""

from __future__ import annotations

import re
from dataclasses import fields

from netc.netspec.errors import UserError
from netc.netspec.loss import CrossEntropy, Dice, DiceCrossEntropy, Focal, Loss, OneVersusRest

# Each gives one number for an example, [B]: `{mean}` is the mean over its tokens or pixels, or nothing.
FUNCTIONS: dict[str, str] = {
    "cross_entropy": '''
def cross_entropy(logits, labels, smoothing=0.0, weights=()):
    """One number for each example, [B]."""
    classes = logits.shape[-1]
    q = (1 - smoothing) * jax.nn.one_hot(labels, classes) + smoothing / classes
    if weights:
        q = q * jnp.array(weights)
    return -jnp.sum(q * jax.nn.log_softmax(logits), -1){mean}
''',
    "focal": '''
def focal(logits, labels, gamma=2.0, alpha=()):
    """-alpha (1 - p)^gamma log p, p the target's probability, [B]; by the margin, so that nothing cancels."""
    hit = jax.nn.one_hot(labels, logits.shape[-1], dtype=bool)
    margin = jax.nn.logsumexp(jnp.where(hit, -1e30, logits), -1) - jnp.sum(jnp.where(hit, logits, 0.0), -1)
    each = jnp.exp(gamma * jax.nn.log_sigmoid(margin)) * jax.nn.softplus(margin)
    if alpha:
        each = each * jnp.sum(jnp.where(hit, jnp.array(alpha), 0.0), -1)
    return each{mean}
''',
    "one_versus_rest": '''
def one_versus_rest(logits, labels, smoothing=0.0):
    """A binary cross-entropy for each class, their mean, [B]."""
    classes = logits.shape[-1]
    q = (1 - smoothing) * jax.nn.one_hot(labels, classes) + smoothing / classes
    return (q * jax.nn.softplus(-logits) + (1 - q) * jax.nn.softplus(logits)).mean(-1){mean}
''',
    "dice": '''
def dice(logits, labels, epsilon=1.0):
    """1 - the mean over classes of the soft Dice coefficient over the places of an example, [B]."""
    s, o = jax.nn.softmax(logits), jax.nn.one_hot(labels, logits.shape[-1])
    places = tuple(range(1, s.ndim - 1))
    both, either = 2 * (s * o).sum(places) + epsilon, s.sum(places) + o.sum(places) + epsilon
    return 1 - (both / either).mean(-1)
''',
    "dice_cross_entropy": '''
def dice_cross_entropy(logits, labels, weight=1.0, epsilon=1.0):
    """The sum of both, [B]."""
    return cross_entropy(logits, labels) + weight * dice(logits, labels, epsilon)
''',
}

NAMES: dict[type[Loss], str] = {
    CrossEntropy: "cross_entropy",
    Focal: "focal",
    OneVersusRest: "one_versus_rest",
    Dice: "dice",
    DiceCrossEntropy: "dice_cross_entropy",
}


def loss_call(loss: Loss, logits: str, labels: str) -> str:
    """The loss of each example as an expression, with the options that are not the usual ones.

    Raises UserError for a loss whose targets no data set gives.
    """
    name = NAMES.get(type(loss))
    if name is None:
        known = ", ".join(cls.kind for cls in NAMES)
        raise UserError(f"emit-jax wants a loss of class ids, which are {known}, got {loss.kind}; choose one of these")
    options = [f"{f.name}={v!r}" for f in fields(loss) if (v := getattr(loss, f.name)) != f.default]
    return f"{name}({', '.join([logits, labels, *options])})"


def loss_functions(calls: str, rank: int) -> str:
    """The functions that the text calls, for an output of `rank` axes without the batch."""
    mean = ("", ".mean(1)")[rank - 1] if rank < 3 else f".mean({tuple(range(1, rank))})"
    named = {name for name in FUNCTIONS if re.search(rf"\b{name}\(", calls)}
    named |= {name for name in FUNCTIONS for other in named if re.search(rf"\b{name}\(", FUNCTIONS[other])}
    return "\n".join(text.replace("{mean}", mean) for name, text in FUNCTIONS.items() if name in named)
