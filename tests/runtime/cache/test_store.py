"""The cache builds each key once, whatever is killed, damaged, full or forbidden."""

import errno
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from netc.netspec.errors import NetcError, UserError
from netc.runtime.cache.store import Cache, CacheKey

KEY = CacheKey("a" * 64, "iree 3.12.0", "cpu", ("--fast", "--cpu=host"), "mlp batch 32")


class Build:
    """A build that writes `content` and counts its calls."""

    def __init__(self, content=b"vmfb " * 1000):
        self.content = content
        self.calls = 0

    def __call__(self, path):
        self.calls += 1
        path.write_bytes(self.content)


def files(cache):
    """All files under the root but the locks, which stay."""
    return sorted(path for path in cache.root.rglob("*") if path.is_file() and path.suffix != ".lock")


def test_a_miss_builds_and_a_hit_does_not(cache, said):
    build = Build()
    assert cache.lookup(KEY) is None
    made = cache.get_or_build(KEY, build)
    found = cache.get_or_build(KEY, build)
    assert build.calls == 1
    assert (made.hit, found.hit) == (False, True)
    assert found == replace(made, hit=True) == cache.lookup(KEY)
    assert found.path.read_bytes() == build.content
    assert found.bytes == len(build.content)
    assert 0 <= found.seconds < 10
    assert cache.entries() == (found,)
    assert not said


def test_making_a_cache_and_looking_touches_nothing(cache):
    assert cache.lookup(KEY) is None
    assert cache.entries() == ()
    assert cache.miss_reason(KEY) is None
    assert cache.clear() == 0
    assert not cache.root.exists()


@pytest.mark.parametrize(
    "change",
    [
        {"text_sha256": "b" * 64},
        {"compiler": "iree 3.13.0"},
        {"target": "vulkan"},
        {"flags": ("--fast",)},
        {"flags": ("--cpu=host", "--fast")},
        {"flags": ("--fast --cpu=host",)},
    ],
)
def test_every_part_is_in_the_digest(change):
    assert replace(KEY, **change).digest != KEY.digest


def test_the_label_is_not_in_the_digest():
    assert replace(KEY, label="x").digest == KEY.digest
    # Fixed for ever: a change of this line empties everybody's cache.
    assert KEY.digest == "a1feee961e6467b4efaef86d42a17182487b23253fd30ef74b7e3c878332192a"


def test_flags_are_a_tuple():
    with pytest.raises(TypeError, match="wants a tuple of str, got '--fast'"):
        CacheKey("a" * 64, "iree", "cpu", "--fast")


@pytest.mark.parametrize("odd", ["../../etc/passwd", "/abs", "a\0b", "a\nb", "x" * 5000, "💥", "\ud800", "", "*"])
def test_odd_names_never_touch_paths(cache, tmp_path, odd):
    key = CacheKey(odd, odd, odd, (odd,), odd)
    cache.get_or_build(key, Build())
    assert [path.relative_to(cache.root).parts for path in files(cache)] == [
        ("v1", "entries", key.digest, "artefact"),
        ("v1", "entries", key.digest, "manifest.json"),
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]
    assert cache.lookup(key).key == key


def test_what_a_build_leaves_beside_its_artefact_is_dropped(cache):
    def build(path):
        path.write_bytes(b"x")
        path.with_name("scratch").write_bytes(b"y")
        path.with_name("entry2").mkdir()

    entry = cache.get_or_build(KEY, build)
    assert sorted(path.name for path in entry.path.parent.iterdir()) == ["artefact", "manifest.json"]
    assert not list((cache.root / "v1" / "tmp").iterdir())


def test_the_root_is_for_its_owner_only(cache):
    cache.get_or_build(KEY, Build())
    for name in ("entries", "tmp", "locks"):
        assert (cache.root / "v1" / name).stat().st_mode & 0o077 == 0


