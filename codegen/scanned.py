"""Refuses a net whose training step has no blocks to scan, and says how many equal ones it has."""

from __future__ import annotations

from netc.codegen.chunked_loss import JUDGED, TRAINED
from netc.codegen.ir import Module
from netc.codegen.program import Program
from netc.codegen.rewrite.scan_blocks import FEWEST, most_alike
from netc.netspec.errors import UserError


def refuse_unscanned(program: Program, module: Module) -> None:
    """Raise UserError where the recipe wants a scan, and the step of the lowered module has no loop over blocks."""
    if not program.recipe.scan_blocks:
        return
    own = (JUDGED, TRAINED)
    loops = (op for f in module.needed("train_step") for op in f.ops if op.kind == "loop" and not op.attr("apart"))
    if any(op.attr("callee") not in own for op in loops):
        return
    joint = program.replicas > 1 and program.recipe.sync_bn and program.net.state
    why = "the first and the last of a row are often not, and dropout makes all different"
    found = max(most_alike(f) for f in module.needed("train_step"))
    raise UserError(
        f"`scan_blocks` wants {FEWEST} or more blocks in a row (block0, block1, ..) that are equal forward and "
        f"backward, got {program.net.spec.name} with {found or 'none'} "
        f"({'the sums of `sync_bn` have a number each' if joint else why}); leave it out"
    )
