"""A net as a table: each layer, what it gives, and how many trained numbers it has."""

from __future__ import annotations

from netc.netspec.errors import SpecError
from netc.netspec.layer import Layer, LayerError, part_names, signature_of
from netc.netspec.types import TensorType, batched


def summary(name: str, x: TensorType, layers: tuple[Layer, ...]) -> str:
    """The table as text; raises SpecError at the first layer that does not fit what comes before it."""
    rows = [("layer", "kind", "output", "parameters"), ("input", "", batched(x.shape), "")]
    total = 0
    for index, (path, layer) in enumerate(zip(part_names(layers), layers, strict=True)):
        try:
            if options := [*layer.problems()]:
                raise LayerError(options[0])
            signature = signature_of(layer, x)
        except LayerError as error:
            raise SpecError((f"{name}: layer {index} ({layer.label()}) {error.problem}",)) from error
        x, total = signature.out, total + signature.count
        rows.append((path, layer.label(), batched(x.shape), f"{signature.count:,}"))
    rows.append((name, "", batched(x.shape), f"{total:,}"))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = ("  ".join([*map(str.ljust, row[:3], widths), row[3].rjust(widths[3])]).rstrip() for row in rows)
    return "\n".join(lines)
