"""`netc ls` and `netc show` tell what the specs say, whole and in forms that other programs read."""

import json
import re
from fnmatch import fnmatchcase

import click
import pytest
from click.testing import CliRunner

from netc.cli.ls import ls
from netc.cli.options import complete_net, resolve_net
from netc.cli.show import show
from netc.cli.views import graph_text
from netc.cli.views.figures import flops, size
from netc.codegen.analysis.cost import forward_flops, with_parents
from netc.netspec.check import check
from netc.netspec.errors import SpecError, UserError
from netc.netspec.find import find
from netc.netspec.graph import FLOWS, graph_of
from netc.netspec.layer import Combinator
from netc.netspec.layers import KINDS, Activation, Chain, Concat, Conv2d, Dense, Gate, GlobalAvgPool, Identity, Residual
from netc.netspec.spec import NetSpec
from netc.netspec.toml import from_toml
from netc.netspec.zoo import ZOO, Entry
from netc.programs import shape_of

NASTY = 'a "quoted" \\ <b>&#;` name'
TWIST = NetSpec(
    NASTY,
    (8, 8, 4),
    (
        Gate(Chain((GlobalAvgPool(), Dense(4)))),
        Concat((Conv2d(2, name='b"1'), Identity(name="same"))),
        Residual(Conv2d(6), name="r"),
        Activation("relu"),
    ),
)


def run(command, *arguments):
    return CliRunner().invoke(command, arguments, catch_exceptions=True)


def out(command, *arguments):
    result = run(command, *arguments)
    assert result.exception is None, result.output
    return result.stdout


def refusal(command, *arguments):
    """The one sentence with which a command refuses."""
    error = run(command, *arguments).exception
    assert isinstance(error, UserError)
    assert error.exit_code == 2
    assert "\n" not in str(error)
    return str(error)


# -- ls ----------------------------------------------------------------------------------------------------------


def test_ls_shows_every_net_with_its_published_count():
    rows = json.loads(out(ls, "--json"))
    assert [row["name"] for row in rows] == list(ZOO)
    assert all(row["parameters"] == row["published"] == ZOO[row["name"]].parameters for row in rows)
    assert "!" not in out(ls)


