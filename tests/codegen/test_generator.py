"""The program that draws: each method against NumPy written from its paper, guidance, tokens, and two backends."""

import itertools
import math

import numpy as np
import pytest

from netc.codegen import evaluator
from netc.codegen.generator import build_generator
from netc.codegen.program import build
from netc.codegen.reverse_process import Drawn, places
from netc.netspec.check import check
from netc.netspec.errors import SpecError
from netc.netspec.layers import Dense, TakeTokens, TokenPositionEmbed
from netc.netspec.recipe_words import recipe_of
from netc.netspec.spec import NetSpec
from netc.proofs_oracle.references.mixing import gaussian, stream
from netc.proofs_oracle.references.step_nets import DENOISING, TIMED, UNMASKING
from tests.codegen.witness import by_xla

KEY = np.asarray([5, 9], np.uint32)
LABELS = np.asarray([0, 2, 1], np.int32)
STEPS = 4


class Case:
    """A net with weights, what draws with it, and its answers by the evaluator."""

    def __init__(self, net, method="", *, steps=STEPS, guided=False, path=False, seed=0, **words):
        self.net, self.recipe = check(net), recipe_of(**words)
        self.drawn = Drawn(3, steps, method, guided, path)
        self.generator = build_generator(self.net, self.recipe, self.drawn)
        rng = np.random.default_rng(seed)
        kept = self.generator.program.kept
        self.weights = [np.abs(rng.standard_normal(s.type.shape).astype(np.float32)) * 0.3 for s in kept]
        self.predict = build(self.net, self.recipe, 3).module

    def args(self, **asked):
        asked = {"labels": LABELS, "key": KEY, "low": np.full(2, -1.5), "high": np.full(2, 1.5), **asked}
        return [*self.weights, *(np.asarray(asked[n]) for n in self.generator.inputs)]

    def sample(self, dtype="f64", **asked):
        return evaluator.run(self.generator.program.module, "sample", self.args(**asked), dtype)

    def answer(self, x, time, labels=None):
        """The net's output at one time, in float64."""
        planes = [time, *([] if labels is None else [labels])]
        shape = (*x.shape[:3], 1)
        seen = [np.broadcast_to(np.asarray(p, np.float64).reshape(-1, 1, 1, 1), shape) for p in planes]
        return evaluator.run(self.predict, "predict", [*self.weights, np.concatenate([x, *seen], -1)], "f64")[0]


def noise(shape, name="first", key=KEY):
    return np.asarray(gaussian(key, shape, *(stream("(generator)", f"{name}{i}") for i in (0, 1))), np.float64)


@pytest.fixture(autouse=True)
def wide():
    import jax

    with jax.enable_x64(True):
        yield


def test_eulers_and_heuns_steps():
    for method in ("euler", "heun"):
        case = Case(TIMED, method, process="flow")
        x = noise((3, 3, 4, 1))
        for i in range(STEPS):
            t, after = 1 - i / STEPS, 1 - (i + 1) / STEPS
            slope = case.answer(x, t)
            ahead = x + (after - t) * slope
            x = ahead if method == "euler" else x + (after - t) * (slope + case.answer(ahead, after)) / 2
        np.testing.assert_allclose(case.sample()[0], x, atol=1e-9)


@pytest.mark.parametrize("method", ["euler", "heun"])
def test_a_predicted_image_says_where_the_flow_goes(method):
    """Li and He 2025, algorithm 2; of guidance the images are mixed, which mixes the velocities alike."""
    case = Case(DENOISING, method, steps=25, guided=True, process="flow", flow_predicts="x", label_count=3)
    x = noise((3, 4, 4, 2))

    def velocity(x, t):
        own, free = (case.answer(x, t, labels) for labels in (LABELS, np.full(3, 3)))
        own, free = ((x - image) / max(t, 0.05) for image in (own, free))
        return free + 2.5 * (own - free)

    for i in range(25):
        t, after = 1 - i / 25, 1 - (i + 1) / 25
        slope = velocity(x, t)
        ahead = x + (after - t) * slope
        x = ahead if method == "euler" else x + (after - t) * (slope + velocity(ahead, after)) / 2
    np.testing.assert_allclose(case.sample(guidance=2.5)[0], x, atol=1e-9)


