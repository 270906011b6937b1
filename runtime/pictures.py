"""Pictures of images that were drawn: a grid of them as a file, and a film of the steps that led to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from netc.netspec.errors import UserError
from netc.runtime.backends.protocol import Array
from netc.runtime.data.batches import Normalise
from netc.runtime.files import whole

Pixels = npt.NDArray[np.uint8]

SEEN = 32  # pixels that an image has at least in a file: smaller ones are enlarged, whole pixels each
FRAME, LAST = 60, 1500  # milliseconds of a film's frames, and of its last one


@dataclass(frozen=True)
class Pictures:
    """Images that were drawn, uint8 [N, H, W, C], of the classes `labels`, and what each step left, [steps, N, ..]."""

    pixels: Pixels
    labels: tuple[int, ...] = ()
    path: Pixels | None = field(default=None, repr=False)

    def save(self, file: Path, rows: int, columns: int) -> None:
        """Write a picture of all of them, as Pillow does by the file's ending."""
        image = _image(grid_of(enlarged(self.pixels), rows, columns))
        _saved(file, image)

    def save_film(self, file: Path, rows: int, columns: int) -> None:
        """Write the path as an animated GIF."""
        if self.path is None:
            raise UserError("a film wants the path of the samples, got none; ask for it with path=True")
        frames = [_image(grid_of(enlarged(step), rows, columns)) for step in self.path]
        times = [FRAME] * (len(frames) - 1) + [LAST]
        _saved(file, frames[0], save_all=True, append_images=frames[1:], duration=times, loop=0)


def pixels_of(images: Array, normalise: Normalise) -> Pixels:
    """Normalised images [.., C] as pixels: clipped to black and white, and rounded."""
    plain = images * np.asarray(normalise.std, np.float32) + np.asarray(normalise.mean, np.float32)
    pixels: Pixels = np.rint(np.clip(plain, 0, 1) * 255).astype(np.uint8)
    return pixels


def grid_of(pixels: Pixels, rows: int, columns: int, gap: int = 1) -> Pixels:
    """Images [rows columns, H, W, C] as one, [.., .., C], with `gap` white pixels between them."""
    count, height, width, channels = pixels.shape
    if count != rows * columns:
        raise UserError(f"a grid of {rows}x{columns} wants {rows * columns} images, got {count}")
    whole = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, channels), 255, np.uint8)
    for i, image in enumerate(pixels):
        top, left = i // columns * (height + gap), i % columns * (width + gap)
        whole[top : top + height, left : left + width] = image
    return whole


def enlarged(pixels: Pixels) -> Pixels:
    """Images [N, H, W, C] of which small ones have pixels as squares."""
    times = max(1, -(-SEEN // max(pixels.shape[1:3])))
    return pixels.repeat(times, axis=1).repeat(times, axis=2)


def _image(pixels: Pixels) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels))


def format_of(file: Path, wanted: tuple[str, ...] = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")) -> str:
    """What Pillow calls the format of a file's ending; raises UserError for one that is none of those wanted."""
    found = Image.registered_extensions().get(file.suffix.lower(), "")
    if found not in wanted:
        example = "steps.gif" if wanted == ("GIF",) else "samples.png"
        raise UserError(f"a picture wants a name such as {example}, got {file.name}")
    return found


def _saved(file: Path, image: Image.Image, **options: Any) -> None:
    made = format_of(file)
    with whole(file) as out:
        image.save(out, format=made, **options)
