"""The oracle on a backend: float32 of a target against float64, with a tolerance that float32 itself sets."""

import dataclasses
import re

import pytest
from click.testing import CliRunner

from netc.cli.main import cli
from netc.proofs_oracle import check_target
from netc.proofs_oracle.references import REFERENCES
from netc.proofs_oracle.report import page
from netc.runtime.cache.store import Cache
from netc.runtime.compile import CompileError
from netc.runtime.target import parse_target


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache")


@pytest.mark.parametrize("target", ["xla", "reference", "cpu"])
def test_a_layer_agrees(target, cache):
    chosen = "layerNorm/sequence" if target == "cpu" else "layerNorm"
    results = list(check_target.run_on(parse_target(target), chosen, cache))
    assert results
    assert all(result.passed for result in results), [result.verdict() for result in results]
    assert all(result.tensors >= 2 for result in results)
    assert any(result.jax_error > 0 for result in results)


class Faulty:
    """A backend that gives one result a thousandth too large."""

    def __init__(self, loaded, index):
        self.loaded, self.index = loaded, index
        self.put, self.get = loaded.put, loaded.get

    def call(self, name, args):
        results = self.loaded.call(name, args)
        results[self.index] = results[self.index] * 1.001
        return results


@pytest.mark.parametrize(("index", "tensor"), [(0, "y"), (1, "dx"), (2, "dkernel"), (3, "dbias")])
def test_a_wrong_compiler_is_caught(index, tensor, cache, monkeypatch):
    load = check_target.load
    monkeypatch.setattr(check_target, "load", lambda source, target: Faulty(load(source, target), index))
    reference = REFERENCES["dense"]
    case = next(c for c in reference.cases if c.name == "plain")
    result = check_target.run_target_case(reference, case, parse_target("reference"), cache)
    assert not result.passed
    assert re.search(f"{tensor} is off by a relative error of 1.0e-03, where float32 may be by", result.verdict())


def test_what_a_compiler_refuses_is_a_failed_result(cache, monkeypatch):
    def refuse(*args, **kwargs):
        raise CompileError("iree-compile: no\nmore")

    monkeypatch.setattr(check_target, "run_target_case", refuse)
    (result,) = check_target.run_on(parse_target("reference"), "dense/plain", cache)
    assert not result.passed
    assert result.verdict() == "dense/plain: reference refuses it: iree-compile: no"


def test_the_page_names_every_case_and_escapes(cache):
    results = list(check_target.run_on(parse_target("reference"), "flatten", cache))
    odd = dataclasses.replace(results[0], case="<b>", passed=False, problem="a < b & c", jax_error=float("inf"))
    text = page([*results, odd], "title <1>")
    assert all(f"<td>{result.case}</td>" in text for result in results)
    assert "<td>&lt;b&gt;</td>" in text
    assert "a &lt; b &amp; c" in text
    assert "title &lt;1&gt;" in text
    assert 'class="bad"' in text
    assert "http" not in text


def test_the_command_writes_a_page(tmp_path):
    path = tmp_path / "oracle.html"
    result = CliRunner().invoke(cli, ["oracle", "flatten", "--target", "reference", "--html", str(path)])
    assert result.exit_code == 0, result.output
    assert "vs float64" in result.output
    assert "flatten" in path.read_text(encoding="utf-8")


def test_targets_judge_layers_only():
    result = CliRunner().invoke(cli, ["oracle", "adam", "--target", "reference"])
    assert "`target` checks layers only" in str(result.exception) + result.output
