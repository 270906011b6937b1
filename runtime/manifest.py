"""The manifest beside a module: every argument and result in order, for a host without Python."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from netc.codegen.program import Program
from netc.codegen.rewrite.form_overrides import NO_OVERRIDES, FormOverrides, digest_of
from netc.runtime.backends.iree import scratch_of
from netc.runtime.compile import made_by
from netc.runtime.files import write_whole
from netc.runtime.prepare import program_sha256
from netc.runtime.target import parse_target


def manifest_of(
    program: Program,
    sha256: str,
    target: str | None,
    choices: FormOverrides = NO_OVERRIDES,
    artefact: Path | None = None,
) -> dict[str, Any]:
    """What a host without Python needs to drive the module whose text has this digest, as plain JSON.

    `program_sha256` is the digest of the program in plain StableHLO, which is common to all targets.
    `target` is the word of the one that the text is for, None for plain StableHLO. Forms that were measured and not
    the table's are named: with them the text can be made again. Of an artefact it says what made it, and of a function
    that takes memory for its transient tensors behind its arguments (`!hal.buffer`), how many bytes.
    """
    manifest: dict[str, Any] = {**program.manifest, "module_sha256": sha256}
    manifest["program_sha256"] = program_sha256(program)
    if target is not None:
        manifest["target"] = target
    if choices:
        manifest["tuned"] = {"digest": digest_of(choices), "forms": dict(choices)}
    if artefact is not None and target is not None:
        sizes = {name: {"scratch_bytes": size} for name, size in scratch_of(artefact).items()}
        manifest["functions"] = {n: {**said, **sizes.get(n, {})} for n, said in manifest["functions"].items()}
        manifest["artefact"] = made_by(artefact, parse_target(target))
    return manifest


def write_manifest(
    path: Path,
    program: Program,
    sha256: str,
    target: str | None,
    choices: FormOverrides = NO_OVERRIDES,
    artefact: Path | None = None,
) -> None:
    """Write `manifest_of` beside the module."""
    manifest = manifest_of(program, sha256, target, choices, artefact)
    write_whole(path, json.dumps(manifest, indent=1, allow_nan=False) + "\n")
