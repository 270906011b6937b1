"""Named processors whose code this machine runs, and those of another architecture that it can only compile for."""

from __future__ import annotations

import platform
import re
from functools import cache
from pathlib import Path

from netc.netspec.errors import UserError

_V2 = frozenset({"cx16", "popcnt", "sse4_1", "sse4_2", "ssse3"})
_V3 = _V2 | {"abm", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe"}
_V4 = _V3 | {"avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl"}
# the levels of the x86-64 psABI, by what Linux calls their features; `generic` is the least of any architecture
LEVELS: dict[str, frozenset[str]] = {
    "generic": frozenset(), "x86-64": frozenset({"sse2"}), "x86-64-v2": _V2, "x86-64-v3": _V3, "x86-64-v4": _V4,
}  # fmt: skip
ARCHITECTURES = {"aarch64": "aarch64-linux-gnu"}
"""Names of `cpu:NAME` that are architectures, with the triple that code for them is compiled for."""

_BF16 = "avx512_bf16"
# LLVM's names of processors that have it
_WITH_BF16 = frozenset({
    "cooperlake", "sapphirerapids", "emeraldrapids", "graniterapids", "graniterapids-d", "znver4", "znver5",
})  # fmt: skip


def runs_here(name: str) -> bool:
    """Whether code for the processor of that name is known to run here: a level that this machine has."""
    return name in LEVELS and LEVELS[name] <= _features()


def multiplies_bf16(name: str) -> bool:
    """Whether the processor of that name, `host` for this one, has instructions for products of bf16 numbers."""
    return name in _WITH_BF16 or (name == "host" and _BF16 in _features())


# LLVM's names of processors that have AVX2 and no AVX-512
_WITH_AVX2 = frozenset({
    "x86-64-v3", "haswell", "core-avx2", "broadwell", "skylake", "alderlake", "raptorlake", "meteorlake", "gracemont",
    "arrowlake", "arrowlake-s", "lunarlake", "pantherlake", "sierraforest", "grandridge", "clearwaterforest",
    "bdver4", "znver1", "znver2", "znver3",
})  # fmt: skip


def stops_at_avx2(name: str) -> bool:
    """Whether the processor of that name, `host` for this one, has vectors of 8 float32 numbers and no wider ones."""
    return name in _WITH_AVX2 or (name == "host" and {"avx2", "avx512f"} & _features() == {"avx2"})


@cache  # every target of this machine's CPU asks, and the list is long where there are many processors
def _features() -> frozenset[str]:
    """What this machine's processor has, by what Linux calls it."""
    try:
        said = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return frozenset()
    flags = re.search(r"^flags\s*:(.*)$", said, re.MULTILINE)
    return frozenset(flags[1].split() if flags else ())


def refuse_elsewhere(name: str) -> None:
    """Raise UserError for an architecture that is not this machine's."""
    if name in ARCHITECTURES and platform.machine() != name:
        raise UserError(
            f"`target=cpu:{name}` runs on {name}, got a machine of {platform.machine()}; compile it here by `netc "
            f"compile` and run the artefact there, or use `target=cpu`"
        )
