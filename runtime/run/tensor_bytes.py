"""Tensors as the bytes of a safetensors file, and back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from netc.runtime.backends.protocol import Array
from netc.runtime.run.checkpoint_manifest import CheckpointError, altered

# The dtypes of safetensors that NumPy has too.
_FLOATS, _INTS = ("float64", "float32", "float16"), ("int64", "int32", "int16", "int8")
_DTYPES = (*_FLOATS, *_INTS, "uint64", "uint32", "uint16", "uint8", "bool")


def content_of(tensors: Mapping[str, Array]) -> bytes:
    """The bytes of the file; raises CheckpointError for a name or a dtype that it cannot hold."""
    content: bytes = safetensors.numpy.save({key: _storable(key, tensor) for key, tensor in tensors.items()})
    return content


def tensors_of(content: bytes, path: Path) -> dict[str, Array]:
    """The tensors of the file at `path`; raises CheckpointError where these bytes are none."""
    try:
        found: dict[str, Array] = safetensors.numpy.load(content)
    except safetensors.SafetensorError as error:
        raise altered(path, "a safetensors file", str(error)) from error
    return found


def _storable(name: str, tensor: np.ndarray) -> np.ndarray:
    if not isinstance(name, str) or not name or not name.isprintable() or name == "__metadata__":
        raise CheckpointError(f"a tensor wants a printable name other than '__metadata__', got {name!r}; rename it")
    if not isinstance(tensor, np.ndarray) or tensor.dtype.name not in _DTYPES:
        got = tensor.dtype if isinstance(tensor, np.ndarray) else type(tensor).__name__
        raise CheckpointError(
            f"tensor {name!r} wants a NumPy array of {', '.join(_DTYPES)}, got {got}; convert it first"
        )
    # safetensors takes the memory as it lies: it must be dense, and little-endian as the format is.
    return np.asarray(tensor, dtype=tensor.dtype.newbyteorder("<"), order="C")
