"""`netc cache` lists what is kept and removes what is asked for, and nothing else."""

import json
from datetime import UTC, datetime, timedelta

import click
import pytest
from click.testing import CliRunner

from netc.cli.cache import cache as command
from netc.netspec.errors import UserError
from netc.runtime.cache import Cache, CacheKey

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
            manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"created": created.isoformat()}))


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
    assert isinstance(error, UserError) and "--older-than wants a number of days" in str(error)
