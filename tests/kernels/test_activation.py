"""A function in Lean with its derivative is an activation: every command knows it, and a wrong derivative is found."""

from pathlib import Path

import pytest

from netc.kernels.activation import load_lean
from netc.kernels.folding import TEXT, fold
from netc.kernels.lean_functions import functions_of
from netc.netspec.errors import UserError
from tests.cli.test_plugins import netc_each

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_activation.lean"
NET = """
name = "mine"
input = [4, 4, 1]

[[layers]]
kind = "conv"
features = 3
activation = "swoosh"

[[layers]]
kind = "globalAvgPool"

[[layers]]
kind = "dense"
features = 2
"""
RUN = ["--target", "reference", "--data", "digits", "--input", "4x4x1", "--quiet"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    (folder / "mine.toml").write_text(NET)
    text = EXAMPLE.read_text()
    (folder / "right.lean").write_text(text)
    (folder / "wrong.lean").write_text(
        text.replace("s + x * s * (1 - s)", "s + x * s * (1 + s)").replace("then 0.1", "then 0.2")
    )
    return folder


def test_functions_are_read():
    found = functions_of(EXAMPLE.read_text(), "own.lean")
    assert [(name, fold(value, TEXT, "x")) for name, value, *_ in found] == [
        ("swoosh", "(x * sigmoid(x))"),
        ("bend", "((0.9 + (0.1 * x)) if (x > 1) else ((-0.9 + (0.1 * x)) if (x < -1) else x))"),
    ]
    assert fold(found[1][2], TEXT, "x") == "(0.1 if (x > 1) else (0.1 if (x < -1) else 1))"


def test_every_command_knows_the_words(place):
    given = ["--plugin", "right.lean"]
    shown, oracle, bend, certified, mlir, c, jax = netc_each(
        place,
        ["show", "mine.toml", *given],
        ["oracle", "activation/swoosh", *given],
        ["oracle", "activation/bend", *given],
        ["certify", "mine.toml", *given],
        ["emit-mlir", "mine.toml", "-o", "text", *given],
        ["emit-c", "mine.toml", "-o", "c", *given],
        ["emit-jax", "mine.toml", "-o", "twin.py", *given],
    )
    for said, code in (shown, oracle, bend, certified, mlir, c, jax):
        assert code == 0, said
    assert "all agree" in oracle[0] and "all agree" in bend[0]
    assert "the backward is the derivative of the forward" in certified[0]
    assert "expf(" in (place / "c" / "net.c").read_text()
    text = (place / "twin.py").read_text()
    compile(text, "twin.py", "exec")
    assert "def activation_swoosh(x, slope):\n    return x * jax.nn.sigmoid(x)" in text


def test_a_wrong_derivative_is_found(place):
    given = ["--plugin", "wrong.lean"]
    oracle, bend, certified = netc_each(
        place,
        ["oracle", "activation/swoosh", *given], ["oracle", "activation/bend", *given],
        ["certify", "mine.toml", *given],
    )  # fmt: skip
    assert oracle[1] == 1 and bend[1] == 1, oracle[0]
    assert certified[1] == 1 and "is not the derivative" in certified[0]


def test_a_run_trains_and_opens(place):
    given = ["--plugin", "right.lean"]
    begun, without, evaluated = netc_each(
        place,
        ["eval", "gone", *given],
        ["train", "mine.toml", *RUN, "--classes", "10", "--epochs", "1", "--out", "run", *given],
        ["eval", "run", *given],
    )
    assert begun[1] == 2
    assert without[1] == 0, without[0]
    assert evaluated[1] == 0, evaluated[0]
    assert "right.lean" in (place / "run" / "config.toml").read_text()


def doubled(body):
    """Functions of which each reads the one before twice."""
    rest = "".join(f"def g{n} (x : Float) : Float := {body.format(n - 1)}\n" for n in range(1, 30))
    return f"def g0 (x : Float) : Float := x\n{rest}"


lets = "".join("  let x := x + x\n" for _ in range(60))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("def f (x : Float) : Float := x", "o.lean wants a function with its derivative, got none; write def f' (x : "),
        ("def n : Nat := 3", "write def f (x : Float) : Float and def f'"),
        ("def f (x : Float) : Float := f x\ndef f' (x : Float) : Float := 1", "f never ends: it calls itself"),
        ("def f (x : Float) : Float := g x\ndef f' (x : Float) : Float := 1", "wants a function, got g"),
        ("def f (x : Float) : Float := x * y\ndef f' (x : Float) : Float := 1", "no name y is known here"),
        ("def f (x : Float) : Float := if x then 1 else 2\ndef f' (x : Float) : Float := 1", "if wants a truth value"),
        ("def f (x : Float) : Float := x * (1 / 2)\ndef f' (x : Float) : Float := 1", "leaves a remainder"),
        (
            f"{doubled('g{0} x + g{0} x')}def f (x : Float) : Float := g29 x\ndef f' (x : Float) : Float := 1",
            "at most 50",
        ),
        (f"def f (x : Float) : Float :=\n{lets}  x\ndef f' (x : Float) : Float := 1", "at most 5000 operations"),
        ("def f (x : Float) : Float := do\n  x\ndef f' (x : Float) : Float := 1", "`do` block"),
    ],
)
def test_what_is_wrong_is_one_sentence(text, sentence):
    with pytest.raises(UserError) as caught:
        functions_of(text, "o.lean")
    assert sentence in str(caught.value)


def test_what_no_operation_computes_is_named(tmp_path):
    (tmp_path / "o.lean").write_text("def steps (x : Float) : Float := floor x\ndef steps' (x : Float) : Float := 0\n")
    (tmp_path / "true.lean").write_text(
        "def f (x : Float) : Float := if true then x else 1\ndef f' (x : Float) : Float := 0\n"
    )
    with pytest.raises(UserError, match="f `if` wants a comparison"):
        load_lean(tmp_path / "true.lean")
    (tmp_path / "swish.lean").write_text(
        "def swish (x : Float) : Float := x / (1 + exp (-x))\ndef swish' (x : Float) : Float := 1\n"
    )
    floor, there, gone = netc_each(
        tmp_path, *(["ls", "--plugin", name] for name in ("o.lean", "swish.lean", "gone.lean"))
    )
    assert floor == [
        "netc: o.lean:1: steps floor has no rule for its derivative; write the function without it\n",
        2,
    ]
    assert there == ["netc: activation 'swish' exists already; choose another word\n", 2]
    assert gone[1] == 2 and "gone.lean: cannot be read" in gone[0]
