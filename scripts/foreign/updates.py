"""Whole train steps that return no gradients: the update of each parameter is what can be judged.

`netc certify` is told how each parameter is updated (`--update`), or finds it by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.example_libraries import optimizers

from foreign.row import Program, add, dense, f, i, mlp, row

FAMILY = "updates"
SHAPES = mlp(3, 4, 2)
COUNT = 4  # leaves of SHAPES
Change = Callable[[Any], Any]


def loss(p: Any, x: Any, y: Any) -> Any:
    """The mean squared error of two layers."""
    return jnp.mean((dense(p[1], jnp.tanh(dense(p[0], x))) - y) ** 2)


TAILS = {"sgd": "", "momentum": ":{at}", "adam": ":{at}={at}"}  # rule -> where its state is


@dataclass(frozen=True)
class Kind:
    """An optimizer; the rule that `--update` names it by, and where its first moment lies among the state's leaves."""

    make: Callable[[], Any]
    rule: str
    moment: int = 0

    def word(self, k: int) -> str:
        """Of parameter k; the state comes behind the parameters, in the arguments and in the results."""
        at = COUNT + self.moment + k
        return {"sgd": f"{k}={k}:sgd", "momentum": f"{k}={k}:momentum:{at}", "adam": f"{k}={k}:adam:{at}={at}"}[
            self.rule
        ]


KINDS = {
    "sgd": Kind(lambda: optax.sgd(0.1), "sgd"),
    "sgd_rate_of_no_short_decimal": Kind(lambda: optax.sgd(0.0314159), "sgd"),
    "sgd_weight_decay": Kind(lambda: optax.chain(optax.add_decayed_weights(1e-4), optax.sgd(0.1)), "sgd"),
    "momentum": Kind(lambda: optax.sgd(0.1, momentum=0.9), "momentum"),
    "nesterov": Kind(lambda: optax.sgd(0.1, momentum=0.9, nesterov=True), "momentum"),
    "adam": Kind(lambda: optax.adam(1e-3), "adam", 1),
    "adam_other_betas": Kind(lambda: optax.adam(1e-3, b1=0.5, b2=0.99), "adam", 1),
    "adamw_cosine": Kind(lambda: optax.adamw(optax.cosine_decay_schedule(1e-3, 100), weight_decay=0.01), "adam", 1),
    "lamb": Kind(lambda: optax.lamb(1e-3), "adam", 1),
    "nadam": Kind(lambda: optax.nadam(1e-3), "adam", 1),
    "sgd_piecewise": Kind(lambda: optax.sgd(optax.piecewise_constant_schedule(0.1, {10: 0.1, 20: 0.1})), "sgd"),
    "sgd_cosine": Kind(lambda: optax.sgd(optax.cosine_decay_schedule(0.1, 100)), "sgd"),
}


def _step(kind: Kind, change: Change | None, told: bool) -> Program:
    tx = kind.make()

    def step(params: Any, state: Any, x: Any, y: Any) -> Any:
        value, g = jax.value_and_grad(loss)(params, x, y)
        updates, state = tx.update(change(g) if change else g, state, params)
        return optax.apply_updates(params, updates), state, value

    state = jax.eval_shape(tx.init, SHAPES)
    last = COUNT + len(jax.tree.leaves(state))
    words = [w for k in range(COUNT) for w in ("--update", kind.word(k))] if told else []
    words += ["--loss", str(last)]
    return Program(step, (SHAPES, state, f(5, 3), f(5, 2)), (), right=change is None, words=tuple(words))


def _leaf(at: int, change: Change) -> Change:
    def changed(grads: Any) -> Any:
        leaves, tree = jax.tree.flatten(grads)
        return jax.tree.unflatten(tree, [change(v) if k == at else v for k, v in enumerate(leaves)])

    return changed


CHANGES = {
    "one_sign": _leaf(0, lambda v: v.at[0].multiply(-1)),
    "one_too_large": _leaf(2, lambda v: v * 1.5),
    "no_bias": _leaf(1, lambda v: v * 0),
}
for _name, _kind in KINDS.items():
    add(FAMILY, f"update-{_name}", lambda kind=_kind: _step(kind, None, True))  # type: ignore[misc]
for _name in ("sgd", "momentum", "adam", "adamw_cosine"):
    add(FAMILY, f"update-{_name}--found", lambda kind=KINDS[_name]: _step(kind, None, False))  # type: ignore[misc]
