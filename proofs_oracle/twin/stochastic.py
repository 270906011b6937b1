"""Layers that draw. The masks are those of netc's own programs, bit for bit: the same generator, keys and counters."""

from __future__ import annotations

from netc.netspec.layer import Layer
from netc.netspec.layers import Dropout, DropPath, GaussianSample
from netc.netspec.types import TensorType
from netc.proofs_oracle.twin.spelling import quoted
from netc.proofs_oracle.twin.writer import LeafText, Writer

FUNCTIONS: dict[str, str] = {
    "stream": '''
def stream(path):
    """The number that tells the draws of the layer at this path from those of the others."""
    number = 0
    for part in path.split("."):
        number = (number * 0x9E3779B1 + zlib.crc32(part.encode())) % 2**32
    return number
''',
    "kept": '''
def kept(key, path, shape, rate):
    """Truth values, each true with probability 1 - rate, by the upper 24 bits of one word of the step's key."""
    return (words(key, stream(path), math.prod(shape))[0] >> 8 >= round(rate * 2**24)).reshape(shape)
''',
    "dropout": '''
def dropout(x, rate, key, path):
    """Leaves out elements of x and divides the others by 1 - rate; without a key, which is evaluation, x itself."""
    return x if key is None else jnp.where(kept(key, path, x.shape, rate), x / (1 - rate), 0.0)
''',
    "drop_path": '''
def drop_path(x, rate, key, path):
    """The same for whole examples."""
    if key is None:
        return x
    return jnp.where(kept(key, path, (len(x), *(1,) * (x.ndim - 1)), rate), x / (1 - rate), 0.0)
''',
    "gaussian_sample": '''
def gaussian_sample(x, weight, key, path, new):
    """A draw of the normal distribution that both halves of x say, whose divergence from the standard one is paid for.

    The noise is a sum of eight uniforms of 16 bits. Without a key, which is evaluation, the mean.
    """
    mean, log_var = jnp.split(x, 2, -1)
    if key is None:
        return mean
    total = jnp.zeros(mean.size, jnp.int32)
    for name in (path, path + ".more"):
        for word in words(key, stream(name), mean.size):
            total = total + (word & 0xFFFF).astype(jnp.int32) + (word >> 16).astype(jnp.int32)
    noise = (total.astype(x.dtype) - 8 * 65535 / 2) * (1 / math.sqrt(8 * (2**32 - 1) / 12))
    loss = weight * jnp.sum(mean**2 + jnp.exp(log_var) - 1 - log_var) / (2 * len(x))
    new.setdefault("(losses)", []).append(loss)
    return mean + jnp.exp(log_var / 2) * noise.reshape(mean.shape)
''',
}


def dropping(w: Writer, rate: float, path: str) -> str | None:
    """A function that drops out, for layers that do so in their middle; None where nothing is dropped."""
    return "lambda a: " + w.call("dropout", "a", rate, "key", quoted(path)) if rate else None


def _dropout(w: Writer, layer: Dropout, path: str, x: TensorType) -> list[str]:
    return [w.call("dropout", "{}", layer.rate, "key", quoted(path))] if layer.rate else []


def _drop_path(w: Writer, layer: DropPath, path: str, x: TensorType) -> list[str]:
    return [w.call("drop_path", "{}", layer.rate, "key", quoted(path))] if layer.rate else []


def _sample(w: Writer, layer: GaussianSample, path: str, x: TensorType) -> list[str]:
    return [w.call("gaussian_sample", "{}", layer.weight, "key", quoted(path), "new")]


LEAVES: dict[type[Layer], LeafText] = {Dropout: _dropout, DropPath: _drop_path, GaussianSample: _sample}