def test_guidance_leads_away_from_what_no_class_says():
    case = Case(DENOISING, guided=True, process="flow", label_count=3)
    x = noise((3, 4, 4, 2))
    for i in range(STEPS):
        t = 1 - i / STEPS
        own, free = case.answer(x, t, LABELS), case.answer(x, t, np.full(3, 3))
        x = x - (free + 2.5 * (own - free)) / STEPS
    np.testing.assert_allclose(case.sample(guidance=2.5)[0], x, atol=1e-9)
    plain = Case(DENOISING, process="flow", label_count=3).sample()[0]
    np.testing.assert_allclose(case.sample(guidance=1.0)[0], plain, atol=1e-9)


def test_guidance_wants_a_null_class_that_was_trained():
    with pytest.raises(SpecError, match="`guidance` wants a net that has learned the null class, got `label_drop=0`"):
        Case(DENOISING, guided=True, process="flow", label_count=3, label_drop=0.0)


def test_the_path_ends_in_the_samples():
    samples, path = Case(TIMED, path=True, process="flow").sample()
    assert path.shape == (STEPS, *samples.shape) and (path[-1] == samples).all() and (path[0] != samples).any()


@pytest.mark.parametrize("predicts", ["epsilon", "v", "x0"])
@pytest.mark.parametrize("method", ["ddim", "ancestral"])
def test_diffusion_goes_back_as_the_papers_say(predicts, method):
    """Song et al. 2021, eq. 12 with sigma of eq. 16; the data that is guessed is brought into its range."""
    case = Case(DENOISING, method, process="ddpm", predicts=predicts, noise_steps=40, label_count=3)
    kept, at = case.recipe.generation.chosen.kept, places(STEPS, 40)
    assert at == (40, 30, 20, 10, 0)
    x = noise((3, 4, 4, 2))
    for i, (n, m) in enumerate(itertools.pairwise(at)):
        a, s, answer = math.sqrt(kept[n]), math.sqrt(1 - kept[n]), case.answer(x, n / 40, LABELS)
        data = {"epsilon": (x - s * answer) / a, "v": a * x - s * answer, "x0": answer}[predicts].clip(-1.5, 1.5)
        sigma = math.sqrt((1 - kept[m]) / (1 - kept[n]) * (1 - kept[n] / kept[m])) if method == "ancestral" else 0
        along = (x - a * data) / s
        x = math.sqrt(kept[m]) * data + math.sqrt(max(0, 1 - kept[m] - sigma**2)) * along
        x = x + sigma * noise(x.shape, "step", _step_key(i))
    np.testing.assert_allclose(case.sample()[0], x, atol=1e-7)


def _step_key(number):
    import jax.extend.random

    return np.asarray(jax.extend.random.threefry_2x32(KEY, np.asarray([number, 3], np.uint32)))


def test_all_steps_of_ancestral_are_those_of_ho():
    """Ho et al. 2020, eq. 7: the posterior's mean of x0 and x, and its variance."""
    kept = recipe_of(process="ddpm", noise_steps=40).generation.chosen.kept
    for n in range(2, 41):
        before, now = kept[n - 1], kept[n]
        beta = 1 - now / before
        variance = (1 - before) / (1 - now) * beta
        of_data, of_x = math.sqrt(before) * beta / (1 - now), math.sqrt(now / before) * (1 - before) / (1 - now)
        along = math.sqrt(1 - before - variance) / math.sqrt(1 - now)
        assert of_x == pytest.approx(along) and of_data == pytest.approx(math.sqrt(before) - math.sqrt(now) * along)


def by_place(vocabulary=7):
    """A net that answers token p at place p, whatever it sees, and surer the further on."""
    head = Dense(vocabulary, bias=False, name="head")
    spec = NetSpec("by-place", (6,), (TokenPositionEmbed(1001, 5, name="embed"), TakeTokens(5), head), dtype="i32")
    weights = {
        "embed.tokens": np.zeros((1001, 5)),
        "embed.positions": np.diag(np.arange(1.0, 7))[:, :5],
        "head.kernel": np.eye(5, vocabulary) * 3,
    }
    return spec, weights


def test_tokens_come_as_sure_as_they_are():
    spec, weights = by_place()
    case = Case(spec, "confidence", steps=5, path=True, process="masked")
    case.weights = [weights[s.name].astype(np.float32) for s in case.generator.program.kept]
    samples, path = case.sample("f32", temperature=0.0, known=6)
    assert (samples == np.arange(5)).all()
    assert [row[0].tolist() for row in path[:2]] == [[6, 6, 6, 6, 4], [6, 6, 6, 3, 4]]
    few = case.sample("f32", temperature=0.0, known=3)[0]
    assert few.max() < 3  # no token that is not known, and no mask


