"""XLA on a mesh: one program that its partitioner splits over devices, as the text's notes say.

A tensor is one array with a part on each device. What a step returns lies as its text says, and so as the next step
takes it: nothing is laid out anew between steps. The devices may be of several processes: each has the parts of its
own, and all call the same functions in the same order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from netc.codegen.ir import FunctionLayout, Placement
from netc.runtime.backends.protocol import Array, Piece, Source
from netc.runtime.backends.xla_replicas import XlaDevices, devices_of


@dataclass(frozen=True, eq=False)
class _Own:
    """What this process has of a tensor: of `axis` the stretch in which all its devices have theirs."""

    array: Array
    axis: int


class XlaMesh(XlaDevices):
    """XLA's partitioner splits each executable over the devices of the mesh."""

    def __init__(self, source: Source) -> None:
        layouts = {f.name: f.layout for f in source.module if f.layout}
        axes = next(iter(layouts.values())).mesh
        sizes = [count for _, count in axes]
        super().__init__(source, devices_of(int(np.prod(sizes)), "mesh"))
        from jax.sharding import Mesh

        self._mesh = Mesh(np.array(self._devices).reshape(sizes), tuple(name for name, _ in axes))
        self._known: dict[Placement, Any] = {}
        self._arguments = {n: [self._sharding(p) for p in layout.arguments] for n, layout in layouts.items()}
        self._results = {n: [self._sharding(p) for p in layout.results] for n, layout in layouts.items()}
        self._taken = {f.name: [v.shape for v in f.params] for f in source.module}
        self._types = {f.name: [v.shape for v in f.results] for f in source.module}
        self._alone = len(self._local) == len(self._devices)
        self._layouts: dict[str, FunctionLayout] = layouts

    def _sharding(self, placed: Placement) -> Any:
        from jax.sharding import NamedSharding, PartitionSpec

        plain = Placement(placed.axes)
        if plain not in self._known:
            self._known[plain] = NamedSharding(self._mesh, PartitionSpec(*placed.axes))
        return self._known[plain]

    def _options(self) -> Any:
        count = len(self._devices)
        options = self._compiler.CompileOptions()
        options.num_replicas, options.num_partitions = 1, count
        build = options.executable_build_options
        build.num_replicas, build.num_partitions = 1, count
        build.use_spmd_partitioning = build.use_shardy_partitioner = True
        ids = np.array([d.id for d in self._devices]).reshape(1, count)
        options.device_assignment = build.device_assignment = self._compiler.DeviceAssignment.create(ids)
        return options

    def put(self, array: Array, axis: int | None = None) -> Any:
        """The array itself: the function that is called says where its parts lie."""
        array = np.asarray(array)
        return array if self._alone or axis is None else _Own(array, axis)

    def get(self, buffer: Any) -> Array:
        """Copy to the host, in all processes at once; waits."""
        if self._alone or isinstance(buffer, np.ndarray) or buffer.sharding.is_fully_replicated:
            return np.asarray(buffer)
        from jax.experimental.multihost_utils import process_allgather

        with self._wide():
            return np.asarray(process_allgather(buffer, tiled=True))

    def pieces(self, buffer: Any) -> list[Piece]:
        """The parts of a tensor that no device of a lower number has: those of all processes are the whole."""
        if isinstance(buffer, np.ndarray):  # put there, and not taken by a call yet
            return [Piece((0,) * buffer.ndim, buffer)] if self._jax.process_index() == 0 else []
        own = [shard for shard in buffer.addressable_shards if shard.replica_id == 0]
        return [Piece(tuple(at.start or 0 for at in shard.index), np.asarray(shard.data)) for shard in own]

    def _placed(self, value: Any, sharding: Any, shape: tuple[int, ...]) -> Any:
        """A value as a function takes it. What an earlier call returned lies so already."""
        if getattr(value, "sharding", None) is sharding:
            return value
        if self._alone:
            return self._put(value, sharding)
        array = value.array if isinstance(value, _Own) else self.get(value)
        places = [sharding.addressable_devices_indices_map(shape)[device] for device in self._local]
        if isinstance(value, _Own) and array.shape != shape:
            axis = value.axis
            first = min(place[axis].start or 0 for place in places)
            places = [(*p[:axis], _moved(p[axis], first), *p[axis + 1 :]) for p in places]
        parts = [self._put(array[place], device) for place, device in zip(places, self._local, strict=True)]
        return self._whole(parts, shape, sharding)

    def call(self, function: str, args: Sequence[Any]) -> list[Any]:
        """Execute on all devices; returns before the results are computed, and `get` waits for them."""
        meant = zip(args, self._arguments[function], self._taken[function], strict=True)
        given = [self._placed(value, sharding, shape) for value, sharding, shape in meant]
        results = self._executable(function).execute_sharded(given).disassemble_into_single_device_arrays()
        made = zip(results, self._types[function], self._results[function], strict=True)
        return [self._whole(parts, shape, sharding) for parts, shape, sharding in made]

    def resharded(self, function: str) -> list[int]:
        """The donated arguments that XLA returns lying in another way than it takes them: none, if all is well."""
        compiled = self._executable(function)
        taken, given = compiled.get_parameter_shardings(), compiled.get_output_shardings()
        layout = self._layouts[function]
        kept = sum(p.late for p in layout.arguments)
        return [i for i in range(min(kept, len(given))) if str(taken[i]) != str(given[i])]


def _moved(at: slice, first: int) -> slice:
    """The same rows, counted from the first that are here."""
    return slice((at.start or 0) - first, None if at.stop is None else at.stop - first)
