"""`netc tune` from the command line, and the commands that use what it keeps."""

import json

import pytest
from click.testing import CliRunner

from netc.cli.main import cli
from netc.runtime.measure import tune
from netc.runtime.measure.tuned import Winner, keep
from netc.runtime.target import parse_target

SPEC = """
name = "small"
input = [8, 8, 2]

[[layers]]
kind = "conv2d"
features = 4
kernel = 3

[[layers]]
kind = "globalAvgPool"

[[layers]]
kind = "dense"
features = 3
"""
CONV, KERNEL = "conv 4x8x8x2 3x3x2x4 /1 p1", "conv_kernel_grad 4x8x8x2 3x3x2x4 /1 p1"
NET = ("small.toml", "--target", "xla", "--batch", "4")


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NETC_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr("os.fsync", lambda handle: None)
    (tmp_path / "small.toml").write_text(SPEC)

    def call(*words):
        result = CliRunner().invoke(cli, words)
        return result.exit_code, result.stdout, result.stderr + str(result.exception or "")

    return call


def kept(tmp_path, form="im2col"):
    """What a measurement might have found."""
    winners = {
        CONV: Winner(form, "direct", 1.0, 2.0),
        "conv 1x1x1x1 1x1x1x1 /1 p0": Winner("im2col", "direct", 1.0, 2.0),
    }
    return keep(parse_target("xla"), tmp_path / "cache", "small b4", winners, pytest.fail)


def test_tune_measures_and_keeps(run, tmp_path, monkeypatch):
    monkeypatch.setattr(tune, "MOST_ROUNDS", 20)
    code, out, err = run("tune", *NET, "--no-step")
    assert code == 0, err
    assert CONV in out and KERNEL in out and "im2col" in out and "GFLOP/s" in out
    assert "of 2 convolutions are faster in another form" in out
    assert "kept in" in out and len(list((tmp_path / "cache" / "tuned").glob("*.json"))) == 1
    code, out, _ = run("tune", *NET, "--show", "--json")
    assert {row["key"] for row in json.loads(out)["kept"]} == {CONV, KERNEL}
    assert CONV in run("tune", *NET, "--show")[1]
    assert "tuned for xla: 2 convolutions of small b4" in run("cache", "ls")[1]


def test_tune_as_json_with_whole_steps(run, monkeypatch):
    monkeypatch.setattr(tune.Measured, "best", "im2col")
    monkeypatch.setattr(tune, "MOST_ROUNDS", 2)
    code, out, err = run("tune", *NET, "--json", "--by", "cpu")
    assert code == 0, err
    found = json.loads(out)
    assert found["clock"] == "cpu" and found["target"] == "xla" and found["cpu"] and "jaxlib" in found["compiler"]
    first = found["convolutions"][0]
    assert first["flops"] > 0 and {"ms", "gflops"} == set(first["forms"]["im2col"])
    assert [t["name"] for t in found["step_ms"]][:2] == ["table", "all chosen"]
    assert sum(t["chosen"] for t in found["step_ms"]) == 1
    assert (found["kept"] is None) == found["step_ms"][0]["chosen"]


def test_what_is_kept_is_used_and_said(run, tmp_path):
    plain = run("emit-mlir", *NET)[1]
    kept(tmp_path)
    code, out, err = run("emit-mlir", *NET)
    assert code == 0 and out != plain
    assert err.startswith("1 convolution chosen by `netc tune` (digest ")
    code, out, err = run("emit-mlir", *NET, "--no-tuned")
    assert (out, err) == (plain, "")
    assert run("emit-mlir", "small.toml", "--batch", "4")[2] == ""  # the cpu was not tuned
    assert run("emit-mlir", *NET, "-o", "out")[0] == 0
    assert json.loads((tmp_path / "out" / "small.json").read_text())["tuned"]["forms"] == {CONV: "im2col"}


