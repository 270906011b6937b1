"""Test images that the training part holds too, by the SHA-256 of their files."""

from __future__ import annotations

from collections.abc import Collection


def shared_notes(train: Collection[str], test: Collection[str], *, whole: bool = False) -> tuple[str, ...]:
    """What there is to say of digests that stand in both parts: nothing where there are none, or the parts are one."""
    known = frozenset(train)
    shared = 0 if whole else sum(digest in known for digest in test)
    if not shared:
        return ()
    are = "is" if shared == 1 else "are"
    return (
        f"warning: {shared:,} of {len(test):,} test images {are} byte for byte in the training part too, so that the "
        "test says more than is true; take them out of one part",
    )
