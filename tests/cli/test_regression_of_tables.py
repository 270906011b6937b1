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
