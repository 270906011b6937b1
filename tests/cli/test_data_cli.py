"""`netc data` says where data lies or how to get it, and gets it whole."""

import hashlib
import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from netc.cli.data import data
from netc.netspec.errors import UserError
from netc.runtime.cache.folders import data_cache
from netc.runtime.data import catalog
from netc.runtime.data.download import Remote
from netc.runtime.data.published import IDX_FILES


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NETC_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def run(*arguments):
    return CliRunner().invoke(data, arguments)


def test_ls_lists_the_whole_catalogue():
    result = run("ls", "--json")
    rows = json.loads(result.stdout)
    assert [row["name"] for row in rows] == [entry.name for entry in catalog.DATASETS.values()]
    assert all(bool(row["where"]) != bool(row["how"]) for row in rows)
    digits = next(row for row in rows if row["name"] == "digits")
    assert digits["where"] == "inside netc" and digits["images"] == 1797 and digits["size"] == [8, 8, 1]


def test_ls_in_a_pipe_is_plain_and_says_how_to_get_what_is_missing(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    text = run("ls").stdout
    assert "\x1b" not in text and "inside netc" in text
    assert "netc data get cifar10; --data-dir with a folder that holds the files" in text


def test_data_cache_follows_the_environment(cache, monkeypatch):
    assert data_cache() == cache / "data"
    monkeypatch.delenv("NETC_CACHE_DIR")
    assert data_cache().name == "data" and "netc" in data_cache().parts


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A catalogue whose cifar10 is one small file on this disk."""
    content = b"pixels" * 1000
    (tmp_path / "there.bin").write_bytes(content)
    url = (tmp_path / "there.bin").as_uri()
    remote = Remote("cifar.bin", url, len(content), hashlib.sha256(content).hexdigest())
    entry = catalog.DATASETS["cifar10"]
    changed = type(entry)(**{**vars(entry), "remotes": (remote,)})
    monkeypatch.setitem(catalog.DATASETS._rows, "cifar10", changed)
    return content


def test_get_prints_the_folder_and_keeps_what_is_there(cache, served, tmp_path):
    for _ in range(2):
        result = run("get", "cifar10")
        assert result.exception is None
        assert result.stdout == f"{cache / 'data' / 'cifar10'}\n"
        assert (cache / "data" / "cifar10" / "cifar.bin").read_bytes() == served
        (tmp_path / "there.bin").unlink(missing_ok=True)  # the second time nothing is downloaded


def test_get_leaves_what_a_package_of_the_system_holds(cache, tmp_path, monkeypatch):
    """Which `load` reads first."""
    entry, folder = catalog.DATASETS["fashion-mnist"], tmp_path / "system"
    folder.mkdir()
    for name in IDX_FILES:
        (folder / f"{name}.gz").touch()
    unreachable = tuple(replace(remote, url="file:///nowhere") for remote in entry.remotes)
    monkeypatch.setitem(catalog.DATASETS._rows, "fashion-mnist", replace(entry, system=folder, remotes=unreachable))
    result = run("get", "fashion-mnist")
    assert result.exception is None and result.stdout == f"{folder}\n" and not cache.exists()
    assert result.stderr == (
        "fashion-mnist is installed as a package of the operating system; nothing was downloaded\n"
    )
    assert catalog.find("fashion-mnist", cache_dir=data_cache()) == folder
    next(folder.iterdir()).unlink()  # then it is not whole
    assert "file:///nowhere" in str(run("get", "fashion-mnist").exception)


def test_get_refuses_what_is_not_what_is_pinned(cache, served, tmp_path):
    (tmp_path / "there.bin").write_bytes(b"something else")
    error = run("get", "cifar10").exception
    assert isinstance(error, UserError) and "SHA-256" in str(error)
    assert list((cache / "data" / "cifar10").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("digits", "needs no download"), ("nix", "`name` wants a data set with a download, one of fashion-mnist")],
)
def test_get_refuses_in_one_sentence(name, sentence):
    error = run("get", name).exception
    assert isinstance(error, UserError) and error.exit_code == 2
    assert sentence in str(error) and "\n" not in str(error)