def test_default_roots(monkeypatch, tmp_path):
    monkeypatch.setenv("NETC_CACHE_DIR", str(tmp_path / "x"))
    assert Cache().root == tmp_path / "x"
    monkeypatch.setenv("NETC_CACHE_DIR", "~/y")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Cache().root == tmp_path / "y"
    monkeypatch.setenv("NETC_CACHE_DIR", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "z"))
    assert Cache().root == tmp_path / "z" / "netc"


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), PermissionError(errno.EACCES, "no")])
def test_a_failing_build_passes_through_and_leaves_nothing(cache, error):
    def build(path):
        path.write_bytes(b"half")
        raise error

    with pytest.raises(type(error)) as caught:
        cache.get_or_build(KEY, build)
    assert caught.value is error
    assert not files(cache)
    assert not cache.get_or_build(KEY, Build()).hit


@pytest.mark.parametrize("build", [lambda path: None, Path.mkdir, Path.touch, lambda path: path.symlink_to("/")])
def test_a_build_that_writes_no_file_is_an_error(cache, build):
    with pytest.raises(NetcError, match=r"the build of 'mlp batch 32' for 'cpu' wants a file at .*, got none"):
        cache.get_or_build(KEY, build)
    assert not list((cache.root / "v1" / "tmp").iterdir())


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("where", ["build", "fsync", "write_bytes", "rename", "mkdir"])
def test_a_full_disk_is_one_sentence_and_leaves_nothing(cache, monkeypatch, where, code):
    def full(*arguments, **options):
        raise OSError(code, os.strerror(code))

    def build(path):
        path.write_text("half")
        if where == "build":
            full()

    with monkeypatch.context() as patch:
        if where != "build":
            patch.setattr(os if where == "fsync" else Path, where, full)
        with pytest.raises(NetcError, match=r"wants room for a compiled artefact, got .*NETC_CACHE_DIR") as caught:
            cache.get_or_build(KEY, build)
    assert not isinstance(caught.value, UserError)
    assert "\n" not in str(caught.value)
    assert not files(cache)
    assert not cache.get_or_build(KEY, Build()).hit


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.EPERM])
def test_a_root_that_cannot_be_written(cache, monkeypatch, code):
    def refuse(*arguments, **options):
        raise OSError(code, os.strerror(code))

    kept = cache.get_or_build(KEY, Build())
    for name in ("mkdir", "rename", "write_bytes", "unlink"):
        monkeypatch.setattr(Path, name, refuse)
    assert cache.get_or_build(KEY, Build()) == replace(kept, hit=True)
    with pytest.raises(UserError, match=r"wants a folder that it can write to, got .*; set NETC_CACHE_DIR to one"):
        cache.get_or_build(replace(KEY, target="vulkan"), Build())
    with pytest.raises(UserError, match="set NETC_CACHE_DIR"):
        cache.clear()


def test_a_root_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    for root in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UserError, match="set NETC_CACHE_DIR"):
            Cache(root).get_or_build(KEY, Build())


def test_clear_frees_what_it_says(cache):
    keys = [replace(KEY, target=str(i), label=f"{net} {i}") for i, net in enumerate(["mlp", "mlp", "resnet"])]
    for key in keys:
        cache.get_or_build(key, Build(b"x" * 1000))
    total = sum(path.stat().st_size for path in files(cache))
    assert cache.clear("cnn*") == 0
    assert cache.clear(older_than=timedelta(hours=1)) == 0
    assert cache.clear("MLP*") == 0
    one = cache.clear(keys[0].digest)
    assert one > 1000
    assert [entry.key for entry in cache.entries()] == keys[1:]
    two = cache.clear("mlp*", older_than=timedelta(0))
    assert [entry.key for entry in cache.entries()] == keys[2:]
    assert one + two + cache.clear() == total
    assert not files(cache)
    assert not cache.get_or_build(KEY, Build()).hit


def test_clear_takes_damaged_entries(cache, said):
    entry = cache.get_or_build(KEY, Build())
    entry.path.with_name("manifest.json").unlink()
    assert cache.clear("mlp*") == 0  # its label is not known any more
    assert cache.clear(older_than=timedelta(hours=1)) == 0
    assert cache.clear() == entry.bytes
    assert not files(cache)


