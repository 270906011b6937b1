"""What all processes of a training must have alike before the first step."""

from __future__ import annotations

import hashlib
import json

from netc.runtime.data.dataset import Dataset
from netc.runtime.prepare import Prepared
from netc.runtime.run.config import RunConfig
from netc.runtime.run.resume import LeftOff
from netc.runtime.target import parse_target
from netc.runtime.versions import versions

_PLACES = frozenset({"init_path", "logging", "saving"})  # of run.json, what changes no step


def facts_of(prepared: Prepared, config: RunConfig, data: Dataset, left: LeftOff) -> dict[str, str]:
    """Versions, and the digests of the data, the program's text, the run's words and the checkpoint it goes on from."""
    said = {name: value for name, value in config.to_json().items() if name not in _PLACES}
    state = json.dumps(left.saved.meta if left.saved else {}, sort_keys=True)
    return {
        **{f"version of {name}": value for name, value in versions(parse_target(config.target)).items()},
        "data (SHA-256)": data.digest,
        "program's text (SHA-256)": prepared.step_sha256,
        "words (SHA-256)": _sha256(json.dumps(said, sort_keys=True)),
        "checkpoint (SHA-256)": _sha256(state),
        "step to begin at": str(left.step),
    }


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
