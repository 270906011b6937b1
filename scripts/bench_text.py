"""Tokenizing and feeding a text, beside the package tokenizers alone and a loader of nanoGPT's kind, in one run.

    python scripts/bench_text.py [--megabytes 200] [--vocabulary 4096] [--repeats 3] [--page]

A made text of that size is surveyed and tokenized by netc, and encoded by the package with the same tokenizer in parts
of the same size; then batches are taken in turns from netc's split and from a memory map at random places, as nanoGPT's
`get_batch` does (https://github.com/karpathy/nanoGPT, train.py). Prints a table, and the growth of the process's own
memory (RssAnon of /proc/self/status) while each tokenizes and feeds; `--page` writes docs/measurements/text.md.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

import netc
from netc.netspec.augment import Augment
from netc.runtime.data import subwords
from netc.runtime.data.batches import Normalise, train_batches
from netc.runtime.data.corpus import Files, cut_for_words
from netc.runtime.data.text import Reading, load_text, windowed
from netc.runtime.data.windows import TextSplit

PAGE = Path(__file__).resolve().parent.parent / "docs" / "measurements" / "text.md"
CONTEXT, BATCH, BATCHES = 1024, 12, 2_000
WORDS, ALPHABET = 20_000, "etaoinshrdlucmfwypvbgkjqxz"


def made(path: Path, megabytes: int) -> None:
    """Write a text of words whose frequencies fall as 1 / rank (Zipf), in lines of about 80 characters."""
    rng = np.random.default_rng(0)
    letters = np.array(list(ALPHABET))
    chances = 1 / np.arange(1, len(letters) + 1)
    sizes = 1 + rng.poisson(4, WORDS)
    words = np.array(["".join(rng.choice(letters, size, p=chances / chances.sum())) for size in sizes])
    ranks = 1 / np.arange(1, WORDS + 1)
    with path.open("w") as file:
        while file.tell() < megabytes * 1_000_000:
            drawn = rng.choice(words, 200_000, p=ranks / ranks.sum())
            file.write("".join(" ".join(drawn[i : i + 14]) + ".\n" for i in range(0, len(drawn), 14)))


def anonymous() -> int:
    """The memory of this process that is no file's, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("RssAnon"))


class Watched:
    """The largest growth of memory in its `with` blocks."""

    grown = 0

    def __enter__(self) -> Watched:
        self._first, self._over = anonymous(), threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.02):
            self.grown = max(self.grown, anonymous() - self._first)


def seconds(work: Callable[[], object]) -> float:
    """How long the work takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def package_alone(path: Path, tokenizer: subwords.Subwords) -> int:
    """The tokens that the package makes of the file in parts, thrown away."""
    count, batch = 0, list[str]()
    for text, _ in Files((path,)).pieces():
        batch += cut_for_words(text, subwords.PART)
        if len(batch) >= subwords.PARTS:
            count += sum(len(one.ids) for one in tokenizer._inner.encode_batch_fast(batch, add_special_tokens=False))
            batch = []
    return count


def of_netc(split: TextSplit) -> Iterator[object]:
    """netc's batches, epoch behind epoch."""
    epoch = 0
    while True:
        yield from train_batches(
            split, batch=BATCH, seed=0, epoch=epoch, normalise=Normalise((), ()), augment=Augment(), workers=1
        )
        epoch += 1


def of_nanogpt(path: Path) -> Iterator[object]:
    """x and y of random places of a file, which is mapped anew for each batch as nanoGPT does."""
    while True:
        data = np.memmap(path, np.uint16, "r")
        places = np.random.randint(len(data) - CONTEXT, size=BATCH)  # as it does
        yield (
            np.stack([data[i : i + CONTEXT].astype(np.int64) for i in places]),
            np.stack([data[i + 1 : i + 1 + CONTEXT].astype(np.int64) for i in places]),
        )


def took(batches: Iterator[object], memory: Watched) -> float:
    """Seconds of `BATCHES` of them, of which one is held at a time."""
    with memory:
        return seconds(lambda: [next(batches) is None for _ in range(BATCHES)])


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--vocabulary", type=int, default=4096)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--page", action="store_true", help="write docs/measurements/text.md")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        path, cache = Path(place) / "text.txt", Path(place) / "cache"
        made(path, args.megabytes)
        size = path.stat().st_size / 1e6
        word = f"bpe:{args.vocabulary}"
        with Watched() as first:
            training = seconds(lambda: load_text(path, "t", reading=Reading(word, cache)))
        data = load_text(path, "t", reading=Reading(word, cache))
        made_by, split = data.tokenizer, windowed(data, CONTEXT).train
        assert isinstance(made_by, subwords.Subwords) and isinstance(split, TextSplit)
        ours, theirs = [], []
        own, package, fed_own, fed_map = (Watched() for _ in range(4))
        for turn in range(args.repeats):
            with own:
                ours.append(seconds(lambda: load_text(path, "t", reading=Reading(made_by, cache / str(turn)))))  # noqa: B023
            with package:
                theirs.append(seconds(lambda: package_alone(path, made_by)))
        again = seconds(lambda: load_text(path, "t", reading=Reading(made_by, cache / "0")))
        with Watched() as characters:
            by_character = seconds(lambda: load_text(path, "t", reading=Reading("char", cache)))
        flat = Path(place) / "flat.bin"
        split.tokens[:].astype(np.uint16).tofile(flat)
        fed, fed_theirs = of_netc(split), of_nanogpt(flat)
        turns = [(took(fed, fed_own), took(fed_theirs, fed_map)) for _ in range(args.repeats)]
    us, them = statistics.median(ours), statistics.median(theirs)
    feeding, feeding_theirs = (statistics.median(column) for column in zip(*turns, strict=True))
    tokens = BATCH * CONTEXT * BATCHES / 1e6
    load = " ".join(f"{n:.0f}" for n in os.getloadavg())
    lines = [
        "# Text: tokenizing and feeding", "",
        f"{time.strftime('%Y-%m-%d')}, netc {netc.__version__}, {os.cpu_count()} processors, load at the end {load}. "
        "Printed by",
        f"`python scripts/bench_text.py --megabytes {args.megabytes} --vocabulary {args.vocabulary} --repeats "
        f"{args.repeats}`: a made text of {size:.0f} MB, a BPE of {made_by.size:,} tokens, each with its peer in "
        f"turns, medians of {args.repeats}.", "",
        "| what | netc | its peer | netc / peer | memory grew by, netc and peer, MB |",
        "|---|---|---|---|---|",
        f"| tokenize, MB/s | {size / us:.1f} | {size / them:.1f}, tokenizers alone | {them / us:.2f} | "
        f"{own.grown / 1e6:.0f}, {package.grown / 1e6:.0f} |",
        f"| feed, million tokens/s | {tokens / feeding:.0f} | {tokens / feeding_theirs:.0f}, memory map as nanoGPT | "
        f"{feeding_theirs / feeding:.2f} | {fed_own.grown / 1e6:.0f}, {fed_map.grown / 1e6:.0f} |", "",
        f"- To train the BPE and tokenize took {training:.1f} s; memory grew by {first.grown / 1e6:.0f} MB.",
        f"- To open it again took {again:.2f} s: the ids lie in the cache and are memory-mapped.",
        f"- Characters: {size / by_character:.0f} MB/s; memory grew by {characters.grown / 1e6:.0f} MB.", "",
    ]  # fmt: skip
    print("\n".join(lines))
    if args.page:
        PAGE.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
