"""Several processes and threads that ask for one program."""

import multiprocessing
import os
import runpy
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

from netc.runtime.cache.store import Cache
from tests.runtime.cache.test_store import KEY, Build, files


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


if __name__ == "cache_worker":
    work(*JOB)  # noqa: F821  # handed over by `start`
