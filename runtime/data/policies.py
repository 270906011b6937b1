"""Automatic augmentation: what each policy draws for one image, and its being done.

A policy's row in DRAWS gives the operations of one image with the numbers that they take; `OPS` does them. So a draw
can be given to another implementation.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from PIL import Image

from netc.netspec.policies import LEVELS, UNIFORM, AugMix, Policy, Rand
from netc.runtime.data.auto_augment import SUB_POLICIES
from netc.runtime.data.image_ops import OPS, Ground

Generator = np.random.Generator
Size = tuple[int, int]  # width, height
Drawn = list[tuple[str, float]]
"""Names of OPS and the number that each takes, in the order in which they are done."""


def _sign(generator: Generator) -> float:
    return -1.0 if generator.random() < 0.5 else 1.0


# --- RandAugment, as timm has it: from a level, 0 to 10 and more, to an operation's number


def _enhanced(part: float, rising: int, generator: Generator) -> float:
    return max(0.1, 1.0 + part * 0.9 * _sign(generator)) if rising else part * 1.8 + 0.1


Level = Callable[[float, int, Generator, Size], float]
LEVELLED: dict[str, Level] = {
    "AutoContrast": lambda part, rising, g, size: 0.0,
    "Equalize": lambda part, rising, g, size: 0.0,
    "Invert": lambda part, rising, g, size: 0.0,
    "Rotate": lambda part, rising, g, size: part * 30.0 * _sign(g),
    "Posterize": lambda part, rising, g, size: 4 - int(part * 4) if rising else int(part * 4),
    "Solarize": lambda part, rising, g, size: 256 - _solarized(part) if rising else _solarized(part),
    "SolarizeAdd": lambda part, rising, g, size: min(128, int(part * 110)),
    "Color": lambda part, rising, g, size: _enhanced(part, rising, g),
    "Contrast": lambda part, rising, g, size: _enhanced(part, rising, g),
    "Brightness": lambda part, rising, g, size: _enhanced(part, rising, g),
    "Sharpness": lambda part, rising, g, size: _enhanced(part, rising, g),
    "ShearX": lambda part, rising, g, size: part * 0.3 * _sign(g),
    "ShearY": lambda part, rising, g, size: part * 0.3 * _sign(g),
    "TranslateX": lambda part, rising, g, size: part * 0.45 * _sign(g) * size[0],
    "TranslateY": lambda part, rising, g, size: part * 0.45 * _sign(g) * size[1],
}
COLORS = ("Identity", "Brightness", "Contrast", "Color", "AutoContrast")


def _solarized(part: float) -> int:
    return min(256, int(part * 256))


def _rand(policy: Rand, generator: Generator, size: Size) -> Drawn:
    names, drawn = COLORS if policy.color else tuple(LEVELLED), []
    for choice in generator.integers(0, len(names), policy.n).tolist():
        if generator.random() >= policy.p:
            continue
        level = policy.m
        if policy.mstd > UNIFORM:
            level = generator.random() * policy.m
        elif policy.mstd:
            level = policy.m + policy.mstd * generator.standard_normal()
        part = max(0.0, min(level, policy.mmax)) / LEVELS
        name = names[choice]
        drawn.append((name, LEVELLED[name](part, policy.inc, generator, size) if name in LEVELLED else 0.0))
    return drawn


# --- AutoAugment, TrivialAugment and AugMix, as torchvision has them: a magnitude is one of so many even steps


Step = Callable[[float, Generator, Size], float]  # from the part of the way, 0 to 1, to an operation's number


def _signed(most: float) -> Step:
    return lambda part, generator, size: most * part * _sign(generator)


def _factor(most: float) -> Step:
    return lambda part, generator, size: 1.0 + most * part * _sign(generator)


def _shift(axis: int, of_size: float, pixels: float = 0.0) -> Step:
    return lambda part, generator, size: int((of_size * size[axis] + pixels) * part) * _sign(generator)


def _bits(first: int, fewer: int) -> Step:
    return lambda part, generator, size: first - round(part * fewer)


def _space(
    most: float, turn: float, factor: float, shift: tuple[float, float], bits: tuple[int, int]
) -> dict[str, Step]:
    """The numbers of operations whose largest shear, turn, change and shift (part of the side, pixels) are these."""
    return {
        "ShearX": _signed(most), "ShearY": _signed(most),
        "TranslateX": _shift(0, *shift), "TranslateY": _shift(1, *shift), "Rotate": _signed(turn),
        "Brightness": _factor(factor), "Color": _factor(factor), "Contrast": _factor(factor),
        "Sharpness": _factor(factor), "Posterize": _bits(*bits),
        "Solarize": lambda part, generator, size: 255.0 * (1.0 - part),
        "AutoContrast": lambda part, generator, size: 0.0, "Equalize": lambda part, generator, size: 0.0,
    }  # fmt: skip


def _nothing(part: float, generator: Generator, size: Size) -> float:
    return 0.0


AUTO = {**_space(0.3, 30.0, 0.9, (150 / 331, 0.0), (8, 4)), "Invert": _nothing}
TRIVIAL = {"Identity": _nothing, **_space(0.99, 135.0, 0.99, (0.0, 32.0), (8, 6))}
MIXED = _space(0.3, 30.0, 0.9, (1 / 3, 0.0), (4, 4))
AUTO_STEPS, TRIVIAL_STEPS, MIXED_STEPS = 9, 30, 9  # one less than there are magnitudes


def _auto(policy: Policy, generator: Generator, size: Size) -> Drawn:
    pairs = SUB_POLICIES[policy.word]
    return [
        (name, AUTO[name](step / AUTO_STEPS, generator, size))
        for name, chance, step in pairs[int(generator.integers(0, len(pairs)))]
        if generator.random() < chance
    ]


def _trivial(policy: Policy, generator: Generator, size: Size) -> Drawn:
    name = [*TRIVIAL][int(generator.integers(0, len(TRIVIAL)))]
    return [(name, TRIVIAL[name](int(generator.integers(0, TRIVIAL_STEPS + 1)) / TRIVIAL_STEPS, generator, size))]


def _three(policy: Policy, generator: Generator, size: Size) -> Drawn:
    """Solarizing above 128, grey, or a blur of 0.1 to 2 pixels."""
    radius = 0.1 + 1.9 * generator.random()
    return [(("Solarize", 128.0), ("Desaturate", 1.0), ("Blur", radius))[int(generator.integers(0, 3))]]


def _chain(policy: AugMix, generator: Generator, size: Size) -> Drawn:
    depth, drawn = policy.d or int(generator.integers(1, 4)), []
    for choice in generator.integers(0, len(MIXED), depth).tolist():
        name = [*MIXED][choice]
        drawn.append((name, MIXED[name](int(generator.integers(0, policy.m)) / MIXED_STEPS, generator, size)))
    return drawn


DRAWS: dict[str, Callable[[Any, Generator, Size], Drawn]] = {
    "rand": _rand,
    "imagenet": _auto,
    "cifar10": _auto,
    "svhn": _auto,
    "trivial": _trivial,
    "3a": _three,
}


def done(image: Image.Image, drawn: Drawn, ground: Ground) -> Image.Image:
    """The image after the operations that were drawn."""
    for name, number in drawn:
        image = OPS[name](image, number, ground)
    return image


def mixed(image: Image.Image, chains: list[Drawn], weights: list[float], ground: Ground) -> Image.Image:
    """AugMix: weights[0] image + the sum of weights[1 + i] image after chain i; the weights add up to 1."""
    total = weights[0] * np.asarray(image, np.float32)
    for weight, chain in zip(weights[1:], chains, strict=True):
        total += weight * np.asarray(done(image, chain, ground), np.float32)
    return Image.fromarray(total.clip(0, 255).astype(np.uint8))


def _augmix(policy: AugMix, image: Image.Image, generator: Generator, ground: Ground) -> Image.Image:
    # Dirichlet(1, .., 1): exponential draws over their sum; Beta(1, 1) is uniform
    share, parts = generator.random(), generator.standard_exponential(policy.w)
    weights = [1.0 - share, *(share * parts / parts.sum()).tolist()]
    chains = [_chain(policy, generator, image.size) for _ in range(policy.w)]
    return mixed(image, chains, weights, ground)


def applier(policy: Policy) -> Callable[[Image.Image, Generator, Ground], Image.Image]:
    """The policy as a function of an image and a generator."""
    if isinstance(policy, AugMix):
        return partial(_augmix, policy)
    draw = DRAWS[policy.word]
    return lambda image, generator, ground: done(image, draw(policy, generator, image.size), ground)
