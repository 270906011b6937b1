"""The ceilings: what is measured, what is kept, when it is measured again."""

import numpy as np
import pytest

from netc.codegen.evaluator import run
from netc.netspec.errors import UserError
from netc.runtime.cache.store import Cache
from netc.runtime.measure import ceilings as module
from netc.runtime.measure.ceilings import FILE, Measured, ceilings
from netc.runtime.target import parse_target


@pytest.fixture
def counted(monkeypatch):
    calls = []

    def measure(target, cache):
        calls.append(target.word)
        return Measured(target.word, 2e11, 3e10 + len(calls), 2, "2026-11-21", kept=False)

    monkeypatch.setattr(module, "measure", measure)
    return calls


def test_a_target_is_measured_once_and_again_when_asked(tmp_path, counted):
    cpu, xla = parse_target("cpu"), parse_target("xla")
    first = ceilings(cpu, Cache(tmp_path))
    assert not first.kept
    ceilings(xla, Cache(tmp_path))
    again = ceilings(cpu, Cache(tmp_path))
    assert (again.ceiling, again.kept) == (first.ceiling, True)
    assert counted == ["cpu", "xla"]
    assert ceilings(cpu, Cache(tmp_path), again=True).bytes != first.bytes
    assert counted == ["cpu", "xla", "cpu"]
    assert ceilings(xla, Cache(tmp_path)).kept  # the other target's entry stayed


@pytest.mark.parametrize("content", ["", "[]", "{", '{"cpu": 1}', '{"cpu": {"flops": 1}}'])
def test_a_damaged_file_is_written_anew(tmp_path, counted, content):
    (tmp_path / FILE).write_text(content)
    ceilings(parse_target("cpu"), Cache(tmp_path))
    assert ceilings(parse_target("cpu"), Cache(tmp_path)).kept
    assert counted == ["cpu"]


def test_the_programs_compute_what_their_rates_count(monkeypatch):
    monkeypatch.setattr(module, "ELEMENTS", 8)
    monkeypatch.setattr(module, "GEMMS", (4,))
    rng = np.random.default_rng(0)
    x, y = rng.random((2, 4, 4), np.float32)
    z, first = run(module.programs(), "gemm4", [x, y], "f32")
    np.testing.assert_allclose(z, x @ y, rtol=1e-6)
    assert first[0, 0] == z[0, 0]
    x, y = rng.random((2, 8), np.float32)
    np.testing.assert_allclose(run(module.programs(), "triad", [x, y], "f32")[0], x + 3 * y, rtol=1e-6)


def test_rates_are_positive_on_xla(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ELEMENTS", 1 << 12)
    monkeypatch.setattr(module, "GEMMS", (16, 32))
    monkeypatch.setattr(module, "SECONDS", 0.0)
    found = ceilings(parse_target("xla"), Cache(tmp_path))
    assert found.flops > 1e6
    assert found.bytes > 1e6
    assert "GFLOP/s of a product of matrices" in found.sentence()


def test_the_evaluator_is_no_machine(tmp_path):
    with pytest.raises(UserError, match="a roofline wants a compiled target"):
        ceilings(parse_target("reference"), Cache(tmp_path))
