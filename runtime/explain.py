"""Why a net says what it says of an image: Grad-CAM, and the gradient of a class's logit to each pixel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from netc.codegen.attribution import attribution_module, last_map
from netc.netspec.check import CheckedNet
from netc.netspec.errors import UserError
from netc.runtime.backends.protocol import Array
from netc.runtime.cache.store import Cache
from netc.runtime.data.batches import Normalise
from netc.runtime.small_program import SmallProgram
from netc.runtime.target import Target

METHODS = ("grad-cam", "gradient")
Heat = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Explained:
    """The class that was explained, its probability, and how much each pixel [H, W] speaks for it: 0 to 1."""

    index: int
    probability: float
    heat: Heat


class Explainer:
    """A net with weights, ready to explain images of its input size.

    `grad-cam` (Selvaraju et al. 2017): the channels of the last map of features, each weighted by the mean over its
    pixels of the logit's gradient to it, summed, negative sums left out, and enlarged to the image. `gradient`
    (Simonyan et al. 2013): the largest gradient of the logit to a pixel's channels, in absolute value. Raises UserError
    for a net without a class for each image, and for `grad-cam` one without a map of features.
    """

    def __init__(
        self, net: CheckedNet, weights: Mapping[str, Array], normalise: Normalise, target: Target, cache: Cache,
        method: str = METHODS[0],
    ) -> None:  # fmt: skip
        if len(net.x.shape) != 3 or net.x.dtype != "f32" or len(net.out.shape) != 1:
            raise UserError(
                f"explain wants a net from images to classes, got {net.spec.name}, from {list(net.x.shape)} to "
                f"{list(net.out.shape)}"
            )
        if method not in METHODS:
            raise UserError(f"`method` wants {' or '.join(METHODS)}, got {method!r}")
        self.at = last_map(net) if method == "grad-cam" else None
        if method == "grad-cam" and self.at is None:
            raise UserError(
                f"`method=grad-cam` wants a net with a map of features before its end, got {net.spec.name} without; "
                "give `method=gradient`"
            )
        self._net, self._normalise = net, normalise
        label, held = f"{net.spec.name} {method}", {name: weights[name] for name in net.shapes}
        self._call = SmallProgram(attribution_module(net, 1, self.at), target, cache, held, label)

    def __call__(self, pixels: npt.NDArray[np.uint8], index: int | None = None) -> Explained:
        """What speaks for the class `index`, by default the likeliest, in an image, uint8 [H, W, C]."""
        x = self._normalise(pixels[None])
        classes = self._net.out.shape[0]
        if index is None:
            logits = self._call(x, np.zeros((1, classes), np.float32))[0][0]
            index = int(np.argmax(logits))
        one = np.zeros((1, classes), np.float32)
        one[0, index] = 1
        results = [r[0].astype(np.float64) for r in self._call(x, one)]
        logits = results[0]
        chances = np.exp(logits - logits.max())
        heat = np.abs(results[-1]).max(axis=-1) if self.at is None else grad_cam(*results[1:3])
        return Explained(index, float(chances[index] / chances.sum()), _filled(heat, pixels.shape[:2]))


def grad_cam(y: npt.NDArray[np.float64], dy: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """max(0, sum_c a_c y_c) with a_c the mean of dy_c over the map: [H, W] from two maps [H, W, C]."""
    heat: npt.NDArray[np.float64] = np.maximum((y * dy.mean(axis=(0, 1))).sum(axis=-1), 0)
    return heat


def _filled(heat: npt.NDArray[np.float64], size: tuple[int, ...]) -> Heat:
    """The map enlarged to the image, linearly, and scaled so that its largest number is 1."""
    top = heat.max()
    scaled = (heat / top if top > 0 else heat).astype(np.float32)
    enlarged = Image.fromarray(scaled, "F").resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(enlarged, np.float32)


def overlaid(pixels: npt.NDArray[np.uint8], heat: Heat) -> Image.Image:
    """The image with its heat over it: the image itself where there is none, red over yellow where there is most."""
    grey = np.broadcast_to(pixels, (*pixels.shape[:2], 3)).astype(np.float32)
    h = np.clip(heat, 0, 1)[..., None]
    colour = np.concatenate([np.full_like(h, 255), 255 * (1 - h), np.zeros_like(h)], axis=-1)
    share = 0.7 * h
    return Image.fromarray(np.rint(grey * (1 - share) + colour * share).astype(np.uint8), "RGB")
