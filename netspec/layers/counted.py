"""Layers that are shown, shape-checked and counted, but have no emission yet. `COUNTED` is their table.

They are what files written elsewhere name and netc does not train: each is declared by its signature alone. A kind
that gets its rule and its reference moves to KINDS.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from netc.netspec.layer import Layer, LayerError, want_positive
from netc.netspec.types import Constant, ParamSpec, Signature, TensorType, batched, lecun_uniform

# Jumper et al. 2021, supplementary: channels of a head and heads, as algorithms 7 to 14 and 22 state them
MSA_HEADS, PAIR_HEADS, HEAD = 8, 4, 32
OUTER, TRIANGLE = 32, 128  # channels inside outer product mean (alg. 10) and triangle multiplication (alg. 11)
TRANSITION = 4  # times the channels, inside the transitions (alg. 9 and 15)
POINT_HEADS, POINT_HEAD, QUERY_POINTS, VALUE_POINTS = 12, 16, 4, 8  # of invariant point attention (alg. 22)
ANGLES, ANGLE_CHANNELS = 7, 128  # torsion angles, and the channels of their residual net (alg. 20)
DIRECTION = 128  # channels of NeRF's layer after the direction joins (Mildenhall et al. 2020, fig. 7)
NERF_DEPTH, NERF_SKIP = 8, 5  # layers, and the one that sees the encoded position again
MOST_BLOCKS = 1_000  # of one layer; each has its own tensors
BOX = 15  # numbers of one anchor: 4 of a box, 1 of objectness, 10 classes


def linear(name: str, inputs: int, features: int, *, bias: bool = True) -> tuple[ParamSpec, ...]:
    """An affine map's kernel [inputs, features] and bias [features]."""
    kernel = ParamSpec(f"{name}.kernel", (inputs, features), lecun_uniform(inputs))
    return (kernel, *((ParamSpec(f"{name}.bias", (features,), Constant(0.0), decay=False),) if bias else ()))


def convolution(name: str, inputs: int, features: int, kernel: int) -> tuple[ParamSpec, ...]:
    """A convolution's kernel [k, k, inputs, features] and bias [features]."""
    own = ParamSpec(f"{name}.kernel", (kernel, kernel, inputs, features), lecun_uniform(kernel * kernel * inputs))
    return own, ParamSpec(f"{name}.bias", (features,), Constant(0.0), decay=False)


def norm(name: str, channels: int) -> tuple[ParamSpec, ...]:
    """A layer norm's scale and bias."""
    return (
        ParamSpec(f"{name}.scale", (channels,), Constant(1.0), decay=False),
        ParamSpec(f"{name}.bias", (channels,), Constant(0.0), decay=False),
    )


@dataclass(frozen=True)
class Counted(Layer):
    """A layer without emission: its signature is all that netc knows of it."""

    @abstractmethod
    def tensors(self, x: TensorType) -> Iterator[ParamSpec]:
        """Every trained tensor for one example of type `x`."""

    @abstractmethod
    def output(self, x: TensorType) -> TensorType:
        """What it gives for `x`; raises LayerError where x does not fit."""

    def signature(self, x: TensorType) -> Signature:
        """The declared tensors and the declared output."""
        out = self.output(x)
        return Signature(tuple(self.tensors(x)), (), out)


def want_blocks(least: int = 1, **values: int) -> Iterator[str]:
    """Yield a sentence for each value that is no sensible number of blocks."""
    for name, value in values.items():
        if not least <= value <= MOST_BLOCKS:
            yield f"{name} wants an integer from {least} to {MOST_BLOCKS}, got {value}"


def want_channels(x: TensorType, channels: int, do: str) -> None:
    """Raise LayerError unless the last axis of `x` has that many channels."""
    if x.rank == 0 or x.shape[-1] != channels:
        raise LayerError(f"wants [batch, .., {channels}], got {batched(x.shape)}; {do}", x)


def _gated_attention(name: str, channels: int, heads: int) -> Iterator[ParamSpec]:
    """Norm, queries, keys and values without a bias, a gate and an output with one."""
    width = heads * HEAD
    yield from norm(f"{name}.norm", channels)
    for part in ("query", "key", "value"):
        yield from linear(f"{name}.{part}", channels, width, bias=False)
    yield from linear(f"{name}.gate", channels, width)
    yield from linear(f"{name}.out", width, channels)


