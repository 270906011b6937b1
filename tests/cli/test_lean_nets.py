"""A net of a .lean file wherever a net's name stands: which it is, and the file's TrainConfig as its recipe."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from netc.cli.main import cli
from netc.netspec.errors import UserError

FILE = """
def mlp : NetSpec where
  name := "small"
  imageH := 8
  imageW := 8
  layers := [.dense 64 16 .gelu, .dense 16 10 .identity]
def gpt : NetSpec where
  name := "mini"
  layers := [.tokenPositionEmbed 11 6 8, .transformerEncoder 8 2 16 1 (causalMask := true), .lmHead 8 11 6]
def counted : NetSpec where
  name := "pieces"
  imageH := 2
  imageW := 2
  layers := [.conv2d 1 8 1 .same .relu, .evoformerBlock 8 4 1]
"""
CONFIG = """
def fast : TrainConfig := { learningRate := 0.1, batchSize := 5, epochs := 9, momentum := 0.5, warmupEpochs := 3 }
"""
# tables, an encoder of width 8 and its norm, a head
GPT = 11 * 8 + 6 * 8 + 4 * 8 + 4 * 72 + 8 * 16 + 16 + 16 * 8 + 8 + 16 + 9 * 11
# every command that takes NET, with what else it wants
COMMANDS = (
    ("train",), ("emit-mlir",), ("compile", "-o", "x.vmfb"), ("oracle",), ("certify",), ("emit-jax",),
    ("import", "w.safetensors"), ("cost",), ("memory",), ("bench",), ("profile",), ("tune",), ("trace", "noise"),
    ("emit-lean",),
)  # fmt: skip


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.safetensors").write_bytes(b"")
    (tmp_path / "Nets.lean").write_text(FILE, encoding="utf-8")
    return tmp_path / "Nets.lean"


def run(*words: object):
    return CliRunner().invoke(cli, [str(word) for word in words])


def refused(*words: object) -> str:
    result = run(*words)
    assert isinstance(result.exception, UserError), result.output
    return str(result.exception)


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0] if words[0] != "trace" else "noise")
def test_a_file_with_several_lists_them(path, words):
    command = words[:2] if words[0] == "trace" else words[:1]
    message = refused(*command, path, *words[len(command) :])
    assert message.split("\n")[0] == f"{path} holds 3 specs; choose one as Nets.lean:mlp"
    assert [line.split() for line in message.split("\n")[1:]] == [
        ["mlp", "3", "layers,", "1,210", "parameters"],
        ["gpt", "4", "layers,", str(GPT), "parameters"],
        ["counted", "2", "layers,", message.split()[-2], "parameters"],
    ]
    assert "did you mean mlp?" in refused(*command, f"{path}:mpl", *words[len(command) :])


@pytest.mark.parametrize("words", [("show",), ("ls",)], ids=lambda words: words[0])
def test_the_list_is_what_a_file_alone_is_shown_as(path, words):
    path.write_text(
        FILE + CONFIG + 'def odd : NetSpec := { name := "strange", layers := [.denze 3 4 .relu] }\n', "utf-8"
    )
    result = run(*words, path)
    assert result.exit_code == 0, result.output
    first, heads, *lines, last = result.stdout.splitlines()
    assert first == f"{path} holds 4 specs; choose one as Nets.lean:mlp"
    assert heads.split() == ["spec", "name", "layers", "parameters"]
    assert [line.split() for line in lines[:2]] == [["mlp", "small", "3", "1,210"], ["gpt", "mini", "4", str(GPT)]]
    assert lines[3].split(maxsplit=2) == ["odd", "strange", "refused, line 17: no layer is called 'denze'"]
    assert last == "training configurations: fast"
    found = json.loads(run(*words, path, "--json").stdout)
    assert (found["file"], found["configs"]) == (str(path), ["fast"])
    assert found["specs"][0] == {
        "name": "mlp", "shown": "small", "line": 2, "status": "ok", "layers": 3, "parameters": 1210, "reason": "",
    }  # fmt: skip
    odd = found["specs"][3]
    assert (odd["status"], odd["layers"], odd["parameters"]) == ("refused", None, None)
    assert "did you mean dense" in odd["reason"]


def test_a_file_with_one_is_listed_and_shown(path):
    path.write_text(FILE[: FILE.index("def gpt")], encoding="utf-8")
    assert run("ls", path).stdout.startswith(f"{path} holds 1 spec; choose one as Nets.lean:mlp\n")
    assert run("show", path).stdout == run("show", f"{path}:mlp").stdout


def test_a_list_has_no_depth_and_no_other_input(path):
    for option in (("--depth", 1), ("--classes", 3), ("--input", "4x4x1"), ("--layers", 2)):
        assert "want one net, got 3 of a file; choose one as Nets.lean:mlp" in refused("show", path, *option)
    assert "holds 3 specs" in refused("show", path, "--toml")


@pytest.mark.parametrize("command", ["show", "ls"])
def test_a_file_without_a_spec_has_no_list(path, command):
    path.write_text(CONFIG, encoding="utf-8")
    assert "holds no NetSpec" in refused(command, path)


def test_show(path):
    result = run("show", f"{path}:mlp", "--json")
    assert json.loads(result.output)["parameters"] == 64 * 16 + 16 + 16 * 10 + 10
    assert run("show", f"{path}:counted").exit_code == 0


@pytest.mark.parametrize("words", [("emit-mlir",), ("cost",), ("memory",), ("certify",), ("oracle",), ("profile",)])
def test_what_is_only_counted_is_emitted_nowhere(path, words):
    message = refused(*words, f"{path}:counted")
    assert message.startswith("evoformerBlock cannot be emitted yet")
    assert "\n" not in message


BRIDGES = """
def words : NetSpec where
  name := "words"
  imageH := 4
  imageW := 1
  layers := [.dense 7 4 .gelu, .transformerEncoder 4 2 6 1, .dense 4 3 .identity]
