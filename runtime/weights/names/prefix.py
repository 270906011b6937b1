"""What wrappers put before the names of a net's tensors, found by what fits: nothing but the names themselves is known.

Lightning writes `model.`, DataParallel `module.`, others `backbone.` or `net.`, nested ones several of these, and a
checkpoint that was flattened `state_dict.` before all of them. torch.compile and FSDP also put their words in between.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

BETWEEN = ("_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")
"""Words of wrappers that can stand before any part of a name, and name nothing themselves."""


def plain(name: str) -> str:
    """The name without the words that wrappers put in between."""
    for word in BETWEEN:
        name = name.replace(word, "")
    return name


def prefixes(names: Iterable[str], wanted: Collection[str]) -> Counter[str]:
    """How many of the wanted names stand behind each prefix, which is empty or ends in a dot."""
    found: Counter[str] = Counter()
    for name in names:
        parts = name.split(".")
        found.update(
            name.removesuffix(rest) for start in range(len(parts)) if (rest := ".".join(parts[start:])) in wanted
        )
    return found
