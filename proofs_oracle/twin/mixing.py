"""What a script does with the examples of a step before the net sees them, erased and mixed; it draws as netc does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from netc.netspec.recipe import Recipe
from netc.netspec.types import TensorType
from netc.proofs_oracle.references.mixing import quantiles
from netc.proofs_oracle.witness import float64

STREAM = '''
def stream(path):
    """The number that tells the draws at this path from others."""
    number = 0
    for part in path.split("."):
        number = (number * 0x9E3779B1 + zlib.crc32(part.encode())) % 2**32
    return number

'''

BETA = '''
def beta(word, quantiles):
    """Beta(alpha, alpha) from a word: the half, one of 256 quantiles (of 2^-20), the place to the next; integers."""
    bits, table = (word >> 12).astype(jnp.int32), jnp.array(quantiles)
    cell, place = bits >> 11 & 255, bits & 2047
    value = table[cell] * 2048 + (table[cell + 1] - table[cell]) * place >> 7
    return jnp.where(bits >> 19 == 1, 2**24 - value, value) * 2.0**-24

'''

MIXED = '''
def mixed(key, x):
    """The batch mixed with itself reversed, and the share of each example's own loss."""
    high, low = words(key, stream("(mixing)"), 3)
    partner = x[::-1]
<mixup><cutmix><either>    mixes = (high[0] >> 8).astype(jnp.int32) < round(<prob> * 2**24)
    return jnp.where(mixes, blended, x), jnp.where(mixes, share, 1.0)

'''

MIXUP = """\
    share = beta(high[1], <quantiles>)
    blended = share * x + (1 - share) * partner
"""

CUTMIX = """\
    kept, inside = beta(high[1], <quantiles>), jnp.ones(x.shape[1:3], bool)
    for axis, word in enumerate((low[1], high[2])):
        size = x.shape[axis + 1]
        length = jnp.sum(jnp.arange(1, size + 1) ** 2 <= (1 - kept) * size**2)  # the root, as a whole number
        centre = jnp.minimum(((word >> 8).astype(jnp.int32) * (size * 2.0**-24)).astype(jnp.int32), size - 1)
        index = jnp.arange(size).reshape((-1, 1) if axis == 0 else (1, -1))
        inside &= (index >= centre - length // 2) & (index < centre + (length + 1) // 2)
    whole = jnp.where(inside[None, :, :, None], partner, x)
    left = jnp.sum(~inside) * (1 / inside.size)
"""

EITHER = """\
    cut = (low[0] >> 8).astype(jnp.int32) < round(<switch> * 2**24)
    blended, share = jnp.where(cut, whole, blended), jnp.where(cut, left, share)
"""

ERASED = '''
def erased(key, x):
    """The first of ten rectangles that fits is erased, with probability <prob> for each image."""
    number, height, width, _ = x.shape
    high, low = (v.reshape(number, 10) for v in words(key, stream("(erasing)"), 10 * number))
    span, least = round((1 / 3 - 0.02) * 2**16), round(0.02 * 2**24)
    area = (least + ((high >> 16).astype(jnp.int32) * span >> 8)) * (height * width * 2.0**-24)
    step = -2 * math.log(0.3) / 64**2
    coarse, fine = high >> 6 & 63, high & 63

    def root(table, finer, most):
        squared = area * (jnp.array(table)[coarse] * jnp.array(finer)[fine])
        return jnp.sum((jnp.arange(most) + 0.5) ** 2 <= squared[..., None], -1)

    aspects = np.array([0.3 * math.exp(step * 64 * i) for i in range(64)])
    finer = np.array([math.exp(step * (i + 0.5)) for i in range(64)])
    rows, columns = root(aspects, finer, height), root(1 / aspects, 1 / finer, width)
    top = ((low >> 16).astype(jnp.int32) * (height + 1 - rows) * 2.0**-16).astype(jnp.int32)
    left = ((low & 0xFFFF).astype(jnp.int32) * (width + 1 - columns) * 2.0**-16).astype(jnp.int32)
    fits = (rows < height) & (columns < width)
    erases = words(key, stream("(erasing).whether"), number)[0] >> 8 < round(<prob> * 2**24)
    taken = (jnp.arange(10) == jnp.argmax(fits, 1)[:, None]) & fits & erases[:, None]
    rows, columns, top, left = (jnp.sum(v * taken, 1)[:, None, None] for v in (rows, columns, top, left))
    i, j = jnp.arange(height)[:, None], jnp.arange(width)
    inside = (i >= top) & (i < top + rows) & (j >= left) & (j < left + columns)
    return jnp.where(inside[..., None], <filling>, x)

'''

NOISE = '''
def noise(key, x):
    """Sums of eight 16-bit uniforms, less their mean, divided by their deviation."""
    streams = [stream(f"(erasing).noise{i}") for i in (0, 1)]
    fields = [f for s in streams for word in words(key, s, x.size) for f in (word & 0xFFFF, word >> 16)]
    total = sum(f.astype(jnp.int32) for f in fields).astype(x.dtype) - 8 * 65535 / 2
    return (total * (1 / math.sqrt(8 * (2**32 - 1) / 12))).reshape(x.shape)

'''


@dataclass(frozen=True)
class Changes:
    """What the step of a script has for it: functions, the line that changes x, and what x is then called."""

    functions: str = ""
    line: str = ""
    x: str = "x"

    def loss(self, own: str, other: str) -> str:
        """The loss of each example, with its partner's where they are mixed."""
        return f"(share * {own} + (1 - share) * {other})" if "share" in self.line else own


def changes_of(recipe: Recipe, x: TensorType, key: str, *, streamed: bool) -> Changes:
    """The changes; `key` is the expression of the step's key, `streamed`: the script has the function stream."""
    if not recipe.draws:
        return Changes()
    functions, call = "" if streamed else STREAM, "x"
    if rate := recipe.erasing.random_erasing:
        functions += NOISE if recipe.erasing.erasing_pixels else ""
        filling = "noise(key, x)" if recipe.erasing.erasing_pixels else "0.0"
        functions, call = functions + _filled(ERASED, prob=rate, filling=filling), f"erased({key}, x)"
    if not recipe.mixing.on:
        return Changes(functions, f"        seen = {call}\n", "seen")
    functions += BETA + _mixed(recipe)
    return Changes(functions, f"        seen, share = mixed({key}, {call})\n", "seen")


def _mixed(recipe: Recipe) -> str:
    m = recipe.mixing
    up = _filled(MIXUP, quantiles=_table(m.mixup)) if m.mixup else ""
    cut = _filled(CUTMIX, quantiles=_table(m.cutmix)) if m.cutmix else ""
    if cut and not up:
        cut = cut.replace("    whole = ", "    blended = ").replace("    left = ", "    share = ")
    either = _filled(EITHER, switch=m.mixup_switch_prob) if up and cut else ""
    return _filled(MIXED, mixup=up, cutmix=cut, either=either, prob=m.mixup_prob)


def _table(alpha: float) -> str:
    with float64():
        return repr(tuple(int(q) for q in np.asarray(quantiles(alpha))))


def _filled(text: str, **marks: object) -> str:
    for name, value in marks.items():
        text = text.replace(f"<{name}>", str(value))
    return text