def line : NetSpec where
  name := "line"
  imageH := 6
  imageW := 1
  layers := [
    .conv2d 2 4 1 .same .relu, .waveNetBlock 4 3 2, .separableConv 3 4 1, .transformerEncoder 4 2 6 1,
    .separableConv 4 3 1, .globalAvgPool]
def pyramid : NetSpec where
  name := "pyramid"
  imageH := 8
  imageW := 4
  layers := [.patchEmbed 2 4 2 8, .transformerEncoder 4 2 6 1, .patchMerging 4 6, .transformerEncoder 6 2 8 1]
def rising : NetSpec where
  name := "rising"
  imageH := 8
  imageW := 8
  layers := [.conv2d 2 3 3 .same .gelu, .maxPool 2 2, .residualBlock 3 4 1 2, .bilinearUpsample 2, .unetUp 4 3]
"""


@pytest.mark.parametrize("name", ["words", "line", "pyramid", "rising"])
def test_the_oracle_judges_what_stands_between_images_and_tokens(path, name):
    path.write_text(BRIDGES, encoding="utf-8")
    result = run("oracle", f"{path}:{name}")
    assert result.exit_code == 0, result.output
    assert "all agree" in result.output


ODD = """
def odd : NetSpec where
  name := "odd"
  imageH := 4
  imageW := 4
  layers := [.conv2d 1 2 3 .same .relu, .flatten, .dense 30 3 .identity]
def even : NetSpec where
  name := "even"
  imageH := 4
  imageW := 4
  layers := [.dense 16 3 .identity]
