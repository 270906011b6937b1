"""`--precision` on the command line."""

import json

from click.testing import CliRunner

from netc.cli.main import cli


def netc(*words):
    return CliRunner().invoke(cli, list(words))


def test_emit_mlir_writes_bf16_only_where_asked():
    plain, low = (netc("emit-mlir", "mnist-mlp", "--batch", "2", *more) for more in ((), ("--precision", "bf16")))
    assert plain.exit_code == low.exit_code == 0
    assert "bf16" not in plain.stdout
    assert "xbf16>, tensor<784x" in low.stdout
    explicit = netc("emit-mlir", "mnist-mlp", "--batch", "2", "--precision", "f32")
    assert explicit.stdout == plain.stdout


def test_another_precision_is_a_mistake():
    found = netc("emit-mlir", "mnist-mlp", "--precision", "f16")
    assert found.exit_code == 2
    assert "'f16' is not one of 'f32', 'bf16'" in found.output


def test_the_jax_twin_is_float32_only():
    found = netc("emit-jax", "mnist-mlp", "--precision", "bf16")
    assert found.exit_code != 0
    assert "emit-jax wants a training in f32, got `precision=bf16`; leave it out" in f"{found.output}{found.exception}"


def test_a_certificate_says_that_roundings_are_not_covered():
    for more in ((), ("--layers",)):
        found = netc("certify", "mnist-mlp", "--precision", "bf16", "--json", "--primes", "4", *more)
        assert found.exit_code == 0, found.output
        table = json.loads(found.stdout)
        read = [sentence for s in table["statements"] for sentence in s["read_as"]]
        assert table["holds"]
        assert any("conversions to bf16 as the identity: what they round is not covered" in r for r in read)
    plain = json.loads(netc("certify", "mnist-mlp", "--json", "--layers", "--primes", "4").stdout)
    assert not any("bf16" in sentence for s in plain["statements"] for sentence in s["read_as"])
