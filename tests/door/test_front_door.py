"""`import netc`: the program of the README, and what a user meets on the way."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import netc
from netc import layers as nn
from netc.cli.main import _run
from netc.codegen.program import build
from netc.netspec.optimizers import SGD

README = Path(__file__).parents[2] / "README.md"
RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (60, 28, 28, 1)).astype(np.uint8)
Y = np.arange(60) % 10
NET = netc.NetSpec("mine", (6,), (nn.Dense(8, activation="relu"), nn.Dense(3)))
F, L = RNG.standard_normal((40, 6)), np.arange(40) % 3


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NETC_CACHE_DIR", str(tmp_path / "cache"))


def mine(**others):
    return netc.Dataset.from_arrays(F, L, F[:10], L[:10], **others)


def train(data=None, **words):
    return netc.train(NET, data or mine(), **{"target": "reference", "epochs": 2, "batch": 8, "out": "run", **words})


def test_the_program_of_the_readme(tmp_path, capsys):
    program = README.read_text(encoding="utf-8").partition("```python\n")[2].partition("```")[0]
    names: dict = {}
    exec(program, names)  # ours
    run, step, text = names["run"], names["step"], names["text"]

    said = capsys.readouterr().out
    assert "convBn 32 3x3  [batch, 28, 28, 32]" in said and f"{run.accuracy} [" in said
    assert run.folder.name == "mine-arrays" and 0 <= run.accuracy <= run.best <= 1
    assert (tmp_path / "mine.vmfb").stat().st_size > 1000 and (tmp_path / "mine.vmfb.json").exists()
    assert text.startswith("module @mine") and "stablehlo.convolution" in text
    state = step.init(seed=0)
    images, labels = X[:32].astype(np.float32) / 255, Y[:32].astype(np.int32)
    state, first = step.train(state, images, labels, lr=1e-5)
    state, second = step.train(state, images, labels, lr=1e-5)
    assert second["loss"] < first["loss"]
    assert step.manifest["functions"]["predict"]["arguments"][-1]["shape"] == [32, 28, 28, 1]
    assert step.cost().flops > 1e6 and step.cost().useful_flops > 1e6 and step.memory().total > 1e5
    assert step.predict(state, images).shape == (32, 10)


def test_a_certificate():
    assert netc.compile(NET, batch=2, target="xla").certificate().holds
    assert netc.certify(NET, primes=4).holds


def test_importing_netc_loads_nothing():
    code = "import sys, netc; print(sorted(m for m in sys.modules if m.startswith('netc') or m in ('numpy', 'click')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['netc']"


@pytest.mark.parametrize("name", netc.__all__)
def test_every_public_name_is_there_and_documented(name):
    assert getattr(netc, name).__doc__
    assert name in dir(netc)


def test_the_names_for_type_checkers_are_those_that_are_loaded():
    assert sorted(netc.__all__) == sorted(netc._NAMES)
    with pytest.raises(AttributeError, match="module 'netc' has no attribute 'trian'"):
        _ = netc.trian


def test_what_a_name_stands_for(tmp_path):
    (tmp_path / "my.toml").write_text('name = "my"\ninput = [4]\n[[layers]]\nkind = "dense"\nfeatures = 2\n')
    assert netc.load("mnist-mlp").name == "mnist-mlp"
    assert netc.load("my.toml").input == (4,)
    assert netc.load(train().folder).accuracy == netc.Run.open("run").accuracy
    with pytest.raises(netc.UserError, match="did you mean resnet34"):
        netc.load("resnet43")


def test_own_arrays_train_evaluate_and_resume():
    whole = train(epochs=3, out="whole")
    part = train(epochs=2, out="part")
    assert part.evaluate().count == 10
    assert part.evaluate().accuracy == netc.load("part").evaluate(mine()).accuracy
    resumed = netc.resume("part", mine(), epochs=3)
    assert resumed.steps == whole.steps
    assert netc.trace.diff(train(epochs=3, out="again"), whole).agree
    other = netc.Dataset.from_arrays(F + 1, L, F[:10], L[:10])
    with pytest.raises(netc.UserError, match=r"was trained on other arrays \(SHA-256 \w{12}\), got ones of"):
        netc.resume("part", other)
    with pytest.raises(netc.UserError, match=r"arrays:mine were arrays of a Python program.* give them again"):
        netc.resume("part")
    with pytest.raises(netc.UserError, match=r"arrays:mine were arrays of a Python program"):
        netc.load("part").evaluate()


def test_an_interrupted_run_on_own_arrays_goes_on_bit_for_bit():
    whole = train(out="whole")
    stopped = train(out="part", on_step=lambda done: done.step == 3)
    assert stopped.stopped and stopped.steps == 4
    assert not netc.resume(stopped, mine()).stopped
    assert netc.trace.diff("whole", "part").agree
    assert (whole.folder / "trace.jsonl").read_bytes() == (stopped.folder / "trace.jsonl").read_bytes()


def test_callbacks_see_every_step_and_epoch_and_may_stop():
    steps, epochs = [], []
    run = train(on_step=lambda done: steps.append(done.loss), on_epoch=lambda e: epochs.append(e.accuracy))
    assert len(steps) == run.steps == 10 and epochs[-1] == pytest.approx(run.accuracy) and not run.stopped
    run = train(out="early", epochs=9, on_epoch=lambda e: e.epoch == 1)
    assert run.stopped and run.steps == 10


def test_predict_wants_examples_as_they_were_trained_on():
    run = train()
    assert run.predict(F[:3]).shape == (3, 3)
    assert run.predict(F).shape == (40, 3)  # more than a batch
    before = run.predict(F)
    netc.resume(run, mine(), epochs=4)
    assert not np.array_equal(run.predict(F, checkpoint="last"), before)  # of the checkpoint as it is now
    with pytest.raises(netc.UserError, match=r"`x` wants examples of \[6\], the `input` of the net, got \[5\]"):
        run.predict(F[:, :5])
    images = netc.NetSpec("img", (8, 8, 1), (nn.Flatten(), nn.Dense(10)))
    data = netc.Dataset.from_arrays(X[:, :8, :8], Y)
    seen = netc.train(images, data, target="reference", epochs=1, out="images")
    assert seen.predict(X[:2, :, :, 0]).shape == (2, 10)  # resized
    with pytest.raises(netc.UserError, match="was trained on uint8 images, which it normalises, got float64; give `x`"):
        seen.predict(X[:2, :8, :8].astype(float))


def pairs(epoch):
    generator = np.random.default_rng(epoch)
    for _ in range(4):
        x = generator.standard_normal((8, 6))
        yield x, (x.sum(-1) > 0).astype(int)


def test_batches_of_a_function_train_and_resume():
    def data():
        return netc.Dataset.from_batches(pairs, F[:10], L[:10], steps=4)

    whole = train(data(), batch=None, out="whole")
    assert whole.steps == 8 and whole.config.training.batch == 8
    train(data(), batch=None, out="part", on_step=lambda done: done.step == 5)
    netc.resume("part", data())
    assert (whole.folder / "trace.jsonl").read_bytes() == netc.load("part").folder.joinpath("trace.jsonl").read_bytes()


def test_batches_of_a_list_or_a_generator():
    batches = list(pairs(0))
    assert train(netc.Dataset.from_batches(batches, F[:10], L[:10]), batch=None).steps == 8
    endless = (pair for epoch in range(9) for pair in pairs(epoch))
    assert train(netc.Dataset.from_batches(endless, F[:10], L[:10], steps=3), batch=None, out="endless").steps == 6
    with pytest.raises(netc.DataError, match="want `steps`, the number in an epoch, got none"):
        netc.Dataset.from_batches(pairs, F, L)
    with pytest.raises(netc.DataError, match=r"batches want `x` of float32.* got uint8 \[8, 6\]; convert it"):
        netc.Dataset.from_batches([(F[:8].astype(np.uint8), L[:8])], F, L)
    short = netc.Dataset.from_batches(iter(batches), F[:10], L[:10], steps=3)
    with pytest.raises(netc.DataError, match="an epoch wants 3 batches, got 1; give `steps=1`"):
        train(short, batch=None, out="short")
    ragged = netc.Dataset.from_batches([*batches, (F[:3], L[:3])], F[:10], L[:10])
    with pytest.raises(netc.DataError, match=r"`x` float32 \[8, 6\] as the first has it, got float32 \[3, 6\]; leave"):
        train(ragged, batch=None, out="ragged")
    with pytest.raises(netc.UserError, match="`batch` wants 8, as the batches are, got 4"):
        train(netc.Dataset.from_batches(batches, F[:10], L[:10]), batch=4, out="four")


def test_floats_as_targets():
    net = netc.NetSpec("fit", (6,), (nn.Dense(2),))
    y = np.stack([F.sum(-1), F[:, 0]], -1)
    run = netc.train(net, netc.Dataset.from_arrays(F, y), loss="mse", target="reference", epochs=3, lr=0.05, out="fit")
    assert run.evaluate().loss < 2
    # nothing is right in a regression: the best epoch is that of the lowest loss, here the last
    assert run.evaluate().loss == run.evaluate(checkpoint="last").loss
    more = netc.resume(run, netc.Dataset.from_arrays(F, y), epochs=4)
    assert more.evaluate().loss == more.evaluate(checkpoint="last").loss
    with pytest.raises(netc.UserError, match=r"`y` wants int32 \[N\], `loss=crossEntropy` of fit, got float32 \[N, 2"):
        netc.train(net, netc.Dataset.from_arrays(F, y), target="reference", out="wrong")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"epoch": 3}, "got `epoch`; did you mean `epochs`"),
        ({"optimizer": "adm"}, "`optimizer` wants one of .* got 'adm'; did you mean adam"),
        ({"new_head": True}, "`new_head` belongs to `init`, got no `init`"),
        ({"crop": 2}, "`crop` belongs to images, and arrays:mine is no images"),
        ({"recipe": netc.Recipe(), "loss": "mse"}, "`recipe` says how to train, got also `loss`; leave one out"),
        ({"target": "gpu"}, "`target` wants one of"),
        ({"steps_per_call": 99}, "`steps_per_call` wants at most the 5 steps of an epoch, got 99"),
        ({"input": "3x3"}, r"`x` wants float32 \[N, 3, 3\], the `input` of mine, got float32 \[N, 6\]"),
        ({"classes": 0}, "`classes` wants an integer of at least 1, got 0"),
        (
            {"data": [(F, L)]},
            r"`data` wants a Dataset or a name, got list; make one by netc.Dataset.from_arrays\(x, y\)",
        ),
        ({"epochs": 0}, "`epochs` wants a positive integer, got 0"),
        ({"config": "adam"}, "`config` belongs to a .lean file, got the net"),
    ],
)
def test_mistakes_are_said_in_fields(words, sentence):
    with pytest.raises((netc.UserError, netc.SpecError), match=sentence) as caught:
        train(**words)
    assert "--" not in str(caught.value)


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ((F, L[:5]), "`x` and `y` want the same number of examples, got 40 and 5"),
        ((F, L, F), "`x_test` and `y_test` go together, got one"),
        ((F[:5], L[:5]), "wants 10 examples or more to hold some out, got 5; give `x_test`"),
        ((np.array(["a"]), L[:1]), r"`x` wants numbers \[N, ..\], got <U1"),
        ((np.zeros((9, 4), np.uint8), L[:9]), r"uint8 wants images .* got \[9, 4\]; convert it to float32"),
        ((F, L + 2**40), "`y` wants whole numbers of 32 bits"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(arrays, sentence):
    with pytest.raises(netc.DataError, match=sentence):
        netc.Dataset.from_arrays(*arrays)


def test_the_digest_depends_on_every_array():
    base = mine().digest
    assert mine().digest == base
    assert netc.Dataset.from_arrays(F, (L + 1) % 3, F[:10], L[:10]).digest != base
    assert netc.Dataset.from_arrays(F, L, F[:9], L[:9]).digest != base
    assert netc.Dataset.from_arrays(F, L, F[:9], L[:9]).train_digest == mine().train_digest


def test_auto_resume_goes_on_with_the_same_request():
    train(on_step=lambda done: done.step == 2, auto_resume=True)
    assert train(auto_resume=True).steps == 10
    with pytest.raises(netc.UserError, match=r"`auto_resume` wants the options that started run, got others: seed"):
        train(auto_resume=True, seed=1)


def test_arrays_in_a_file_train_evaluate_and_resume(tmp_path):
    np.savez(tmp_path / "mine.npz", x=F, y=L, x_test=F[:10], y_test=L[:10])
    run = train("arrays:mine.npz")
    assert run.evaluate().accuracy == netc.load("run").evaluate().accuracy
    assert netc.trace.diff(train(out="own"), run).agree
    assert netc.resume("run", epochs=3).steps == 15
    np.savez(tmp_path / "odd.npz", x=F, z=L)
    (tmp_path / "text.npz").write_text("no")
    with pytest.raises(
        netc.DataError, match=r"odd.npz wants arrays x and y, and optionally x_test and y_test, got x, z"
    ):
        train("arrays:odd.npz")
    with pytest.raises(netc.DataError, match=r"text.npz wants a .npz of arrays, got one that cannot be read"):
        train("arrays:text.npz")


def test_the_command_line_goes_on_with_own_arrays_in_a_file(capsys):
    np.savez("mine.npz", x=F, y=L, x_test=F[:10], y_test=L[:10])
    train()  # by arrays of this program
    assert _run(["train", "--resume", "run", "--epochs", "3", "--data", "arrays:mine.npz", "--quiet"]) == 0
    assert "reached" in capsys.readouterr().out and netc.load("run").steps == 15
    assert _run(["eval", "run"]) == 2
    assert "give them again in Python" in capsys.readouterr().err
    assert _run(["eval", "run", "--data", "arrays:mine.npz"]) == 0
    assert f"{netc.load('run').best:.2%} of 10" in capsys.readouterr().out
    np.savez("mine.npz", x=F + 1, y=L, x_test=F[:10], y_test=L[:10])
    assert _run(["train", "--resume", "run", "--epochs", "4", "--data", "arrays:mine.npz"]) == 2
    assert "was trained on other arrays" in capsys.readouterr().err
    netc.train(netc.NetSpec("d", (8, 8, 1), (nn.Flatten(), nn.Dense(10))), target="reference", epochs=1, out="digits")
    assert _run(["train", "--resume", "digits", "--data", "arrays:mine.npz"]) == 2
    assert "--resume uses the data of the run, digits, got also --data" in capsys.readouterr().err


def test_image_files_are_refused_by_a_run_on_arrays(tmp_path):
    run = netc.train(
        netc.NetSpec("floats", (8, 8, 1), (nn.Flatten(), nn.Dense(10))),
        netc.Dataset.from_arrays(X[:, :8, :8] / 255, Y), target="reference", epochs=1, out="floats",
    )  # fmt: skip
    (tmp_path / "a.pgm").write_bytes(b"P5 8 8 255\n" + bytes(64))
    with pytest.raises(netc.UserError, match="was trained on arrays as the net takes them, got image files"):
        list(run.classify([tmp_path / "a.pgm"]))


def test_data_goes_in_and_comes_out_as_arrays():
    x, y = netc.datasets.load("digits").arrays("test")
    assert x.shape == (359, 8, 8, 1) and x.dtype == np.uint8 and y.shape == (359,)
    x, y = mine().arrays()
    assert np.array_equal(x, F.astype(np.float32)) and np.array_equal(y, L)
    with pytest.raises(netc.DataError, match="is made batch by batch"):
        netc.Dataset.from_batches(list(pairs(0)), F[:10], L[:10]).arrays()


def test_the_examples_and_the_readme_satisfy_a_type_checker(tmp_path):
    """In the strict mode: a name of the front door that mypy cannot see would be an error there."""
    pytest.importorskip("mypy")
    program = README.read_text(encoding="utf-8").partition("```python\n")[2].partition("```")[0]
    (tmp_path / "readme.py").write_text(program)
    root = README.parent
    files = [*map(str, sorted((root / "examples").glob("*.py"))), str(tmp_path / "readme.py")]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", str(root / "pyproject.toml"), *files],
        cwd=root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"epochs": 2.0}, r"`epochs` wants an integer, got 2\.0; give an integer"),
        ({"epochs": True}, "`epochs` wants an integer, got True"),
        ({"checkpoint_every": 2.0}, "`checkpoint_every` wants an integer"),
        ({"keep": 2.0}, "`keep` wants an integer"),
        ({"decay": "cosine-restarts", "cycles": 4.0}, "`cycles` wants an integer"),
        ({"steps_per_call": 2.0}, "`steps_per_call` wants an integer"),
        ({"accumulate": 2.0}, "`accumulate` wants an integer"),
        ({"seed": 1.0}, "`seed` wants an integer"),
        ({"seed": True}, "`seed` wants an integer, got True"),
        ({"crop": 1.0}, "`crop` wants an integer"),
        ({"flip": 1}, "`flip` wants True or False, got 1"),
        ({"decay_all": 1}, "`decay_all` wants True or False"),
        ({"optimizer": "sgd", "nesterov": 1}, "`nesterov` wants True or False"),
        ({"optimizer": SGD(nesterov=1)}, r"run.json: recipe.optimizer.nesterov wants a finite bool"),
        ({"lr": "1e-3"}, "`lr` wants a number, got '1e-3'"),
        ({"optimizer": "sgd", "momentum": "0.9"}, "`momentum` wants a number"),
        ({"recipe": netc.Recipe(accumulate=2.0)}, r"`accumulate` wants a positive integer, got 2\.0"),
    ],
)
def test_a_value_of_another_type_is_refused_before_anything_is_written(words, sentence, tmp_path):
    with pytest.raises((netc.UserError, netc.SpecError), match=sentence):
        train(**words)
    assert not (tmp_path / "run").exists()


def test_a_good_run_outlives_a_value_of_another_type(tmp_path):
    train()
    before = (tmp_path / "run" / "run.json").read_bytes()
    for words in ({"epochs": 3.0}, {"keep": 2.0}, {"checkpoint_every": "2"}):
        with pytest.raises(netc.UserError, match="wants an integer"):
            netc.resume("run", mine(), **words)
    assert (tmp_path / "run" / "run.json").read_bytes() == before
    assert netc.load("run").evaluate(mine()).accuracy >= 0


def test_scalars_of_numpy_and_none_are_taken():
    run = train(
        lr=np.float32(0.01),
        batch=np.int64(8),
        optimizer="sgd",
        momentum=np.float32(0.9),
        nesterov=np.bool_(1),
        seed=None,
    )
    run = netc.resume(run, mine(), epochs=np.int64(3), keep=np.int64(2), checkpoint_every=None)
    assert run.config.training.epochs == 3 and run.config.saving.keep == 2 and netc.load("run").config == run.config
    assert netc.compile(NET, batch=None, steps_per_call=None, target="reference").program.batch == 32


@pytest.mark.parametrize("batch", [8.0, True])
def test_a_batch_is_an_integer_and_a_refused_one_changes_no_other(batch):
    with pytest.raises(netc.UserError, match="`batch` wants an integer"):
        netc.compile(NET, batch=batch, target="reference")
    with pytest.raises(netc.SpecError, match="batch wants a positive integer below"):
        build(netc.check(NET), netc.Recipe(), batch)
    assert "tensor<8x6xf32>" in netc.compile(NET, batch=8, target="reference").text