"""
ODD_COUNT = 9 * 2 + 2 + 30 * 3 + 3
ODD_SENTENCE = (
    "dense: fanIn wants 32, the channels that arrive ([batch, 32]), got 30; change it, or the layer before it"
)


def test_a_net_whose_sizes_disagree_is_shown_as_it_is_written(path):
    path.write_text(ODD, encoding="utf-8")
    result = run("show", f"{path}:odd")
    assert result.exit_code == 0, result.output
    assert "counted as it is written, and not to be trained, for its sizes disagree" in result.stdout
    assert f"line 6: {ODD_SENTENCE}" in result.stdout
    found = json.loads(run("show", f"{path}:odd", "--json").stdout)
    assert (found["parameters"], found["flops"]) == (ODD_COUNT, None)
    assert found["disagreements"] == [f"line 6: {ODD_SENTENCE}"]
    assert "disagreements" not in json.loads(run("show", f"{path}:even", "--json").stdout)
    listed = json.loads(run("show", path, "--json").stdout)["specs"]
    assert [(s["status"], s["parameters"]) for s in listed] == [("counted", ODD_COUNT), ("ok", 16 * 3 + 3)]
    assert run("show", f"{path}:odd", "--mermaid").exit_code == 0


@pytest.mark.parametrize(
    "words",
    [("train",), ("emit-mlir",), ("compile", "-o", "x.vmfb"), ("oracle",), ("certify",), ("cost",), ("emit-lean",)],
)
def test_a_net_whose_sizes_disagree_is_computed_by_no_command(path, words):
    path.write_text(ODD, encoding="utf-8")
    message = refused(words[0], f"{path}:odd", *words[1:])
    assert message.split("\n")[0] == f"{path}:6:58: {ODD_SENTENCE} (netc show counts the net as it is written)"
    assert "wants one form" not in refused("show", f"{path}:odd", "--toml")


@pytest.mark.parametrize("name", ["mlp", "gpt"])
def test_the_oracle_judges_a_net_of_a_file(path, name):
    result = run("oracle", f"{path}:{name}")
    assert result.exit_code == 0, result.output
    assert "all agree" in result.output
    assert run("oracle", "--spec", f"{path}:{name}").output == result.output


def test_the_oracle_takes_a_target_for_cases_alone(path):
    assert "--target checks the layers' cases" in refused("oracle", f"{path}:mlp", "--target", "reference")


def test_the_emitted_program_has_the_files_recipe(path):
    plain = run("emit-mlir", f"{path}:mlp").stdout
    path.write_text(FILE + CONFIG, encoding="utf-8")
    result = run("emit-mlir", f"{path}:mlp")
    assert result.stderr.startswith("fast: --batch 5 --optimizer sgd --momentum 0.5")
    assert "tensor<5x8x8x1xf32>" in result.stdout
    assert "--epochs" not in result.stderr  # nothing of a program
    same = run("emit-mlir", f"{path}:mlp", "--config", "none", "--batch", 5, "--optimizer", "sgd", "--momentum", 0.5)
    assert same.stdout == result.stdout
    assert run("emit-mlir", f"{path}:mlp", "--config", "none").stdout == plain
    assert "`config` belongs to a .lean file" in refused("emit-mlir", "mnist-mlp", "--config", "fast")


@pytest.mark.parametrize("command", ["cost", "certify"])
def test_other_commands_take_it_too(path, command):
    path.write_text(FILE + CONFIG, encoding="utf-8")
    ceiling = ("--peak", 1, "--bandwidth", 1) if command == "cost" else ()
    result = run(command, f"{path}:mlp", *ceiling)
    assert result.exit_code == 0, result.output
    assert "--optimizer sgd --momentum 0.5" in result.stderr


def test_a_warm_up_that_is_longer_than_the_epochs_given(path):
    path.write_text(FILE + CONFIG, encoding="utf-8")
    message = refused("train", f"{path}:mlp", "--epochs", 1)
    assert (
        message == "fast has warmupEpochs := 3, which needs at least as many epochs, got `epochs=1`; give `warmup` too"
    )


def test_the_specs_are_listed_before_the_configurations(path):
    path.write_text(FILE + CONFIG + CONFIG.replace("fast", "slow"), encoding="utf-8")
    assert "holds 3 specs" in refused("train", path)
    assert "holds 2 TrainConfigs" in refused("train", f"{path}:mlp")
