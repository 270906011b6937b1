"""FILE.toml holds a training's words: read, refused with the line, and written so that it begins the same run."""

from pathlib import Path

import pytest

import netc
from netc.config_file import beside, parse, read_recipe, recipe_names, settings
from netc.config_text import config_text
from netc.netspec import layers as nn
from netc.netspec.errors import UserError
from netc.netspec.loss import LOSSES
from netc.netspec.optimizers import OPTIMIZERS
from netc.netspec.recipe_words import recipe_of, training_of
from netc.netspec.schedules import SCHEDULES
from netc.netspec.words_of import words_of_recipe, words_of_training
from netc.programs import request_program
from netc.requests import planned, request_training

OLD = Path(__file__).parent / "config-0.2.0.toml"
NET = netc.NetSpec("tiny", (8, 8, 1), (nn.Flatten(), nn.Dense(10, name="head")))
NET_TABLE = (
    '[net]\nname = "tiny"\ninput = [8, 8, 1]\n[[net.layers]]\nkind = "flatten"\n[[net.layers]]\nkind = "dense"\n'
)
NET_TABLE += "features = 10\n"


@pytest.fixture
def write(tmp_path):
    def make(text: str, name: str = "mine.toml") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return make


def test_a_file_holds_the_net_and_all_words(write):
    path = write(
        'lr = 1\nepochs = 3\noptimizer = "adamw"\nweight-decay = 0.05\ncrop = 1\nkeep = 2\nseed = 7\n' + NET_TABLE
    )
    plan = planned(request_training(config=path, target="reference"))
    made = plan.config
    assert (made.net.spec.name, made.training.lr, made.training.epochs, made.seed) == ("tiny", 1.0, 3, 7)
    assert (made.recipe.optimizer.weight_decay, made.augment.crop, made.saving.keep) == (0.05, 1, 2)
    assert request_training(config=str(path), lr=2.0).training["lr"] == 2.0
    assert request_training("mnist-mlp", config=path).net.name == "mnist-mlp"
    assert request_program("mnist-mlp", config=str(path)).recipe.optimizer.weight_decay == 0.05


def test_a_word_that_is_stated_takes_the_place_of_what_belongs_to_the_files(write):
    path = write('optimizer = "adamw"\nbeta2 = 0.95\nweight_decay = 0.1\ndecay = "step"\ngamma = 0.5\n')
    asked = lambda **words: request_training("mnist-mlp", config=path, **words)  # noqa: E731
    assert asked(optimizer="sgd").recipe.optimizer == netc.SGD(0.9, weight_decay=0.1)
    assert asked(optimizer="adamw").recipe.optimizer.beta2 == 0.95
    assert "gamma" not in asked(decay="cosine").training
    assert asked(recipe=netc.Recipe()).recipe == netc.Recipe()


