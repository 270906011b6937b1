"""Whether two runs are of one training, and how alike their programs and engines are, by their traces' headers."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from netc.traces.floor import flattened
from netc.traces.read import Trace
from netc.traces.schema import Header

# field of a header -> what it decides
DECIDES: Mapping[str, str] = MappingProxyType(
    {
        "spec_sha256": "the spec",
        "data_sha256": "the data",
        "seed": "the initial state and the order of the data",
        "batch": "the order of the data",
        "recipe.init": "the initial state",
        "recipe.schedule": "the learning rates",
        "recipe.augment": "the images",
        "recipe.recipe": "the training step",
    }
)


def differing_field(a: Header, b: Header) -> str:
    """The field in which two runs trained something else, with both values, or an empty string."""
    for name in ("spec_sha256", "data_sha256", "seed", "batch"):
        x, y = getattr(a, name), getattr(b, name)
        if x != y:
            return f"{name} ({DECIDES[name]}): {_short(x)} and {_short(y)}"
    ours, theirs = flattened(a.recipe), flattened(b.recipe)
    for key in sorted(ours.keys() | theirs.keys()):
        if ours.get(key) != theirs.get(key):
            name = f"recipe.{key}"
            about = next((words for head, words in DECIDES.items() if name.startswith(head)), "the recipe")
            return f"{name} ({about}): {_short(ours.get(key))} and {_short(theirs.get(key))}"
    return ""


def _short(value: object) -> str:
    text = repr(value) if not isinstance(value, str) else value
    return text if len(text) <= 16 else f"{text[:12]}.."


def mode_of(a: Header, b: Header) -> str:
    """The strictest mode that two runs can be held to: the same program and engine, the same compiler, or neither."""

    def engine(header: Header) -> dict[str, str]:
        return {k: v for k, v in header.versions.items() if k != "netc"} | {"": header.target.partition(":")[0]}

    if engine(a) != engine(b):
        return "cross-compiler"
    return "ulp" if (a.target, a.module_sha256) == (b.target, b.module_sha256) else "same-compiler"


def same_program(a: Trace, b: Trace) -> bool | None:
    """Whether two runs had one program before any target's forms, all parts of continued ones; None: not recorded."""
    digests = {header.program_sha256 for trace in (a, b) for header in trace.headers}
    return None if "" in digests else len(digests) == 1
