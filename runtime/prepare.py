"""A program made ready for a target: lowered, printed, and compiled where the target wants that ahead."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field, replace
from functools import cached_property

from netc.codegen.ir import IrError, Module
from netc.codegen.program import Program
from netc.codegen.rewrite.form_overrides import NO_OVERRIDES, FormOverrides
from netc.codegen.rewrite.lower import lower
from netc.codegen.rewrite.select_forms import used
from netc.codegen.scanned import refuse_unscanned
from netc.codegen.sharding.layout import laid_out, misfits
from netc.codegen.symbolic.abstract import BatchMisfitError
from netc.codegen.symbolic.program import AnyBatchProgram, refusal
from netc.codegen.text import text_of
from netc.netspec.errors import UserError
from netc.runtime.backends.protocol import Source
from netc.runtime.cache.store import Cache
from netc.runtime.compile import compile_cached
from netc.runtime.target import PLAIN, TARGETS, Target, of_float64, refuse_mesh, refuse_replicas

# A tiled product with a batch axis of any size IREE 3.12 does not compile: "all stack allocations need to be hoisted",
# or it takes all memory that there is.
TILED, UNTILED = "--iree-opt-data-tiling=true", "--iree-opt-data-tiling=false"


@dataclass(frozen=True)
class Prepared:
    """A program made ready for a target: its text, and what was spent on it in seconds.

    `choices` are the forms of convolutions in it that are not what the target's table says.
    """

    program: Program
    target: Target
    source: Source
    sha256: str
    emission: float
    compilation: float
    cached: bool
    choices: FormOverrides = field(default_factory=dict)

    @cached_property
    def step_sha256(self) -> str:
        """The digest of the text that one step a call would have: what a trace's header records.

        K steps in one call are the same K steps, so a trace does not depend on K. The program is lowered anew, since
        a workaround may look at the whole module: a loop parts barriers that a step by itself keeps.
        """
        if self.program.steps_per_call == 1:
            return self.sha256
        single = replace(self.program, module=_single(self.program.module))
        return sha256_of_text(emit_text(single, self.target, self.choices).text)


def sha256_of_text(text: str) -> str:
    """The digest that names a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def _single(module: Module) -> Module:
    """The module without the function that takes several steps."""
    return replace(module, functions=tuple(f for f in module if f.name != "train_steps"))


def program_sha256(program: Program) -> str:
    """The digest of the program before any target's forms: of the text that `netc emit-mlir` prints without a target.

    It is the same however many steps a call takes, and on whatever mesh.
    """
    plain = replace(program, module=_single(program.module), sharding=None)
    return sha256_of_text(emit_text(plain, PLAIN).text)


def said_batch(program: Program) -> str:
    """The batch, as messages have it."""
    return str(program.range if isinstance(program, AnyBatchProgram) else program.batch)


def in_use(program: Program, target: Target, choices: FormOverrides) -> FormOverrides:
    """Those of the choices that change this program's text; raises UserError for a form that cannot be used."""
    try:
        return used(program.module, target.profile, choices)
    except IrError as error:
        raise UserError(str(error)) from error


def emit_text(program: Program, target: Target, choices: FormOverrides = NO_OVERRIDES) -> Source:
    """Lower and render the program for the target, with forms chosen for single convolutions.

    Raises UserError for a precision that the target's compiler does not take, and for a net without blocks to scan.
    """
    if program.recipe.precision == "bf16" and not target.bf16:
        raise UserError(
            f"`precision=bf16` wants cpu, cuda:SM, rocm:GFX, xla, c or reference, got {target.word}: IREE 3.12 cannot "
            "compile products of bf16 for Vulkan; leave `precision` out"
        )
    if program.recipe.precision == "f64" and not (target.f64 or target is PLAIN):
        raise UserError(
            f"`precision=f64` wants {', '.join(t.form for t in TARGETS.values() if t.f64)}, got {target.word}; leave "
            "`precision` out"
        )
    refuse_replicas(target, program.replicas)
    _check_mesh(program, target)
    _check_nested(program, target)
    if isinstance(program, AnyBatchProgram):
        _check_any_batch(program)
        suited = tuple(replace(p, module=target.suited(p.module)) for p in program.emissions)
        module = replace(program, emissions=suited).lowered(target.profile)
        try:
            return Source(module, text_of(module, target.profile))
        except BatchMisfitError as error:
            raise refusal(program.net, error) from error
    module = lower(target.suited(program.module), target.profile, choices, scan=program.recipe.scan_blocks)
    refuse_unscanned(program, module)
    if program.sharding:
        module = laid_out(module, program, program.sharding)
    return Source(module, text_of(module, target.profile))


def _check_any_batch(program: AnyBatchProgram) -> None:
    """Refuse what has no form for any batch."""
    if program.recipe.scan_blocks:
        raise UserError(f"`scan_blocks` wants a number as `batch`, got {program.range}: its loops have a fixed batch")


def _has_batched_products(module: Module) -> bool:
    return any(op.kind == "dot" and op.attr("batch")[0] for f in module for op in f.ops)


def _check_mesh(program: Program, target: Target) -> None:
    if program.sharding is None:
        return
    refuse_mesh(target)
    if problems := [*misfits(program, program.sharding)]:
        raise UserError("\n".join(problems))


def _check_nested(program: Program, target: Target) -> None:
    """Refuse a loop in a loop where the target's compiler has none."""
    outer = (("accumulate", program.recipe.accumulate), ("steps_per_call", program.steps_per_call))
    for inner in ("scan_blocks", "chunked_loss"):
        for name, count in outer:
            if getattr(program.recipe, inner) and count > 1 and not target.nested_loops:
                raise UserError(
                    f"`{inner}` wants no `{name}` on {target.word}, got {count}: IREE 3.12 loses buffers of nested "
                    "loops; leave one of the two out"
                )


def prepare(program: Program, target: Target, cache: Cache, choices: FormOverrides = NO_OVERRIDES) -> Prepared:
    """Lower, render and, for IREE, compile or take from the cache. Raises CompileError or UserError.

    `choices` may name forms of convolutions that this program does not have; `Prepared.choices` are those in use.
    """
    start = time.perf_counter()
    if program.recipe.precision == "f64":
        target = of_float64(target)
    if isinstance(program, AnyBatchProgram) and _has_batched_products(program.module):
        target = replace(target, flags=tuple(f.replace(TILED, UNTILED) for f in target.flags))
    choices = in_use(program, target, choices)
    source = emit_text(program, target, choices)
    emitted = time.perf_counter()
    sha256 = sha256_of_text(source.text)
    cached = False
    if target.ahead:
        entry = compile_cached(source.text, target, f"{program.net.spec.name} b{said_batch(program)}", cache)
        source, cached = Source(source.module, source.text, entry.path), entry.hit
    return Prepared(program, target, source, sha256, emitted - start, time.perf_counter() - emitted, cached, choices)
