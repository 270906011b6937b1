"""A regression on a table whose targets are large: trained in standard deviations, told in the column's own units."""

import json

import numpy as np
import pytest

import netc as door
from netc.runtime.run.config import checkpoint_of, normalise_of

NET = 'name = "houses"\ninput = [2]\n[[layers]]\nkind = "dense"\nfeatures = 1\n'
WORDS = ("--loss", "mse", "--epochs", "30", "--batch", "16", "--lr", "0.05", "--target", "reference")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("houses")
    rng = np.random.default_rng(3)
    area, rooms = rng.uniform(30, 200, 120), rng.integers(1, 7, 120)
    price = 50_000 + 2_000 * area + 10_000 * rooms + rng.normal(0, 5_000, 120)
    rows = [f"{a:.4f},{r},{p:.2f}" for a, r, p in zip(area, rooms, price, strict=True)]
    (place / "houses.csv").write_text("\n".join(["area,rooms,price", *rows]) + "\n")
    (place / "my.toml").write_text(NET)
    return place


def test_prices_are_learnt_and_told_in_their_own_units(netc, place):
    code, out, err = netc("train", "my.toml", "--data", "csv:houses.csv,label=price", *WORDS, "--out", "run")
    assert code == 0, err
    assert "the loss is that of price standardised" in out + err
    table = np.loadtxt(place / "houses.csv", delimiter=",", skiprows=1)
    held = np.arange(120) % 5 == 4
    kept = normalise_of(checkpoint_of(place / "run", "best")).target
    assert np.allclose((*kept.mean, *kept.std), (table[~held, 2].mean(), table[~held, 2].std()), rtol=1e-6)

    code, out, _ = netc("predict", "run", "houses.csv", "--json")
    guesses = door.load(place / "run").predict(table[:, :2].astype(np.float32))[:, 0]
    assert code == 0 and np.isclose(json.loads(out)[7]["numbers"]["price"], guesses[7], rtol=1e-5)

    code, out, _ = netc("eval", "run", "--metrics", "rmse,mae,r2", "--json")
    score = json.loads(out)
    off = guesses[held] - table[held, 2]
    r2 = 1 - (off**2).sum() / ((table[held, 2] - table[held, 2].mean()) ** 2).sum()
    assert code == 0 and r2 > 0.95
    assert score["metrics"]["rmse"] == pytest.approx(np.sqrt((off**2).mean()), rel=1e-4)
    assert score["metrics"]["mae"] == pytest.approx(np.abs(off).mean(), rel=1e-4)
    assert score["metrics"]["r2"]["mean"] == pytest.approx(r2, rel=1e-4)
    assert score["loss"] == pytest.approx((off**2).mean() / kept.std[0] ** 2, rel=1e-3)


def test_a_checkpoint_without_a_scale_is_read_as_it_was_trained(netc, place):
    code, _, err = netc(
        "train", "my.toml", "--data", "csv:houses.csv,label=price", *WORDS, "--epochs", "1", "--out", "c"
    )
    assert code == 0, err
    saved = checkpoint_of(place / "c", "last")
    del saved.meta["normalise"]["target"]
    assert not normalise_of(saved).target


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--data", "csv:houses.csv,label=price"), "price looks like numbers (120 different values in 120 rows)"),
        (("--data", "csv:houses.csv,labels=price"), "got 'labels'; did you mean label?"),
        ((), "digits holds images, and houses of input [2] takes none: a table wants --data csv:FILE"),
        (("--label", "price"), "no such option --label; did you mean --data csv:FILE,label=NAME?"),
        (("--loss", "l1"), "did you mean huber?"),
        (("--data", "csv:houses.csv", "--loss", "mse", "--min-delta", "0.1"), "--min-delta belongs to --patience or"),
        (("--data", "csv:houses.csv", "--loss", "mse", "--log-every", "5"), "--log-every belongs to --log, got no"),
        (("--data", "csv:houses.csv", "--loss", "mse", "--shuffle-buffer", "9"), "--shuffle-buffer wants data that is"),
    ],
)
def test_what_is_refused_names_the_next_step(netc, place, words, sentence):
    (place / "whole.csv").write_text("")
    if words[:1] == ("--data",) and "looks like" in sentence:
        text = (place / "houses.csv").read_text().splitlines()
        rows = [line.rpartition(".")[0] for line in text[1:]]
        words = ("--data", "csv:whole.csv,label=price")
        (place / "whole.csv").write_text("\n".join([text[0], *rows]) + "\n")
    code, _, err = netc("train", "my.toml", *words, "--target", "reference", "--out", "no")
    assert code == 2 and sentence in err and not (place / "no").exists()


