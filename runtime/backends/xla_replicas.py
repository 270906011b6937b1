"""XLA on several devices: one executable that each runs on its own part, with what it sums over all of them.

The devices may be of several processes: each process puts and gets what its own devices have, and every process calls
the same functions in the same order.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from netc.codegen.distribute.split import axis_of
from netc.netspec.errors import UserError
from netc.runtime.backends.protocol import Array, Source
from netc.runtime.backends.xla import XlaLoaded, check_xla

REPLICA = "replica"  # the one axis of the mesh
FLAG = "--xla_force_host_platform_device_count"


def devices_of(count: int, word: str = "devices") -> list[Any]:
    """`count` devices of jaxlib's client, the first of each process; raises UserError, of `word`, for fewer.

    They are in the order of the processes, as many of each. A host's CPU is as many devices as are asked for, which
    jaxlib wants to know before its first use in a process.
    """
    check_xla()
    import jax
    from jax.extend.backend import get_backend

    if FLAG not in os.environ.get("XLA_FLAGS", "") and not jax.distributed.is_initialized():
        with contextlib.suppress(RuntimeError):  # it is in use already: what it has then is what there is
            jax.config.update("jax_num_cpu_devices", count)
    found = get_backend().devices()
    processes = sorted({d.process_index for d in found})
    of_each = [[d for d in found if d.process_index == p][: -(-count // len(processes))] for p in processes]
    chosen = [device for own in of_each for device in own]
    if len(chosen) < count:
        kind, few = found[0].platform, len(found)
        do = f"give at most {few}"
        if kind == "cpu":
            do += f", or start anew: jaxlib is in use in this process, or XLA_FLAGS says another {FLAG}"
        raise UserError(f"`{word}` wants no more than jaxlib has here, {few} of {kind}, got {count}; {do}")
    return chosen[:count]


class XlaDevices(XlaLoaded):
    """One executable for each function, over all devices. A tensor has a part on each, under one global array."""

    def __init__(self, source: Source, devices: Sequence[Any]) -> None:
        super().__init__(source)
        self._devices = list(devices)
        self._local = [d for d in devices if d.process_index == self._jax.process_index()]
        self._avals: dict[Any, Any] = {}

    def _whole(self, parts: Sequence[Any], shape: tuple[int, ...], sharding: Any) -> Any:
        """The array of its parts. What it is of is made once: it takes longer than a small step."""
        key = shape, parts[0].dtype, sharding
        if key not in self._avals:
            made = self._jax.make_array_from_single_device_arrays(shape, sharding, parts)
            self._avals[key] = made.aval
            return made
        return self._compiler.ArrayImpl(self._avals[key], sharding, parts, committed=True, _skip_checks=True)


class XlaReplicas(XlaDevices):
    """Each device runs the whole executable with a tensor of its own."""

    def __init__(self, source: Source) -> None:
        super().__init__(source, devices_of(source.module.replicas))
        from jax.sharding import Mesh, NamedSharding, PartitionSpec

        mesh = Mesh(np.array(self._devices), (REPLICA,))
        self._shardings: dict[int | None, Any] = {
            axis: NamedSharding(mesh, PartitionSpec(*(() if axis is None else (*(None,) * axis, REPLICA))))
            for axis in (None, 0, 1)
        }
        self._axes = {f.name: [axis_of(n) for n in f.result_names] for f in source.module}

    def _options(self) -> Any:
        options = self._compiler.CompileOptions()
        options.num_replicas, options.num_partitions = len(self._devices), 1
        ids = np.array([[d.id] for d in self._devices])
        options.device_assignment = self._compiler.DeviceAssignment.create(ids)
        return options

    def put(self, array: Array, axis: int | None = None) -> Any:
        """Copy to each of this process's devices its part along `axis`, or the whole."""
        array, count = np.asarray(array), len(self._local)
        parts = [array] * count if axis is None else np.split(array, count, axis)
        return self._joined([self._put(part, d) for part, d in zip(parts, self._local, strict=True)], axis)

    def _joined(self, parts: Sequence[Any], axis: int | None) -> Any:
        """The global array of this process's parts."""
        shape = parts[0].shape
        if axis is not None:
            shape = (*shape[:axis], shape[axis] * len(self._devices), *shape[axis + 1 :])
        return self._whole(parts, shape, self._shardings[axis])

    def get(self, buffer: Any) -> Array:
        """Copy to the host this process's parts, as one; waits."""
        if buffer.sharding == self._shardings[None]:
            return np.asarray(buffer.addressable_data(0))
        parts = [np.asarray(shard.data) for shard in buffer.addressable_shards]
        return np.concatenate(parts, buffer.sharding.spec.index(REPLICA))

    def call(self, function: str, args: Sequence[Any]) -> list[Any]:
        """Execute on all devices; returns before the results are computed, and `get` waits for them."""
        results = self._executable(function).execute_sharded(list(args)).disassemble_into_single_device_arrays()
        return [self._joined(parts, axis) for parts, axis in zip(results, self._axes[function], strict=True)]
