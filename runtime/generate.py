"""Drawing with a trained generative model: its sampler's program on a target, and what it draws as numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from netc.codegen.generator import Generator, build_generator
from netc.codegen.reverse_process import Drawn
from netc.netspec.errors import UserError
from netc.runtime.backends import check_device, load
from netc.runtime.backends.protocol import Array
from netc.runtime.cache.store import Cache
from netc.runtime.data.batches import Normalise
from netc.runtime.prepare import Prepared, prepare
from netc.runtime.run.config import RunConfig
from netc.runtime.target import parse_target


@dataclass(frozen=True)
class Found:
    """What was drawn: `samples` [N, ..], and the `path` [steps, N, ..] to them where it was asked for."""

    samples: Array
    path: Array | None = None


class Drawer:
    """A generative model's weights on a device, and the program that draws with them."""

    def __init__(self, generator: Generator, prepared: Prepared, tensors: Mapping[str, Array]) -> None:
        self.generator, self.prepared = generator, prepared
        self._loaded = load(prepared.source, prepared.target)
        kept = generator.program.kept
        self._weights = [self._loaded.put(np.asarray(tensors[s.name], np.float32)) for s in kept]

    @classmethod
    def of_run(cls, config: RunConfig, tensors: Mapping[str, Array], target: str, cache: Cache, drawn: Drawn) -> Drawer:
        """The drawer of a run's weights. Raises UserError, SpecError and CompileError."""
        where = parse_target(target)
        check_device(where)
        generator = build_generator(config.net, config.recipe, drawn)
        return cls(generator, prepare(generator.program, where, cache), tensors)

    def draw(
        self,
        seed: int = 0,
        *,
        labels: Sequence[int] = (),
        guidance: float = 1.0,
        temperature: float = 1.0,
        known: int = 0,
        bounds: tuple[Sequence[float], Sequence[float]] = ((), ()),
    ) -> Found:
        """Samples of the given classes, numbers as the net answers them, or tokens below `known`.

        Raises UserError for a seed out of range, and where weights are no numbers.
        """
        if not 0 <= seed < 1 << 64:
            raise UserError(f"`seed` wants a number from 0 to 2^64 - 1, got {seed}")
        given = {
            "labels": np.asarray(labels, np.int32),
            "key": np.array([seed >> 32, seed & 0xFFFFFFFF], np.uint32),
            "guidance": np.asarray(guidance, np.float32),
            "temperature": np.asarray(temperature, np.float32),
            "known": np.asarray(known, np.int32),
            "low": np.asarray(bounds[0], np.float32),
            "high": np.asarray(bounds[1], np.float32),
        }
        inputs = [self._loaded.put(given[name]) for name in self.generator.inputs]
        found = [self._loaded.get(v) for v in self._loaded.call("sample", [*self._weights, *inputs])]
        if found[0].dtype == np.float32 and not np.isfinite(found[0]).all():
            raise UserError(
                "sample wants a net that gives finite numbers, got NaN or infinity; choose another `checkpoint`, or a "
                "smaller `guidance`"
            )
        return Found(found[0], found[1] if len(found) > 1 else None)


def bounds_of(normalise: Normalise) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """What black and white are, normalised: one number for each channel."""
    pairs = list(zip(normalise.mean, normalise.std, strict=True))
    return tuple((0 - m) / s for m, s in pairs), tuple((1 - m) / s for m, s in pairs)
