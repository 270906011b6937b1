"""Elementwise activations: each with its derivative, written by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

from netc.codegen.builder import Builder
from netc.codegen.ir import Value
from netc.codegen.rules import Emitted, Grads, Scope, rule
from netc.netspec.errors import UserError
from netc.netspec.layers.activation import Activation, SoftCap

# A row gives y and a function from dy to dx.
Pair = tuple[Value, Callable[[Value], Value]]


def _identity(b: Builder, x: Value, slope: float) -> Pair:
    return x, lambda dy: dy  # dx = dy


def _relu(b: Builder, x: Value, slope: float) -> Pair:
    y = b.maximum(x, 0.0)
    return y, lambda dy: b.select(b.compare("GT", y, 0.0), dy, 0.0)  # dx = dy [x > 0]; y > 0 iff x > 0


def _relu2(b: Builder, x: Value, slope: float) -> Pair:
    r = b.maximum(x, 0.0)
    return b.mul(r, r), lambda dy: b.mul(dy, b.mul(r, 2.0))  # dx = 2 dy max(x, 0)


def _relu6(b: Builder, x: Value, slope: float) -> Pair:
    y = b.minimum(b.maximum(x, 0.0), 6.0)

    def pull(dy: Value) -> Value:  # dx = dy [0 < x < 6]; 0 < y < 6 iff 0 < x < 6
        return b.select(b.compare("GT", y, 0.0), b.select(b.compare("LT", y, 6.0), dy, 0.0), 0.0)

    return y, pull


def _leaky_relu(b: Builder, x: Value, slope: float) -> Pair:
    positive = b.compare("GT", x, 0.0)
    y = b.select(positive, x, b.mul(x, slope))
    return y, lambda dy: b.select(positive, dy, b.mul(dy, slope))  # dx = dy (1 or slope)


def _sigmoid(b: Builder, x: Value, slope: float) -> Pair:
    y = b.unary("logistic", x)
    return y, lambda dy: b.mul(dy, b.mul(y, b.sub(1.0, y)))  # dx = dy y (1 - y)


def _tanh(b: Builder, x: Value, slope: float) -> Pair:
    y = b.unary("tanh", x)
    return y, lambda dy: b.mul(dy, b.sub(1.0, b.mul(y, y)))  # dx = dy (1 - y²)


def _swish(b: Builder, x: Value, slope: float) -> Pair:
    s = b.unary("logistic", x)
    y = b.mul(x, s)
    # dx = dy (s + x s (1 - s)) = dy (s + y (1 - s))
    return y, lambda dy: b.mul(dy, b.add(s, b.mul(y, b.sub(1.0, s))))


def _h_sigmoid(b: Builder, x: Value, slope: float) -> Pair:
    r = b.minimum(b.maximum(b.add(x, 3.0), 0.0), 6.0)

    def pull(dy: Value) -> Value:  # dx = dy / 6 [-3 < x < 3]
        inner = b.select(b.compare("LT", r, 6.0), b.mul(dy, 1 / 6), 0.0)
        return b.select(b.compare("GT", r, 0.0), inner, 0.0)

    return b.mul(r, 1 / 6), pull


def _h_swish(b: Builder, x: Value, slope: float) -> Pair:
    h, pull_h = _h_sigmoid(b, x, slope)
    return b.mul(x, h), lambda dy: b.add(b.mul(dy, h), pull_h(b.mul(dy, x)))  # dx = dy h + h*(dy x)


def _gelu(b: Builder, x: Value, slope: float) -> Pair:
    cdf = b.mul(b.add(b.unary("erf", b.mul(x, math.sqrt(0.5))), 1.0), 0.5)  # Φ(x)

    def pull(dy: Value) -> Value:  # dx = dy (Φ(x) + x φ(x)), φ(x) = exp(-x²/2) / sqrt(2π)
        # Φ is computed again, as (1 - erf(-x / sqrt 2)) / 2: in other words than above, or a compiler would store the
        # one above for here, which costs more than the arithmetic
        again = b.mul(b.sub(1.0, b.unary("erf", b.mul(x, -math.sqrt(0.5)))), 0.5)
        pdf = b.mul(b.unary("exp", b.mul(b.mul(x, x), -0.5)), 1 / math.sqrt(2 * math.pi))
        return b.mul(dy, b.add(again, b.mul(x, pdf)))

    return b.mul(x, cdf), pull


def _gelu_tanh(b: Builder, x: Value, slope: float) -> Pair:
    c, a = math.sqrt(2 / math.pi), 0.044715

    def turned(sign: float) -> tuple[Value, Value]:  # x² and tanh(±c (x + a x³))
        x2 = b.mul(x, x)
        return x2, b.unary("tanh", b.mul(b.mul(x, b.add(b.mul(x2, a), 1.0)), sign * c))

    def pull(dy: Value) -> Value:  # dx = dy ((1 + t)/2 + x (1 - t²) c (1 + 3 a x²) / 2)
        x2, minus = turned(-1.0)  # -t, computed again as in gelu
        inner = b.mul(b.add(b.mul(x2, 3 * a), 1.0), 0.5 * c)
        half = b.mul(b.sub(1.0, minus), 0.5)
        return b.mul(dy, b.add(half, b.mul(b.mul(x, b.sub(1.0, b.mul(minus, minus))), inner)))

    return b.mul(x, b.mul(b.add(turned(1.0)[1], 1.0), 0.5)), pull


# a word of netspec/activations.py -> its rule
TABLE: dict[str, Callable[[Builder, Value, float], Pair]] = {
    "identity": _identity,
    "relu": _relu,
    "relu2": _relu2,
    "relu6": _relu6,
    "leaky-relu": _leaky_relu,
    "sigmoid": _sigmoid,
    "tanh": _tanh,
    "swish": _swish,
    "h-sigmoid": _h_sigmoid,
    "h-swish": _h_swish,
    "gelu": _gelu,
    "gelu-tanh": _gelu_tanh,
}


def activate(b: Builder, function: str, x: Value, slope: float = 0.01) -> Emitted:
    """The activation of that name, as a step of any layer; raises UserError if it was declared and has no rule."""
    if function not in TABLE:
        raise UserError(f"{function} is declared and has no rule, got those of {', '.join(TABLE)}; add a row to TABLE")
    y, pull = TABLE[function](b, x, slope)

    def activation_pull(dy: Value) -> tuple[Value, Grads]:
        return pull(dy), {}

    return Emitted(y, activation_pull)


@rule(SoftCap, each_token=True)
def emit_soft_cap(b: Builder, layer: SoftCap, scope: Scope, x: Value) -> Emitted:
    """y = limit t, t = tanh(x / limit)."""
    t = b.unary("tanh", b.mul(x, 1 / layer.limit))

    def soft_cap_pull(dy: Value) -> tuple[Value, Grads]:
        return b.mul(dy, b.sub(1.0, b.mul(t, t))), {}  # dx = dy (1 - t²): limit and 1 / limit cancel

    return Emitted(b.mul(t, layer.limit), soft_cap_pull)


@rule(Activation, each_token=True)
def emit_activation(b: Builder, layer: Activation, scope: Scope, x: Value) -> Emitted:
    """y = f(x)."""
    return activate(b, layer.function, x, layer.slope)
