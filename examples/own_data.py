"""Data of your own: arrays in memory, and batches that a function makes as they are wanted."""

from collections.abc import Iterator

import numpy as np

import netc
from netc import layers as nn

Pair = tuple[np.ndarray, np.ndarray]
NET = netc.NetSpec("rings", (2,), (nn.Dense(32, activation="relu"), nn.Dense(3)))


def rings(count: int, seed: int) -> Pair:
    """Points of three rings, and which ring each is of."""
    rng = np.random.default_rng(seed)
    ring, angle = rng.integers(0, 3, count), rng.uniform(0, 2 * np.pi, count)
    radius = ring + 1 + 0.1 * rng.standard_normal(count)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], -1), ring


def batches(epoch: int) -> Iterator[Pair]:
    """The batches of an epoch: the same ones whenever it is asked for, so that a run can go on with them."""
    for number in range(20):
        yield rings(32, seed=1000 * epoch + number)


def main(target: str = "cpu", epochs: int = 4) -> None:
    x, y = rings(1000, seed=1)
    data = netc.Dataset.from_arrays(x, y, classes=("inner", "middle", "outer"), name="rings")
    run = netc.train(NET, data, lr=0.05, epochs=epochs, target=target)
    print(f"arrays: {run.accuracy:.1%} in {run.folder}")

    # the run keeps a digest of the arrays: it goes on with the same ones, and refuses others
    more = netc.resume(run, data, epochs=epochs + 1)
    print(f"one epoch more: {more.accuracy:.1%} after {more.steps} steps")

    stream = netc.Dataset.from_batches(batches, *rings(200, seed=2), steps=20, name="made")
    run = netc.train(NET, stream, lr=0.05, epochs=epochs, target=target)
    print(f"batches of a function: {run.accuracy:.1%} in {run.folder}")


if __name__ == "__main__":
    main()
