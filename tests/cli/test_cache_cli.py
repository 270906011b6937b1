"""`netc cache` lists what is kept and removes what is asked for, and nothing else."""

import json
import os
from datetime import UTC, datetime, timedelta

import click
import pytest
from click.testing import CliRunner

from netc.cli.cache import cache as command
from netc.netspec.errors import UserError
from netc.runtime.cache.entry import sealed
from netc.runtime.cache.hold import HELD
from netc.runtime.cache.store import Cache, CacheKey

LABELS = ("resnet18 b128", "resnet34-cifar b32", "mnist-mlp b128")


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("NETC_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr("os.fsync", lambda handle: None)
    kept = Cache()
    for index, label in enumerate(LABELS):
        key = CacheKey(f"{index}" * 64, "iree-base-compiler 3.12.0", "cpu", ("--fast",), label)
        kept.get_or_build(key, lambda path, n=index: path.write_bytes(b"vmfb" * 1000 * (n + 1)))
    return kept


@pytest.fixture
def nothing_held():
    """As in another process: what this one took is not in its hands."""
    HELD.clear()


def run(*arguments, answer=None):
    return CliRunner().invoke(command, arguments, input=answer)


def labels(store):
    return {entry.key.label for entry in store.entries()}


def grow_old(store, label, days):
    """Set the build of a program back by so many days."""
    for entry in store.entries():
        if entry.key.label == label:
            manifest = entry.path.parent / "manifest.json"
            created = datetime.now(UTC) - timedelta(days=days)
            body = json.loads(manifest.read_text()) | {"created": created.isoformat()}
            del body["manifest_sha256"]
            manifest.write_bytes(sealed(body))


def test_ls_shows_every_program_and_the_total(store):
    text = run("ls").stdout
    assert all(label in text for label in LABELS)
    assert all(entry.key.digest[:12] in text for entry in store.entries())
    assert "total 3" in text and "24.0 kB" in text and str(store.root) in text


def test_ls_as_json(store):
    found = json.loads(run("ls", "--json").stdout)
    assert found["bytes"] == 24_000 == sum(entry["bytes"] for entry in found["entries"])
    assert {entry["label"] for entry in found["entries"]} == set(LABELS)


def test_ls_of_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("NETC_CACHE_DIR", str(tmp_path / "none"))
    assert "no compiled programs yet" in run("ls").stdout
    assert json.loads(run("ls", "--json").stdout)["entries"] == []
    assert not (tmp_path / "none").exists()


def test_ls_reports_damage_beside_the_table(store):
    next(iter(store.entries())).path.write_bytes(b"short")
    result = run("ls")
    assert "total 2" in result.stdout and "is damaged" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "left"),
    [
        ((), set()),
        (("resnet18",), {"resnet34-cifar b32", "mnist-mlp b128"}),
        (("*b128",), {"resnet34-cifar b32"}),
        (("18",), set(LABELS)),  # no program begins with it
        (("--older-than", "1"), {"resnet34-cifar b32", "mnist-mlp b128"}),
        (("mnist*", "--older-than", "1"), set(LABELS)),
    ],
)
def test_clear_removes_what_is_asked_for(store, arguments, left):
    grow_old(store, "resnet18 b128", 3)
    result = run("clear", "--yes", *arguments)
    assert result.exception is None
    assert labels(store) == left


def test_clear_by_the_digest_that_ls_shows(store):
    gone = store.entries()[0]
    assert "removed 1 compiled program;" in run("clear", gone.key.digest[:12], "--yes").stdout
    assert gone.key.label not in labels(store)


def test_clear_takes_damaged_entries_too(store):
    store.entries()[0].path.write_bytes(b"short")
    assert run("clear", "--yes").exception is None
    assert not any((store.root / "v1" / "entries").iterdir())


def test_clear_asks_first(store):
    assert run("clear", answer="n\n").exit_code == 1
    assert labels(store) == set(LABELS)
    result = run("clear", answer="y\n")
    assert "remove 3 compiled programs, 24.0 kB? [y/N]" in result.stdout
    assert labels(store) == set()


def test_a_no_is_an_abort_for_main(store):
    with pytest.raises(click.Abort), CliRunner().isolation(input="n\n"):
        command.main(["clear"], standalone_mode=False)


def test_clear_where_nobody_answers(store):
    error = run("clear", answer="").exception
    assert isinstance(error, UserError) and "add --yes" in str(error)
    assert labels(store) == set(LABELS)


def test_an_age_that_no_clock_has_is_one_sentence(store):
    error = run("clear", "--older-than", "1e300", "--yes").exception
    assert isinstance(error, UserError) and "--older-than wants an age such as 30d" in str(error)


def last_used(store, label, days):
    """Set the last use of a program back by so many days."""
    for entry in store.entries():
        if entry.key.label == label:
            then = datetime.now(UTC).timestamp() - days * 86_400
            os.utime(entry.path, (then, then))


@pytest.mark.parametrize(
    ("arguments", "left"),
    [
        ((), set(LABELS)),  # the limit is far away
        (("--max-size", "20kB"), {"resnet34-cifar b32", "mnist-mlp b128"}),
        (("--max-size", "0"), set()),
        (("--older-than", "36h"), {"resnet34-cifar b32", "mnist-mlp b128"}),
        (("--older-than", "30d"), set(LABELS)),
        (("--older-than", "1w", "--max-size", "13kB"), {"mnist-mlp b128"}),
    ],
)
def test_prune_takes_what_was_not_used_for_longest(store, nothing_held, arguments, left):
    last_used(store, "resnet18 b128", 2)
    last_used(store, "resnet34-cifar b32", 1)
    result = run("prune", *arguments)
    assert result.exit_code == 0 and labels(store) == left
    assert (
        f"removed {len(LABELS) - len(left)} compiled program" in result.stdout and f"{len(left)} kept" in result.stdout
    )


def test_prune_keeps_the_limit_of_the_environment(store, nothing_held, monkeypatch):
    monkeypatch.setenv("NETC_CACHE_LIMIT", "13kB")
    last_used(store, "resnet18 b128", 2)
    last_used(store, "resnet34-cifar b32", 1)
    assert "limit 13.0 kB" in run("ls").stdout
    run("prune")
    assert labels(store) == {"mnist-mlp b128"}
    assert json.loads(run("ls", "--json").stdout)["limit"] == 13_000


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("prune", "--max-size", "2 apples"), "--max-size wants a size such as 500MB or 2GB, got '2 apples'"),
        (("prune", "--older-than", "soon"), "--older-than wants an age such as 30d, 12h or 2w, got 'soon'"),
    ],
)
def test_what_prune_does_not_understand(store, arguments, sentence):
    error = run(*arguments).exception
    assert isinstance(error, UserError) and sentence in str(error)
    assert labels(store) == set(LABELS)