def _transition(name: str, channels: int) -> Iterator[ParamSpec]:
    yield from norm(f"{name}.norm", channels)
    yield from linear(f"{name}.widen", channels, TRANSITION * channels)
    yield from linear(f"{name}.narrow", TRANSITION * channels, channels)


@dataclass(frozen=True)
class EvoformerBlock(Counted):
    """`blocks` Evoformer blocks of AlphaFold 2 on [sequences, residues, msa] and a pair [residues, residues, pair].

    Each: row attention with pair bias, column attention, transition, outer product mean, triangle multiplication out
    and in, triangle attention around the start and the end, pair transition. A net takes one tensor here, the MSA's;
    the pair's does not show in the shapes, its parameters count. Source: Jumper et al. 2021, supplementary,
    algorithms 6 to 15 with the sizes that they state.
    """

    kind: ClassVar[str] = "evoformerBlock"
    msa: int
    pair: int
    blocks: int = 1

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(msa=self.msa, pair=self.pair)
        yield from want_blocks(blocks=self.blocks)

    def output(self, x: TensorType) -> TensorType:
        """The MSA's type."""
        want_channels(x, self.msa, "change the layer before it, or msa")
        return x

    def tensors(self, x: TensorType) -> Iterator[ParamSpec]:
        """Those of every block."""
        for index in range(self.blocks):
            yield from self._block(f"block{index}")

    def _block(self, at: str) -> Iterator[ParamSpec]:
        msa, pair = self.msa, self.pair
        yield from _gated_attention(f"{at}.row", msa, MSA_HEADS)
        yield from norm(f"{at}.row.pair", pair)
        yield from linear(f"{at}.row.weigh", pair, MSA_HEADS, bias=False)
        yield from _gated_attention(f"{at}.column", msa, MSA_HEADS)
        yield from _transition(f"{at}.transition", msa)
        yield from norm(f"{at}.outer.norm", msa)
        yield from linear(f"{at}.outer.left", msa, OUTER)
        yield from linear(f"{at}.outer.right", msa, OUTER)
        yield from linear(f"{at}.outer.out", OUTER * OUTER, pair)
        for way in ("outgoing", "incoming"):
            yield from norm(f"{at}.{way}.norm", pair)
            for part in ("left", "left_gate", "right", "right_gate"):
                yield from linear(f"{at}.{way}.{part}", pair, TRIANGLE)
            yield from linear(f"{at}.{way}.gate", pair, pair)
            yield from norm(f"{at}.{way}.inner", TRIANGLE)
            yield from linear(f"{at}.{way}.out", TRIANGLE, pair)
        for node in ("start", "end"):
            yield from _gated_attention(f"{at}.{node}", pair, PAIR_HEADS)
            yield from linear(f"{at}.{node}.weigh", pair, PAIR_HEADS, bias=False)
        yield from _transition(f"{at}.pair_transition", pair)

    def label(self) -> str:
        """`evoformerBlock 256/128 x48`."""
        return f"evoformerBlock {self.msa}/{self.pair} x{self.blocks}"


