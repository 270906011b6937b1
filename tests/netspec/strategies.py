"""Random small nets that fit their input, for hypothesis. Helpers, not tests."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st

from netc.netspec.activations import ACTIVATIONS
from netc.netspec.layer import Layer, signature_of
from netc.netspec.layers import (
    Activation,
    AvgPool,
    BatchNorm,
    BottleneckBlock,
    Chain,
    Concat,
    Conv2d,
    ConvBn,
    Dense,
    Flatten,
    Gate,
    GlobalAvgPool,
    Identity,
    MaxPool,
    Repeat,
    Residual,
    ResidualBlock,
)  # fmt: skip
from netc.netspec.spec import NetSpec
from netc.netspec.types import TensorType

NAMES = st.one_of(st.none(), st.from_regex(r"[a-z][a-z0-9_]{0,5}", fullmatch=True))
FUNCTIONS = st.sampled_from(sorted(ACTIVATIONS))
SIDE = st.integers(0, 2)


def paddings(kernel: tuple[int, int]) -> st.SearchStrategy:
    """Words, and explicit sides; sides stay below the window so that pools may have them too."""
    sides = st.tuples(*(st.tuples(st.integers(0, k - 1), st.integers(0, k - 1)) for k in kernel))
    return st.one_of(st.sampled_from(["same", "same-symmetric", "valid"]), sides)


def either(draw: Callable, pair: tuple[int, int]) -> int | tuple[int, int]:
    """A pair of equal numbers written as one number, sometimes."""
    return pair[0] if pair[0] == pair[1] and draw(st.booleans()) else pair


def fits(layer: Layer, x: TensorType) -> bool:
    """Whether some pixels are left."""
    out = signature_of(layer, x).out
    return all(n >= 1 for n in out.shape) and out.size <= 4096


@st.composite
def windows(draw: Callable, x: TensorType) -> dict:
    """kernel, stride, padding of a window no larger than the image."""
    kernel = (draw(st.integers(1, min(3, x.shape[0]))), draw(st.integers(1, min(3, x.shape[1]))))
    stride = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    return {"kernel": either(draw, kernel), "stride": either(draw, stride), "padding": draw(paddings(kernel))}


@st.composite
def conv_options(draw: Callable, x: TensorType) -> dict:
    """The options of a convolution that fits x."""
    options = draw(windows(x))
    groups = draw(st.sampled_from([g for g in range(1, x.shape[2] + 1) if x.shape[2] % g == 0]))
    kernel = options["kernel"] if isinstance(options["kernel"], tuple) else (options["kernel"],) * 2
    room = [(n - 1) // max(k - 1, 1) for n, k in zip(x.shape, kernel, strict=False)]
    dilation = draw(st.tuples(st.integers(1, max(1, min(2, room[0]))), st.integers(1, max(1, min(2, room[1])))))
    return {
        **options, "features": groups * draw(st.integers(1, 2)), "groups": groups, "dilation": either(draw, dilation),
        "activation": draw(FUNCTIONS), "inputs": draw(st.sampled_from([None, x.shape[2]])), "name": draw(NAMES),
    }  # fmt: skip


@st.composite
def pools(draw: Callable, x: TensorType) -> Layer:
    """A maximum or an average over windows."""
    w = draw(windows(x))
    stride = draw(st.sampled_from([None, w["stride"]]))
    common = {"size": w["kernel"], "stride": stride, "padding": w["padding"], "name": draw(NAMES)}
    return AvgPool(**common, count_padding=draw(st.booleans())) if draw(st.booleans()) else MaxPool(**common)


def keeping(x: TensorType) -> st.SearchStrategy[Layer]:
    """Layers that give x's own type."""
    kept: list[st.SearchStrategy[Layer]] = [
        st.builds(Identity, name=NAMES),
        st.builds(Activation, function=FUNCTIONS, name=NAMES),
        st.builds(Activation, function=st.just("leaky-relu"), slope=st.floats(-2, 2, width=32), name=NAMES),
        st.builds(BatchNorm, epsilon=st.floats(1e-6, 1), momentum=st.floats(0, 1), name=NAMES),
    ]
    if x.rank == 3:
        kept.append(st.builds(Conv2d, features=st.just(x.shape[2]), bias=st.booleans(), activation=FUNCTIONS))
        kept.append(st.builds(ResidualBlock, features=st.just(x.shape[2]), blocks=st.integers(1, 2)))
    else:
        kept.append(st.builds(Dense, features=st.just(x.shape[-1]), bias=st.booleans(), activation=FUNCTIONS))
    return st.one_of(kept)


