"""`netc cost`, `profile` and `bench` from the command line, without a compiler where that is possible."""

import json

import pytest
from click.testing import CliRunner

from netc.cli.main import cli

GIVEN = ("--peak", "200", "--bandwidth", "20")


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("NETC_CACHE_DIR", str(tmp_path))

    def call(*words):
        result = CliRunner().invoke(cli, words)
        return result.exit_code, result.stdout if result.exit_code == 0 else result.output + str(result.exception)

    return call


def test_cost_shows_layers_phases_and_totals(run):
    code, said = run("cost", "mnist-cnn", "--batch", "4", *GIVEN)
    assert code == 0, said
    lines = said.splitlines()
    assert "200 GFLOP/s and 20 GB/s, as given" in said
    assert [line.split()[0] for line in lines if line.startswith(("conv", "pool", "hidden", "head", "loss"))] == [
        "conv1", "conv2", "pool1", "conv3", "conv4", "pool2", "hidden", "head", "loss",
    ]  # fmt: skip
    assert any(line.startswith("total") for line in lines)


def test_cost_as_json_sums_up_and_deepens(run):
    code, said = run("cost", "mnist-cnn", "--batch", "4", "--depth", "1", "--json", *GIVEN)
    assert code == 0, said
    found = json.loads(said)
    assert found["flops"] == sum(r["flops"] for r in found["rows"])
    assert found["roofline_ms"] == pytest.approx(sum(r["roofline_ms"] for r in found["rows"]))
    assert {"conv1.conv", "conv1.norm"} <= {r["layer"] for r in found["rows"]}
    assert found["useful_flops"] > 0


def test_cost_needs_no_device_where_ceilings_are_given(run):
    code, said = run("cost", "mnist-mlp", "--target", "cuda:sm_89", *GIVEN)
    assert code == 0, said
    assert "as lowered for cuda:sm_89" in said


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("cost", "mnist-mlp", "--peak", "1"), "--peak and --bandwidth go together"),
        (("cost", "mnist-mlp", "--measure", *GIVEN), "wants --measure or given ceilings, got both"),
        (("cost", "mnist-mlp", "--target", "reference"), "a roofline wants a compiled target"),
        (("profile", "mnist-mlp", "--target", "xla"), "profile wants a target of IREE's cpu, or c, got 'xla'"),
        (("profile", "mnist-mlp", "-o", "x.svg"), "-o wants a file FILE.html"),
        (("bench", "mnist-mlp", "--target", "reference,reference"), "wants each target once"),
        (("bench", "mnist-mlp", "--target", "reference", "--against", "tinygrad"), "`against` wants jax, torch"),
    ],
)
def test_mistakes_are_sentences(run, words, sentence):
    code, said = run(*words)
    assert sentence in said
    assert code in (1, 2)


def test_bench_alone_wants_no_peer(run):
    words = ("bench", "mnist-linear", "--target", "reference", "--batch", "4", "--rounds", "2", "--json")
    code, said = run(*words)
    assert code == 0, said
    found = json.loads(said)
    (row,) = found["rows"]
    assert row["name"] == "netc reference"
    assert row["to_best_peer"] is None
    assert row["gemm_share"] is None  # the evaluator is no measure of a machine
    assert row["gflops"] == pytest.approx(found["flops"] / row["median_ms"] / 1e6)
    assert row["examples_per_s"] == pytest.approx(4 * row["steps_per_s"])


def test_bench_beside_jax_begins_at_the_same_loss(run):
    words = ("bench", "mnist-linear", "--target", "reference", "--batch", "4", "--rounds", "1", "--against", "jax")
    code, said = run(*words)
    assert code == 0, said
    assert "JAX jit" in said
    assert "/ best peer" in said
