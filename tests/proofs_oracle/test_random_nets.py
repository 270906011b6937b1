"""Random nets: a round of fixed seed, and a planted fault that is found, shrunk and written down."""

import dataclasses

import numpy as np
import pytest
from click.testing import CliRunner

from netc.cli.main import cli
from netc.netspec.check import check
from netc.netspec.toml import from_toml
from netc.proofs_oracle import random_nets
from netc.proofs_oracle.check_layer import run_case
from netc.proofs_oracle.subject import emitted


def test_a_round_agrees():
    results = []
    failure = random_nets.search(25, 3, seen=results.append)
    assert failure is None, f"{failure.result.verdict()}\n{failure.toml}"
    assert len(results) == 25
    assert sum(result.tensors for result in results) > 50


def broken(layer, x, batch, training):
    """Every kernel's gradient of a dense layer has the wrong sign."""
    subject = emitted(layer, x, batch, training)
    names = [p.name for p in layer.signature(x).params]

    def vjp(args):
        y, dx, *rest = subject.vjp(args)
        wrong = [n.startswith("dense") and n.endswith(".kernel") for n in names] + [False] * (len(rest) - len(names))
        return [y, dx, *(-g if w else g for g, w in zip(rest, wrong, strict=True))]

    return dataclasses.replace(subject, vjp=vjp)


def judged(reference, case, *, seed):
    return run_case(reference, case, seed=seed, make=broken)


@pytest.fixture(scope="module")
def failure():
    return random_nets.search(40, 5, run=judged)


def test_a_fault_is_shrunk_to_one_layer(failure):
    assert [layer.kind for layer in failure.net.layers] == ["dense"]
    assert np.prod(failure.net.input) <= 2
    assert ".kernel" in failure.result.verdict()


def test_what_is_written_is_the_net(failure):
    assert from_toml(failure.toml) == failure.net
    assert not random_nets.judge(from_toml(failure.toml), 0, judged).passed
    assert random_nets.judge(from_toml(failure.toml), 0).passed


def test_the_command_writes_the_net_and_fails(monkeypatch, tmp_path, failure):
    monkeypatch.setattr(random_nets, "search", lambda count, seed, seen: failure)
    path = tmp_path / "smallest.toml"
    result = CliRunner().invoke(cli, ["oracle", "--random", "3", "--save", str(path)])
    assert result.exit_code == 1
    assert f"--spec {path} --seed 0" in result.output
    assert check(from_toml(path.read_text())).spec == failure.net
    again = CliRunner().invoke(cli, ["oracle", "--spec", str(path)])
    assert again.exit_code == 0, again.output


def test_two_ways_at_once_are_refused():
    result = CliRunner().invoke(cli, ["oracle", "dense", "--random", "3"])
    assert "one of PATTERN, --random and --spec" in str(result.exception) + result.output
