"""A layer's meaning in JAX: what a Reference is, its cases, and how the meaning of any layer is looked up.

This file imports no JAX, so that cases can be listed without it; the functions that a Reference holds need it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from netc.netspec.errors import NetcError
from netc.netspec.layer import Layer
from netc.netspec.spec import InputDType
from netc.netspec.types import TensorType

if TYPE_CHECKING:
    from jax import Array

    Tensors = Mapping[str, Array]
    Applied = tuple[Array, dict[str, Array]]

# (layer, parameters by name, states by name, x [batch, *example], training) -> (y [batch, *out], new states by name)
Meaning = Callable[[Any, "Tensors", "Tensors", "Array", bool], "Applied"]

AUXILIARY = "(loss)"  # among the new states: a scalar that the layer adds to the loss
CHOICES = "(choices)"  # and the share [E] of a layer's choices that fell on each of its experts
KEY, STREAM = "(key)", "(stream)"  # among the states of a layer that draws: ui32 [2], and the number of its stream
DOCUMENTS = "(documents)"  # among the states, where documents are kept apart: the number of each token's, [batch, T]

AGAINST_JAX = 1e-9  # float64: sums of a few hundred products, taken in another order
AGAINST_DIFFERENCE = 1e-5  # step 1e-6: truncation about 1e-12, rounding about 1e-16 / 1e-6, times the size of y


class OracleError(NetcError):
    """The oracle cannot judge: a kind without a reference, a missing library, a case that gives no finite answer."""


@dataclass(frozen=True, slots=True)
class Case:
    """One layer on one input: `shape` is that of an example, without the batch axis; `draw` is a key of draws.DRAWS.

    `training` says which of the two meanings is judged (normalisations have two). With `ids` above 0 the input is of
    token ids below that number.
    """

    name: str
    layer: Layer
    shape: tuple[int, ...]
    batch: int = 2
    draw: str = "normal"
    training: bool = True
    ids: int = 0

    @property
    def x(self) -> TensorType:
        """The type of one example."""
        return TensorType(self.shape, "i32" if self.ids else "f32")


@dataclass(frozen=True, slots=True)
class BadCase:
    """A layer that `check` must refuse for an example of this shape, with a message that holds `message`."""

    layer: Layer
    shape: tuple[int, ...]
    message: str
    dtype: InputDType = "f32"


@dataclass(frozen=True)
class Reference:
    """What layers of one kind mean: `fn` is written from the equation in the layer's docstring, in plain JAX.

    `tolerance` bounds the relative error of every tensor against `jax.vjp` of `fn` in float64; one above
    AGAINST_JAX needs its reason in `why`.
    """

    kind: str
    fn: Meaning
    cases: tuple[Case, ...]
    bad_cases: tuple[BadCase, ...] = ()
    tolerance: float = AGAINST_JAX
    why: str = ""

    def __post_init__(self) -> None:
        names = [case.name for case in self.cases]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise ValueError(
                f"reference {self.kind}: wants different case names, got {', '.join(twice)} twice; rename one"
            )
        if self.tolerance > AGAINST_JAX and not self.why:
            raise ValueError(
                f"reference {self.kind}: wants a reason for the tolerance {self.tolerance}, got none; fill in why"
            )


REFERENCES: dict[str, Reference] = {}
"""The vocabulary, by kind: `references/` registers netc's own kinds."""


def register(*references: Reference) -> None:
    """Add kinds to the vocabulary; raises ValueError for one that has a reference already."""
    for reference in references:
        if reference.kind in REFERENCES:
            raise ValueError(f"reference {reference.kind}: wants one reference for each kind, got a second; remove one")
        REFERENCES[reference.kind] = reference


def reference_of(layer: Layer) -> Reference:
    """The reference for this kind of layer; raises OracleError where there is none."""
    found = REFERENCES.get(layer.kind)
    if found is None:
        raise OracleError(
            f"the oracle wants a reference for {layer.kind!r}, got those for {', '.join(REFERENCES)}; "
            "write it in proofs_oracle/references/"
        )
    return found


def apply(layer: Layer, params: Tensors, state: Tensors, x: Array, training: bool) -> Applied:
    """What `layer` means: y [batch, *out] and the new states, by the reference for its kind."""
    return reference_of(layer).fn(layer, params, state, x, training)


def under(tensors: Tensors, part: str) -> dict[str, Array]:
    """The tensors of a part, under the names that the part itself gives them: `body.kernel` -> `kernel`.

    The state of a layer that draws also holds KEY and STREAM; the part gets the same key and a stream of its own, and
    the same DOCUMENTS.
    """
    prefix = f"{part}."
    own = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    if KEY in tensors:
        stream: Any = tensors[STREAM]  # a Python integer, also under jit
        for name in part.split("."):
            stream = (stream * 0x9E3779B1 + zlib.crc32(name.encode())) % 2**32
        own |= {KEY: tensors[KEY], STREAM: stream}
    if DOCUMENTS in tensors:
        own[DOCUMENTS] = tensors[DOCUMENTS]
    return own


def within(part: str, tensors: Tensors) -> dict[str, Array]:
    """The reverse of `under`: `kernel` -> `body.kernel`."""
    return {f"{part}.{name}": value for name, value in tensors.items() if name not in (KEY, STREAM, DOCUMENTS)}
