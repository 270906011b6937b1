"""What a newcomer writes by mistake is met by one sentence that names the next step."""

import importlib.util
import sys
from dataclasses import dataclass

import numpy as np
import pytest

import netc
from netc import layers as nn
from netc.cli import main as entry
from netc.netspec.errors import SpecError

NET = "mnist-mlp"


@pytest.fixture
def said(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        code = entry._run(list(arguments))
        return code, capfd.readouterr().err

    return run


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("ls", "nothing"), "got 'nothing', which matches none; `netc ls` shows all of them"),
        (("show", "nothing"), "got 'nothing'; see `netc ls`"),
        (("show", "imagenet"), "got 'imagenet'; see `netc ls`"),
        (("train", NET, "--pretrained", "nothing"), "netc: --pretrained takes no value, got 'nothing'; leave it out"),
        (("train", NET, "nothing"), "netc: got unexpected extra argument (nothing); see netc train --help"),
        (("train", NET, "--loss", "nothing"), "diceCrossEntropy, branching, got 'nothing'\n"),
        (("train", NET, "--qwertz"), "netc: no such option --qwertz; see netc train --help"),
        (("trian",), "netc wants a command, got 'trian'; did you mean train"),
        (("show", "vit"), "did you mean vit_tiny_patch16_224 or vit_small_patch16_224 or"),
        (("oracle", "dense2"), "wants part of a kind or case, got 'dense2'; did you mean dense"),
        (("train", NET, "--learning-rate", "0.1"), "netc: no such option --learning-rate; did you mean --lr?"),
        (("train", NET, "--batch-size", "3"), "did you mean --batch?"),
        (("train", NET, "--wd", "3"), "did you mean --weight-decay?"),
        (("train", "--model", NET), "did you mean NET, without a flag?"),
        (("train", NET, "--batch", "0"), "--batch wants a positive integer, got 0"),
        (("train", NET, "--epochs", "0"), "--epochs wants a positive integer, got 0"),
        (("train", NET, "--lr", "-1"), "--lr wants a positive number, got -1.0"),
        (("train", NET, "--batch", "9999"), "--batch 9999 is more than the 1,438 training examples; make it 1,438"),
        (("train", NET, "--resume", "run"), "got both; leave NET out: the run knows its net"),
        (("train", NET, "--data", "cifar100"), "tokens:DIR, got 'cifar100'; did you mean cifar10?"),
        (("train", NET, "--data", "a.npz"), "netc: --data wants one of digits,"),
        (("train", NET, "--data", "a.npz"), "write arrays:a.npz"),
        (("train", NET, "--data", "nofile.txt"), "write text:nofile.txt"),
        (("train", NET, "--data", "arrays:d.npy"), "got d.npy: no such file"),
        (("train", NET, "--data", "array:d.npz"), "got 'array:d.npz'; did you mean arrays:d.npz?"),
        (("train", NET, "--data", "arrays:d.npz", "--data-dir", "."), "arrays:d.npz wants no --data-dir, got .;"),
        (("train", NET, "--data", "arrays:d.npz"), "got d.npz: no such file"),
        (
            ("prove", NET, "--mathlib", "--check"),
            "--mathlib wants no --check, got both: there is no Mathlib here to check with;",
        ),
        (("prove", "--batch", "2"), "wants a NET, or --optimizer alone, got no NET and --batch; netc ls shows nets"),
    ],
)
def test_mistakes_on_the_command_line(said, arguments, sentence):
    code, err = said(*arguments)
    assert code == 2 and sentence in err


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: netc.NetSpec("m", 8, (nn.Dense(2),)), r"`input` wants a tuple such as \(8,\), got 8"),
        (
            lambda: netc.NetSpec("m", (8,), (nn.Flatten, nn.Dense(2))),
            r"layer 0 wants a layer, got the class Flatten; write Flatten\(\)",
        ),
        (
            lambda: netc.NetSpec("m", (8, 8, 1), (nn.Chain((nn.Flatten,)),)),
            r"m: layer 0 \(chain\): layers\[0\] wants a layer, got the class Flatten; write Flatten\(\)",
        ),
        (
            lambda: netc.NetSpec("m", (8,), ("dense",)),
            r"layer 0 wants a layer, got 'dense'; write one such as layers.Dense",
        ),
        (
            lambda: netc.NetSpec("m", (8,), (nn.Dense("2"), nn.Dense(2, bias=0))),
            r"^m: layer 0 \(dense\): features wants an integer, got '2'\nm: layer 1 \(dense\): bias wants true",
        ),
        (
            lambda: netc.NetSpec("m", (8, 8, 1), (nn.Conv2d(4, (1.5, 3)),)),
            r"layer 0 \(conv2d\): kernel wants an integer or a tuple, got \(1.5, 3\)",
        ),
        (lambda: netc.NetSpec("m", ("8",), (nn.Dense(2),)), r"`input` wants a tuple such as \(8,\), got \('8',\)"),
        (lambda: netc.NetSpec("m", (8,), (nn.Activation("relux"),)).summary(), r"got 'relux'; did you mean relu"),
        (lambda: netc.load(7), "`netc.load` wants a name, a file or a run's folder, got 7"),
        (lambda: netc.compile(3), "a net must be a NetSpec, a name, or a file, got 3"),
        (lambda: netc.train(NET, on_step=3), "`on_step` wants a function, got 3"),
        (lambda: netc.train(NET, learning_rate=0.1), r"got `learning_rate`; did you mean `lr`\?$"),
        (lambda: netc.train(NET, batch_size=3), r"did you mean `batch`\?$"),
        (lambda: netc.compile(NET, eps=1e-3), r"got `eps`; did you mean `epsilon`\?$"),
        (lambda: netc.train(NET, qqqqqq=3), "got `qqqqqq`; the docstring names them$"),
        (lambda: netc.compile(netc.load(NET), config="none"), "got the net 'mnist-mlp'; leave it out"),
    ],
)
def test_mistakes_in_python(make, sentence):
    with pytest.raises(netc.UserError, match=sentence):
        make()


