"""Targets: a word becomes compiler flags, a device driver, and a family of schedules."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from netc.codegen.rewrite.select_forms import Family
from netc.netspec.errors import UserError

Engine = Literal["iree", "xla", "reference", "none"]


@dataclass(frozen=True)
class Target:
    """Where a module runs. `flags` go to iree-compile; `driver` is IREE's device driver."""

    word: str
    engine: Engine
    family: Family
    flags: tuple[str, ...] = ()
    driver: str = ""


@dataclass(frozen=True)
class TargetRow:
    """One kind of target: how it is spelled, what its argument may be, how it is made."""

    form: str
    argument: re.Pattern[str] | None
    make: Callable[[str, str], Target]
    meaning: str


# The solver for where tensors lie gives up after a few dozen rounds; loops over dozens of blocks take more.
_IREE = (
    "--iree-input-type=stablehlo", "--iree-opt-level=O2", "--iree-vm-emit-polyglot-zip=false",
    "--iree-stream-affinity-solver-max-iterations=4096",
)  # fmt: skip
# Workers need the larger stack that backends/iree.py gives them: the default of 128 KiB overflows with this limit.
_CPU = (
    *_IREE, "--iree-hal-target-device=local", "--iree-hal-local-target-device-backends=llvm-cpu",
    "--iree-opt-data-tiling=true", "--iree-llvmcpu-stack-allocation-limit=2097152",
    "--iree-llvmcpu-fail-on-large-vector=false",
)  # fmt: skip

# Aggressive fusion, part of O2, joins a sum over rows with the elementwise values that it reads and that are stored
# too (a variance with what is centred, a norm with an update). The GPU backends cannot distribute such a kernel: they
# refuse it, or search on for minutes.
_GPU = (*_IREE, "--iree-dispatch-creation-enable-aggressive-fusion=false")


def _cpu(word: str, name: str) -> Target:
    return Target(word, "iree", "cpu", (*_CPU, f"--iree-llvmcpu-target-cpu={name or 'host'}"), "local-task")


def _cuda(word: str, sm: str) -> Target:
    flags = (*_GPU, "--iree-hal-target-device=cuda", f"--iree-cuda-target={sm}")
    return Target(word, "iree", "gpu", flags, "cuda")


def _rocm(word: str, gfx: str) -> Target:
    flags = (*_GPU, "--iree-hal-target-device=hip", f"--iree-rocm-target={gfx}")
    return Target(word, "iree", "gpu", flags, "hip")


def _vulkan(word: str, name: str) -> Target:
    flags = (*_GPU, "--iree-hal-target-device=vulkan", *((f"--iree-vulkan-target={name}",) if name else ()))
    return Target(word, "iree", "gpu", flags, "vulkan")


_NAME = re.compile(r"[a-zA-Z0-9_.-]*")
_SM = re.compile(r"sm_(60|70|75|80|86|89)")
_GFX = re.compile(r"gfx[0-9a-f]{3,4}")

TARGETS: dict[str, TargetRow] = {
    "cpu": TargetRow("cpu[:NAME]", _NAME, _cpu, "this machine's CPU through IREE, or a named one"),
    "cuda": TargetRow("cuda:SM", _SM, _cuda, "NVIDIA GPUs through IREE; newer cards run sm_89"),
    "rocm": TargetRow("rocm:GFX", _GFX, _rocm, "AMD GPUs through IREE"),
    "vulkan": TargetRow("vulkan[:NAME]", _NAME, _vulkan, "any Vulkan device through IREE"),
    "xla": TargetRow("xla", None, lambda w, a: Target(w, "xla", "xla"), "jaxlib's compiler on its default device"),
    "reference": TargetRow(
        "reference", None, lambda w, a: Target(w, "reference", "cpu"), "netc's evaluator, NumPy float32, no compiler"
    ),
}


# the net as written, in portable StableHLO: for anybody's compiler, and for no engine of ours
PLAIN = Target("StableHLO", "none", "plain")


def parse_target(word: str) -> Target:
    """The target that `word` names; raises UserError with the forms that there are."""
    kind, _, argument = word.partition(":")
    row = TARGETS.get(kind)
    forms = ", ".join(r.form for r in TARGETS.values())
    if row is None:
        raise UserError(f"`target` wants one of {forms}, got {word!r}; `netc doctor` shows which can run here")
    if (row.argument is None and ":" in word) or (row.argument and not row.argument.fullmatch(argument)):
        wanted = row.form if row.argument is None else f"{row.form} with an argument like {row.argument.pattern}"
        raise UserError(f"`target` wants {wanted}, got {word!r}; write for example {_EXAMPLES[kind]}")
    return row.make(word, argument)


_EXAMPLES = {
    "cpu": "cpu",
    "cuda": "cuda:sm_89",
    "rocm": "rocm:gfx1100",
    "vulkan": "vulkan",
    "xla": "xla",
    "reference": "reference",
}
