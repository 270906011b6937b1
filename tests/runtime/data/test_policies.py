"""Each policy draws what timm's or torchvision's draws, and does it to the same pixels."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from netc.netspec.policies import POLICIES, parse_policy
from netc.runtime.data.auto_augment import SUB_POLICIES
from netc.runtime.data.image_ops import Ground
from netc.runtime.data.policies import (
    AUTO,
    AUTO_STEPS,
    COLORS,
    DRAWS,
    LEVELLED,
    MIXED,
    MIXED_STEPS,
    TRIVIAL,
    TRIVIAL_STEPS,
    applier,
    done,
    mixed,
)
from tests.runtime.data.peers import peer
from tests.runtime.data.test_image_ops import photo, same

SIZE = (37, 29)
NEAREST = Ground()


class Positive(np.random.Generator):
    """A generator that draws positive signs."""

    def __init__(self) -> None:
        super().__init__(np.random.Philox(0))

    def random(self, *given):
        return 0.9


def drawn(text: str, count: int = 3000) -> list[list[tuple[str, float]]]:
    policy, rng = parse_policy(text), np.random.default_rng(4)
    return [DRAWS[policy.word](policy, rng, SIZE) for _ in range(count)]


@pytest.mark.parametrize("inc", [0, 1])
@pytest.mark.parametrize("name", LEVELLED)
def test_a_level_means_what_it_means_in_timm(name, inc, monkeypatch):
    timm = peer("timm.data.auto_augment")
    monkeypatch.setattr(timm.random, "random", lambda: 0.1)  # keeps the sign
    theirs = f"{name}{'Rel' * name.startswith('Translate')}"
    theirs += "Increasing" * (inc and f"{name}Increasing" in timm.LEVEL_TO_ARG)
    side = {"TranslateX": 37, "TranslateY": 29}.get(name, 1)
    for level in (0.0, 0.3, 4.0, 9.1, 10.0):
        levelled = timm.LEVEL_TO_ARG[theirs]
        wanted = levelled(level, {})[0] * side if levelled else 0.0
        assert LEVELLED[name](level / 10, inc, Positive(), SIZE) == pytest.approx(wanted)


def test_the_operations_are_timms():
    timm = peer("timm.data.auto_augment")
    assert [name.removesuffix("Rel") for name in timm._RAND_TRANSFORMS] == [*LEVELLED]


def test_rand_draws_n_operations_each_with_probability_p():
    found = drawn("rand-m9-n3-p0.25")
    assert np.mean([len(ops) for ops in found]) == pytest.approx(0.75, abs=0.05)
    counted = Counter(name for ops in found for name, _ in ops)
    assert counted.keys() == LEVELLED.keys()
    assert max(counted.values()) < 1.6 * min(counted.values())
    assert {abs(number) for ops in found for name, number in ops if name == "Rotate"} == {27.0}
    assert drawn("rand-p0", 20) == [[]] * 20


def test_rand_draws_magnitudes():
    turns = [abs(n) / 3 for ops in drawn("rand-m9-n8-mstd0.5-p1") for name, n in ops if name == "Rotate"]
    assert np.mean(turns) == pytest.approx(8.96, abs=0.05)  # the normal distribution, cut at 10
    assert np.std(turns) == pytest.approx(0.45, abs=0.05)
    assert max(turns) == 10
    assert max(abs(n) / 3 for ops in drawn("rand-m12-mmax15-p1") for name, n in ops if name == "Rotate") == 12
    uniform = [abs(n) / 3 for ops in drawn("rand-m8-n8-mstd101-p1") for name, n in ops if name == "Rotate"]
    assert np.quantile(uniform, [0.01, 0.5, 0.99]) == pytest.approx([0.08, 4.0, 7.92], abs=0.3)
    assert {name for ops in drawn("rand-m5-color1-p1") for name, _ in ops} == set(COLORS)


@pytest.mark.parametrize("word", SUB_POLICIES)
def test_the_pairs_are_torchvisions(word):
    module = peer("torchvision.transforms.autoaugment")
    theirs = module.AutoAugment(module.AutoAugmentPolicy(word)).policies
    ours = tuple(tuple((n, p, s) for n, p, s in pair) for pair in SUB_POLICIES[word])
    assert ours == tuple(tuple((n, p, s or 0) for n, p, s in pair) for pair in theirs)


@pytest.mark.parametrize(
    ("ours", "steps", "make", "given"),
    [
        (AUTO, AUTO_STEPS, "AutoAugment", (10, (29, 37))),
        (TRIVIAL, TRIVIAL_STEPS, "TrivialAugmentWide", (31,)),
        (MIXED, MIXED_STEPS, "AugMix", (10, (29, 37))),
    ],
)
def test_a_step_means_what_it_means_in_torchvision(ours, steps, make, given):
    space = getattr(peer("torchvision.transforms.autoaugment"), make)()._augmentation_space(*given)
    assert ours.keys() == space.keys()
    for name, (magnitudes, signed) in space.items():
        for step in range(steps + 1) if magnitudes.ndim else ():
            wanted = float(magnitudes[step])
            wanted = 1.0 + wanted if name in ("Brightness", "Color", "Contrast", "Sharpness") else wanted
            wanted = int(wanted + 1e-3) if name.startswith("Translate") else wanted  # theirs are float32
            assert ours[name](step / steps, Positive(), SIZE) == pytest.approx(wanted, abs=1e-4), (name, step)
        if signed:
            assert len({ours[name](1.0, np.random.default_rng(seed), SIZE) for seed in range(9)}) == 2


@pytest.mark.parametrize("word", ["imagenet", "cifar10", "svhn", "trivial"])
def test_every_operation_is_drawn(word):
    found = drawn(word)
    names = TRIVIAL.keys() if word == "trivial" else {n for pair in SUB_POLICIES[word] for n, p, _ in pair if p}
    assert {name for ops in found for name, _ in ops} == set(names)
    assert all(len(ops) == 1 for ops in found) == (word == "trivial")


def test_three_augment():
    counted = Counter(name for ops in drawn("3a") for name, _ in ops)
    assert counted.keys() == {"Solarize", "Desaturate", "Blur"}
    assert min(counted.values()) > 900
    radii = [number for ops in drawn("3a") for name, number in ops if name == "Blur"]
    assert 0.1 <= min(radii) < 0.12
    assert 1.98 < max(radii) <= 2.0


def test_a_mix_is_torchvisions(monkeypatch):
    """Of the operations that are the same, bit for bit, on torchvision's tensors."""
    module = peer("torchvision.transforms.autoaugment")
    torch = pytest.importorskip("torch")
    chains = [[("Posterize", 2.0)], [("Solarize", 99.0), ("Posterize", 4.0)], [("Solarize", 10.0)]]
    weights = [0.25, 0.125, 0.375, 0.25]
    flat = iter([operation for chain in chains for operation in chain])
    monkeypatch.setattr(module, "_apply_op", lambda image, *rest, **more: _tensor_op(module, image, *next(flat)))
    depths = iter([1, 2, 1])
    monkeypatch.setattr(
        torch, "randint", lambda *a, low=None, size=None, **k: torch.tensor([0 if low is None else next(depths)])
    )
    shares = iter([torch.tensor([[0.25, 0.75]]), torch.tensor([[1 / 6, 0.5, 1 / 3]])])
    monkeypatch.setattr(module.AugMix, "_sample_dirichlet", lambda self, params: next(shares))
    wanted = np.asarray(module.AugMix()(photo())).astype(int)
    assert abs(wanted - np.asarray(mixed(photo(), chains, weights, NEAREST))).max() <= 1  # sums of float32


def _tensor_op(module, image, name, number):
    if name == "Posterize":
        return module.F.posterize(image, int(number))
    return module.F.solarize(image, number)


def test_augmix_mixes_the_image_with_its_chains():
    same(mixed(photo(), [[], []], [0.5, 0.25, 0.25], NEAREST), photo())
    policy, rng = parse_policy("augmix-m3-w3"), np.random.default_rng(0)
    apart = [np.abs(np.asarray(applier(policy)(photo(), rng, NEAREST)).astype(int) - photo()).mean() for _ in range(40)]
    assert 0 < np.median(apart) < 40
    assert len(set(apart)) == 40


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("text", [*POLICIES, "rand-m9-mstd0.5-inc1", "augmix-m10-w2-d4"])
def test_a_policy_is_the_same_for_the_same_generator(text, mode):
    apply = applier(parse_policy(text))
    one, other = (apply(photo(mode), np.random.default_rng(8), Ground(fill=(5, 6, 7))) for _ in range(2))
    same(one, other)
    assert (one.size, one.mode) == (SIZE, mode)
    same(done(photo(mode), [], NEAREST), photo(mode))