@pytest.mark.parametrize("there", ["twin.py", "twin.npz"])
def test_emit_jax_keeps_what_is_there(said, tmp_path, there):
    (tmp_path / there).write_text("mine")
    code, err = said("emit-jax", NET, "-o", "twin.py")
    assert code == 2 and f"-o wants new files, got {there}, which exists" in err
    assert (tmp_path / there).read_text() == "mine"


def test_examples_that_are_not_finite_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x = np.ones((40, 6), np.float32)
    x[:, 2] = np.nan
    net = netc.NetSpec("nan", (6,), (nn.Dense(2),))
    with pytest.raises(netc.NetcError, match="the loss of step 0 is nan: `x` holds NaN or infinity"):
        netc.train(net, netc.Dataset.from_arrays(x, np.arange(40) % 2), target="reference", epochs=1, out="run")


def test_a_run_that_is_done_says_so(said):
    net = netc.NetSpec("done", (8, 8, 1), (nn.Flatten(), nn.Dense(10)))
    netc.train(net, target="reference", epochs=1, out="run")
    code, err = said("train", "--resume", "run")
    assert code == 0 and "the run has done its 1 epoch; give --epochs 2 or more to continue" in err
    code, err = said("train", "--resume", "run", "--epochs", "2")
    assert code == 0 and "has done" not in err


def test_bench_names_every_library_that_is_missing(said, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in ("jax", "torch") else find(name))
    code, err = said("bench", "mnist-mlp", "--target", "reference", "--against", "torch")
    assert code == 2 and "--against torch wants jax and torch" in err and "[bench]" in err


def test_a_command_without_jax_names_itself(said, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("netc.proofs_oracle")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(netc, "proofs_oracle", raising=False)
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "jax" else find(name))
    code, err = said("emit-jax", NET)
    assert code == 2 and "netc: `netc emit-jax` wants JAX, got no module named jax" in err


def test_help_names_the_words_that_take_an_option(said, capfd):
    assert entry._run(["train", "--help-all"]) == 0
    text = " ".join(capfd.readouterr().out.split())
    for sentence in (
        "Factor by which the rate drops (step, plateau).",
        "Interval between drops, as a fraction of the run (step).",
        "Final rate, as a fraction of the peak (exponential).",
        "Initial rate, as a fraction of lr (one-cycle).",
    ):
        assert sentence in text


def test_plot_without_matplotlib_names_the_extra(said, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "matplotlib" else find(name))
    code, err = said("trace", "plot", "run", "-o", "run.svg")
    assert code == 2 and "plot wants matplotlib, got none; pip install" in err and "[plot]" in err


def test_the_mistakes_that_click_finds_are_told_as_the_others(said):
    for words, sentence in (
        (("train", NET, "--epochs", "x"), "netc: invalid value for '--epochs': 'x' is not a valid integer; see netc "),
        (("show",), "netc: missing argument 'NET'; see netc show --help\n"),
        (
            ("sweep", "f.toml", "--epochs", "2"),
            "netc: sweep wants a training's words in FILE.toml, got --epochs; write `epochs",
        ),
    ):
        code, err = said(*words)
        assert code == 2 and err.startswith(sentence) and err.count("\n") == 1


def test_a_layer_states_its_types_by_names_of_its_module():
    @dataclass(frozen=True)
    class Odd(nn.Flatten):
        size: "Nowhere" = 3  # noqa: F821

    with pytest.raises(
        SpecError, match=r"^Odd states a field's type by 'Nowhere'; import it at the top of its module$"
    ):
        Odd()
