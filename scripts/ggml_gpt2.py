"""GPT-2's weights in GGML's first file format, and a run of them by the CPU engine of the package `ctransformers`.

The format: a magic number, six sizes, the vocabulary, then each tensor with its rank, the length of its name, its type
(0: float32) and its sizes, the last axis first. Matrices of blocks lie transposed. Source: ggml, examples/gpt-2.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

MAGIC = 0x67676D6C
FLOAT32 = 0
TENSORS = {
    "ln_1/g": "norm.scale", "ln_1/b": "norm.bias", "attn/c_attn/w": "qkv.kernel", "attn/c_attn/b": "qkv.bias",
    "attn/c_proj/w": "out.kernel", "attn/c_proj/b": "out.bias", "ln_2/g": "mlp.norm.scale",
    "ln_2/b": "mlp.norm.bias", "mlp/c_fc/w": "mlp.hidden.kernel", "mlp/c_fc/b": "mlp.hidden.bias",
    "mlp/c_proj/w": "mlp.out.kernel", "mlp/c_proj/b": "mlp.out.bias",
}  # fmt: skip


def write_file(path: Path, outer: Mapping[str, Any], blocks: list[Mapping[str, Any]], heads: int) -> None:
    """Write a net of the twin's names; `outer` has `tokens` [V, C], `positions` [T, C], `scale` and `bias` [C].

    A bias that a block lacks is written as zeros.
    """
    (vocabulary, width), context = outer["tokens"].shape, len(outer["positions"])
    with path.open("wb") as file:
        file.write(struct.pack("<7i", MAGIC, vocabulary, context, width, heads, len(blocks), FLOAT32))
        file.write(struct.pack("<i", vocabulary))
        for number in range(vocabulary):
            word = f"<{number}>".encode()
            file.write(struct.pack("<i", len(word)) + word)
        for name, values in _named(outer, blocks):
            held = np.ascontiguousarray(values, np.float32)
            file.write(struct.pack("<3i", held.ndim, len(name), FLOAT32))
            file.write(struct.pack(f"<{held.ndim}i", *held.shape[::-1]) + name.encode())
            held.tofile(file)


def _named(outer: Mapping[str, Any], blocks: list[Mapping[str, Any]]) -> Iterator[tuple[str, np.ndarray]]:
    for name, own in (("ln_f/g", "scale"), ("ln_f/b", "bias"), ("wte", "tokens"), ("wpe", "positions")):
        yield f"model/{name}", np.asarray(outer[own])
    for number, block in enumerate(blocks):
        for name, own in TENSORS.items():
            if own in block:
                values = np.asarray(block[own])
            else:
                values = np.zeros(np.asarray(block[own.replace("bias", "kernel")]).shape[1], np.float32)
            yield f"model/h{number}/{name}", values.T if values.ndim == 2 else values


def engine(path: Path, threads: int) -> Any:
    """The file, loaded, for 32 tokens at a time: more do not fit. Raises ImportError without the package."""
    from ctransformers import LLM
    from ctransformers.llm import Config

    return LLM(str(path), "gpt2", config=Config(threads=threads, batch_size=32, repetition_penalty=1.0))


def by_ggml(model: Any, prompt: list[int], count: int, clock: list[float]) -> list[int]:
    """The tokens that the engine writes, greedily; `clock` gets the time of each."""
    model.reset()
    found, given = [], prompt
    for _ in range(count):
        begin = time.perf_counter()
        model.eval(given)
        found.append(int(model.sample(top_k=1, repetition_penalty=1.0)))
        clock.append(time.perf_counter() - begin)
        given = found[-1:]
    return found