def test_foreign_files_are_left_alone(cache):
    cache.get_or_build(KEY, Build())
    strangers = [cache.root / "v1" / name / ".DS_Store" for name in ("entries", "tmp")]
    for path in strangers:
        path.write_text("")
    assert len(cache.entries()) == 1
    cache.clear()
    assert files(cache) == sorted(strangers)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        ({"label": "new"}, None),
        ({"compiler": "iree 3.13.0"}, "compiler differs: iree 3.13.0 here, iree 3.12.0 there"),
        ({"target": "vulkan"}, "target differs: vulkan here, cpu there"),
        ({"text_sha256": "b" * 64}, "the program changed"),
        ({"flags": ("--fast", "--cpu=x")}, "flags differs: --cpu=x here, --cpu=host there"),
        ({"flags": ("--fast",)}, "flags differs: none here, --cpu=host there"),
        (
            {"flags": ("--cpu=host", "--fast")},
            "flags differs: --cpu=host --fast here, --fast --cpu=host there",
        ),
        (
            {"compiler": "c", "target": "t"},
            "compiler differs: c here, iree 3.12.0 there; target differs: t here, cpu there",
        ),
    ],
)
def test_miss_reason(cache, change, reason):
    cache.get_or_build(KEY, Build())
    key = replace(KEY, **change)
    if "label" in change:
        key = replace(key, target="vulkan")
    assert cache.miss_reason(key) == reason


def test_miss_reason_takes_the_nearest_and_then_the_youngest(cache):
    for compiler, target in [("a", "cpu"), ("b", "cpu"), ("c", "vulkan")]:
        cache.get_or_build(replace(KEY, compiler=compiler, target=target), Build())
    assert cache.miss_reason(replace(KEY, compiler="z")) == "compiler differs: z here, b there"
    assert cache.miss_reason(replace(KEY, compiler="z", target="vulkan")) == "compiler differs: z here, c there"


def owned_by(monkeypatch, path, **change):
    """Let `path` be seen with another owner or mode; a test may run as a user who can change neither."""
    true = Path.stat

    def stat(self, **options):
        found = true(self, **options)
        if self != path:
            return found
        mode = change.get("mode", found.st_mode)
        return os.stat_result((mode, *found[1:4], change.get("uid", found.st_uid), *found[5:]))

    monkeypatch.setattr(Path, "stat", stat)


@pytest.mark.parametrize("place", ["root", "entries", "entry", "artefact"])
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"uid": 4_242_424}, r"which belongs to user 4242424; chown -R it to .*, or set NETC_CACHE_DIR"),
        ({"mode": 0o40777}, r"which every user can write to; chmod -R o-w .*, or set NETC_CACHE_DIR"),
    ],
)
def test_nothing_is_loaded_that_somebody_else_could_have_written(cache, monkeypatch, place, change, sentence):
    entry = cache.get_or_build(KEY, Build())
    folder = entry.path.parent
    path = {"root": cache.root, "entries": folder.parent, "entry": folder, "artefact": entry.path}[place]
    owned_by(monkeypatch, path, **change)
    for take in (cache.lookup, lambda key: cache.get_or_build(key, Build())):
        with pytest.raises(UserError, match=f"runs as native code, got {path}, {sentence}"):
            take(KEY)


def test_nothing_is_built_where_it_could_not_be_loaded(tmp_path):
    root = tmp_path / "open"
    root.mkdir()
    root.chmod(0o777)
    build = Build()
    with pytest.raises(UserError, match="which every user can write to"):
        Cache(root).get_or_build(KEY, build)
    assert not build.calls


@pytest.mark.parametrize("change", [{"uid": 0}, {"mode": 0o40775}])
def test_what_root_or_the_own_group_can_write_is_loaded(cache, monkeypatch, change):
    entry = cache.get_or_build(KEY, Build())
    owned_by(monkeypatch, cache.root, **change)
    assert cache.lookup(KEY) == replace(entry, hit=True)


def test_a_new_root_is_for_its_owner_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        cache = Cache(tmp_path / "cache")
        cache.get_or_build(KEY, Build())
    finally:
        os.umask(before)
    assert cache.lookup(KEY) is not None
