"""Names that C, CUDA and OpenCL take: those of arguments are checked, those of variables made so."""

from __future__ import annotations

import re

from netc.kernels.maker import Wrong

PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
LONGEST = 40
# words of the languages, and of what the printers write around a kernel
_WORDS = """
auto bool break case catch char class const continue default delete do double else enum extern false float for friend
goto half if inline int long main namespace new operator private protected public register restrict return short signed
sizeof static struct switch template this throw true try typedef union unsigned using virtual void volatile while
kernel global local constant asm signbit isnan int8_t int32_t int64_t uint8_t uint32_t uint64_t size_t pointer
exp log sqrt tanh sin cos floor abs fabs pow min max fmin fmax y0 y1 yn j0 j1 jn gamma
grid block threadIdx blockIdx blockDim gridDim launch fault thread threads team tx ty tz bx by bz spare
shared next teams target self
round roundf trunc truncf ceil ceilf rint rintf fma fmaf fmod fmodf hypot hypotf erf erff cbrt cbrtf exp2 exp2f expm1
expm1f log2 log2f log10 log10f log1p log1pf expf logf sqrtf tanhf sinf cosf tan tanf asin acos atan atan2 sinh cosh
floorf fabsf powf fminf fmaxf fdim ldexp frexp modf remainder memset memcpy memmove memcmp isinf isfinite
NAN INFINITY HUGE_VAL NULL EACH_THREAD linux unix
"""
RESERVED = frozenset(_WORDS.split())


def checked(name: str, what: str) -> str:
    """The name of an argument or a kernel. Raises Wrong."""
    plain = name.removesuffix("'")
    if not PLAIN.fullmatch(name) or name in RESERVED or name.startswith("netc_") or len(name) > LONGEST:
        raise Wrong(
            f"{what} wants a name of at most {LONGEST} letters, digits and _ that is no word of C, got {name[:60]}; "
            f"write {plain if PLAIN.fullmatch(plain) and plain != name else 'another'}"
        )
    return name


class Names:
    """Gives each variable a name of its own."""

    def __init__(self, taken: tuple[str, ...]) -> None:
        self._taken = {*taken, *RESERVED}

    def fresh(self, wanted: str) -> str:
        """The name, or one near it that is not taken."""
        base = re.sub(r"[^A-Za-z0-9_]", "_", wanted)[:LONGEST]
        base = base if PLAIN.fullmatch(base) and not base.startswith("netc_") else f"v{base}"
        name, count = base, 1
        while name in self._taken:
            count += 1
            name = f"{base}_{count}"
        self._taken.add(name)
        return name