def test_a_run_remembers_its_forms(run, tmp_path):
    """What is tuned or cleared later does not change a run that was begun."""
    train = ("train", "small.toml", "--input", "8x8x1", "--target", "xla", "--batch", "256")
    key = "conv 256x8x8x1 3x3x1x4 /1 p1"
    keep(parse_target("xla"), tmp_path / "cache", "n", {key: Winner("im2col", "direct", 1.0, 2.0)}, pytest.fail)
    code, out, err = run(*train, "--classes", "10", "--epochs", "2", "--out", "run")
    assert code == 0, err
    assert "1 convolution chosen by `netc tune`" in out
    assert json.loads((tmp_path / "run" / "run.json").read_text())["choices"] == {key: "im2col"}
    assert run("cache", "clear", "tuned-xla", "--yes")[1].startswith(
        "removed 0 compiled programs and what was tuned for"
    )
    code, out, err = run("train", "--resume", "run")
    assert code == 0, err
    code, out, err = run(*train, "--classes", "10", "--epochs", "1", "--out", "plain")
    assert "choices" not in json.loads((tmp_path / "plain" / "run.json").read_text())
    modules = [json.loads((tmp_path / n / "trace.jsonl").open().readline())["module_sha256"] for n in ("run", "plain")]
    assert modules[0] != modules[1]


def test_a_table_goes_from_one_machine_to_another(run, tmp_path, monkeypatch):
    kept(tmp_path)
    code, out, err = run("tune", "--target", "xla", "--to", "table.json")
    assert code == 0 and out.startswith("table.json: 2 convolutions of small b4, measured on "), err
    plain = run("emit-mlir", *NET, "--no-tuned")[1]
    monkeypatch.setenv("NETC_CACHE_DIR", str(tmp_path / "other"))
    monkeypatch.setattr("netc.runtime.measure.tuned.host_cpu", lambda: "another CPU")
    assert run("emit-mlir", *NET)[1] == plain
    code, out, err = run("tune", "--target", "xla", "--from", "table.json")
    assert code == 0 and out.startswith("kept 2 convolutions of small b4 for xla in "), err
    assert "netc: they were measured on " in err and "and this machine has another CPU" in err
    assert run("emit-mlir", *NET)[1] != plain
    row = json.loads(run("tune", *NET, "--show", "--json")[1])["kept"][0]
    assert (row["key"], row["form"], row["ms"]) == (CONV, "im2col", 1.0)
    assert " (on " in run("cache", "ls")[1]  # where it was measured


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("tune", "--from", "table.json", "--target", "cpu"), "`target=cpu` wants that kind of target, got one of xla"),
        (
            ("tune", "--from", "nothing.json"),
            "`table_in` wants a table that `netc tune --to` wrote, got nothing.json, nothing there",
        ),
        (
            ("tune", "--from", "small.toml"),
            "`table_in` wants a table that `netc tune --to` wrote, got another file, small.toml",
        ),
        (("tune", "--from", "bitten.json"), "got another file, bitten.json (its digest is another)"),
        (("tune", "--from", "table.json", "small.toml"), "--from measures nothing, got also NET or --to"),
        (("tune", "--to", "new.json", "--target", "cpu"), "wants what `netc tune NET` kept for cpu, got nothing"),
        (("tune", "--show"), "--show, --all and --no-step want a NET, got none; name one"),
        (("tune",), "tune wants a NET to measure, or --from or --to with a FILE"),
    ],
)
def test_tables_that_are_none(run, tmp_path, words, sentence):
    kept(tmp_path)
    run("tune", "--target", "xla", "--to", "table.json")
    text = (tmp_path / "table.json").read_text()
    (tmp_path / "bitten.json").write_text(text.replace('"ms": 1.0', '"ms": 9.0'))
    code, _, err = run(*words)
    assert code != 0
    assert sentence in err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("tune", "small.toml", "--target", "reference"), "tune measures on this machine and wants cpu, xla, vulkan"),
        (("tune", "small.toml", "--target", "cpu:znver4"), "use `target=cpu`"),
        (("tune", "mnist-mlp", "--target", "xla"), "tune wants a net with convolutions, got mnist-mlp with none"),
        (("tune", *NET, "--show", "--all"), "--show measures nothing, got also --all or --no-step"),
    ],
)
def test_what_cannot_be_tuned_is_a_sentence(run, words, sentence):
    code, _, err = run(*words)
    assert code != 0
    assert sentence in err


def test_nothing_is_kept_yet(run):
    assert run("tune", *NET, "--show")[1].startswith("nothing is kept for small b4 on xla")


def test_a_damaged_file_is_said_and_left_aside(run, tmp_path):
    plain = run("emit-mlir", *NET)[1]
    kept(tmp_path).write_text("{")
    code, out, err = run("emit-mlir", *NET)
    assert (code, out) == (0, plain)
    assert "is damaged" in err and "is not used; run it again" in err
    assert run("cache", "clear", "--yes")[0] == 0
    assert run("emit-mlir", *NET)[2] == ""
