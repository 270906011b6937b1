"""Races are found where comparing every access with every other finds them, and nowhere else."""

import random
from itertools import combinations

import numpy as np

from netc.kernels.watch import Watch

THREADS, BLOCKS, SIZE = 3, 3, 8


def random_run(chance):
    """Statements of a launch: what each does, and by which threads to which elements, with barriers of blocks."""
    epochs, batches = [0] * BLOCKS, []
    for line in range(chance.randint(2, 7)):
        if chance.random() < 0.6:
            block = chance.randrange(BLOCKS)
            epochs[block] += 1
        lanes = sorted(chance.sample(range(THREADS * BLOCKS), chance.randint(1, 4)))
        at = [chance.randrange(SIZE) for _ in lanes]
        batches.append(
            (chance.choice(["read", "read", "write", "change"]), at, lanes, [epochs[n // THREADS] for n in lanes], line)
        )
    return batches


def races(one, other):
    """Whether two accesses (does, element, thread, epoch) race, by the definition."""
    writes = "write" in (one[0], other[0]) or {one[0], other[0]} == {"read", "change"}
    unordered = one[2] // THREADS != other[2] // THREADS or one[3] == other[3]
    return one[1] == other[1] and one[2] != other[2] and writes and unordered


def test_every_race_is_found_and_no_other():
    chance, seen = random.Random(5), []
    for _ in range(400):
        batches = random_run(chance)
        every = [
            (does, *access) for does, at, lanes, epochs, _ in batches for access in zip(at, lanes, epochs, strict=True)
        ]
        wanted = any(races(*pair) for pair in combinations(every, 2))
        watch, found = Watch(SIZE, THREADS), []
        for does, at, lanes, epochs, line in batches:
            given = (np.array(at, np.intp), np.array(lanes, np.int32), np.array(epochs, np.int32), line)
            found.append(getattr(watch, does)(*given))
        assert (any(found)) == wanted, batches
        for clash in filter(None, found):
            pair = [a for a in every if a[1] == clash.element and a[2] in (clash.now, clash.before)]
            assert any(races(*p) for p in combinations(pair, 2)), (clash, batches)
        seen.append(wanted)
    assert 50 < sum(seen) < 350, "wants both kinds"
