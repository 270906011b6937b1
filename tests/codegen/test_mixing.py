"""Mixup, CutMix and random erasing: SciPy's Beta, timm's own code on what was drawn, and the same bits from XLA."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from netc.codegen.beta import half_quantiles
from netc.codegen.erasing import erase
from netc.codegen.mixing import STREAM, below, beta, mix, side
from netc.codegen.random import words
from netc.netspec.erasing import Erasing
from netc.netspec.mixing import Mixing
from netc.netspec.types import TensorType
from tests.codegen.witness import by_evaluator, by_xla, module_of

ALPHAS = (2.0**-7, 0.1, 0.2, 0.4, 0.8, 1.0, 2.0, 16.0, 1024.0)
KEY = TensorType((2,), "ui32")
IMAGES = (6, 9, 12, 3)


@pytest.fixture(scope="module")
def scipy_stats():
    """Imported when it is asked for: it takes a second and a half of each worker's collection."""
    return pytest.importorskip("scipy.stats")


def words_of(count, seed=0):
    return np.random.default_rng(seed).integers(0, 2**32, count, np.uint32)


def keys(count, seed=0):
    return words_of((count, 2), seed)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_quantiles_are_scipys(alpha, scipy_stats):
    wanted = scipy_stats.beta.ppf([1 / 4096 if alpha > 1 else 0, *np.arange(1, 257) / 512], alpha, alpha) * 2**20
    assert np.max(np.abs(np.array(half_quantiles(alpha)) - wanted)) < 0.55  # rounded to integers


@pytest.mark.parametrize("alpha", ALPHAS)
def test_beta_has_its_distribution(alpha, scipy_stats):
    count = 1 << 12  # evenly spaced words: the distribution function itself, without chance
    even = (np.arange(count, dtype=np.uint64) * 2 + 1 << 31 - 12).astype(np.uint32)
    [drawn] = by_evaluator(module_of(lambda b, w: beta(b, w, alpha), TensorType((count,), "ui32")), [even])
    drawn = np.sort(drawn)
    assert drawn[0] >= 0 and drawn[-1] <= 1
    grid = (np.arange(count) + 0.5) / count
    rounding = 2.0**-20  # of a quantile, where small alphas put much probability between two of its multiples
    over = scipy_stats.beta.cdf(drawn + rounding, alpha, alpha) - grid
    under = grid - scipy_stats.beta.cdf(drawn - rounding, alpha, alpha)
    assert max(-over.min(), -under.min()) <= 1 / 512
    assert abs(drawn.mean() - 0.5) < 2e-4
    assert np.var(drawn) == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=1e-3)


def test_whole_roots_and_places():
    squares = np.array([0.0, 0.99, 1.0, 3.99, 4.0, 80.0, 81.0, 120.9, 144.0])
    made = module_of(lambda b, s: side(b, s, 12), TensorType((len(squares),)))
    assert by_evaluator(made, [squares], "f32")[0].tolist() == np.floor(np.sqrt(squares)).astype(int).tolist()
    ends = np.array([0, 2**32 - 1, 2**31], np.uint32)
    made = module_of(lambda b, w: below(b, w, 7), TensorType((3,), "ui32"))
    assert by_evaluator(made, [ends], "f32")[0].tolist() == [0, 6, 3]
    many = by_evaluator(module_of(lambda b, w: below(b, w, 7), TensorType((7000,), "ui32")), [words_of(7000)])[0]
    assert np.bincount(many, minlength=7).min() > 900  # of 1,000, whose deviation is 29


def mixing_of(mixing, shape=IMAGES):
    def make(b, key, x):
        made = mix(b, mixing, key, x)
        return made.x, made.share, *words(b, key, STREAM, 3)

    return module_of(make, KEY, TensorType(shape))


