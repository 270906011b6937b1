"""The kernels of the .lean files beside this one, in Python, and a launch of one.

netc kernel run examples/kernels/kernels.py:scan --block 8 --set N=3 --array "input=[3, 1, 4]" --array output=zeros:3
python examples/kernels/kernels.py
"""

# ruff: noqa: A002 (arguments have the names of the .lean files)

import numpy as np

from netc.kernels.words import (
    Array,
    Shared,
    atomic_add,
    barrier,
    block_dim,
    block_idx,
    float32,
    float64,
    global_idx,
    grid_dim,
    int32,
    kernel,
    thread_idx,
    uint8,
)

TILE = 16


@kernel
def saxpy(N: int32, alpha: float32, x: Array[float32], y: Array[float32], result: Array[float32]):
    i = global_idx.x
    if i < N:
        result[i] = alpha * x[i] + y[i]


@kernel
def vector_add(N: int32, x: Array[float32], y: Array[float32], result: Array[float32]):
    i = global_idx.x
    if i < N:
        result[i] = x[i] + y[i]


@kernel
def reduction(N: int32, x: Array[float32], sums: Array[float32], part: Shared[float32]):
    i = global_idx.x
    t = thread_idx.x
    half = block_dim.x
    part[t] = x[i] if i < N else 0.0
    while half > 1:
        half = half // 2
        barrier()
        if t < half:
            part[t] += part[t + half]
    if t == 0:
        sums[block_idx.x] = part[0]


@kernel
def scan(N: int32, input: Array[int32], output: Array[int32], tree: Shared[int32]):
    t = thread_idx.x
    size = block_dim.x
    tree[t] = input[t] if t < N else 0
    stride = 1
    while stride < size:
        barrier()
        last = 2 * stride * (t + 1) - 1
        if last < size:
            tree[last] += tree[last - stride]
        stride *= 2
    barrier()
    if t == 0:
        tree[size - 1] = 0
    while stride > 1:
        stride = stride // 2
        barrier()
        end = 2 * stride * (t + 1) - 1
        if end < size:
            left = tree[end - stride]
            tree[end - stride] = tree[end]
            tree[end] += left
    barrier()
    if t < N:
        output[t] = tree[t]


@kernel
def histogram(N: int32, bytes: Array[uint8], counts: Array[int32], own: Shared[int32, 256]):
    threads = block_dim.x
    for k in range(thread_idx.x, 256, threads):
        own[k] = 0
    barrier()
    for n in range(global_idx.x, N, threads * grid_dim.x):
        atomic_add(own, bytes[n], 1)
    barrier()
    for c in range(thread_idx.x, 256, threads):
        atomic_add(counts, c, own[c])


@kernel
def matmul(
    M: int32, K: int32, N: int32, A: Array[float32], B: Array[float32], C: Array[float32],
    a: Shared[float32, TILE * TILE], b: Shared[float32, TILE * TILE],
):  # fmt: skip
    x, y = thread_idx.x, thread_idx.y
    col, row = global_idx.x, global_idx.y
    own = y * TILE + x
    acc = 0.0
    for tile in range((K + TILE - 1) // TILE):
        left = tile * TILE + x
        down = tile * TILE + y
        a[own] = A[row * K + left] if row < M and left < K else 0.0
        b[own] = B[down * N + col] if down < K and col < N else 0.0
        barrier()
        for k in range(TILE):
            acc += a[y * TILE + k] * b[k * TILE + x]
        barrier()
    if row < M and col < N:
        C[row * N + col] = acc


@kernel
def transpose(
    H: int32, W: int32, input: Array[float32], output: Array[float32], tile: Shared[float32, TILE * (TILE + 1)]
):
    x, y = thread_idx.x, thread_idx.y
    if global_idx.y < H and global_idx.x < W:
        tile[y * (TILE + 1) + x] = input[global_idx.y * W + global_idx.x]
    barrier()
    to_col = block_idx.y * TILE + x
    to_row = block_idx.x * TILE + y
    if to_row < W and to_col < H:
        output[to_row * H + to_col] = tile[x * (TILE + 1) + y]


@kernel
def stencil(N: int32, input: Array[float64], output: Array[float64], tile: Shared[float64, 258]):
    i, t = global_idx.x, thread_idx.x
    tile[t + 1] = input[min(i, N - 1)]
    if t == 0:
        tile[0] = input[min(max(i - 1, 0), N - 1)]
    if t + 1 == block_dim.x:
        tile[t + 2] = input[min(i + 1, N - 1)]
    barrier()
    if i < N:
        output[i] = (tile[t] + tile[t + 1] + tile[t + 2]) / 3.0


@kernel
def dot(N: int32, x: Array[float64], y: Array[float64], sum: Array[float64]):
    own: float64 = 0.0
    for k in range(global_idx.x, N, block_dim.x * grid_dim.x):
        own += x[k] * y[k]
    atomic_add(sum, 0, own)


def main(n: int = 1000) -> None:
    """Scale and add two vectors in place, simulated first."""
    x, y = np.arange(n, dtype=np.float32), np.ones(n, np.float32)
    result = np.zeros_like(x)
    for target in ("simulate", "c"):
        saxpy.launch((n + 255) // 256, 256, target=target, N=n, alpha=2.5, x=x, y=y, result=result)
    print(
        f"saxpy of {n}: {result[0]:g}, {result[1]:g}, .., {result[-1]:g}; numpy agrees: {(result == 2.5 * x + y).all()}"
    )


if __name__ == "__main__":
    main()
