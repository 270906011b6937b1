"""Random nets for the oracle: any kinds in any order, with random options; a failure is shrunk to the smallest.

Needs hypothesis. A layer's options are drawn by the types and names of its fields, so that a new kind is drawn
without a word here; what does not fit its input is drawn again.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st

from netc.netspec.activations import ACTIVATIONS
from netc.netspec.check import check
from netc.netspec.errors import SpecError
from netc.netspec.layer import Combinator, Layer, LayerError, signature_of
from netc.netspec.layers import KINDS, Chain, TokenPositionEmbed
from netc.netspec.spec import NetSpec
from netc.netspec.toml import to_toml
from netc.netspec.types import TensorType
from netc.proofs_oracle.check_layer import run_case
from netc.proofs_oracle.reference import Case, Reference
from netc.proofs_oracle.references import REFERENCES
from netc.proofs_oracle.result import Result

LARGEST = 1500  # elements of a tensor, and of all parameters: a case is for exactness, not for size
BATCH = 3
SMOOTH = sorted(word for word, function in ACTIVATIONS.items() if function.smooth)
INPUTS = st.one_of(
    st.tuples(*(st.integers(1, 6),) * 2, st.integers(1, 4)),
    st.tuples(st.integers(1, 5), st.sampled_from((1, 2, 4, 6))),
    st.tuples(st.integers(1, 8)),
)
# by a field's name; others of the type have the default below
INTEGERS: dict[str, tuple[int, ...]] = {
    "kernel": (1, 2, 3), "stride": (1, 2), "heads": (1, 2), "blocks": (1, 2), "layers": (1, 2), "groups": (1, 2),
    "queries": (1, 2), "tile": (0, 2), "index": (0, -1), "window": (1, 2), "scale": (1, 2), "block": (1, 2),
    "dilation": (1, 2), "depth": (1, 2), "shift": (0, 1), "start_kernel": (0, 3), "middle_kernel": (0, 3),
    "height": (1, 2), "width": (1, 2), "inputs": (3,),
}  # fmt: skip
FLOATS: dict[str, tuple[float, ...]] = {
    "rate": (0.0, 0.3), "dropout": (0.0, 0.3), "attention_dropout": (0.0, 0.3), "drop_path": (0.0, 0.3),
    "epsilon": (1e-5, 0.1), "momentum": (0.1,), "slope": (0.1,), "std": (0.02,), "start": (0.5,), "base": (100.0,),
    "squeeze": (0.25, 0.5),
}  # fmt: skip
WORDS: dict[str, tuple[str, ...]] = {
    "activation": tuple(SMOOTH), "function": tuple(SMOOTH), "gate": ("sigmoid", "tanh"),
    "levels": ("finest", "all"), "rise": ("transpose", "bilinear", "nearest"),
}  # fmt: skip
# combinators whose parts a random layer rarely fits; chains are drawn as such
LEFT_OUT = {"chain", "tiedHead", "fpnModule", "onTokens", "unetUp", "tokenPositionEmbed"}
# kinds that multiply two parts of their input: in a row they grow as its power, and a central difference is too rough
STEEP = {"gatedMlp"}
# kinds with a maximum: a central difference would meet a tie or a kink too often to mean anything
KINKED = {"maxPool", "ceilMaxPool", "fireModule", "inceptionModule", "shuffleBlock", "shuffleV2Block", "residualBlock",
          "bottleneckBlock", "unetDown", "unet"}  # fmt: skip


@dataclass(frozen=True)
class Failure:
    """The smallest net that fails, the verdict on it, and the spec as TOML."""

    net: NetSpec
    result: Result
    toml: str


def _fits(layer: Layer, x: TensorType) -> bool:
    try:
        if next(layer.problems(), None) is not None:
            return False
        check(NetSpec("random", x.shape, (layer,)))
        signature = signature_of(layer, x)
    except (LayerError, SpecError):
        return False
    return 0 < signature.out.size <= LARGEST // BATCH and signature.count <= LARGEST


def _plain(name: str, hint: Any, x: TensorType, depth: int) -> st.SearchStrategy[Any]:
    origin, args = get_origin(hint), get_args(hint)
    if origin is typing.Literal:
        return st.sampled_from(args)
    if origin in (types.UnionType, typing.Union):
        return st.one_of(*(_plain(name, a, x, depth) for a in args))
    if hint is type(None):
        return st.none()
    if hint is bool:
        return st.booleans()
    if hint is int:
        return st.sampled_from(INTEGERS.get(name, (1, 2, 3, 4)))
    if hint is float:
        return st.sampled_from(FLOATS.get(name, (0.5, 1.0, 2.0)))
    if hint is str:
        return st.sampled_from(WORDS.get(name, ("same", "valid")))
    if origin is tuple and args[-1] is Ellipsis:
        return st.lists(_plain(name, args[0], x, depth), min_size=1, max_size=2).map(tuple)
    if origin is tuple:
        return st.tuples(*(_plain(name, a, x, depth) for a in args))
    return layers(x, depth - 1)


@st.composite
def layers(draw: Callable[..., Any], x: TensorType, depth: int = 1) -> Layer:
    """A layer of any kind that fits an example of type `x`; the identity where none was found in twenty tries."""
    names = [k for k in KINDS if k not in LEFT_OUT | STEEP and (depth > 0 or not issubclass(KINDS[k], Combinator))]
    for _ in range(20):
        cls = KINDS[draw(st.sampled_from(names))]
        hints = typing.get_type_hints(cls)
        options = {
            f.name: draw(_plain(f.name, hints[f.name], x, depth)) for f in dataclasses.fields(cls) if f.name != "name"
        }
        layer = cls(**options)
        if _fits(layer, x):
            return layer
    return KINDS["identity"]()


@st.composite
def nets(draw: Callable[..., Any]) -> NetSpec:
    """One to three layers on a small input."""
    shape = draw(INPUTS)
    x, chosen = TensorType(shape), []
    for _ in range(draw(st.integers(1, 3))):
        layer = draw(layers(x))
        x = signature_of(layer, x).out
        chosen.append(layer)
    return NetSpec("random", shape, tuple(chosen))


def judge(net: NetSpec, seed: int, run: Callable[..., Result] = run_case, kind: str = "random net") -> Result:
    """The result of the whole net as one chain, in training; of a net of token ids, with ids that it knows."""
    found = [layer.layer for layer in check(net).walk()]
    kinds = {layer.kind for layer in found}
    ids = min((layer.vocabulary for layer in found if isinstance(layer, TokenPositionEmbed)), default=0)
    chain = REFERENCES["chain"]
    name = "+".join(layer.kind for layer in net.layers) if kind == "random net" else net.name
    draw = "kinked" if kinds & KINKED else "normal"
    case = Case(name, Chain(net.layers), net.input, BATCH, draw, ids=ids if net.dtype == "i32" else 0)
    # several layers enlarge the rounding of each
    loose = Reference(kind, chain.fn, (case,), tolerance=1e-6, why="three layers in a row enlarge rounding")
    return run(loose, case, seed=seed)


def search(
    count: int, seed: int, run: Callable[..., Result] = run_case, seen: Callable[[Result], None] | None = None
) -> Failure | None:
    """Judge `count` random nets; the smallest failure that shrinking found, or None."""
    worst: list[Failure] = []

    @seeded(seed)
    @settings(
        max_examples=count, database=None, deadline=None, phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck), print_blob=False, report_multiple_bugs=False,
    )  # fmt: skip
    @given(nets())
    def test(net: NetSpec) -> None:
        result = judge(net, seed, run)
        if seen is not None:
            seen(result)
        if not result.passed:
            worst[:] = [Failure(net, result, to_toml(net))]
        assert result.passed

    try:
        test()
    except AssertionError:
        return worst[0]
    return None