def test_ls_in_a_pipe_cuts_nothing_and_colours_nothing(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    text = out(ls)
    assert len(text.splitlines()) == 1 + len(ZOO)
    assert all(find(name).source in text and f"{ZOO[name].parameters:,}" in text for name in ZOO)
    assert "\x1b" not in text and "…" not in text


@pytest.mark.parametrize("columns", [80, 120])
def test_ls_fits_a_terminal(monkeypatch, columns):
    for name, value in {"COLUMNS": str(columns), "FORCE_COLOR": "1", "TERM": "xterm"}.items():
        monkeypatch.setenv(name, value)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", run(ls).stdout)
    assert max(map(len, plain.splitlines())) <= columns
    assert all(f"{entry.parameters:,}" in plain and name in plain for name, entry in ZOO.items())


def test_ls_finds_by_part_and_by_glob():
    assert {row["name"] for row in json.loads(out(ls, "RESNET", "--json"))} == {n for n in ZOO if "resnet" in n}
    globbed = {row["name"] for row in json.loads(out(ls, "resnet*-cifar", "--json"))}
    assert globbed == {n for n in ZOO if fnmatchcase(n, "resnet*-cifar")}


def test_ls_names_what_is_near():
    assert "did you mean resnet" in refusal(ls, "resnt34")


def test_ls_marks_a_wrong_count(monkeypatch):
    monkeypatch.setitem(ZOO._rows, "mnist-linear", Entry(ZOO["mnist-linear"].make, 7_851))
    text = out(ls, "mnist-linear")
    assert "!7,850" in text and "7,851" in text


# -- show --------------------------------------------------------------------------------------------------------


def test_show_gives_totals_and_resnet34_costs_what_is_published():
    found = json.loads(out(show, "resnet34", "--json"))
    assert found["parameters"] == 21_797_672 == sum(layer["parameters"] for layer in found["layers"])
    assert found["flops"] == sum(layer["flops"] for layer in found["layers"])
    assert 2 * 3.66e9 < found["flops"] < 2 * 3.70e9


def test_show_prints_each_layer_and_the_sums():
    text = out(show, "resnet34")
    assert "a multiply-add counts 2" in text
    assert re.search(r"stage2 +residualBlock 128 x4/2 +28x28x128 +1,116,416 +1\.7\d G", text)
    assert re.search(r"total +21,797,672 +7\.\d+ G$", text.strip())


def test_depth_opens_parts_whose_sums_are_their_parents():
    layers = json.loads(out(show, "resnet18-cifar", "--depth", "9", "--json"))["layers"]
    by_path = {layer["path"]: layer for layer in layers}
    whole = by_path["stage2.block0.residual.body"]
    parts = [layer for path, layer in by_path.items() if path.rpartition(".")[0] == whole["path"]]
    assert len(parts) == 2
    for what in ("parameters", "flops"):
        assert whole[what] == sum(part[what] for part in parts)
    assert "\n    residual " in out(show, "resnet18-cifar", "--depth", "2")


def test_show_takes_classes_and_input():
    found = json.loads(out(show, "resnet18", "--classes", "7", "--input", "64x64x3", "--json"))
    assert found["input"] == [64, 64, 3] and found["output"] == [7]


def test_toml_round_trips(tmp_path):
    text = out(show, "resnet50", "--classes", "7", "--toml")
    assert from_toml(text) == find("resnet50").with_classes(7)
    path = tmp_path / "own.toml"
    path.write_text(text)
    assert out(show, str(path), "--toml") == text


@pytest.mark.parametrize("arguments", [("--toml", "--json"), ("--dot", "--mermaid"), ("--toml", "--depth", "1")])
def test_show_refuses_options_that_it_would_not_use(arguments):
    assert "leave" in refusal(show, "mnist-mlp", *arguments)


@pytest.mark.parametrize("text", ["224x224", "0x3x3", "224x224x-3", "", "axb", "9" * 5000, "3x", "٣x3"])
def test_a_wrong_input_is_one_sentence(text):
    if text == "224x224":  # well spelled; the net refuses it
        assert isinstance(run(show, "resnet18", "--input", text).exception, SpecError)
    else:
        assert "`input` wants" in refusal(show, "resnet18", "--input", text)


def test_input_spellings():
    assert shape_of("784") == (784,)
    assert shape_of("224X224×3") == (224, 224, 3)


def test_resolve_net_refuses_what_cannot_be():
    with pytest.raises(UserError, match="did you mean resnet34"):
        resolve_net("resnet43", None, None)
    with pytest.raises(SpecError, match="features wants a positive integer, got 0"):
        resolve_net("resnet34", 0, None)


def test_a_name_from_a_file_cannot_steer_the_terminal(tmp_path):
    path = tmp_path / "evil.toml"
    path.write_text('name = "\\u001b[2J"\ninput = [4]\n\n[[layers]]\nkind = "dense"\nfeatures = 2\n')
    for words in ((), ("--dot",), ("--mermaid",), ("--json",), ("--toml",)):
        result = CliRunner().invoke(show, [str(path), *words])
        assert isinstance(result.exception, SpecError) and "\x1b" not in result.output + str(result.exception)


def test_names_complete():
    context = click.Context(show)
    items = complete_net(context, show.params[0], "mnist-")
    assert {item.value for item in items} == {n for n in ZOO if n.startswith("mnist-")}
    assert [item.type for item in complete_net(context, show.params[0], "./my")] == ["file"]


# -- costs -------------------------------------------------------------------------------------------------------


def test_flops_of_a_dense_layer_by_hand():
    net = check(NetSpec("n", (5,), (Dense(3, name="d"),)))
    assert forward_flops(net) == {"d": 2 * 5 * 3 + 3}


def test_flops_need_no_vector_output():
    assert forward_flops(check(NetSpec("n", (4, 4, 2), (Conv2d(3, bias=False, name="c"),)))) == {"c": 2 * 48 * 9 * 2}


def test_parents_hold_their_parts():
    assert with_parents({"a": 1, "a.b": 2, "a.b.c": 4, "ab": 8}) == {"a": 7, "a.b": 6, "a.b.c": 4, "ab": 8}


# -- graphs ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(ZOO))
def test_graphs_hang_together(name):
    net = check(find(name))
    for graph in (graph_of(net, depth) for depth in (0, 3, 9)):
        assert [node.key for node in graph.nodes] == list(range(len(graph.nodes)))
        assert all(edge.source < edge.target for edge in graph.edges)
        assert {edge.target for edge in graph.edges} == {node.key for node in graph.nodes if node.role != "input"}
        assert {edge.source for edge in graph.edges} == {node.key for node in graph.nodes if node.role != "output"}


def test_every_combinator_can_be_drawn():
    assert {cls for cls in KINDS.values() if issubclass(cls, Combinator)} == set(FLOWS)


def test_forks_and_joins():
    graph = graph_of(check(TWIST), 9)
    joins = {node.label: node.key for node in graph.nodes if node.role == "join"}
    assert set(joins) == {"×", "concat", "+"}
    into = {label: [e.source for e in graph.edges if e.target == key] for label, key in joins.items()}
    assert 0 in into["×"]  # the gate's own input
    assert joins["×"] in into["concat"]  # the identity branch is an edge
    assert joins["concat"] in into["+"]  # so is the shortcut


def test_dot_is_well_formed():
    text = graph_text.dot(graph_of(check(TWIST), 9))
    head, *body, end = text.splitlines()
    assert re.fullmatch(r'digraph "(?:[^"\\]|\\.)*" \{', head) and end == "}"
    statement = r'  (node \[.*\]|n\d+ \[label="(?:[^"\\]|\\.)*", [a-z0-9=., ]+\]|n\d+ -> n\d+);'
    assert [line for line in body if not re.fullmatch(statement, line)] == []


def test_mermaid_is_well_formed():
    text = graph_text.mermaid(graph_of(check(TWIST), 9))
    head, comment, *body = text.splitlines()
    assert head == "flowchart TD" and comment.startswith("  %% ")
    label = r'"(?:[^"<#;`&\\]|#\d+;|<br/>)*"'
    statement = rf"  n\d+(\(\[{label}\]\)|\[{label}\]|\(\({label}\)\))|  n\d+ --> n\d+"
    assert [line for line in body if not re.fullmatch(statement, line)] == []


def test_show_prints_graphs():
    assert out(show, "mnist-mlp", "--dot").startswith('digraph "mnist-mlp" {')
    assert "dense 512" in out(show, "mnist-mlp", "--mermaid")


# -- figures -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0"), (999, "999"), (1000, "1.00 k"), (999_499, "999 k"), (999_500, "1.00 M"), (7_349_999_999, "7.35 G")],
)
def test_flops_have_three_digits(count, text):
    assert flops(count) == text


def test_sizes_have_units():
    assert [size(n) for n in (0, 12, 80_000, 54_321_000)] == ["0 B", "12 B", "80.0 kB", "54.3 MB"]
