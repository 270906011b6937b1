"""What all checkpoints of a run say of it besides where it stands."""

from __future__ import annotations

from typing import Any

from netc.codegen.program import Program
from netc.codegen.sharding.layout import splits_of
from netc.runtime.data.batches import Normalise
from netc.runtime.data.dataset import Columns, Dataset
from netc.runtime.run.config import RunConfig
from netc.runtime.run.tokenizer import record_of


def meta_of(config: RunConfig, data: Dataset, normalise: Normalise, program: Program) -> dict[str, Any]:
    """Its net, its data, and, of a run on a mesh, which axis of that splits which tensor of the state."""
    meta: dict[str, Any] = {"spec_sha256": config.net.digest, "net": config.net.spec.name}
    meta["normalise"] = normalise.to_json()
    meta |= {"classes": list(data.classes), "data_sha256": data.digest, **record_of(data.tokenizer)}
    if data.columns != Columns():
        meta["columns"] = {"inputs": list(data.columns.inputs), "targets": list(data.columns.targets)}
    if program.sharding:
        split = {name: list(axes) for name, axes in splits_of(program, program.sharding).items() if any(axes)}
        meta["mesh"] = {"axes": dict(program.sharding.mesh.axes), "shard": program.sharding.shard, "split": split}
    return meta
