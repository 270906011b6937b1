"""XLA on a mesh: one program that its partitioner splits over the devices of this process, as the text's notes say.

A tensor is one array with a part on each device. What a step returns lies as its text says, and so as the next step
takes it: nothing is laid out anew between steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from netc.codegen.ir import FunctionLayout, Placement
from netc.runtime.backends.protocol import Array, Source
from netc.runtime.backends.xla_replicas import XlaDevices, devices_of


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
        self._types = {f.name: [v.shape for v in f.results] for f in source.module}
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
        return np.asarray(array)

    def _placed(self, value: Any, sharding: Any) -> Any:
        """A value as a function takes it. What an earlier call returned lies so already."""
        if getattr(value, "sharding", None) is sharding:
            return value
        return self._put(value, sharding)

    def call(self, function: str, args: Sequence[Any]) -> list[Any]:
        """Execute on all devices; returns before the results are computed, and `get` waits for them."""
        given = [self._placed(v, s) for v, s in zip(args, self._arguments[function], strict=True)]
        results = self._executable(function).execute_sharded(given).disassemble_into_single_device_arrays()
        meant = zip(results, self._types[function], self._results[function], strict=True)
        return [self._whole(parts, shape, sharding) for parts, shape, sharding in meant]

    def resharded(self, function: str) -> list[int]:
        """The donated arguments that XLA returns lying in another way than it takes them: none, if all is well."""
        compiled = self._executable(function)
        taken, given = compiled.get_parameter_shardings(), compiled.get_output_shardings()
        layout = self._layouts[function]
        kept = sum(p.late for p in layout.arguments)
        return [i for i in range(min(kept, len(given))) if str(taken[i]) != str(given[i])]