def channel_gates(x: TensorType) -> st.SearchStrategy[Layer]:
    """Squeeze-excitation: a body that gives one number a channel."""
    body = st.builds(lambda f: Chain((GlobalAvgPool(), Dense(x.shape[2], activation=f))), FUNCTIONS)
    return st.builds(Gate, body=body, name=NAMES)


def leaves(x: TensorType) -> st.SearchStrategy[Layer]:
    """Layers without parts of their own choosing that fit x."""
    options = [keeping(x)]
    if x.rank == 3:
        options += [
            conv_options(x).flatmap(lambda o: st.sampled_from([Conv2d(**o, bias=False), Conv2d(**o), ConvBn(**o)])),
            pools(x), channel_gates(x), st.builds(GlobalAvgPool), st.builds(Flatten, name=NAMES),
            st.builds(ResidualBlock, features=st.integers(1, 4), stride=st.integers(1, 2), blocks=st.integers(1, 2)),
            st.builds(BottleneckBlock, features=st.just(4), stride=st.integers(1, 2), width=st.sampled_from([None, 2])),
        ]  # fmt: skip
    else:
        options.append(st.builds(Dense, features=st.integers(1, 4), inputs=st.just(x.shape[-1]), activation=FUNCTIONS))
    return st.one_of(options).filter(lambda layer: fits(layer, x))


def layers(x: TensorType, depth: int = 2) -> st.SearchStrategy[Layer]:
    """Any layer that fits x, combinators nested to `depth`."""
    if depth == 0:
        return leaves(x)
    same = keeping(x)
    branch = st.lists(keeping(x).map(unnamed), min_size=1, max_size=3).map(tuple)
    return st.one_of(
        leaves(x),
        st.builds(Residual, body=same, shortcut=same, name=NAMES),
        st.builds(Residual, body=same),
        st.builds(Gate, body=same),
        st.builds(Concat, branches=branch, name=NAMES),
        st.builds(Repeat, body=same, times=st.integers(1, 3), name=NAMES),
        sequences(x, depth - 1).map(lambda made: Chain(tuple(map(unnamed, made)))),
    )


def unnamed(layer: Layer) -> Layer:
    """The same without a name, so that names in one sequence never meet."""
    return layer if layer.name is None else type(layer)(**{**vars(layer), "name": None})


@st.composite
def sequences(draw: Callable, x: TensorType, depth: int) -> list[Layer]:
    """One to three layers, each fitting what the one before gives."""
    made: list[Layer] = []
    for _ in range(draw(st.integers(1, 3))):
        made.append(draw(layers(x, depth)))
        x = signature_of(made[-1], x).out
    return made


@st.composite
def nets(draw: Callable, classes: int = 3, depth: int = 2) -> NetSpec:
    """A net that ends in `classes` numbers."""
    shape = draw(st.one_of(st.tuples(SIDE.map(lambda n: n + 3), SIDE.map(lambda n: n + 3), SIDE.map(lambda n: n + 1)),
                           st.tuples(st.integers(1, 6))))  # fmt: skip
    body = [unnamed(layer) for layer in draw(sequences(TensorType(shape), depth))]
    out = signature_of(Chain(tuple(body)), TensorType(shape)).out
    ends = (Flatten(name="flat"), Dense(classes, name="head")) if out.rank > 1 else (Dense(classes, name="head"),)
    name = draw(st.text(st.characters(codec="utf-8").filter(str.isprintable), max_size=8))
    return NetSpec(name, shape, (*body, *ends))
