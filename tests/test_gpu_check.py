"""The script for a machine with a GPU, gone through without one: each part has its time, and what fails is a dash."""

import importlib
import json
import sys
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from netc.netspec.check import check
from netc.netspec.errors import NetcError
from netc.netspec.find import find
from netc.runtime.measure.bench import Contestant, Job, netc_step

SCRIPTS = str(Path(__file__).parents[1] / "scripts")


@pytest.fixture(scope="module")
def scripts():
    sys.path.insert(0, SCRIPTS)
    yield importlib.import_module("gpu_check"), importlib.import_module("gpu_race")
    sys.path.remove(SCRIPTS)


class Stub:
    """A worker that answers at once, but for what it is told to do wrong."""

    def __init__(self, loss=2.0, fails="", turn=0.004):
        self.loss, self.fails, self.turn, self.asked = loss, fails, turn, []

    def ask(self, word, *more):
        self.asked.append(word)

    def answer(self, until):
        word = self.asked[-1]
        if word == self.fails:
            raise NetcError("out of time")
        return {"start": (self.loss, {}), "turn": self.turn, "profile": (("gemm", 1.5),)}[word]


def job(precision="f32"):
    return Job(check(find("mnist-linear")), 2, 1, precision)


def test_what_fails_is_left_out_with_its_reason_and_the_others_go_on(scripts):
    workers = {
        "netc xla": Stub(), "JAX jit": Stub(2.0005), "torch eager": Stub(2.3), "torch.compile": Stub(fails="start"),
        "late": Stub(fails="turn"), "silent": Stub(fails="profile"),
    }  # fmt: skip
    found = {t.name: t for t in scripts[1].run(workers, job(), 30, 1e-3, 3, 1)}
    assert found["netc xla"].ms == pytest.approx(4.0) and len(found["netc xla"].times) == 3
    assert found["JAX jit"].kernels == (("gemm", 1.5),) and not found["JAX jit"].failed
    assert found["torch eager"].failed == "its first loss is 2.3, not 2"
    assert found["torch.compile"].failed == found["late"].failed == "out of time" and not found["late"].times
    assert found["silent"].ms == pytest.approx(4.0) and found["silent"].kernels == "out of time"
    assert workers["torch eager"].asked == ["start"]  # it takes no turns


def test_peers_without_the_job_are_not_asked(scripts):
    workers = {"JAX jit": Stub(), "torch eager, channels last": Stub(), "torch eager": Stub()}
    found = {t.name: t.failed for t in scripts[1].run(workers, job("bf16"), 30, 1e-3, 1, 1)}
    assert found == {"JAX jit": "its peer is float32", "torch eager, channels last": "no images", "torch eager": ""}


def test_a_process_takes_job_after_job_and_ends_when_it_is_late(scripts):
    """A real one, of the evaluator."""
    worker = scripts[1].Worker(Contestant("netc reference", partial(netc_step, target="reference", choices={})))
    try:
        losses = []
        for _ in range(2):
            worker.ask("start", job())
            losses.append(worker.answer(time.monotonic() + 60)[0])
        assert losses[0] == losses[1] > 0
        worker.ask("turn")
        assert worker.answer(time.monotonic() + 60) > 0
        worker.ask("start", Job(check(find("mnist-linear")), 0, 1))
        with pytest.raises(NetcError, match=r"^SpecError: .*batch wants a positive integer"):
            worker.answer(time.monotonic() + 60)
        before = worker.process.pid
        worker.ask("start", job())
        with pytest.raises(NetcError, match="out of time"):
            worker.answer(time.monotonic())
        assert worker.process.pid != before
    finally:
        worker.end()


def test_every_part_is_on_the_page_and_one_without_time_is_a_dash(scripts, tmp_path, monkeypatch, capsys):
    script = scripts[0]

    @contextmanager
    def stubs(device, leave_out):
        yield {"netc xla": Stub(), "netc cuda:sm_89": Stub(turn=0.002), "torch eager": Stub(fails="start")}

    monkeypatch.setattr(script, "working", stubs)
    monkeypatch.setattr(script, "netc", lambda seconds, *words, **more: script.Done(0, '{"verdict": "agree"}'))
    monkeypatch.setattr(script, "PARTS", (script.Part("mnist-linear:2", 5), script.Part("mnist-mlp:2", 1e9)))
    monkeypatch.setenv("NETC_CACHE_DIR", "")
    monkeypatch.setattr(sys, "argv", ["gpu_check", "run", str(tmp_path), "--seconds", "0", "--layers", "dense/"])
    assert script.main() == 0
    page = (tmp_path / "gpu_check.md").read_text()
    assert "| mnist-linear:2 | f32 | 4.000 | 2.000 | - |" in page and "| mnist-linear:2 | bf16 | 4.000 |" in page
    assert "- mnist-mlp:2 f32: no time was left" in page and "- mnist-linear:2 f32, torch eager: out of time" in page
    assert "| train mnist-cnn on cuda:sm_89 | yes | agree |" in page and "| oracle dense/ | yes |" in page
    assert "- mnist-linear:2 f32, netc xla: `gemm` 1.500" in page
    held = json.loads((tmp_path / "gpu_check.json").read_text())
    assert len(held["nets"]) == 4 and len(held["checks"]) == 5 and held["facts"]["versions"]["netc"]
    monkeypatch.setattr(script, "netc", lambda seconds, *words, **more: script.Done(None, ""))
    assert script.main() == 0
    assert "| train mnist-mlp on xla | - | out of time |" in (tmp_path / "gpu_check.md").read_text()


def test_the_parts_are_those_that_were_asked_for_and_fit(scripts):
    from bench_nets import parse

    script, seconds = scripts[0], 0.0
    names = [parse(part.word)[0] for part in script.PARTS]
    assert names == [
        "mnist-mlp", "mnist-cnn", "resnet34@64", "tiny-gpt", "vit_tiny_patch16_224", "resnet34@224", "gpt2@1024",
    ]  # fmt: skip
    seconds = 2 * sum(part.seconds for part in script.PARTS) + script.IMPORTS
    assert seconds <= 8 * 60  # the others have what the parts leave
