"""The images of a training step: read, cut out, augmented; equal for equal (seed, epoch, step) with any workers.

An image's own draws come from a generator of its place in the epoch's order, those of a step from one of the step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from netc.netspec.augment import Augment
from netc.runtime.data.augment import ApplyOne, Images, augmented, by_image, of_one, window_of
from netc.runtime.data.damaged import images_in_turn, pictures_in_turn
from netc.runtime.data.dataset import Indices, Split, picture_of
from netc.runtime.data.frame import STRETCH, Fit, random_framed
from netc.runtime.data.image_ops import Ground, filled

Draws = Callable[[int], np.random.Generator]  # from a place in the epoch's order, or a step


@dataclass(frozen=True)
class TrainingImages:
    """The images of an epoch: those of `split` in `order`, changed as `augment` says.

    `fit.interpolation` is what images are cut out and turned by, `mean` (of the full scale) what comes in from outside.
    `of_image(place)` and `of_step(step)` give the generators.
    """

    split: Split
    order: Indices
    batch: int
    augment: Augment
    mean: tuple[float, ...]
    of_image: Draws
    of_step: Draws
    fit: Fit = STRETCH

    def step(self, step: int) -> tuple[Images, Indices]:
        """The images of a step, uint8 [B, H, W, C], and their indices in the split; raises `DataError`."""
        start, stop = step * self.batch, (step + 1) * self.batch
        if not by_image(self.augment):
            pixels, chosen = images_in_turn(self.split, self.order, start, stop)
            return augmented(pixels, self.augment, self.of_step(step)), chosen
        draws = [self.of_image(place) for place in range(start, stop)]
        pixels, chosen = self._framed(start, stop, draws)
        pixels = augmented(pixels, self.augment, self.of_step(step))
        if rows := of_one(self.augment):
            ground = filled(self.mean, self.fit.interpolation)
            for place, generator in enumerate(draws):
                pixels[place] = self._changed(pixels[place], rows, generator, ground)
        return pixels, chosen

    def _framed(self, start: int, stop: int, draws: list[np.random.Generator]) -> tuple[Images, Indices]:
        window = window_of(self.augment)
        if window is None:
            return images_in_turn(self.split, self.order, start, stop)
        height, width, channels = self.split.shape
        pixels, chosen = np.empty((stop - start, height, width, channels), np.uint8), np.empty(stop - start, np.int64)
        found = pictures_in_turn(self.split, self.order, start, stop)
        for place, (generator, (index, image)) in enumerate(zip(draws, found, strict=True)):
            fit_in = image.convert("L") if channels == 1 and image.mode != "L" else image
            framed = random_framed(fit_in, height, width, window, self.fit, generator)
            chosen[place] = index
            pixels[place] = np.asarray(framed if channels == 1 else framed.convert("RGB")).reshape(self.split.shape)
        return pixels, chosen

    def _changed(
        self, pixels: Images, rows: tuple[ApplyOne, ...], generator: np.random.Generator, ground: Ground
    ) -> Images:
        image: Image.Image = picture_of(pixels)
        for one in rows:
            image = one(image, self.augment, generator, ground)
        return np.asarray(image).reshape(pixels.shape)