@dataclass(frozen=True)
class StructureModule(Counted):
    """`blocks` rounds of AlphaFold 2's structure module, which share their parameters: [.., C] -> [.., single].

    Invariant point attention, a transition, the update of the frames, torsion angles. Where C is not `single` an
    affine map comes first, as between Evoformer and structure module (alg. 6, line 12). Source: Jumper et al. 2021,
    supplementary, algorithms 20, 22 and 23 with the sizes that they state.
    """

    kind: ClassVar[str] = "structureModule"
    single: int
    pair: int
    blocks: int = 8

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(single=self.single, pair=self.pair)
        yield from want_blocks(blocks=self.blocks)

    def output(self, x: TensorType) -> TensorType:
        """The single representation."""
        if x.rank == 0:
            raise LayerError(f"wants [batch, .., channels], got {batched(x.shape)}; give it at least one axis")
        return TensorType((*x.shape[:-1], self.single), x.dtype)

    def tensors(self, x: TensorType) -> Iterator[ParamSpec]:
        """Those of one round, which all rounds share."""
        single, pair, width = self.single, self.pair, POINT_HEADS * POINT_HEAD
        if x.shape[-1] != single:
            yield from linear("project", x.shape[-1], single)
        yield from norm("norm", single)
        yield from norm("pair_norm", pair)
        yield from linear("in", single, single)
        for part in ("query", "key", "value"):
            yield from linear(f"attention.{part}", single, width, bias=False)
        for part, points in (("query", QUERY_POINTS), ("key", QUERY_POINTS), ("value", VALUE_POINTS)):
            yield from linear(f"attention.{part}_points", single, POINT_HEADS * points * 3, bias=False)
        yield from linear("attention.weigh", pair, POINT_HEADS, bias=False)
        yield ParamSpec("attention.head_weights", (POINT_HEADS,), Constant(1.0), decay=False)
        # of each head: what it read of the pair, its values, its points and their distances
        read = POINT_HEADS * (pair + POINT_HEAD + 3 * VALUE_POINTS + VALUE_POINTS)
        yield from linear("attention.out", read, single)
        yield from norm("attention_norm", single)
        for index in range(3):
            yield from linear(f"transition{index}", single, single)
        yield from norm("transition_norm", single)
        yield from linear("frame", single, 6)
        for part in ("now", "initial"):
            yield from linear(f"angles.{part}", single, ANGLE_CHANNELS)
        for index in range(4):  # two residual blocks of two layers
            yield from linear(f"angles.layer{index}", ANGLE_CHANNELS, ANGLE_CHANNELS)
        yield from linear("angles.out", ANGLE_CHANNELS, 2 * ANGLES)

    def label(self) -> str:
        """`structureModule 384/128 x8`."""
        return f"structureModule {self.single}/{self.pair} x{self.blocks}"


@dataclass(frozen=True)
class NerfMlp(Counted):
    """[.., position] -> [.., 4]: a density and a colour from an encoded position and, apart, an encoded direction.

    Eight layers of `hidden` features, the fifth of which sees the position again; density is linear in the eighth, as
    are the features that the direction, of `direction` channels, joins before a layer of 128 and the colour. The
    direction is a second input, which a net has no place for. Source: Mildenhall et al. 2020, fig. 7.
    """

    kind: ClassVar[str] = "nerfMLP"
    position: int
    direction: int
    hidden: int = 256

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(position=self.position, direction=self.direction, hidden=self.hidden)

    def output(self, x: TensorType) -> TensorType:
        """Density and colour."""
        want_channels(x, self.position, "put positionalEncoding before it")
        return TensorType((*x.shape[:-1], 4), x.dtype)

    def tensors(self, x: TensorType) -> Iterator[ParamSpec]:
        """Twelve affine maps."""
        for index in range(1, NERF_DEPTH + 1):
            inputs = {1: self.position, NERF_SKIP: self.hidden + self.position}.get(index, self.hidden)
            yield from linear(f"layer{index}", inputs, self.hidden)
        yield from linear("density", self.hidden, 1)
        yield from linear("features", self.hidden, self.hidden)
        yield from linear("view", self.hidden + self.direction, DIRECTION)
        yield from linear("colour", DIRECTION, 3)

    def label(self) -> str:
        """`nerfMLP 60+24->256`."""
        return f"nerfMLP {self.position}+{self.direction}->{self.hidden}"


@dataclass(frozen=True)
class FpnTaps(Counted):
    """A feature pyramid over the last stages of the net before it: [H, W, c] -> [H, W, features].

    `stages` are the channels of the taps, finest first, the last of which arrives. Each has a 1x1 convolution to
    `features` channels and a 3x3 one after the sum, with biases. The finer taps lie further back, which a sequence of
    layers does not reach: `fpnModule`, which has its stages inside, is the pyramid that can be trained. Source: Lin
    et al. 2017, fig. 3; torchvision.ops.FeaturePyramidNetwork.
    """

    kind: ClassVar[str] = "fpnTaps"
    stages: tuple[int, ...]
    features: int = 256

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(features=self.features)
        if not self.stages or any(stage < 1 for stage in self.stages):
            yield f"stages wants positive integers, got {list(self.stages)}"

    def output(self, x: TensorType) -> TensorType:
        """The coarsest level's type."""
        want_channels(x, self.stages[-1], "end the net before it in its last stage")
        return TensorType((*x.shape[:-1], self.features), x.dtype)

    def tensors(self, x: TensorType) -> Iterator[ParamSpec]:
        """Two convolutions for each level."""
        for index, channels in enumerate(self.stages):
            yield from convolution(f"level{index}.lateral", channels, self.features, 1)
            yield from convolution(f"level{index}.smooth", self.features, self.features, 3)

    def label(self) -> str:
        """`fpnTaps 256 x4`."""
        return f"fpnTaps {self.features} x{len(self.stages)}"