def test_a_loss_keeps_the_options_that_are_not_stated():
    held = {"loss": "focal", "loss_option": {"gamma": 1.0, "alpha": [0.5]}}
    assert beside(held, {"loss_option": ("gamma=3",)})["loss_option"] == {"gamma": "3", "alpha": [0.5]}
    assert "loss_option" not in beside(held, {"loss": "crossEntropy"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("epochs = 1\nlearning_rate = 0.1\n", r"f.toml:2: there is no learning_rate; did you mean lr\?"),
        ("\n\nepoch = 1\n", r"f.toml:3: there is no epoch; did you mean epochs"),
        ('lr = 1\nepochs = "3"\n', r"f.toml:2: epochs wants an integer, got '3'"),
        ("nesterov = 1\n", r"f.toml:1: nesterov wants True or False, got 1"),
        ("optimizer = 3\n", r"f.toml:1: optimizer wants a text, got 3; write it in quotes"),
        ("seed = 1\n[training]\nlr = 1\n", r"f.toml:2: there is no training"),
        ("[lr]\na = 1\n", r"f.toml:1: lr wants a value, got a table; there are no sections"),
        ("quiet = true\n", r"f.toml:1: quiet belongs to a command or a call"),
        ("lr = \n", r"f.toml: wants TOML, got Invalid value"),
        ("plugin = 3\n", r"f.toml: plugin wants the names of files, got 3"),
        ('[net]\nname = "x"\n', r"f.toml:1: input wants a list, got nothing"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_line(text, said):
    with pytest.raises(netc.NetcError, match=said):
        parse(text, "f.toml")


def test_settings_are_typed():
    assert settings(["lr=0.1", "optimizer=sgd", "loss_option.gamma=2", "input=[8, 8, 1]", "nesterov=true"]) == {
        "lr": 0.1, "optimizer": "sgd", "loss_option": {"gamma": 2}, "input": (8, 8, 1), "nesterov": True,
    }  # fmt: skip
    for pair, said in {
        "lr": "`set` wants NAME=VALUE, got 'lr'",
        "lr=fast": "`set` lr=fast: lr wants a number, got 'fast'",
        "lrr=1": r"`set` lrr=1: there is no lrr; did you mean lr",
        "training.lr=1": "there is no training",
        "lr.x=1": "only loss_option has names of its own",
    }.items():
        with pytest.raises(UserError, match=said):
            settings([pair])
    with pytest.raises(UserError, match="wants each name once, got lr twice"):
        settings(["lr=1", "lr=2"])


@pytest.mark.parametrize("word", OPTIMIZERS)
def test_the_words_of_a_recipe_make_it_again(word):
    made = recipe_of(optimizer=word, precision="bf16", accumulate=2, decay_all=True)
    assert recipe_of(**words_of_recipe(made)) == made


@pytest.mark.parametrize("word", LOSSES)
def test_the_words_of_a_loss_make_it_again(word):
    made = recipe_of(loss=word)
    assert recipe_of(**words_of_recipe(made)) == made


@pytest.mark.parametrize("word", SCHEDULES)
def test_the_words_of_a_training_make_it_again(word):
    made = training_of(decay=word, lr=0.3, final=0.1, epochs=3)
    assert training_of(**words_of_training(made)) == made


def test_what_is_written_begins_the_same_run(write, tmp_path):
    words = {"lr": 0.01, "optimizer": "adamw", "loss": "focal", "loss_option": {"gamma": 1.5}, "decay": "step"}
    asked = request_training(NET, target="reference", crop=1, seed=3, checkpoint_every=5, classes=12, **words)
    plan = planned(asked)
    again = planned(request_training(config=write(config_text(asked, plan.config))))
    assert again.config.to_json() == plan.config.to_json()
    assert config_text(request_training(config=tmp_path / "mine.toml"), again.config) == config_text(asked, plan.config)


def test_a_runs_file_makes_the_same_trace(tmp_path):
    run = netc.train(NET, target="reference", epochs=1, batch=64, label_smoothing=0.1, out=tmp_path / "a")
    again = netc.train(config=run.folder / "config.toml", out=tmp_path / "b")
    for name in ("run.json", "trace.jsonl", "config.toml", "last/state.safetensors"):
        assert (again.folder / name).read_bytes() == (run.folder / name).read_bytes(), name


def test_a_runs_file_that_was_altered_is_said(tmp_path):
    run = netc.train(NET, target="reference", epochs=1, batch=64, out=tmp_path / "a")
    path = run.folder / "config.toml"
    text = path.read_bytes()
    for place in (10, len(text) // 2, len(text) - 2):
        path.write_bytes(text[:place] + bytes([text[place] ^ 1]) + text[place + 1 :])
        with pytest.raises(UserError, match=r"config\.toml wants to agree with its own SHA-256"):
            netc.resume(run.folder, epochs=2)
    path.unlink()
    assert netc.resume(run.folder, epochs=2).steps == 2 * run.steps


def test_a_run_of_0_2_0_begins_again(tmp_path):
    """config-0.2.0.toml was written by the first version that wrote one; a word that came later has its default."""
    made = planned(request_training(config=OLD, out=tmp_path)).config
    assert (made.net.spec.name, made.training.epochs, made.recipe.optimizer.beta2) == ("tiny", 2, 0.95)


def test_the_config_of_a_lean_file_stands_beside_a_file(write):
    lean = write(
        'def net : NetSpec where\n  name := "small"\n  imageH := 8\n  imageW := 8\n'
        "  layers := [.dense 64 10 .identity]\n"
        "def slow : TrainConfig where\n  learningRate := 0.5\n  batchSize := 16\n  epochs := 2\n"
        "def fast : TrainConfig where\n  learningRate := 0.7\n  batchSize := 16\n  epochs := 2\n",
        "Nets.lean",
    )
    path = write('config = "fast"\nbatch = 8\n')
    found = request_training(str(lean), config=path).training
    assert (found["lr"], found["batch"]) == (0.7, 8)
    assert request_training(str(lean), config="slow").training["lr"] == 0.5


def test_no_net_is_refused(write):
    with pytest.raises(UserError, match="wants a `net`, got none"):
        request_training(config=write("lr = 1\n"))


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_reads_and_says_what_it_is_for(name):
    words = read_recipe(name).words
    net = words.get("net", "mnist-mlp")
    request_training(net, recipe=name)


def test_a_recipe_that_there_is_not():
    with pytest.raises(UserError, match=r"`recipe` wants one of .*, got 'digit'; did you mean digits"):
        request_training("mnist-mlp", recipe="digit")


def test_every_group_of_words_is_written_and_read_again(write):
    groups = (
        {"ema": 0.99, "mixup": 0.2, "clip_norm": 1.0, "random_erasing": 0.2, "freeze": ("head",), "val": 0.2},
        {"normalise": "imagenet", "crop_pct": 0.9, "auto_augment": "rand-m9", "rrc_scale": (0.5, 1.0)},
        {"patience": 3, "best_by": "f1", "max_steps": 50, "warmup_steps": 4, "aug_repeats": 2},
    )
    for words in groups:
        asked = request_training("mnist-mlp", target="reference", **words)
        config = planned(asked).config
        again = planned(request_training(config=write(config_text(asked, config)))).config
        assert again.to_json() == config.to_json()
