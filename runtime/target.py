"""Targets: a word becomes compiler flags, a device driver, a lowering profile, and what else differs between them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from netc.codegen.rewrite.form_tables import ProfileName
from netc.netspec.errors import UserError
from netc.netspec.nearest import near
from netc.runtime.cpu_levels import ARCHITECTURES, multiplies_bf16, stops_at_avx2

if TYPE_CHECKING:
    from netc.codegen.ir import Module

Engine = Literal["iree", "xla", "reference", "c", "none"]

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

_NAME = re.compile(r"[a-zA-Z0-9_.-]*")
_SM = re.compile(r"sm_(60|70|75|80|86|89)")
_GFX = re.compile(r"gfx[0-9a-f]{3,4}")


@dataclass(frozen=True)
class Target:
    """Where a module runs. A row of TARGETS is one without its argument.

    `form` is how it is spelled, `argument` what may follow the colon, `default` what stands for none, and `option` the
    flag that it becomes. `profile` names the row of codegen/rewrite/profiles.py; `flags` go to iree-compile and
    `driver` is IREE's device driver. `packages` compile and run it.

    What can be done there: `ahead`: iree-compile makes an artefact, else it is compiled when it is loaded. `compiled`:
    by a compiler at all, so that its times say something of the machine. `on_host`: its tensors lie in the host's
    memory, which the host maps. `process_time`: the time of its work is the process's. `bf16`: products of bf16
    compile; `f64`: so does float64, with the flags `wide`. `norms`: so does a step that gives the gradients' norms
    beside any of its values. `nested_loops`: a loop may call a function that loops. `replicas`: several devices may run
    one program together. `partitions`: its compiler splits one program over a mesh of devices. `checked`: the
    compiler's checks between its passes stay on. `packs`: it packs weights at each call, so that a sampler does it once
    before. `turns`: how many tokens a small net writes in one call, 0 where that takes too long to compile. `instead`
    is the target to try where this one fails.
    """

    word: str
    form: str
    meaning: str
    engine: Engine
    profile: ProfileName
    example: str = ""
    argument: re.Pattern[str] | None = None
    default: str = ""
    option: str = ""
    flags: tuple[str, ...] = ()
    driver: str = ""
    packages: tuple[str, ...] = ()
    ahead: bool = False
    compiled: bool = True
    on_host: bool = False
    process_time: bool = True
    bf16: bool = True
    f64: bool = False
    wide: tuple[str, ...] = ()
    norms: bool = True
    nested_loops: bool = True
    replicas: bool = False
    partitions: bool = False
    checked: bool = True
    packs: bool = False
    turns: int = 0
    instead: str = ""

    @property
    def widens(self) -> bool:
        """Whether products of bf16 numbers are computed in float32: on CPUs without instructions for them."""
        kind, _, name = self.word.partition(":")
        return kind == "cpu" and not multiplies_bf16(name or self.default)

    def suited(self, module: Module) -> Module:
        """The module with what this target alone wants; its lowering profile has what all of its kind do."""
        from netc.codegen.rewrite.iree.widened_products import has_bf16_products, widen_products

        # the processor is asked last: the system's list of its features is long
        return widen_products(module) if has_bf16_products(module) and self.widens else module


# iree-compile checks its whole module after each of its passes: a third of a compile (docs/design-notes.md).
# The text is checked when it is parsed all the same. For GPUs the checks stay: their code was not run.
_ON_IREE = Target(
    "", "", "", "iree", "cpu", packages=("iree-base-compiler", "iree-base-runtime"), ahead=True, nested_loops=False
)
_ON_GPU = replace(_ON_IREE, profile="gpu", process_time=False, norms=False, instead="cpu")

_ROWS = (
    replace(
        _ON_IREE, word="cpu", form="cpu[:NAME]", meaning="this machine's CPU through IREE, or a named one",
        example="cpu", argument=_NAME, default="host", option="--iree-llvmcpu-target-cpu={}", flags=_CPU,
        driver="local-task", on_host=True, checked=False, packs=True, instead="reference",
        f64=True, wide=("--iree-input-demote-f64-to-f32=false", "--iree-llvmcpu-link-embedded=false"),
    ),
    replace(
        _ON_GPU, word="cuda", form="cuda:SM", meaning="NVIDIA GPUs through IREE; newer cards run sm_89",
        example="cuda:sm_89", argument=_SM, option="--iree-cuda-target={}",
        flags=(*_GPU, "--iree-hal-target-device=cuda"), driver="cuda",
    ),
    replace(
        _ON_GPU, word="rocm", form="rocm:GFX", meaning="AMD GPUs through IREE",
        example="rocm:gfx1100", argument=_GFX, option="--iree-rocm-target={}",
        flags=(*_GPU, "--iree-hal-target-device=hip"), driver="hip",
    ),
    replace(
        _ON_GPU, word="vulkan", form="vulkan[:NAME]", meaning="any Vulkan device through IREE",
        example="vulkan", argument=_NAME, option="--iree-vulkan-target={}",
        flags=(*_GPU, "--iree-hal-target-device=vulkan"), driver="vulkan", bf16=False,
    ),
    Target(
        "xla", "xla", "jaxlib's compiler on its default device", "xla", "xla", "xla", packages=("jaxlib",),
        instead="reference", f64=True, replicas=True, partitions=True, turns=8,
    ),
    Target("c", "c", "C by this machine's cc, gcc or clang", "c", "c", "c", instead="reference", f64=True),
    Target(
        "reference", "reference", "netc's evaluator, NumPy float32, no compiler", "reference", "cpu", "reference",
        compiled=False, f64=True, replicas=True,
    ),
)  # fmt: skip
TARGETS: dict[str, Target] = {row.word: row for row in _ROWS}

# the net as written, in portable StableHLO: for anybody's compiler, and for no engine of ours
PLAIN = Target("StableHLO", "", "portable StableHLO", "none", "plain", compiled=False, replicas=True, partitions=True)

# what others call an engine or a device
OTHERS = {
    "gpu": "cuda", "nvidia": "cuda", "amd": "rocm", "hip": "rocm", "metal": "vulkan", "llvm-cpu": "cpu", "iree": "cpu",
    "host": "cpu", "jax": "xla", "numpy": "reference",
}  # fmt: skip


def parse_target(word: str) -> Target:
    """The target that `word` names; raises UserError with the forms that there are."""
    kind, _, argument = word.partition(":")
    row = TARGETS.get(kind)
    if row is None:
        forms = ", ".join(r.form for r in TARGETS.values())
        meant = OTHERS.get(kind.lower()) or next(iter(near(kind, TARGETS)), "")
        hint = f"did you mean {TARGETS[meant].form}? " if meant else ""
        raise UserError(f"`target` wants one of {forms}, got {word!r}; {hint}`netc doctor` shows which can run here")
    if (row.argument is None and ":" in word) or (row.argument and not row.argument.fullmatch(argument)):
        wanted = row.form if row.argument is None else f"{row.form} with an argument like {row.argument.pattern}"
        raise UserError(f"`target` wants {wanted}, got {word!r}; write for example {row.example}")
    given = argument or row.default
    if kind == "cpu" and given in ARCHITECTURES:
        triple = f"--iree-llvmcpu-target-triple={ARCHITECTURES[given]}"
        return replace(row, word=word, flags=(*row.flags, triple, row.option.format("generic")))
    profile = "cpu-avx2" if kind == "cpu" and stops_at_avx2(given) else row.profile
    return replace(
        row, word=word, profile=profile, flags=(*row.flags, row.option.format(given)) if given else row.flags
    )


def of_float64(target: Target) -> Target:
    """The target with the flags without which its compiler makes float32 of float64."""
    return replace(target, flags=(*target.flags, *target.wide))


def refuse_replicas(target: Target, replicas: int) -> None:
    """Raise UserError for several devices on a target whose programs are of one."""
    if replicas > 1 and not target.replicas:
        able = " or ".join(row.form for row in TARGETS.values() if row.replicas)
        raise UserError(
            f"{replicas} devices together want the target {able}, got {target.word}, whose programs run on one device; "
            "choose another `target`, or one device"
        )


def refuse_mesh(target: Target) -> None:
    """Raise UserError for a target whose compiler does not split one program over devices."""
    if not target.partitions:
        raise UserError(
            f"`mesh` wants the target xla, whose compiler splits one program over devices, got {target.word}; give "
            "`target=xla`, or leave `mesh` out"
        )


def refuse_c(target: Target) -> None:
    """Raise UserError for the target whose text is no StableHLO, where that is read."""
    if target.profile == "c":
        raise UserError(
            "certify reads StableHLO, and the text for `target=c` is C; use `target=reference`, which computes the "
            "same as C"
        )