def test_a_run_on_a_table_speaks_of_rows_and_outputs_and_quietly_of_its_loss(netc, place):
    words = ("train", "my.toml", "--data", "csv:houses.csv,label=price", *WORDS, "--epochs", "1")
    code, out, _ = netc(*words, "--out", "rows")
    assert code == 0 and "1 output, " in out and "24 test rows" in out and "images" not in out
    code, out, _ = netc(*words, "--quiet", "--out", "quiet")
    assert code == 0 and "houses was trained on csv:houses.csv,label=price, test loss " in out


def test_columns_are_named_and_one_that_counts_rows_is_remarked(netc, place):
    lines = (place / "houses.csv").read_text().splitlines()
    numbered = [f"id,{lines[0]}", *(f"{i},{line}" for i, line in enumerate(lines[1:], 1))]
    (place / "ids.csv").write_text("\n".join(numbered) + "\n")
    words = ("--data", "csv:ids.csv,label=price", *WORDS, "--epochs", "1", "--val", "0.2", "--out", "ids")
    code, out, err = netc("train", "my.toml", *words)
    assert code == 0, err
    assert "ids.csv: inputs: id, area, rooms; target: price (numbers)" in out
    assert "id of ids.csv only counts the rows; leave it out by" in out and "area of" not in out
    assert "0.2 of the data is held out for the test: 24 of 120" in out


def test_images_of_several_sizes_and_what_a_damaged_one_asks_for(netc, place):
    from PIL import Image

    (place / "net.toml").write_text(NET.replace("[2]", "[4, 4, 3]").replace("[[l", '[[layers]]\nkind = "flatten"\n[[l'))
    for label in "ab":
        (place / "photos" / label).mkdir(parents=True)
        for i in range(10):
            Image.effect_noise((20 + i, 21), 60).convert("RGB").save(place / "photos" / label / f"{i}.jpg")
    words = ("train", "net.toml", "--data", "imagefolder:photos", "--epochs", "1", "--batch", "4")
    words += ("--target", "reference", "--out")
    code, out, err = netc(*words, "photos-run")
    assert code == 0 and "21x20 to 21x29 resized to 4x4x3" in out, err
    code, out, err = netc("explain", "photos-run", "photos/a", "-o", "pictures", "--method", "gradient")
    assert code == 0 and len(out.splitlines()) == 10, err
    (place / "photos/a/0.jpg").write_bytes((place / "photos/a/0.jpg").read_bytes()[:300])
    code, out, err = netc(*words, "cut")
    assert code == 2 and "or go on without it: --on-damaged skip" in err and "OSError" not in err


def test_an_export_makes_folders_and_takes_nobodys_file(netc, place):
    (place / "mine.safetensors").write_bytes(b"precious")
    code, _, err = netc("export", "run", "--safetensors", "mine.safetensors")
    assert code == 2 and "wants a new file" in err
    assert (place / "mine.safetensors").read_bytes() == b"precious"
    assert [netc("export", "run", "--safetensors", "new/a.safetensors")[0] for _ in range(2)] == [0, 0]


def test_the_warmup_of_a_recipe_gives_way_to_fewer_epochs():
    from netc.config_file import over_files

    assert over_files(None, None, {"recipe": "digits"}).words["warmup"] == 2
    assert over_files(None, None, {"recipe": "digits", "epochs": 1}).words["warmup"] == 1
    assert over_files(None, None, {"recipe": "digits", "epochs": 1, "warmup": 2}).words["warmup"] == 2


def test_near_policies_and_what_an_accuracy_is_of():
    from netc.cli.views.examples import predictions
    from netc.netspec.check import check
    from netc.netspec.errors import UserError
    from netc.netspec.policies import parse_policy
    from netc.netspec.zoo import ZOO

    with pytest.raises(UserError, match=r"did you mean rand\?"):
        parse_policy("randaugment")
    gpt = check(ZOO["tiny-gpt"].make())
    places = gpt.out.shape[0]
    assert predictions(gpt, 21, text=True) == f"{21 * places:,} characters (21 contexts)"
    assert predictions(check(ZOO["mnist-mlp"].make()), 1500) == "1,500"


def test_lr_find_has_no_options_of_a_schedule(netc, place):
    for flag in ("--lr", "--decay", "--patience", "--best-by", "--epochs", "--warmup"):
        code, _, err = netc("lr-find", "my.toml", flag, "1")
        assert code == 2 and f"no such option {flag}" in err


def test_other_names_of_commands_and_activations(netc, place):
    assert "did you mean ls" in netc("nets")[2]
    (place / "relu.toml").write_text(NET + '[[layers]]\nkind = "relu"\n')
    code, _, err = netc("show", "relu.toml")
    assert code == 2 and 'write activation = "relu" on the layer, or kind = "activation" and function = "relu"' in err
    assert "nothing there; check the path" in netc("report", "run", "--profile", "nothere.json")[2]
