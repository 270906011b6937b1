"""`netc cache`: the compiled programs that are kept, and what `netc tune` measured."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import click

from netc.cli.console import printable, say
from netc.cli.options import json_option, print_json
from netc.netspec.counting import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import timedelta

    from netc.runtime.cache.store import Cache, Entry
    from netc.runtime.measure.tuned import Tuned

SHORT = 12  # hex digits of a digest that a person is shown
HOURS = {"h": 1, "d": 24, "w": 168, "": 24}  # of a unit of age


@click.group()
def cache() -> None:
    """List, prune and clear compiled programs and `netc tune` results.

    After each compile, the least recently used programs are removed until the rest fit in NETC_CACHE_LIMIT (10GB by
    default, `none` for no limit).
    """


def _age(text: str) -> timedelta:
    """`30d`, `12h` or `2w`; a bare number counts days. Raises UserError for what is none."""
    from datetime import timedelta

    from netc.netspec.errors import UserError

    found = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]{1,6})?) *([hdw]?)", text.strip())
    if found is None:
        raise UserError(f"--older-than wants an age such as 30d, 12h or 2w, got {text[:40]!r}; write one like those")
    return timedelta(hours=float(found[1]) * HOURS[found[2]])


def _size(text: str) -> int:
    """`2GB` in bytes. Raises UserError for what is none."""
    from netc.runtime.cache.limit import bytes_of

    return bytes_of(text, "--max-size")


def _warn(text: str) -> None:
    say(f"netc: {text}", err=True)


@cache.command("ls")
@json_option
def ls(as_json: bool) -> None:
    """List compiled programs, oldest first, then tuned targets."""
    from netc.runtime.cache import limit as cache_limit
    from netc.runtime.cache.store import Cache
    from netc.runtime.measure.tuned import all_tuned

    store = Cache(on_damage=_warn)
    entries = store.entries()
    tuned = all_tuned(store.root, _warn)
    if as_json:
        total = sum(entry.bytes for entry in entries)
        facts = {"entries": [_facts(store, entry) for entry in entries], "tuned": [_tuned_facts(t) for t in tuned]}
        print_json({"root": str(store.root), "bytes": total, "limit": cache_limit.limit(), **facts})
    else:
        _show(store, entries, tuned)


def _facts(store: Cache, entry: Entry) -> dict[str, object]:
    return {
        "label": entry.key.label,
        "target": entry.key.target,
        "compiler": entry.key.compiler,
        "bytes": entry.bytes,
        "created": entry.created.isoformat(),
        "used": store.last_used(entry).isoformat(),
        "seconds": entry.seconds,
        "digest": entry.key.digest,
        "path": str(entry.path),
    }


def _tuned_facts(tuned: Tuned) -> dict[str, object]:
    return {
        "target": tuned.target,
        "cpu": tuned.cpu,
        "compiler": tuned.compiler,
        "nets": list(tuned.nets),
        "convolutions": len(tuned.winners),
        "updated": tuned.updated.isoformat(),
        "digest": tuned.digest,
    }


def _show(store: Cache, entries: Iterable[Entry], tuned: Iterable[Tuned]) -> None:
    from datetime import UTC, datetime

    from netc.cli.views import figures
    from netc.cli.views.table import Column, print_line, print_table
    from netc.runtime.cache import limit as cache_limit

    now = datetime.now(UTC)
    columns = (
        Column("program", fit="wrap", style="cyan"),
        Column("target"),
        Column("size", right=True),
        Column("age", right=True),
        Column("unused for", right=True),
        Column("compiled in", right=True),
        Column("digest", style="dim"),
    )
    rows = [
        (
            entry.key.label or "(no label)",
            entry.key.target,
            figures.size(entry.bytes),
            figures.age(now - entry.created),
            figures.age(now - store.last_used(entry)),
            f"{entry.seconds:.1f} s",
            entry.key.digest[:SHORT],
        )
        for entry in entries
    ]
    total = sum(entry.bytes for entry in entries)
    if rows:
        print_table(columns, rows, (f"total {len(rows)}", "", figures.size(total), "", "", "", ""))
        print_line("")
        most = cache_limit.limit()
        print_line(f"{store.root}, {'no limit' if most is None else f'limit {figures.size(most)}'}", "dim")
    else:
        print_line(f"{store.root}: no compiled programs yet; `netc train` and `netc compile` add them")
    for t in tuned:
        print_line(
            f"tuned for {t.target}: {counted(len(t.winners), 'convolution')} of {', '.join(t.nets)}; {t.compiler}, "
            f"{t.cpu}; {figures.age(now - t.updated)} old, digest {t.digest[:SHORT]}"
        )


@cache.command("clear")
@click.argument("pattern", required=False)
@click.option("--older-than", type=_age, metavar="AGE", help="Only programs at least this old: 30d, 12h.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def clear(pattern: str | None, older_than: timedelta | None, yes: bool) -> None:
    """Remove compiled programs.

    PATTERN is the start of a program's name or digest (resnet18), or a glob (*b128); without it, all are removed. The
    results of `netc tune` are named tuned-TARGET (tuned-cpu). Downloaded data and trained runs are kept.
    """
    from netc.cli.views import figures
    from netc.runtime.cache.store import Cache
    from netc.runtime.measure import tuned

    damaged: list[str] = []
    store = Cache(on_damage=damaged.append)
    glob = _glob(pattern)
    age = older_than
    chosen = [entry for entry in store.entries() if _matches(entry, glob, age)]
    measured = [t for t in tuned.all_tuned(store.root, damaged.append) if _fits(t, glob, age)]
    if not chosen and not measured and not damaged and (pattern is not None or age is not None):
        say(f"no compiled program matches in {store.root}")
        return
    if (chosen or measured or damaged) and not yes:
        also = f" and damaged ones (of {len(damaged)})" if damaged else ""
        _confirm(f"remove {_what(chosen, measured)}, {figures.size(sum(e.bytes for e in chosen))}{also}?")
    freed = store.clear(glob, age)
    every = pattern is None and age is None  # damaged ones too, whose name nobody can read
    freed += tuned.remove(store.root, None if every else frozenset(t.digest for t in measured))
    left = {entry.key.digest for entry in store.entries()}  # what another process holds stays
    gone = [entry for entry in chosen if entry.key.digest not in left]
    say(f"removed {_what(gone, measured)}; {figures.size(freed)} freed in {store.root}")


@cache.command("prune")
@click.option(
    "--max-size", type=_size, metavar="SIZE", help="Remove until the rest fit: 500MB, 2GB.  [default: NETC_CACHE_LIMIT]"
)
@click.option("--older-than", type=_age, metavar="AGE", help="Remove those unused for this long: 30d, 12h.")
def prune(max_size: int | None, older_than: timedelta | None) -> None:
    """Remove the least recently used programs.

    Without options, until the rest fit in NETC_CACHE_LIMIT. Programs in use are kept.
    """
    from netc.cli.views import figures
    from netc.runtime.cache import limit as cache_limit
    from netc.runtime.cache.store import Cache

    store = Cache(on_damage=lambda text: None)
    before = len(store.entries())
    most = cache_limit.limit() if max_size is None and older_than is None else max_size
    freed = store.prune(most, older_than)
    kept = store.entries()
    say(
        f"removed {_programs(before - len(kept))}, {figures.size(freed)} freed; "
        f"{len(kept)} kept, {figures.size(sum(entry.bytes for entry in kept))}, in {store.root}"
    )


def _what(programs: Sequence[Entry], measured: Sequence[Tuned]) -> str:
    also = f" and what was tuned for {', '.join(t.target for t in measured)}" if measured else ""
    return _programs(len(programs)) + also


def _programs(count: int) -> str:
    return f"{count} compiled program" + ("" if count == 1 else "s")


def _glob(pattern: str | None) -> str | None:
    """The pattern as `Cache.clear` takes it: a word without wildcards stands for what begins with it."""
    if pattern is None or any(c in pattern for c in "*?["):
        return pattern
    return f"{pattern}*"


def _matches(entry: Entry, glob: str | None, age: timedelta | None) -> bool:
    """Whether `Cache.clear` would take the entry."""
    from datetime import UTC, datetime
    from fnmatch import fnmatchcase

    named = glob is None or fnmatchcase(entry.key.label, glob) or fnmatchcase(entry.key.digest, glob)
    return named and (age is None or datetime.now(UTC) - entry.created >= age)


def _fits(tuned: Tuned, glob: str | None, age: timedelta | None) -> bool:
    from datetime import UTC, datetime
    from fnmatch import fnmatchcase

    named = glob is None or fnmatchcase(f"tuned-{tuned.target}", glob) or fnmatchcase(tuned.digest, glob)
    return named and (age is None or datetime.now(UTC) - tuned.updated >= age)


def _confirm(question: str) -> None:
    """Go on after a yes. A no or Ctrl-C stops; raises UserError where nobody can answer."""
    from netc.netspec.errors import UserError

    try:
        agreed = click.confirm(printable(question))
    except click.Abort as error:
        if sys.stdin.isatty():
            raise
        say("")
        raise UserError("cache clear wants confirmation, got no answer; add --yes to skip the question") from error
    if not agreed:
        raise click.Abort
