"""What a net that has a class for each pixel says of images: a mask beside each, written as PNG."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from netc.netspec.batch import Batch
from netc.netspec.errors import UserError
from netc.runtime.cache.store import Cache
from netc.runtime.data.frame import fit_of
from netc.runtime.data.image_file import survey
from netc.runtime.data.masked import IDS
from netc.runtime.evaluate import Unread, at_once, classes_of, open_session, read_image
from netc.runtime.files import file_name
from netc.runtime.metrics.seen import PIXELS, task_of
from netc.runtime.palette import mask_picture
from netc.runtime.picture_file import free_path, write_picture
from netc.runtime.run.config import RunConfig, checkpoint_of, normalise_of
from netc.runtime.trainer import Trainer

SIGN = "netc predict"  # in the masks
MOST_PIXELS = 1 << 26  # of a mask; that of a larger image is of the net's own size


@dataclass(frozen=True)
class Segmented:
    """An image, the mask that was written, and the classes in it: (id, name, share of the pixels), the most first."""

    image: str
    mask: Path
    classes: tuple[tuple[int, str, float], ...]


def segments(config: RunConfig) -> bool:
    """Whether a run's net gives a class for each pixel of an image."""
    net = config.net
    return len(net.x.shape) == net.out.rank == 3 and task_of(net, config.recipe.loss, (), 1).kind == PIXELS


def segmented(
    config: RunConfig,
    folder: Path,
    images: Iterable[Path],
    out: Path,
    *,
    checkpoint: str,
    weights: str | None,
    target: str | None,
    cache: Cache,
    batch: Batch | None = None,
) -> Iterator[Segmented | Unread]:
    """Write a mask for each image into the folder `out`, as NAME.mask.png; an Unread for what is no image.

    A pixel of a mask is the id of its likeliest class, and the palette is there to look at; `masks:` reads such files.
    A mask is as large as its image, by nearest neighbours, or as the net's input where only the middle of the image was
    looked at (`crop_pct`). An earlier mask of this command is replaced. Raises UserError before the first mask.
    """
    net = config.net
    if not segments(config):
        raise UserError(f"`out` is for nets with a class for each pixel, got {net.spec.name}; leave it out")
    if net.out.shape[-1] >= IDS:
        raise UserError(f"masks want at most {IDS - 1} classes, got {net.out.shape[-1]}; use netc.load(RUN).predict(x)")
    if out.exists() and not out.is_dir():
        raise UserError(f"`out` wants a folder, got the file {out}; name another")
    saved = checkpoint_of(folder, checkpoint)
    normalise, names = normalise_of(saved), classes_of(saved)
    if not normalise.mean:
        raise UserError(f"{folder} was trained on arrays as the net takes them, got image files; give it such arrays")
    height, width, channels = net.spec.input
    fit, taken = fit_of(config.preprocess), set[Path]()
    trainer: Trainer | None = None
    waiting = iter(images)
    while paths := list(islice(waiting, at_once(config, batch))):
        read = [(path, read_image(path, (height, width, channels), fit)) for path in paths]
        if whole := [found for _, found in read if not isinstance(found, Unread)]:
            opening = config, folder, checkpoint, target or config.target, cache, weights, saved, batch
            trainer = trainer or open_session(*opening)[0]
            rows = iter(trainer.predict_part(normalise(np.stack(whole))).argmax(axis=-1).astype(np.uint8))
        for path, found in read:
            if isinstance(found, Unread):
                yield found
                continue
            ids = next(rows)
            out.mkdir(parents=True, exist_ok=True)
            mask = free_path(out, file_name(path.stem), "mask", SIGN, taken)
            write_picture(_sized(mask_picture(ids), path, cropped=bool(fit.crop_pct)), mask, SIGN)
            counts = np.bincount(ids.ravel())
            most = [int(i) for i in np.argsort(-counts, kind="stable") if counts[i]]
            shown = ((i, names[i] if i < len(names) else f"class {i}", float(counts[i] / ids.size)) for i in most)
            yield Segmented(str(path), mask, tuple(shown))


def _sized(mask: Image.Image, path: Path, *, cropped: bool) -> Image.Image:
    """The mask at its image's size."""
    _, (height, width, _) = survey(path)
    return mask if cropped or height * width > MOST_PIXELS else mask.resize((width, height), Image.Resampling.NEAREST)