for _name in ("sgd", "momentum", "adam", "adamw_cosine"):
    for _how, _change in CHANGES.items():
        add(FAMILY, f"update-{_name}--{_how}",
            lambda kind=KINDS[_name], change=_change: _step(kind, change, True))  # type: ignore[misc]  # fmt: skip
for _how, _change in CHANGES.items():
    add(FAMILY, f"update-sgd--found-{_how}", lambda change=_change: _step(KINDS["sgd"], change, False))  # type: ignore[misc]


def _plain(change: Change | None = None, value: bool = False) -> Program:
    """`params - rate * gradient`, by tree.map; without a loss where `value` is not asked."""

    def update(p: Any, x: Any, y: Any) -> Any:
        found, g = jax.value_and_grad(loss)(p, x, y)
        p = jax.tree.map(lambda a, b: a - 0.1 * b, p, change(g) if change else g)
        return (p, found) if value else p

    words = [w for k in range(COUNT) for w in ("--update", f"{k}={k}:sgd")]
    words += ["--loss", str(COUNT) if value else "none"]
    return Program(update, (SHAPES, f(5, 3), f(5, 2)), (), right=change is None, words=tuple(words))


add(FAMILY, "tutorial-update-without-a-loss", _plain)
add(FAMILY, "tutorial-update-with-its-loss", lambda: _plain(value=True))
for _how, _change in CHANGES.items():
    add(FAMILY, f"tutorial-update-with-its-loss--{_how}", lambda change=_change: _plain(change, True))  # type: ignore[misc]
    if _how != "no_bias":  # a field without its bias is still the gradient of something
        add(FAMILY, f"tutorial-update-without-a-loss--{_how}", lambda change=_change: _plain(change))  # type: ignore[misc]


@row(FAMILY)
def tutorial_update_rate_as_an_argument() -> Program:
    def update(p: Any, rate: Any, x: Any, y: Any) -> Any:
        value, g = jax.value_and_grad(loss)(p, x, y)
        return [(w - rate * dw, b - rate * db) for (w, b), (dw, db) in zip(p, g, strict=True)], value

    words = [w for k in range(COUNT) for w in ("--update", f"{k}={k}:sgd")]
    return Program(update, (SHAPES, f(), f(5, 3), f(5, 2)), (), words=(*words, "--loss", str(COUNT)))


def _example_libraries(make: Callable[[], Any], rule: str, per: int) -> Program:
    init, update, get = make()
    state = jax.eval_shape(init, SHAPES)

    def step(count: Any, state: Any, x: Any, y: Any) -> Any:
        value, g = jax.value_and_grad(loss)(get(state), x, y)
        return value, update(count, g, state)

    # the parameter, then what is kept of it; arguments and results both begin with one number
    words: list[str] = []
    for k in range(COUNT):
        at = 1 + per * k
        words += ["--update", f"{at}={at}:{rule}{TAILS[rule].format(at=at + 1)}"]
    return Program(step, (i(), state, f(5, 3), f(5, 2)), (), words=tuple(words))


LIBRARY = {
    "sgd": (lambda: optimizers.sgd(0.01), 1),
    "momentum": (lambda: optimizers.momentum(0.01, 0.9), 2),
    "adam": (lambda: optimizers.adam(0.01), 3),
}
for _rule, (_make, _per) in LIBRARY.items():
    add(FAMILY, f"example-libraries-{_rule}",
        lambda make=_make, rule=_rule, per=_per: _example_libraries(make, rule, per))  # type: ignore[misc]  # fmt: skip


def _by_hand(right: bool) -> Program:
    from foreign.texts import FOLDER

    text = (FOLDER / "hand_cnn_step.mlir").read_text(encoding="utf-8")
    if right:
        text = text.replace(
            "%s2 = stablehlo.multiply %lr2, %dW1 :",
            """%dW1o = stablehlo.transpose %dW1, dims = [1, 0, 2, 3]
      : (tensor<3x3x3x3xf32>) -> tensor<3x3x3x3xf32>
    %s2 = stablehlo.multiply %lr2, %dW1o :""",
        )
    words = tuple(w for k in range(6) for w in ("--update", f"{k}={k}:sgd"))
    return replace(Program(lambda: None, (), (), right=right, words=words), text=text.encode(), ids=4)


add(FAMILY, "hand-cnn-step", lambda: _by_hand(True))
add(FAMILY, "hand-cnn-step--inputs-and-outputs-exchanged", lambda: _by_hand(False))