@dataclass(frozen=True)
class FpnDetect(Counted):
    """Boxes at three scales: [g, g, c5] -> [15 anchors (16 g² + 4 g² + g²)], g = `grid`, a number for each anchor.

    A pyramid as in fpnTaps over `stages` (c3, c4, c5), then for each level `tower` 3x3 convolutions that keep
    `features` channels, and a 1x1 one to 15 numbers an anchor: box 4, objectness 1, classes 10. Sources: Lin et al.
    2017 (pyramid), Lin et al. 2017b (RetinaNet's towers, here not shared across levels), Redmon and Farhadi 2018.
    """

    kind: ClassVar[str] = "fpnDetect"
    stages: tuple[int, int, int]
    features: int
    grid: int
    anchors: int = 3
    tower: int = 0

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(features=self.features, grid=self.grid, anchors=self.anchors)
        yield from want_blocks(0, tower=self.tower)
        if any(stage < 1 for stage in self.stages):
            yield f"stages wants positive integers, got {list(self.stages)}"

    def output(self, x: TensorType) -> TensorType:
        """All boxes of all scales in a row."""
        want = (self.grid, self.grid, self.stages[-1])
        if x.shape != want:
            raise LayerError(f"wants {batched(want)}, got {batched(x.shape)}; change grid, or the layers before it")
        return TensorType((BOX * self.anchors * 21 * self.grid**2,), x.dtype)

    def tensors(self, x: TensorType) -> Iterator[ParamSpec]:
        """The pyramid's, the towers' and the heads'."""
        yield from FpnTaps(self.stages, self.features).tensors(x)
        for index in range(len(self.stages)):
            for layer in range(self.tower):
                yield from convolution(f"level{index}.tower{layer}", self.features, self.features, 3)
            yield from convolution(f"level{index}.head", self.features, BOX * self.anchors, 1)

    def label(self) -> str:
        """`fpnDetect 14x14 a3`."""
        return f"fpnDetect {self.grid}x{self.grid} a{self.anchors}"


@dataclass(frozen=True)
class TimeBias(Counted):
    """y[.., c] = x[.., c] + bias[c] + sum_f features(t)[f] kernel[f, c]; t is read from the net's own input.

    features are 2 `frequencies` sines and cosines, as in timeFeatures. `timeCondAdd`, whose input carries the time as
    its last channel, is the form that can be trained. Source: Ho et al. 2020, appendix B.
    """

    kind: ClassVar[str] = "timeBias"
    frequencies: int = 32

    def problems(self) -> Iterator[str]:
        """Options that no input could make right."""
        yield from want_positive(frequencies=self.frequencies)

    def output(self, x: TensorType) -> TensorType:
        """The input's type."""
        if x.rank == 0:
            raise LayerError(f"wants [batch, .., channels], got {batched(x.shape)}; give it at least one axis")
        return x

    def tensors(self, x: TensorType) -> Iterator[ParamSpec]:
        """One affine map."""
        yield from linear("project", 2 * self.frequencies, x.shape[-1])

    def label(self) -> str:
        """`timeBias 32`."""
        return f"timeBias {self.frequencies}"


# What each lacks, and what to do: the sentence of the error that emitting one ends in is made of it.
INSTEAD: dict[type[Layer], str] = {
    EvoformerBlock: "count it, or use a net without it",
    StructureModule: "count it, or use a net without it",
    NerfMlp: "write its dense layers in a chain on [position, direction]",
    FpnTaps: "use fpnModule, which has its stages inside",
    FpnDetect: "count it, or use a net without it",
    TimeBias: "use timeCondAdd (frequencies := ..) on an image whose last channel is the time",
}

COUNTED: dict[str, type[Layer]] = {cls.kind: cls for cls in INSTEAD}
