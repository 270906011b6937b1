"""How a script reads its examples and puts them in order: images with a class each, or text with the next token."""

from __future__ import annotations

IMAGES = '''
def load(path):
    """The splits by name: pixels uint8 [N, H, W, C], labels int32 [N]."""
    with np.load(path, allow_pickle=False) as held:
        if str(held["data_sha256"]) != HEADER["data_sha256"]:
            raise SystemExit(f"{path} holds other data than the script was written for")
        return {role: (held[f"{role}_pixels"], held[f"{role}_labels"]) for role in ("train", "test")}


def count(split):
    """How many examples."""
    return len(split[0])


def augmented(pixels, draw):
    """A window out of a black frame, then perhaps a mirror image."""
    number, height, width, _ = pixels.shape
    if CROP:
        tops, lefts = draw.integers(0, 2 * CROP + 1, (2, number))
        frame = np.pad(pixels, ((0, 0), (CROP, CROP), (CROP, CROP), (0, 0)))
        pixels = np.stack([f[t : t + height, l : l + width] for f, t, l in zip(frame, tops, lefts)])
    if FLIP:
        mirrored = draw.integers(0, 2, number).astype(bool)
        pixels = np.where(mirrored[:, None, None, None], pixels[:, :, ::-1], pixels)
    return pixels


def normalised(pixels):
    """uint8 -> float32 of mean 0 and deviation 1 for each channel: pixel * scale + shift."""
    std = np.array(STD)
    return pixels.astype(np.float32) * (1 / (255 * std)).astype(np.float32) + (-np.array(MEAN) / std).astype(np.float32)


def examples(split, chosen, draw=None):
    """x and y of the chosen examples; `draw` augments them."""
    pixels, labels = split
    taken = pixels[chosen]
    return normalised(taken if draw is None else augmented(taken, draw)), labels[chosen]
'''

TOKENS = '''
def load(path):
    """The splits by name: tokens int32 [n]."""
    with np.load(path, allow_pickle=False) as held:
        if str(held["data_sha256"]) != HEADER["data_sha256"]:
            raise SystemExit(f"{path} holds other data than the script was written for")
        return {role: held[f"{role}_tokens"] for role in ("train", "test")}


def count(split):
    """How many examples: contexts one after the other, with a token left to predict."""
    return (len(split) - 1) // CONTEXT


def examples(split, chosen, draw=None):
    """The chosen contexts [B, T], and the token that follows each place [B, T]. Text is not augmented."""
    places = chosen[:, None] * CONTEXT + np.arange(CONTEXT)
    return split[places], split[places + 1]
'''
