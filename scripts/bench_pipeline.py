"""Images a second of netc's pipeline for a folder of JPEGs beside torchvision's DataLoader, and how long steps wait.

python scripts/bench_pipeline.py [--images 600] [--rounds 5] [--workers 2] [--steps] [--out F.md]

Both read the same files (random textures of about 500 x 375 pixels, from a fixed seed), cut out a random window, resize
it bilinearly, flip it, normalise it and make float32 batches, with as many workers: threads in netc, processes in
torch. Rounds alternate, so that both meet the same load of the machine; a row is the median of rounds. `--steps` also
trains resnet34 at 64 x 64 on the files and prints the part of the time that its steps wait for batches.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from netc.netspec.augment import Augment
from netc.netspec.preprocess import NORMALISATIONS
from netc.runtime.data.batches import Normalise, train_batches
from netc.runtime.data.folder import load_folder
from netc.runtime.data.resize import resized
from netc.runtime.versions import versions

BATCH = 32
NORMALISE = Normalise(*NORMALISATIONS["imagenet"])


def write_images(root: Path, count: int) -> None:
    """JPEGs of two classes: coarse colours and fine grain, 85 % quality, some 60 KB each."""
    rng = np.random.default_rng(7)
    for number in range(count):
        path = root / ("left", "right")[number % 2] / f"{number:05}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        size = (500, 375) if number % 4 else (375, 500)
        coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize(
            size, Image.Resampling.BICUBIC
        )
        grain = rng.normal(0, 12, (size[1], size[0], 1))
        Image.fromarray((np.asarray(coarse) + grain).clip(0, 255).astype(np.uint8)).save(path, quality=85)


def netc_round(root: Path, side: int, workers: int) -> Callable[[], float]:
    """A function that gives the images a second of one epoch."""
    split = resized(load_folder(root, "bench", whole=True), (side, side, 3)).train
    epochs = iter(range(10_000))

    def run() -> float:
        begin, seen = time.perf_counter(), 0
        for batch in train_batches(
            split, batch=BATCH, seed=0, epoch=next(epochs), normalise=NORMALISE,
            augment=Augment(flip=True, rrc_scale=(0.08, 1.0)), workers=workers,
        ):  # fmt: skip
            seen += len(batch.y)
        return seen / (time.perf_counter() - begin)

    return run


def torch_round(root: Path, side: int, workers: int) -> Callable[[], float]:
    """The same of torchvision's ImageFolder and torch's DataLoader, whose processes are kept between epochs."""
    import torch

    declare_operators()
    from torchvision import datasets, transforms

    torch.set_num_threads(1)
    steps = transforms.Compose([
        transforms.RandomResizedCrop(side), transforms.RandomHorizontalFlip(), transforms.ToTensor(),
        transforms.Normalize(*NORMALISATIONS["imagenet"]),
    ])  # fmt: skip
    loader = torch.utils.data.DataLoader(
        datasets.ImageFolder(str(root), steps), batch_size=BATCH, shuffle=True, drop_last=True, num_workers=workers,
        persistent_workers=workers > 0,
    )  # fmt: skip

    def run() -> float:
        begin, seen = time.perf_counter(), 0
        for _, y in loader:
            seen += len(y)
        return seen / (time.perf_counter() - begin)

    return run


def declare_operators() -> None:
    """Let torchvision be imported beside a torch of another build, whose compiled operators do not load."""
    import torch

    names = ("nms", "qnms", "roi_align", "roi_pool", "ps_roi_align", "ps_roi_pool", "deform_conv2d")
    backward = tuple(f"_{name}_backward" for name in names[2:])
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in (*names, *backward):
            library.define(f"{name}(Tensor x) -> Tensor")
        declare_operators.kept = library  # type: ignore[attr-defined]


def waiting(root: Path, workers: int) -> tuple[float, float]:
    """The part of the time that the steps of resnet34 at 64 x 64 wait for batches, and the seconds of a step."""
    from netc.requests import request_training
    from netc.runtime.train import Progress
    from netc.traces.read import read_timing
    from netc.training import plan_of, run_plan

    with tempfile.TemporaryDirectory() as folder:
        request = request_training(
            "resnet34", data=f"imagefolder:{root}", input=(64, 64, 3), epochs=1, batch=BATCH, rrc_scale="0.08,1",
            flip=True, workers=workers, out=Path(folder) / "run",
        )  # fmt: skip
        plan, _ = plan_of(request)
        outcome = run_plan(plan, progress=Progress())
        seconds = [record.seconds for record in read_timing(Path(folder) / "run" / "timing.jsonl")]
    return outcome.waiting, statistics.median(seconds)


def main() -> None:
    """Measure, print the table, and write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--steps", action="store_true")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    busy = os.getloadavg()[0] > 1
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "photos"
        write_images(root, given.images)
        kinds = f"netc, {given.workers} threads | torchvision, {given.workers} processes"
        lines = [f"| images to | {kinds} | netc / torchvision |", "|---|---|---|---|"]
        for side in (64, 224):
            ours, theirs = netc_round(root, side, given.workers), torch_round(root, side, given.workers)
            ours(), theirs()  # the files are in the system's cache, and the processes are there
            pairs = [(ours(), theirs()) for _ in range(given.rounds)]
            one, other = (statistics.median(column) for column in zip(*pairs, strict=True))
            ratio = statistics.median(a / b for a, b in pairs)
            lines.append(f"| {side} x {side} | {one:,.0f} | {other:,.0f} | {ratio:.2f} |")
            print(lines[-1], flush=True)
        if given.steps:
            share, seconds = waiting(root, given.workers)
            lines += [
                "",
                f"resnet34 at 64 x 64, batch {BATCH}, cpu: {seconds * 1000:.0f} ms a step, waiting {share:.1%}.",
            ]
    text = "\n".join(lines)
    print(text)
    if given.out:
        told = ", ".join(f"{name} {version}" for name, version in versions().items() if name in ("netc", "numpy"))
        given.out.write_text(
            HEAD.format(cpus=os.cpu_count(), told=told, images=given.images, load=LOADED if busy else "") + text + "\n"
        )


LOADED = "The machine was under other load, which both met; read the ratios. "
HEAD = """# The pipeline of images

Images a second, median of rounds that alternate; {cpus} processors, {images} JPEGs of 500 x 375 pixels, {told}.
{load}Printed by `python scripts/bench_pipeline.py --steps
--out docs/measurements/pipeline.md`: each image is decoded, a random window of it is resized and flipped, and float32
batches of 32 are normalised.

"""

if __name__ == "__main__":
    main()
