"""Regularisation: drop-path and dropout for every layer of a net that has them, whatever its spec says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

from netc.netspec.layer import Layer, part_names
from netc.netspec.layers.stochastic import Dropout, DropPath
from netc.netspec.spec import NetSpec
from netc.netspec.vocabulary import option


@dataclass(frozen=True)
class Regularisation:
    """Rates that stand over those of the spec. Nothing is changed unless they are stated.

    `drop_path`: the last block's rate of stochastic depth; block i of n has i / (n - 1) of it (Huang et al. 2016, eq.
    4, as timm spaces it), or with `drop_path_over_n` i / n. The blocks of all stages are counted in the spec's order.
    `dropout`: the rate of every dropout in the net: of dropout layers, and of the encoders and embeddings that have
    one in them, those of attention's probabilities too. `head_dropout`: that of a dropout right before the layer that
    has the classes, which is put there if there is none (timm's drop_rate).
    """

    drop_path: float | None = option(
        None, "Stochastic depth: the drop rate of the last block, rising from 0.", later=True
    )
    dropout: float | None = option(None, "Rate of every dropout in the net.", later=True)
    head_dropout: float | None = option(None, "Dropout before the final layer, added if there is none.", later=True)
    drop_path_over_n: bool = option(False, "Block i of n has i/n of the drop-path rate, not i/(n-1).", later=True)

    def problems(self) -> list[str]:
        """One sentence for each value out of range, or that means nothing."""
        found = [
            f"`{name}` wants a number in [0, 1), got {rate}"
            for name in ("drop_path", "dropout", "head_dropout")
            if (rate := getattr(self, name)) is not None and not 0 <= rate < 1
        ]
        if self.drop_path_over_n and self.drop_path is None:
            found.append("`drop_path_over_n` belongs to `drop_path`, got none; leave it out, or give a rate")
        return found

    def misfits(self, net: NetSpec) -> Iterator[str]:
        """Yield one sentence for each rate that no layer of the net has."""
        if self.drop_path is not None and not sum(map(_blocks, _walk(net))):
            yield (
                f"{net.name}: `drop_path` wants layers with a drop_path (convNextStage, transformerEncoder, mbConv, "
                "..) or dropPath layers, got none; leave it out"
            )
        if self.dropout is not None and not any(map(_has_dropout, _walk(net))):
            yield (
                f"{net.name}: `dropout` wants a dropout layer, or layers with a dropout (transformerEncoder, ..), got "
                "none; give `head_dropout`, or leave it out"
            )
        if self.head_dropout is not None and net.head < 0:
            yield f"{net.name}: `head_dropout` wants a net that ends in a layer of classes, got none; leave it out"

    def of(self, net: NetSpec) -> NetSpec:
        """The net with these rates; the same net where nothing is stated."""
        if self.drop_path is not None:
            net = _with_paths(net, self.drop_path, over_n=self.drop_path_over_n)
        if (rate := self.dropout) is not None:
            net = _changed(net, lambda layer: _with_rate(layer, rate) if _has_dropout(layer) else layer)
        return net if self.head_dropout is None else _with_head_dropout(net, self.head_dropout)


def _blocks(layer: Layer) -> int:
    """How many blocks of a rate of their own a layer has, without its parts."""
    if isinstance(layer, DropPath):
        return 1
    return int(getattr(layer, "blocks", 1)) if hasattr(layer, "drop_path") else 0


def _with_paths(net: NetSpec, rate: float, *, over_n: bool) -> NetSpec:
    count, seen = sum(map(_blocks, _walk(net))), 0
    steps = max(count if over_n else count - 1, 1)

    def dropping(layer: Layer) -> Layer:
        nonlocal seen
        if not (own := _blocks(layer)):
            return layer
        first, last = (rate * i / steps for i in (seen, seen + own - 1))
        seen += own
        if isinstance(layer, DropPath):
            return replace(layer, rate=first)
        return replace(layer, drop_path=first if first == last else (first, last))  # type: ignore[call-arg]

    return _changed(net, dropping)


DROPOUTS = ("dropout", "attention_dropout")  # the fields of a layer that are rates of dropout


def _has_dropout(layer: Layer) -> bool:
    return isinstance(layer, Dropout) or any(hasattr(layer, name) for name in DROPOUTS)


def _with_rate(layer: Layer, rate: float) -> Layer:
    if isinstance(layer, Dropout):
        return replace(layer, rate=rate)
    return replace(layer, **{name: rate for name in DROPOUTS if hasattr(layer, name)})  # type: ignore[arg-type]


def _with_head_dropout(net: NetSpec, rate: float) -> NetSpec:
    """The layers keep their names, of which those of their parameters are made."""
    before, after = net.layers[: net.head], net.layers[net.head :]
    if before and isinstance(before[-1], Dropout):
        return replace(net, layers=(*before[:-1], replace(before[-1], rate=rate), *after))
    names = part_names(net.layers)
    kept = [replace(layer, name=name) for layer, name in zip(after, names[net.head :], strict=True)]
    return replace(net, layers=(*before, Dropout(rate, name=_free("head_dropout", names)), *kept))


def _free(name: str, taken: tuple[str, ...]) -> str:
    return name if name not in taken else _free(f"{name}_", taken)


def _walk(net: NetSpec) -> Iterator[Layer]:
    """Every layer of the spec and of its combinators, in order."""
    found: list[Layer] = []

    def note(layer: Layer) -> Layer:
        found.append(layer)
        return layer

    _changed(net, note)
    return iter(found)


def _changed(net: NetSpec, change: Callable[[Layer], Layer]) -> NetSpec:
    return replace(net, layers=tuple(_rebuilt(layer, change) for layer in net.layers))


def _rebuilt(layer: Layer, change: Callable[[Layer], Layer]) -> Layer:
    """The layer with `change` of each of its parts, then of itself. All copies of a `repeat` have one rate."""
    parts: dict[str, Any] = {}
    for f in fields(layer):
        value = getattr(layer, f.name)
        if isinstance(value, Layer):
            parts[f.name] = _rebuilt(value, change)
        elif isinstance(value, tuple) and value and all(isinstance(v, Layer) for v in value):
            parts[f.name] = tuple(_rebuilt(v, change) for v in value)
    return change(replace(layer, **parts) if parts else layer)
