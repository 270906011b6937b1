"""The cache builds each key once, whatever is killed, damaged, full or forbidden."""

import errno
import fcntl
import hashlib
import json
import math
import multiprocessing
import os
import runpy
import signal
import threading
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from netc.netspec.errors import NetcError, UserError
from netc.runtime.cache import store as module
from netc.runtime.cache.entry import sealed
from netc.runtime.cache.hold import HELD
from netc.runtime.cache.limit import limit
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


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    """Nothing here pulls the plug; what must be flushed is seen by the tests of full disks."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture
def said():
    return []


@pytest.fixture
def cache(tmp_path, said):
    return Cache(tmp_path / "cache", on_wait=said.append, on_damage=said.append)


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


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def rewritten(**change):
    def write(path):
        body = json.loads(path.read_bytes())
        del body["manifest_sha256"]
        path.write_bytes(json.dumps(body | change).encode() if _is_odd(change) else sealed(body | change))

    return write


def _is_odd(change):
    """Whether no JSON of ours can hold it."""
    return any(isinstance(value, float) and not math.isfinite(value) for value in change.values())


@pytest.mark.parametrize("method", ["get_or_build", "lookup"])
@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (("artefact", flip), "its artefact wants SHA-256"),
        (("artefact", cut), "its artefact wants 5000 bytes, got 4999"),
        (("artefact", Path.unlink), "one of its files cannot be read"),
        (("manifest.json", Path.unlink), "one of its files cannot be read"),
        (("manifest.json", cut), "not one of ours"),
        (("manifest.json", flip), "manifest"),
        (("manifest.json", lambda path: path.write_bytes(b"")), "not one of ours"),
        (("manifest.json", lambda path: path.write_bytes(b"\xff\0")), "not one of ours"),
        (("manifest.json", lambda path: path.write_bytes(b"[" * 100_000)), "not one of ours"),
        (("manifest.json", lambda path: path.write_bytes(b"[]")), "not one of ours"),
        (("manifest.json", lambda path: path.write_bytes(b"{}")), "not one of ours"),
        (("manifest.json", rewritten(format=2)), "not one of ours"),
        (("manifest.json", rewritten(key=None)), "not one of ours"),
        (("manifest.json", rewritten(created="yesterday")), "not one of ours"),
        (("manifest.json", rewritten(created="2026-01-01T00:00:00")), "not one of ours"),
        (("manifest.json", rewritten(created=3)), "not one of ours"),
        (("manifest.json", rewritten(seconds=float("nan"))), "not one of ours"),
        (("manifest.json", rewritten(bytes=float("inf"))), "not one of ours"),
        (("manifest.json", rewritten(sha256="0" * 64)), "its artefact wants SHA-256 000000000000"),
        (
            (
                "manifest.json",
                rewritten(key={"text_sha256": "", "compiler": "", "target": "", "flags": [], "label": ""}),
            ),
            "its manifest is for another key",
        ),
        (
            (
                "manifest.json",
                rewritten(key={"text_sha256": "", "compiler": 1, "target": "", "flags": [], "label": ""}),
            ),
            "not one of ours",
        ),
    ],
)
def test_a_damaged_entry_is_noticed_and_rebuilt(cache, said, method, harm, sentence):
    name, damage = harm
    build = Build()
    entry = cache.get_or_build(KEY, build)
    damage(entry.path.with_name(name))
    if method == "lookup":
        assert cache.lookup(KEY) is None
        assert len(said) == 1 and sentence in said[0]
        if "SHA-256" not in sentence:  # an artefact is read by `lookup` alone
            assert sentence in cache.miss_reason(KEY)
            assert cache.entries() == ()
        return
    again = cache.get_or_build(KEY, build)
    assert build.calls == 2 and not again.hit
    assert len(said) == 1 and sentence in said[0] and "'mlp batch 32' for 'cpu'" in said[0]
    assert cache.get_or_build(KEY, build).hit
    assert len(files(cache)) == 2


def test_an_entry_that_is_a_file_is_replaced(cache, said):
    (cache.root / "v1" / "entries").mkdir(parents=True)
    (cache.root / "v1" / "entries" / KEY.digest).write_bytes(b"what")
    assert not cache.get_or_build(KEY, Build()).hit
    assert len(said) == 1
    assert len(files(cache)) == 2


def test_a_failing_rebuild_keeps_nothing_half(cache):
    entry = cache.get_or_build(KEY, Build())
    flip(entry.path)
    with pytest.raises(ValueError, match="no"):
        cache.get_or_build(KEY, lambda path: (_ for _ in ()).throw(ValueError("no")))
    assert cache.lookup(KEY) is None
    assert not cache.get_or_build(KEY, Build()).hit


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


def start(root, folder, seconds):
    """Start a process of its own that asks for KEY, with a build that takes `seconds`."""
    # run_path, because a spawned process could not import this file by its name.
    job = {"JOB": (str(root), str(folder), seconds)}
    arguments = {"init_globals": job, "run_name": "cache_worker"}
    process = multiprocessing.get_context("spawn").Process(target=runpy.run_path, args=(__file__,), kwargs=arguments)
    process.start()
    return process


def work(root, folder, seconds):
    """What such a process does: it leaves a file for each build and one for what it got."""
    me = Path(folder) / str(os.getpid())

    def build(path):
        path.write_bytes(b"half")
        me.with_suffix(".building").touch()
        time.sleep(seconds)
        path.write_bytes(b"whole")

    entry = Cache(Path(root), on_wait=lambda text: me.with_suffix(".waited").write_text(text)).get_or_build(KEY, build)
    assert entry.path.read_bytes() == b"whole"
    me.with_suffix(".done").write_text(str(entry.hit))


def wait_for(folder, pattern, seconds=600):
    end = time.monotonic() + seconds
    while not list(folder.glob(pattern)):
        assert time.monotonic() < end, f"no {pattern} in {folder}"
        time.sleep(0.01)


def test_of_four_processes_one_builds_and_the_others_wait(cache, tmp_path):
    workers = [start(cache.root, tmp_path, 0.5) for _ in range(4)]
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    assert len(list(tmp_path.glob("*.building"))) == 1
    assert sorted(path.read_text() for path in tmp_path.glob("*.done")) == ["False", "True", "True", "True"]
    for path in tmp_path.glob("*.waited"):
        assert path.read_text() == "another process is building 'mlp batch 32' for 'cpu'; waiting for it"
    assert len(files(cache)) == 2


def test_a_killed_builder_leaves_no_broken_entry(cache, tmp_path, said):
    worker = start(cache.root, tmp_path, 60)
    wait_for(tmp_path, "*.building")
    assert cache.lookup(KEY) is None
    assert cache.clear() == 0  # it is being built
    os.kill(worker.pid, signal.SIGKILL)
    worker.join(60)
    assert len(files(cache)) == 1  # what it had written
    assert cache.entries() == ()
    # A build of another key sweeps it too.
    cache.get_or_build(replace(KEY, target="vulkan"), Build())
    assert not list((cache.root / "v1" / "tmp").iterdir())
    assert not cache.get_or_build(KEY, Build()).hit
    assert len(files(cache)) == 4
    assert not said


def test_a_waiting_process_takes_over_from_a_killed_one(cache, tmp_path, said):
    worker = start(cache.root, tmp_path, 60)
    wait_for(tmp_path, "*.building")

    def kill_it(text):
        said.append(text)
        os.kill(worker.pid, signal.SIGKILL)

    entry = Cache(cache.root, on_wait=kill_it).get_or_build(KEY, Build())
    worker.join(60)
    assert not entry.hit
    assert said == ["another process is building 'mlp batch 32' for 'cpu'; waiting for it"]
    assert len(files(cache)) == 2


def test_threads_build_once(cache):
    build, barrier, got = Build(), threading.Barrier(8), []

    def slowly(path):
        time.sleep(0.05)
        build(path)

    def ask():
        barrier.wait()
        got.append(cache.get_or_build(KEY, slowly))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert build.calls == 1
    assert sorted(entry.hit for entry in got) == [False] + [True] * 7


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
        ({"text_sha256": "b" * 64}, "text_sha256 differs: bbbbbbbbbbbb here, aaaaaaaaaaaa there"),
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


def test_damage_is_logged_by_default(tmp_path, caplog):
    cache = Cache(tmp_path)
    flip(cache.get_or_build(KEY, Build()).path)
    cache.get_or_build(KEY, Build())
    assert [record.name for record in caplog.records] == [module.__name__]
    assert "is damaged" in caplog.text


def test_an_artefact_of_another_program_under_a_fitting_manifest_is_rebuilt(cache, said):
    build = Build(b"compiled of one.mlir")
    entry = cache.get_or_build(KEY, build, "one.mlir")
    assert cache.get_or_build(KEY, build, "one.mlir").hit
    foreign = b"compiled of two.mlir"
    entry.path.write_bytes(foreign)
    manifest = entry.path.with_name("manifest.json")
    fitting = {"bytes": len(foreign), "sha256": hashlib.sha256(foreign).hexdigest()}
    rewritten(**fitting)(manifest)
    assert cache.lookup(KEY) is not None  # nobody asked what it is
    again = cache.get_or_build(KEY, build, "one.mlir")
    assert not again.hit and again.path.read_bytes() == build.content
    assert len(said) == 1 and "was compiled of another program, or for another target" in said[0]


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


def used(cache, key, at):
    """Set when an entry was last used."""
    os.utime(cache.root / "v1" / "entries" / key.digest / "artefact", (at, at))


def three(cache):
    """Three entries of 1,000 bytes, the first one used last; as if another process had made them."""
    keys = [replace(KEY, target=str(i), label=str(i)) for i in range(3)]
    for key in keys:
        cache.get_or_build(key, Build(b"x" * 1000))
    HELD.clear()
    for at, key in enumerate((keys[1], keys[2], keys[0])):
        used(cache, key, 1_000_000 + at)
    return keys


def test_a_hit_is_a_use(cache):
    keys = three(cache)
    cache.lookup(keys[1])
    now = cache.last_used(next(e for e in cache.entries() if e.key == keys[1])).timestamp()
    assert abs(now - time.time()) < 60


def test_a_build_over_the_limit_evicts_what_was_not_used_for_longest(cache, said):
    keys = three(cache)
    small = Cache(cache.root, limit=3_000)
    small.get_or_build(KEY, Build(b"x" * 1000))
    assert {entry.key for entry in cache.entries()} == {keys[0], keys[2], KEY}
    HELD.clear()
    huge = replace(KEY, target="huge")
    small.get_or_build(huge, Build(b"x" * 9_000))  # larger than the limit by itself: the only one that stays
    assert {entry.key for entry in cache.entries()} == {huge}
    assert not said


def test_what_another_process_has_taken_is_not_evicted(cache, tmp_path):
    keys = three(cache)
    held = (cache.root / "v1" / "entries" / keys[1].digest / "artefact").open("rb")
    fcntl.flock(held, fcntl.LOCK_SH)
    assert cache.prune(0) > 2_000
    assert [entry.key for entry in cache.entries()] == [keys[1]]
    held.close()
    assert cache.prune(0) > 1_000
    assert cache.entries() == ()


def test_what_this_process_took_is_held(cache):
    cache.get_or_build(KEY, Build())
    cache.prune(0)
    assert len(cache.entries()) == 1
    HELD.clear()
    cache.prune(0)
    assert cache.entries() == ()


def test_an_entry_that_is_being_removed_is_built_again(cache, monkeypatch):
    entry = cache.get_or_build(KEY, Build())
    HELD.clear()
    with entry.path.open("rb") as removing:
        fcntl.flock(removing, fcntl.LOCK_EX)
        assert cache.lookup(KEY) is None
    assert cache.lookup(KEY) is not None


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("500MB", 500_000_000),
        ("2 GB", 2_000_000_000),
        ("1.5kb", 1500),
        ("1KiB", 1024),
        ("7", 7),
        ("none", None),
        ("", 10**10),
    ],
)
def test_the_limit_of_the_environment(monkeypatch, text, count):
    monkeypatch.setenv("NETC_CACHE_LIMIT", text)
    assert limit() == count


@pytest.mark.parametrize("text", ["much", "-1", "2 apples", "1e9", "9" * 40])
def test_a_limit_that_is_none_is_said_before_the_build(cache, monkeypatch, text):
    monkeypatch.setenv("NETC_CACHE_LIMIT", text)
    build = Build()
    with pytest.raises(UserError, match="NETC_CACHE_LIMIT wants a size such as 500MB or 2GB"):
        cache.get_or_build(KEY, build)
    assert not build.calls


if __name__ == "cache_worker":
    work(*JOB)  # noqa: F821  # handed over by `start`
