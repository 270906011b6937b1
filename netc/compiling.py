"""Compile a net's training program, and drive it step by step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netc.codegen.analysis.memory import Memory, memory_of
from netc.codegen.analysis.step_cost import Ceiling, CostRow, Work, step_works, table, useful_flops
from netc.codegen.rewrite.form_overrides import NO_OVERRIDES, FormOverrides
from netc.netspec.check import CheckedNet
from netc.netspec.errors import UserError
from netc.netspec.spec import NetSpec
from netc.programs import ProgramRequest, quiet, request_program, tuned_choices, within_budget
from netc.runtime.cache.store import Cache
from netc.runtime.files import copy_whole, made_for
from netc.runtime.manifest import manifest_of, write_manifest
from netc.runtime.prepare import Prepared, emit_text, prepare, said_batch
from netc.runtime.session import NO_TRAINING, Session
from netc.runtime.target import PLAIN, parse_target

if TYPE_CHECKING:
    from netc.proofs_oracle.certificate.certify import Certificate
    from netc.runtime.measure.profile import Profile

STEP = "train_step"


@dataclass(frozen=True)
class Cost:
    """What a step costs: `useful_flops` of its mathematics, and the passes of its compiled form."""

    useful_flops: int
    works: tuple[Work, ...]

    @property
    def flops(self) -> int:
        """Floating-point operations of the compiled form."""
        return sum(work.flops for work in self.works)

    @property
    def bytes(self) -> int:
        """Bytes read and written."""
        return sum(work.bytes for work in self.works)

    def __str__(self) -> str:
        return f"{self.useful_flops:,} useful FLOPs a step; as compiled {self.flops:,} FLOPs, {self.bytes:,} bytes"

    def rows(self, ceiling: Ceiling, depth: int = 0) -> tuple[CostRow, ...]:
        """The sums by layer and phase, with the least time for them on a machine of these ceilings."""
        return table(self.works, ceiling, depth)


class Compiled(Session):
    """A compiled training program: a session that also says what it is, and can be saved.

    `init`, `train`, `evaluate` and `predict` load it on its device; everything else does without one.
    """

    def __str__(self) -> str:
        program, made = self.program, self.prepared
        what = f"batch {said_batch(program)}, {program.net.count:,} parameters"
        return f"{program.net.spec.name} for {made.target.word}: {what}, text SHA-256 {made.sha256[:12]}"

    @property
    def text(self) -> str:
        """The text that was compiled for the target."""
        return self.prepared.source.text

    @cached_property
    def stablehlo(self) -> str:
        """The program as portable StableHLO, before any target's forms."""
        return emit_text(self.program, PLAIN).text

    @property
    def manifest(self) -> dict[str, Any]:
        """Every argument and result in order, and what made the artefact: enough to drive it without Python."""
        made = self.prepared
        return manifest_of(self.program, made.sha256, made.target.word, made.choices, made.source.artefact)

    def save(self, path: Path | str) -> Path:
        """Write the artefact, a .vmfb of IREE's, and its manifest beside it as PATH.json; returns the path.

        Raises UserError for a target that makes no artefact, and for a folder.
        """
        return save_artefact(self.prepared, Path(path))

    def _trains(self) -> None:
        """Raise UserError for a program of any batch, which has no step."""
        if self.any_batch:
            raise UserError(NO_TRAINING)

    def cost(self) -> Cost:
        """What a step costs, counted on its compiled form."""
        self._trains()
        return Cost(useful_flops(self.program.module), step_works(self.prepared.source.module, STEP))

    def memory(self) -> Memory:
        """What a step holds, counted on its compiled form; `total` are all bytes."""
        self._trains()
        return memory_of(self.program.state, self.prepared.source.module, STEP)

    def profile(self, steps: int = 20, function: str = "train_step") -> Profile:
        """The time of each dispatch of a step on random data, by layer and phase; of IREE's cpu, and of c.

        Of "predict" or "eval_step" in its place with that as `function`. Raises UserError.
        """
        from netc.runtime.measure.profile import profile

        self._trains()
        return profile(self.program, self.prepared.target, Cache(), steps, self.prepared.choices, function)

    def certificate(self, *, primes: int = 4, points: int = 1, seed: int = 0) -> Certificate:
        """An exact check that the backward in the text is the derivative of its forward (docs/certificate.md)."""
        from netc.proofs_oracle.certificate.certify import certify_program
        from netc.proofs_oracle.certificate.statement import Settings

        self._trains()
        return certify_program(self.program, self.prepared.target, Settings(primes, points, seed))


def compile_net(
    net: NetSpec | CheckedNet | str,
    *,
    target: str = "cpu",
    tuned: bool = True,
    config: str | None = None,
    on_note: Callable[[str], None] = quiet,
    **words: Any,
) -> Compiled:
    """Compile a net's training program for a target, whose device need not be here.

    `words` are `batch` (32; `dynamic`, or a range as in `1..64`, for a program that evaluates and predicts any number),
    `input`, `classes`, `steps_per_call`, `memory_budget` (2GB: the blocks to recompute are chosen so that the plan of a
    step fits), and those of the recipe: `optimizer`, `loss`, ..;
    `tuned`: with the forms that `netc tune` kept. Raises UserError, SpecError and CompileError.
    """
    request = request_program(net, config=config, ranges=True, budgets=True, **words)
    choices = tuned_choices(target, on_note) if tuned else NO_OVERRIDES
    request = within_budget(request, target, choices, on_note)
    return compiled(request, target, Cache(on_wait=on_note, on_damage=on_note), choices)


def compiled(request: ProgramRequest, target: str, cache: Cache, choices: FormOverrides = NO_OVERRIDES) -> Compiled:
    """The compiled program of a request."""
    return Compiled(prepare(request.build(), parse_target(target), cache, choices))


def save_artefact(made: Prepared, path: Path) -> Path:
    """Write the artefact and its manifest beside it, as `Compiled.save` does."""
    artefact = made.source.artefact
    if artefact is None:
        raise UserError(
            f"`target` wants cpu, cuda:.., rocm:.. or vulkan to be saved, got {made.target.word}, which compiles when "
            "it loads"
        )
    if path.is_dir():
        raise UserError(f"`out` wants a file, got the folder {path}; name a .vmfb file in it")
    copy_whole(artefact, made_for(path))
    write_manifest(path.with_name(path.name + ".json"), made.program, made.sha256, made.target.word, made.choices, path)
    return path
