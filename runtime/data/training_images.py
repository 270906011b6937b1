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
from netc.runtime.data.dataset import picture_of
from netc.runtime.data.frame import STRETCH, Fit, framed_in, random_box
from netc.runtime.data.image_ops import Ground, filled
from netc.runtime.data.masked import MaskedSplit, laid_over, taken_apart, targets
from netc.runtime.data.part import WHOLE, Part
from netc.runtime.data.split import Indices, Labels, Split

Draws = Callable[[int], np.random.Generator]  # from a place in the epoch's order, or a step


@dataclass(frozen=True)
class TrainingImages:
    """The images of an epoch: those of `split` in `order`, changed as `augment` says.

    `fit.interpolation` is what images are cut out and turned by, `mean` (of the full scale) what comes in from outside.
    `of_image(place)` and `of_step(step)` give the generators. Of each batch only `part` is made.
    """

    split: Split
    order: Indices
    batch: int
    augment: Augment
    mean: tuple[float, ...]
    of_image: Draws
    of_step: Draws
    fit: Fit = STRETCH
    part: Part = WHOLE

    def step(self, step: int) -> tuple[Images, Labels]:
        """The images of a step, uint8 [B, H, W, C], and their labels, int32 [B] or masks; raises `DataError`."""
        own = self.part.rows(self.batch)
        start, stop = step * self.batch + own.start, step * self.batch + own.stop
        if not by_image(self.augment):
            pixels, chosen = images_in_turn(self.split, self.order, start, stop)
            return self._moved(pixels, targets(self.split, chosen), step)
        draws = [self.of_image(place) for place in range(start, stop)]
        pixels, labels = self._moved(*self._framed(start, stop, draws), step)
        if rows := of_one(self.augment):
            ground = filled(self.mean, self.fit.interpolation)
            for place, generator in enumerate(draws):
                pixels[place] = self._changed(pixels[place], rows, generator, ground)
        return pixels, labels

    def _moved(self, pixels: Images, labels: Labels, step: int) -> tuple[Images, Labels]:
        """What the rows of the batch make of images, and of their masks with them."""
        if isinstance(self.split, MaskedSplit):
            return taken_apart(augmented(laid_over(pixels, labels), self.augment, self.of_step(step), self.part))
        return augmented(pixels, self.augment, self.of_step(step), self.part), labels

    def _framed(self, start: int, stop: int, draws: list[np.random.Generator]) -> tuple[Images, Labels]:
        window = window_of(self.augment)
        if window is None:
            pixels, chosen = images_in_turn(self.split, self.order, start, stop)
            return pixels, targets(self.split, chosen)
        height, width, channels = self.split.shape
        pixels, chosen = np.empty((stop - start, height, width, channels), np.uint8), np.empty(stop - start, np.int64)
        masks = np.empty((stop - start, height, width) if isinstance(self.split, MaskedSplit) else 0, np.int32)
        found = pictures_in_turn(self.split, self.order, start, stop)
        for place, (generator, (index, image)) in enumerate(zip(draws, found, strict=True)):
            fit_in = image.convert("L") if channels == 1 and image.mode != "L" else image
            box = random_box(image.size, window, generator)
            framed = framed_in(fit_in, box, height, width, self.fit)
            pixels[place] = np.asarray(framed if channels == 1 else framed.convert("RGB")).reshape(self.split.shape)
            chosen[place] = index
            if isinstance(self.split, MaskedSplit):
                masks[place] = self.split.target_in(index, box, image.size)
        return pixels, masks if len(masks) else self.split.labels[chosen]

    def _changed(
        self, pixels: Images, rows: tuple[ApplyOne, ...], generator: np.random.Generator, ground: Ground
    ) -> Images:
        image: Image.Image = picture_of(pixels)
        for one in rows:
            image = one(image, self.augment, generator, ground)
        return np.asarray(image).reshape(pixels.shape)
