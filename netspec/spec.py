"""NetSpec: a network as a value."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from netc.netspec.errors import SpecError
from netc.netspec.field_types import type_problems
from netc.netspec.layer import Layer
from netc.netspec.layers.activation import Activation
from netc.netspec.layers.combine import Chain
from netc.netspec.layers.conv import Conv2d
from netc.netspec.layers.dense import Dense
from netc.netspec.layers.embedding import LMHead, TiedHead, TokenPositionEmbed
from netc.netspec.layers.modulation import ConditionedPatches
from netc.netspec.layers.pool import GlobalAvgPool
from netc.netspec.layers.stochastic import Dropout
from netc.netspec.layers.time_unet import TimeResBlock, TimeUnet
from netc.netspec.summary import summary
from netc.netspec.types import TensorType

InputDType = Literal["f32", "i32"]
AFTER_HEAD = (Activation, Dropout, GlobalAvgPool)  # what may follow the layer that has the classes
CONDITIONED = (ConditionedPatches, TimeResBlock, TimeUnet)  # with a table of `classes` and the null class


@dataclass(frozen=True)
class NetSpec:
    """A network: its name, the shape of one input example, and its layers in order.

    `input` is `(H, W, C)` for images or `(D,)` for vectors; with `dtype` i32 it is
    `(T,)` for sequences of token ids. `source` says where the architecture and its
    parameter count come from; it is not part of what is computed.
    """

    name: str
    input: tuple[int, ...]
    layers: tuple[Layer, ...]
    dtype: InputDType = field(default="f32", kw_only=True)
    source: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.input, tuple) or not all(type(n) is int for n in self.input):
            raise SpecError((f"`input` wants a tuple such as (8,), got {self.input!r}",))
        if not isinstance(self.name, str):
            raise SpecError((f"`name` wants a string, got {self.name!r}",))
        if not isinstance(self.layers, tuple):
            raise SpecError((f"`layers` wants a tuple of layers, got {type(self.layers).__name__}",))
        if problems := (*type_problems(self.name, self.layers),):
            raise SpecError(problems)

    @property
    def x(self) -> TensorType:
        """The type of one example."""
        return TensorType(self.input, self.dtype)

    @property
    def body(self) -> Chain:
        """All layers as one."""
        return Chain(self.layers)

    def summary(self) -> str:
        """A table of the layers, their outputs and their counts of parameters; raises SpecError where one misfits."""
        return summary(self.name, self.x, self.layers)

    def with_input(self, shape: tuple[int, ...]) -> NetSpec:
        """The same layers for another input shape."""
        return replace(self, input=shape)

    @property
    def head(self) -> int:
        """Where the layer is that has the classes, dense, conv2d or a head over tokens; -1 if the net ends otherwise.

        A mean, an activation or a dropout may follow it.
        """
        last = max((i for i, layer in enumerate(self.layers) if not isinstance(layer, AFTER_HEAD)), default=-1)
        return last if last >= 0 and isinstance(self.layers[last], Dense | Conv2d | LMHead | TiedHead) else -1

    @property
    def classifies(self) -> bool:
        """Whether the net ends in one vector of classes for an example or a token, as many as the data has.

        A conv2d alone gives one for each pixel; its mean is such a vector.
        """
        if self.head < 0 or not isinstance(self.layers[self.head], Conv2d):
            return self.head >= 0
        return any(isinstance(layer, GlobalAvgPool) for layer in self.layers[self.head + 1 :])

    @property
    def class_tables(self) -> tuple[int, ...]:
        """Where the layers are whose option `classes` says how many classes the net is conditioned on, not 0."""
        return tuple(i for i, layer in enumerate(self.layers) if isinstance(layer, CONDITIONED) and layer.classes)

    def with_classes(self, classes: int) -> NetSpec:
        """The same net with `classes` outputs: its head is changed. Raises SpecError for a net without.

        Of a net of token ids these are the vocabulary, which an embedding has too: it is changed with them. Of a net
        that draws images of a class these are the classes that it can be told.
        """
        if tables := self.class_tables:
            told = (replace(e, classes=classes) if i in tables else e for i, e in enumerate(self.layers))  # type: ignore[call-arg]
            return replace(self, layers=tuple(told))
        head = self.layers[-1] if self.layers else None
        if isinstance(head, TiedHead) and isinstance(head.embed, TokenPositionEmbed):
            tied = replace(head, embed=replace(head.embed, vocabulary=classes))
            return replace(self, layers=(*self.layers[:-1], tied))
        if isinstance(head, LMHead):
            layers = (replace(e, vocabulary=classes) if isinstance(e, TokenPositionEmbed) else e for e in self.layers)
            return replace(self, layers=(*tuple(layers)[:-1], replace(head, vocabulary=classes)))
        last = self.head
        found = self.layers[last] if last >= 0 else None
        if not isinstance(found, Dense | Conv2d):
            ends = [layer.kind for layer in self.layers if not isinstance(layer, AFTER_HEAD)]
            got = ends[-1] if ends else self.layers[-1].kind if self.layers else "no layers"
            raise SpecError((f"{self.name}: `classes` wants a net that ends in a dense or conv2d layer, got {got}; "
                             "change the spec itself",))  # fmt: skip
        return replace(self, layers=(*self.layers[:last], replace(found, features=classes), *self.layers[last + 1 :]))
