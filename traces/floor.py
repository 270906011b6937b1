"""The noise floor of a training: how far runs part that differ in nothing but rounding. Measured, written, read.

`netc trace noise` trains the same net on the same batches from the same state several times: once in float64, and in
float32 with several orders of its sums (the replicas). A floor holds how far the replicas are from float64.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from netc.traces.errors import TraceError
from netc.traces.files import read_regular, whole
from netc.traces.schema import JSON, Header, plain

FILE = "noise.json"
"""The name of a floor inside a run's folder."""

FORMAT = 1
LARGEST = 4 << 20  # bytes of a noise file
MEASURED = ("loss", "grad_norm", "param_norm")
"""The numbers of a step that two runs are compared by."""

SPACING = 2.0**-23
"""The relative distance of two float32 numbers: no floor is below it, because traces hold float32."""


JUMPING = frozenset({"grad_norm"})
"""Fields that rounding moves by jumps: a gradient is another where the maximum of a pooling window changes hands."""

EARLY = 8
"""The steps at the start that share one floor of a jumping field.

A jump is rare and its step is chance. On mnist-cnn with batch 128 one pooling window of 401,408, whose two largest
elements are 1.3e-6 apart, chose the other one in XLA at step 0, which moved the norm of the gradient by 4.7e-6. The
replicas met such windows from step 1 on, with jumps of up to 8e-5; of their step 0 alone 4.7e-6 is 16 floors.
"""


@dataclass(frozen=True)
class Floor:
    """How far runs part by rounding alone.

    `spec_sha256`, `data_sha256`, `recipe`, `seed` and `batch` say of what training, as in a trace's header; `twins`
    name the float32 runs; `steps` counts the steps measured. `differences[field][s]` is the largest relative
    difference of a replica from float64 at step s, for the fields of `MEASURED`. `window` is the length in steps of a
    window, and `means[w]` the largest relative difference of a replica's mean loss in window w. `gradient` is the
    largest relative L2 error of one parameter's gradient at step 0, and `gradient_of` that parameter. `doubling` is how
    many steps the difference of the losses takes to double, or None where it does not grow.
    """

    net: str
    spec_sha256: str
    data_sha256: str
    recipe: Mapping[str, JSON]
    seed: int
    batch: int
    steps: int
    twins: tuple[str, ...]
    differences: Mapping[str, tuple[float, ...]]
    window: int
    means: tuple[float, ...]
    gradient: float
    gradient_of: str
    doubling: float | None

    def envelope(self, field: str) -> np.ndarray[Any, Any]:
        """For each step measured, the largest difference seen up to it, float64 [steps].

        Of a field in `JUMPING`, the largest up to it or of the first `EARLY` steps.
        """
        found = _running_maximum(self.differences.get(field, ()))
        if field in JUMPING and len(found):
            found[:EARLY] = found[min(EARLY, len(found)) - 1]
        return found

    def spread(self) -> np.ndarray[Any, Any]:
        """For each window measured, the largest difference of the means of the windows up to it, float64."""
        return _running_maximum(self.means)


def _running_maximum(values: Sequence[float]) -> np.ndarray[Any, Any]:
    return np.maximum(np.maximum.accumulate(np.asarray(values, np.float64)), SPACING)


def misfit(floor: Floor, header: Header) -> str:
    """The field in which the training of the floor is another than that of the trace, or an empty string.

    The seed may be another: a floor is a property of the net, the data and the recipe.
    """
    for name in ("spec_sha256", "data_sha256", "batch"):
        if getattr(floor, name) != getattr(header, name):
            return name
    ours, theirs = flattened(floor.recipe), flattened(header.recipe)
    return next((f"recipe.{k}" for k in sorted(ours.keys() | theirs.keys()) if ours.get(k) != theirs.get(k)), "")


NEUTRAL = frozenset({"recipe.norms"})
"""Parts of a recipe that change no number of the training, only what is recorded of it."""


def flattened(tree: JSON | Mapping[str, JSON], prefix: str = "") -> dict[str, JSON]:
    """Nested mappings as one, `{"a": {"b": 1}}` -> `{"a.b": 1}`, without those of `NEUTRAL`."""
    if not isinstance(tree, Mapping):
        return {} if prefix in NEUTRAL else {prefix: tree}
    flat: dict[str, JSON] = {}
    for key, value in tree.items():
        flat |= flattened(value, f"{prefix}.{key}" if prefix else key)
    return flat


