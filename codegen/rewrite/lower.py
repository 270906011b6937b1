"""The pipeline: from a module as the rules emit it to one that its target's text can say."""

from __future__ import annotations

from collections.abc import Collection

from netc.codegen.collector import no_collector
from netc.codegen.distribute.buckets import buckets
from netc.codegen.ir import Function, Module, Op
from netc.codegen.rewrite.cse import cse
from netc.codegen.rewrite.dce import dce
from netc.codegen.rewrite.fold import fold
from netc.codegen.rewrite.form_overrides import NO_OVERRIDES, FormOverrides
from netc.codegen.rewrite.form_tables import ProfileName
from netc.codegen.rewrite.profiles import PROFILES, Passes
from netc.codegen.rewrite.scan_blocks import scan_blocks
from netc.codegen.verify import verify


def passes(profile: ProfileName, choices: FormOverrides = NO_OVERRIDES, *, scan: bool = False) -> Passes:
    """The passes of a lowering profile, in order, with their names."""
    row = PROFILES[profile]
    return (
        ("buckets", buckets),
        *row.first,
        ("dce", dce),
        ("fold", fold),
        ("cse", cse),
        *row.forms(choices),
        ("fold", fold),
        ("cse", cse),
        ("dce", dce),
        *row.late,
        *((("scan_blocks", scan_blocks),) if scan else ()),
        *row.last,
    )


@no_collector()
def lower(
    module: Module, profile: ProfileName, choices: FormOverrides = NO_OVERRIDES, *, scan: bool = False,
    without: Collection[str] = (),
) -> Module:  # fmt: skip
    """Every pass in order, the verifier after each. `choices` name forms for single convolutions, before the table.

    With `scan`, equal blocks in a row become loops. The passes `without` are left out, to see whether they are needed.
    """
    sound: set[Op | Function] = set()
    verify(module, sound=sound)
    for name, step in passes(profile, choices, scan=scan):
        if name not in without:
            module = verify(step(module), sound=sound)
    return verify(module, lowered=PROFILES[profile].dialect != "c", sound=sound)
