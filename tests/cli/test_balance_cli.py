"""`netc eval` of a mixture of experts says how evenly its tokens chose among them."""

import json

import numpy as np
import pytest

import netc as library
from tests.cli.small_language import HEAD

EXPERTS = """
[layers.body]
kind = "residual"
body = { kind = "mixtureOfExperts", experts = 4, mlp = 4, top = 2, std = 0.5, name = "moe" }
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("balance")
    (folder / "moe.toml").write_text(HEAD + EXPERTS)
    (folder / "book.txt").write_text("abcdefgh\n" * 70)
    return folder


def test_the_choices_of_the_test_part(netc, place):
    words = "--data text:book.txt --target reference --epochs 2 --batch 16 --lr 0.05 --out run --quiet"
    assert netc("train", "moe.toml", *words.split())[0] == 0
    run = library.load("run")
    weights = run.weights()
    tokens, positions, router = (
        next(v for n, v in weights.items() if n.endswith(name))
        for name in ("embed.tokens", "embed.positions", "chosen.router.kernel")
    )
    ids, _ = run.data_of(None).test.windows(np.arange(7))
    chosen = np.argsort(-((tokens[ids] + positions) @ router), axis=2)[:, :, :2]
    shares = np.bincount(chosen.ravel(), minlength=4) / chosen.size
    code, out, err = netc("eval", "run")
    assert code == 0 and f"experts got {shares.min():.0%} to {shares.max():.0%} of the choices" in out, out + err
    found = json.loads(netc("eval", "run", "--json", "--metrics", "all", "--target", "xla")[1])["experts"]
    assert found == pytest.approx({"expert_most": shares.max(), "expert_least": shares.min()})


def test_a_net_without_experts_says_nothing_of_them(netc, place):
    (place / "plain.toml").write_text(HEAD + 'body = { kind = "conv1d", features = 6, kernel = 2 }\n')
    words = "--data text:book.txt --target reference --epochs 1 --batch 16 --out plain --quiet"
    assert netc("train", "plain.toml", *words.split())[0] == 0
    assert "experts" not in netc("eval", "plain")[1] and "experts" not in json.loads(netc("eval", "plain", "--json")[1])
