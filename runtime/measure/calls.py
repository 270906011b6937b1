"""The calls of a program that are profiled: a training step, and what only looks at the state, on a random batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from netc.codegen.program import Program
from netc.runtime.backends.protocol import Array
from netc.runtime.session import DTYPES
from netc.runtime.trainer import Trainer

Batch = tuple[Array, Array]  # x, y


@dataclass(frozen=True)
class Call:
    """A function of a program: what a call is to the reader, what it takes behind the state, and how it is run."""

    shown: str
    data: Callable[[Batch], list[Array]]
    run: Callable[..., Any]


CALLS: Mapping[str, Call] = {
    "train_step": Call("a training step", lambda b: [*b, np.asarray(1e-3, np.float32)], Trainer.train_step),
    "eval_step": Call("an evaluation", lambda b: [*b, np.ones(len(b[0]), np.float32)], Trainer.eval_step),
    "predict": Call("a prediction", lambda b: [b[0]], Trainer.predict),
}


def example_batch(program: Program, seed: int = 0) -> tuple[Array, Array]:
    """A random batch of the types that the program's step takes: x normal or token ids, y classes or normal."""
    step = program.module.function("train_step")
    types = dict(zip(step.names, (v.type for v in step.params), strict=True))
    rng = np.random.default_rng(seed)
    classes = program.net.out.shape[-1]
    drawn = [
        rng.integers(0, classes, types[n].shape).astype(np.int32)
        if types[n].dtype == "i32"
        else rng.normal(size=types[n].shape).astype(DTYPES[types[n].dtype])
        for n in ("x", "y")
    ]
    return drawn[0], drawn[1]


def arguments(trainer: Trainer, batch: Batch, function: str) -> list[Array]:
    """What the compiled function takes: the state, or what of it a function reads that only looks, and its data."""
    state = list(trainer.fetch().values())
    held = state if function == "train_step" else state[: len(trainer.program.kept)]
    return [*held, *CALLS[function].data(batch)]


def timed_calls(
    trainer: Trainer, batch: Batch, function: str, count: int, after: Callable[[], None] = lambda: None
) -> list[float]:
    """The seconds of so many calls from the state that `init` draws, behind one that does not count.

    `after` is called after each.
    """
    trainer.init(0)
    call, times = CALLS[function], []
    data = call.data(batch)
    for _ in range(count + 1):
        begin = perf_counter()
        call.run(trainer, *data)
        times.append(perf_counter() - begin)
        after()
    return times[1:]