def relative(a: Sequence[float] | np.ndarray[Any, Any], b: Sequence[float] | np.ndarray[Any, Any]) -> Any:
    """|a - b| / max(|a|, |b|) for each element, float64; 0 where both are the same, infinite where one is no number."""
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    with np.errstate(all="ignore"):
        off = np.abs(x - y) / np.maximum(np.abs(x), np.abs(y))
    same = (x == y) | (np.isnan(x) & np.isnan(y))
    return np.where(same, 0.0, np.where(np.isfinite(off), off, np.inf))


def window_means(losses: Sequence[float] | np.ndarray[Any, Any], window: int) -> Any:
    """The means of whole windows of that many steps, float64; a rest at the end is left out."""
    values = np.asarray(losses, np.float64)
    whole = len(values) // window
    return values[: whole * window].reshape(whole, window).mean(axis=1)


def doubling(differences: Sequence[float]) -> float | None:
    """The steps in which a difference doubles: from the slope of log2 over the steps, or None where it does not grow.

    Steps of no difference are left out; from where the largest was reached on the growth is over. A difference that
    stays below 16 float32 spacings has not been seen to grow.
    """
    values = np.asarray(differences, np.float64)
    if not len(values) or values.max() < 16 * SPACING:
        return None
    rising = values[: int(values.argmax()) + 1]
    steps = np.flatnonzero(np.isfinite(rising) & (rising > 0))
    if len(steps) < 3:
        return None
    slope = float(np.polyfit(steps, np.log2(rising[steps]), 1)[0])
    return 1 / slope if slope > 0 else None


def _rounded(value: float) -> float | str:
    return float(f"{value:.3g}") if math.isfinite(value) else "Infinity"


def write_floor(path: Path, floor: Floor) -> None:
    """Write a floor as JSON, its numbers with three digits."""
    body = asdict(floor)
    body["differences"] = {k: [_rounded(v) for v in values] for k, values in floor.differences.items()}
    body["means"] = [_rounded(v) for v in floor.means]
    body["gradient"] = _rounded(floor.gradient)
    body["doubling"] = None if floor.doubling is None else _rounded(floor.doubling)
    with whole(path) as file:
        file.write(_sealed({"kind": "noise", "format": FORMAT, **plain(body, "noise")}))  # type: ignore[dict-item]


def _sealed(table: Mapping[str, Any]) -> bytes:
    """The line of a noise file, closed with the SHA-256 of what it is without that."""
    digest = hashlib.sha256(json.dumps(table, allow_nan=False).encode()).hexdigest()
    return json.dumps({**table, "sha256": digest}, allow_nan=False).encode() + b"\n"


def read_floor(path: Path) -> Floor:
    """Read what `write_floor` wrote; raises TraceError naming the file and what is wrong with it."""
    try:
        content = read_regular(path, LARGEST)
        body = json.loads(content)
        # files of older versions have no digest
        altered = isinstance(body, dict) and body.pop("sha256", None) is not None and _sealed(body) != content
    except (OSError, ValueError, RecursionError) as error:
        why = (isinstance(error, OSError) and error.strerror) or str(error)
        raise TraceError(
            f"{path}: wants a file that `netc trace noise` wrote, got none that can be read ({why}); check the path"
        ) from error
    if altered:
        raise TraceError(f"{path}: wants to agree with its own SHA-256, got a file that does not; measure it again")
    if not isinstance(body, dict) or body.pop("kind", None) != "noise" or body.pop("format", None) != FORMAT:
        raise TraceError(f"{path}: wants a noise file of format {FORMAT}; measure it with netc trace noise NET -o FILE")
    wanted = {f.name for f in fields(Floor)}
    if body.keys() != wanted:
        raise TraceError(f"{path}: wants the fields {', '.join(sorted(wanted))}, got others; measure it again")
    try:
        body["differences"] = {k: _numbers(v) for k, v in body["differences"].items()}
        body["means"], body["twins"] = _numbers(body["means"]), tuple(map(str, body["twins"]))
        body["gradient"] = float(body["gradient"])
        body["window"], body["steps"] = int(body["window"]), int(body["steps"])
    except (AttributeError, TypeError, ValueError) as error:
        raise TraceError(f"{path}: is damaged ({error}); measure it again") from error
    if body["window"] < 1 or not isinstance(body["recipe"], dict):
        raise TraceError(f"{path}: is damaged; measure it again")
    return Floor(**body)


def _numbers(values: Any) -> tuple[float, ...]:
    return tuple(float(v) for v in values)