def test_of_equally_sure_tokens_the_later_come_first():
    spec, _ = by_place()
    case = Case(spec, "confidence", steps=5, path=True, process="masked")
    case.weights = [np.zeros(s.type.shape, np.float32) for s in case.generator.program.kept]
    _, path = case.sample("f32", temperature=0.0, known=6)
    assert [row[0].tolist() for row in path[:2]] == [[6, 6, 6, 6, 0], [6, 6, 6, 0, 0]]


@pytest.mark.parametrize("method", ["ancestral", "confidence"])
def test_steps_leave_as_many_masks_as_they_should(method):
    case = Case(UNMASKING, method, steps=3, path=True, process="masked")
    samples, path = case.sample("f32", temperature=1.0, known=6)
    assert [(step == 6).sum(1).tolist() for step in path] == [[3] * 3, [1] * 3, [0] * 3]
    for before, after in itertools.pairwise(path):
        assert (after[before != 6] == before[before != 6]).all()
    assert samples.dtype == np.int32 and len({tuple(row) for row in samples.tolist()}) > 1


def test_tokens_are_drawn_as_likely_as_the_net_says():
    spec, _ = by_place()
    case = Case(spec, steps=5, process="masked")
    case.weights = [np.zeros(s.type.shape, np.float32) for s in case.generator.program.kept]
    case.weights[[s.name for s in case.generator.program.kept].index("embed.tokens")][:] = 1.0
    head = [s.name for s in case.generator.program.kept].index("head.kernel")
    case.weights[head][:, :3] = np.log([1.0, 2.0, 5.0]) / 5
    case.weights[head][:, 3:] = -10.0
    drawn = [case.sample("f32", temperature=1.0, known=6, key=np.asarray([i, 3], np.uint32))[0] for i in range(150)]
    shares = np.bincount(np.concatenate(drawn).ravel(), minlength=7) / (150 * 15)
    assert shares[:3] == pytest.approx([1 / 8, 2 / 8, 5 / 8], abs=0.03)


@pytest.mark.parametrize(
    ("net", "words"),
    [
        (DENOISING, {"process": "flow", "label_count": 3}),
        (DENOISING, {"process": "ddpm", "noise_steps": 40, "label_count": 3, "method": "ancestral", "predicts": "v"}),
        (UNMASKING, {"process": "masked"}),
    ],
    ids=["flow", "ddpm", "masked"],
)
def test_xla_draws_the_same(net, words):
    """Noise is the same bits; numbers differ by float32's rounding. Tokens would at ties, of which here is none."""
    method = words.pop("method", "")
    case = Case(net, method, **words)
    asked = {"temperature": np.float32(1), "known": np.int32(6)} if net is UNMASKING else {}
    args = [v.astype(np.float32) if v.dtype == np.float64 else v for v in case.args(**asked)]
    ours, theirs = (run(case.generator.program.module, "sample", args) for run in (_ours, by_xla))
    np.testing.assert_allclose(ours[0], theirs[0], atol=0 if net is UNMASKING else 2e-5)


def _ours(module, name, args):
    return evaluator.run(module, name, args, "f32")


@pytest.mark.parametrize(
    ("net", "words", "drawn", "sentence"),
    [
        (TIMED, {}, Drawn(), "wants a generative model, got small-timed trained without `process`"),
        (
            TIMED,
            {"process": "flow"},
            Drawn(method="ddim"),
            "`method` of `process=flow` wants euler or heun, got 'ddim'",
        ),
        (TIMED, {"process": "ddpm"}, Drawn(steps=1001), "`steps` wants a number from 1 to 1000 for this run, got 1001"),
        (UNMASKING, {"process": "masked"}, Drawn(steps=6), "`steps` wants a number from 1 to 5 for this run, got 6"),
        (TIMED, {"process": "flow"}, Drawn(guided=True), "`guidance` wants a net that sees classes, got small-timed"),
        (TIMED, {"process": "flow"}, Drawn(0), "`samples` wants a positive integer below 2^16, got 0"),
    ],
)
def test_what_is_refused(net, words, drawn, sentence):
    with pytest.raises(SpecError) as caught:
        build_generator(check(net), recipe_of(**words), drawn)
    assert sentence in str(caught.value)