def timms(name):
    """A file of timm's that stands alone, without the rest of it, which wants a torchvision that fits."""
    pytest.importorskip("torch")
    found = importlib.util.find_spec("timm")
    if found is None:
        pytest.skip("timm is not installed")
    spec = importlib.util.spec_from_file_location(name, Path(found.submodule_search_locations[0], "data", f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Drawn:
    """NumPy's random for timm: it gives what netc has drawn."""

    def __init__(self, rand, betas, places):
        self.queue, self.betas, self.places = list(rand), betas, list(places)

    def rand(self):
        return self.queue.pop(0)

    def beta(self, a, _):
        return self.betas[a]

    def randint(self, low, high, size=None):
        return int(self.places.pop(0) * high)


@pytest.mark.parametrize(
    "mixing", [Mixing(0.8), Mixing(cutmix=1.0), Mixing(0.8, 1.0, 0.7, 0.4), Mixing(0.2, 0.3)], ids=str
)
def test_timm_mixes_so_too(mixing, monkeypatch):
    """Its Mixup, given the same numbers: the images and the soft labels."""
    torch, own = pytest.importorskip("torch"), timms("mixup")
    rng, seen = np.random.default_rng(4), set()
    x, labels = rng.standard_normal(IMAGES).astype(np.float32), rng.integers(0, 5, IMAGES[0])
    module = mixing_of(mixing)
    alphas = (mixing.mixup or 1.0, mixing.cutmix or 1.0)
    draw = module_of(lambda b, w: [beta(b, w, a) for a in alphas], TensorType((), "ui32"))
    for key in keys(24):
        mixed, share, high, low = by_evaluator(module, [key, x], "f32")
        betas = by_evaluator(draw, [high[1]], "f32")
        drawn = Drawn(
            [(w >> 8) / 2**24 for w in (high[0], low[0])],
            dict(zip(alphas, map(float, betas), strict=True)),
            [(w >> 8) / 2**24 for w in (low[1], high[2])],
        )
        monkeypatch.setattr(own.np, "random", drawn)
        theirs = own.Mixup(
            mixing.mixup, mixing.cutmix, None, mixing.mixup_prob, mixing.mixup_switch_prob, num_classes=5
        )
        theirs.label_smoothing = 0.0
        wanted, soft = theirs(torch.tensor(x.transpose(0, 3, 1, 2).copy()), torch.tensor(labels))
        monkeypatch.undo()
        # sums of two products of numbers below 5, in float32
        np.testing.assert_allclose(mixed, wanted.numpy().transpose(0, 2, 3, 1), atol=1e-6)
        hot = np.eye(5)[labels]
        np.testing.assert_allclose(share * hot + (1 - share) * hot[::-1], soft.numpy(), atol=1e-6)
        seen.add("whole" if share == 1 else "other")
    assert seen >= ({"whole", "other"} if mixing.mixup_prob < 1 else {"other"})  # a Beta of 0.2 comes near 1 too


ERASINGS = (Erasing(0.5), Erasing(1.0, erasing_pixels=True))


def erasing_of(erasing, shape):
    return module_of(lambda b, key, x: erase(b, erasing, key, x), KEY, TensorType(shape))


def test_timm_erases_as_much(scipy_stats):
    """Area, height, width, and how often, over 3,000 images of each: two-sample Kolmogorov-Smirnov."""
    torch, own = pytest.importorskip("torch"), timms("random_erasing")
    shape = (300, 24, 17, 1)
    module = erasing_of(Erasing(0.75), shape)
    ours = np.concatenate([by_evaluator(module, [key, np.ones(shape)])[0][..., 0] for key in keys(10)])
    own.random.seed(3)
    theirs = own.RandomErasing(0.75, device="cpu")(torch.ones(3000, 1, *shape[1:3])).numpy()[:, 0]
    for measure in (
        lambda v: (v == 0).mean(axis=(1, 2)),
        lambda v: (v == 0).any(axis=2).sum(axis=1),
        lambda v: (v == 0).any(axis=1).sum(axis=1),
        lambda v: (v == 0).any(axis=2).argmax(axis=1),
        lambda v: (v == 0).any(axis=1).argmax(axis=1),
    ):
        assert scipy_stats.ks_2samp(measure(ours), measure(theirs)).pvalue > 1e-3
    assert {a.shape for a in (ours, theirs)} == {(3000, 24, 17)}


def test_noise_is_noise():
    x = np.full((64, 16, 16, 3), 100.0)
    [made] = by_evaluator(erasing_of(Erasing(1.0, erasing_pixels=True), x.shape), [keys(1)[0], x])
    noise = made[made != 100]
    assert noise.size > 4000
    assert abs(noise.mean()) < 0.1 and abs(noise.std() - 1) < 0.05
    assert len(np.unique(noise)) > 0.97 * noise.size  # 8,700 of some 500,000 values: 75 meet by chance


@pytest.mark.parametrize("mixing", [Mixing(0.2), Mixing(cutmix=1.0), Mixing(0.8, 1.0, 0.9)], ids=str)
def test_xla_draws_the_same(mixing):
    module = mixing_of(mixing)
    x = np.random.default_rng(0).standard_normal(IMAGES).astype(np.float32)
    for key in keys(4):
        ours, theirs = by_evaluator(module, [key, x], "f32"), by_xla(module, "f", [key, x])
        assert ours[1] == theirs[1]  # the share, bit for bit
        np.testing.assert_allclose(ours[0], theirs[0], atol=1e-6)  # XLA may fuse a product into the sum


@pytest.mark.parametrize("erasing", ERASINGS, ids=str)
def test_xla_erases_the_same_bits(erasing):
    module = erasing_of(erasing, IMAGES)
    x = np.random.default_rng(0).standard_normal(IMAGES).astype(np.float32)
    for key in keys(3):
        np.testing.assert_array_equal(by_evaluator(module, [key, x], "f32")[0], by_xla(module, "f", [key, x])[0])
