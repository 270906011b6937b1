"""XLA: a text of one module for each function, compiled and run by jaxlib's PJRT client. JAX is only the loader.

And what else only jaxlib can do for us: StableHLO's portable artefact, bytes that later versions of StableHLO read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from netc.codegen.symbolic.sizes import batch_of, counted, type_at
from netc.codegen.text import modules_in
from netc.netspec.errors import UserError
from netc.netspec.install import install_extra
from netc.runtime.backends.protocol import Array, Source
from netc.runtime.backends.xla_refined import refined


def check_xla() -> None:
    """Raise UserError if jaxlib, or JAX, which loads it, is not here."""
    try:
        import jax.extend.backend  # noqa: F401
        import jaxlib  # noqa: F401
    except ImportError as error:
        raise UserError(f"`target=xla` wants jaxlib, got none; {install_extra('oracle')}") from error


class XlaLoaded:
    """One executable for each function, compiled when it is first called."""

    exact_loops = False  # inside a `while` XLA folds transposes into convolutions, and so rounds in another way
    synchronous = False
    concurrent_put = True

    def __init__(self, source: Source) -> None:
        check_xla()
        import jax
        from jax.extend.backend import get_backend
        from jaxlib import _jax

        self._jax, self._compiler = jax, _jax
        self._client = get_backend()
        self._devices = self._client.local_devices()[:1]
        entries = [f.name for f in source.module if not f.private]
        self._texts = dict(zip(entries, modules_in(source.text), strict=True))
        self._any_batch = {f.name: f for f in source.module if not f.private and counted(f) is not None}
        self._executables: dict[tuple[str, int | None], Any] = {}

    def put(self, array: Array, axis: int | None = None) -> Any:
        """Copy to the device, the only one."""
        return self._put(np.asarray(array), self._devices[0])

    def _put(self, array: Array, device: Any) -> Any:
        """Copy to a device; JAX itself would make float64 float32."""
        if array.dtype == np.float64:
            with self._wide():
                return self._jax.device_put(array, device)
        return self._jax.device_put(array, device)

    def _wide(self) -> Any:
        """JAX in 64-bit mode, in this thread; its place has another name in older versions."""
        if hasattr(self._jax, "enable_x64"):
            return self._jax.enable_x64(True)
        from jax.experimental import enable_x64

        return enable_x64()

    def get(self, buffer: Any) -> Array:
        """Copy to the host; waits."""
        return np.asarray(buffer)

    def wait(self, buffers: Sequence[Any]) -> None:
        """Until all are computed."""
        self._jax.block_until_ready(list(buffers))

    def _executable(self, function: str, batch: int | None = None) -> Any:
        key = function, batch
        if key not in self._executables:
            text = self._texts[function]
            if batch is not None:
                text = refined(text, [type_at(v.type, batch) for v in self._any_batch[function].params])
            self._executables[key] = self._client.compile_and_load(
                text, self._compiler.DeviceList(tuple(self._devices)), self._options()
            )
        return self._executables[key]

    def _options(self) -> Any:
        return self._compiler.CompileOptions()

    def memory(self, function: str) -> tuple[int, int, int]:
        """Bytes of a function's arguments, of the results that do not take over one of them, and of all between."""
        stats = self._executable(function).get_compiled_memory_stats()
        results = stats.output_size_in_bytes - stats.alias_size_in_bytes
        return stats.argument_size_in_bytes, results, stats.temp_size_in_bytes

    def compiled_text(self, function: str) -> str:
        """What XLA made of a function, as HLO."""
        return str(self._executable(function).hlo_modules()[0].to_string())

    def call(self, function: str, args: Sequence[Any]) -> list[Any]:
        """Execute; returns before the results are computed, and `get` waits for them."""
        found = self._any_batch.get(function)
        batch = None if found is None else batch_of(found, [a.shape for a in args])
        return self._executable(function, batch).execute(list(args))  # type: ignore[no-any-return]


def device_name() -> str:
    """The kind of jaxlib's default device, such as `cpu`."""
    import jax

    return str(jax.local_devices()[0].device_kind)


def load_xla(source: Source) -> XlaLoaded:
    """A loader for jaxlib's default device."""
    return XlaLoaded(source)


def portable_artifact(text: str) -> tuple[bytes, str]:
    """A text of plain StableHLO as an artefact, and the version of StableHLO that it is of.

    That is the oldest that jaxlib can write: every newer one reads it. Raises UserError where jaxlib is missing.
    """
    try:
        from jaxlib.mlir.dialects import stablehlo
    except ImportError as error:
        raise UserError(f"`bytecode` wants jaxlib, got none; {install_extra('oracle')}") from error
    version: str = stablehlo.get_minimum_version()
    artefact: bytes = stablehlo.serialize_portable_artifact_str(text, version)
    return artefact, version
