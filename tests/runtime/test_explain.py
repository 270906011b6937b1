"""Grad-CAM, input gradients and attacks: against PyTorch's autograd, JAX's, and what must hold of any net."""

import numpy as np
import pytest

from netc.codegen.attribution import attack_module, attribution_module, last_map
from netc.codegen.evaluator import run
from netc.netspec.check import check
from netc.netspec.errors import UserError
from netc.netspec.find import find
from netc.netspec.layers import Dense, Flatten
from netc.netspec.loss import CrossEntropy
from netc.netspec.spec import NetSpec
from netc.runtime.attack import attack, lipschitz_bound, spectral_bound
from netc.runtime.cache.store import Cache
from netc.runtime.data.batches import Normalise
from netc.runtime.data.dataset import ArraySplit
from netc.runtime.explain import Explainer, grad_cam, overlaid
from netc.runtime.target import parse_target
from netc.runtime.weights.names import naming_for
from netc.runtime.weights.write import named_tensors
from tests.runtime.weights.drawn_weights import drawn
from tests.runtime.weights.other_models import model_of, torch_here

REFERENCE = parse_target("reference")
LEVELS = Normalise((0.5,) * 3, (0.25,) * 3)


def test_gradients_are_those_of_torchs_autograd():
    """Of torchvision's resnet18 with the same weights, in float64: Grad-CAM's map, its gradient and the input's."""
    torch = torch_here()
    net = check(find("resnet18").with_input((64, 64, 3)))
    tensors = drawn(net)
    model = model_of("resnet18", "torchvision").double().eval()
    model.load_state_dict(
        {n: torch.from_numpy(t) for n, t in named_tensors(net, tensors, naming_for("resnet18", None)).items()}
    )
    x = np.random.default_rng(0).normal(size=(1, 64, 64, 3))
    held = {}
    model.layer4.register_forward_hook(lambda module, given, out: held.update(y=out))
    given = torch.from_numpy(x.transpose(0, 3, 1, 2).copy()).requires_grad_()
    logits = model(given)
    dy, dx = torch.autograd.grad(logits[0, 7], (held["y"], given))
    assert last_map(net) == "stage4"
    module = attribution_module(net, 1, "stage4")
    names = module.function("predict").names[:-2]
    one = np.eye(1000)[[7]]
    got = run(module, "predict", [*(tensors[n] for n in names), x, one])
    want = [logits, held["y"].permute(0, 2, 3, 1), dy.permute(0, 2, 3, 1), dx.permute(0, 2, 3, 1)]
    for mine, theirs in zip(got, (t.detach().numpy() for t in want), strict=True):
        assert np.linalg.norm(mine - theirs) < 1e-9 * np.linalg.norm(theirs)  # float64


def test_a_map_is_weighted_by_the_means_of_its_gradients():
    y = np.array([[[1.0, 5.0], [2.0, 5.0]], [[3.0, 5.0], [4.0, 9.0]]])
    dy = np.array([[[1.0, -1.0], [1.0, 0.0]], [[1.0, 0.0], [1.0, 1.0 - 1.0]]])
    np.testing.assert_allclose(grad_cam(y, dy), np.maximum(y[..., 0] - 0.25 * y[..., 1], 0))


@pytest.fixture(scope="module")
def small():
    return check(find("mnist-cnn").with_input((12, 12, 3)))


def test_pixels_that_decide_are_the_hot_ones():
    """One pixel's brightness is the only thing that the net looks at."""
    net = check(NetSpec("look", (4, 5, 3), (Flatten(name="flat"), Dense(2, name="head"))))
    kernel = np.zeros((60, 2), np.float32)
    kernel[(2 * 5 + 3) * 3 : (2 * 5 + 3) * 3 + 3, 1] = 4
    weights = {"head.kernel": kernel, "head.bias": np.zeros(2, np.float32)}
    explainer = Explainer(net, weights, LEVELS, REFERENCE, Cache(), "gradient")
    found = explainer(np.full((4, 5, 3), 255, np.uint8))
    assert found.index == 1 and found.probability > 0.9
    want = np.zeros((4, 5))
    want[2, 3] = 1
    np.testing.assert_array_equal(found.heat, want)
    picture = np.asarray(overlaid(np.full((4, 5, 3), 200, np.uint8), found.heat))
    assert (picture[0, 0] == 200).all() and picture[2, 3, 0] > picture[2, 3, 2] + 100


def test_grad_cam_of_a_small_net(small):
    explainer = Explainer(small, drawn(small), LEVELS, REFERENCE, Cache())
    found = explainer(np.random.default_rng(1).integers(0, 256, (12, 12, 3), np.uint8), 3)
    assert found.index == 3 and found.heat.shape == (12, 12)
    assert found.heat.min() >= 0 and found.heat.max() <= 1


def test_nets_that_cannot_be_explained():
    for name, sentence in (
        ("tiny-gpt", r"explain wants a net from images to classes, got tiny-gpt, from \[64\]"),
        ("vit_tiny_patch4_32", "`method=grad-cam` wants a net with a map of features before its end, got vit_tiny"),
    ):
        with pytest.raises(UserError, match=sentence):
            Explainer(check(find(name)), {}, LEVELS, REFERENCE, Cache())


def test_a_step_of_the_attack_is_that_of_its_equation(small):
    """By JAX's gradient of the twin's loss: sign, the ball, the range of a pixel."""
    jax = pytest.importorskip("jax")
    net = check(
        NetSpec("m", (2, 2, 3), (Flatten(name="flat"), Dense(5, activation="tanh", name="a"), Dense(3, name="b")))
    )
    w = drawn(net)
    module = attack_module(net, CrossEntropy(), 4)
    rng = np.random.default_rng(2)
    near, y = rng.uniform(-1, 1, (4, 2, 2, 3)), rng.integers(0, 3, 4).astype(np.int32)
    x = near + rng.uniform(-0.1, 0.1, near.shape)
    step, radius, floor, ceiling = (np.full(3, v) for v in (0.2, 0.15, -0.9, 0.9))
    names = module.function("predict").names[: len(net.params)]
    moved, right = run(module, "predict", [*(w[n] for n in names), x, near, y, step, radius, floor, ceiling])

    def loss(images):
        h = jax.numpy.tanh(images.reshape(4, -1) @ w["a.kernel"] + w["a.bias"])
        z = h @ w["b.kernel"] + w["b.bias"]
        return -jax.nn.log_softmax(z)[np.arange(4), y].sum(), z

    (_, z), dx = jax.value_and_grad(loss, has_aux=True)(jax.numpy.asarray(x))
    want = np.clip(np.clip(x + 0.2 * np.sign(dx), near - 0.15, near + 0.15), -0.9, 0.9)
    np.testing.assert_allclose(moved, want, atol=1e-6)  # float32's gradient decides the signs only
    np.testing.assert_array_equal(right, (np.argmax(z, -1) == y).astype(float))


def images(count=40, seed=3):
    rng = np.random.default_rng(seed)
    y = (np.arange(count) % 2).astype(np.int32)
    x = rng.integers(90, 160, (count, 2, 2, 3))
    x[..., 0] += np.where(y == 1, 40, -40)[:, None, None]
    return ArraySplit(x.astype(np.uint8), y)


LOOK = check(NetSpec("look", (2, 2, 3), (Flatten(name="flat"), Dense(2, name="head"))))


def red():
    """A net that compares the brightness of the red channel with the middle."""
    kernel = np.zeros((12, 2), np.float32)
    kernel[::3, 1] = 1
    return {"head.kernel": kernel, "head.bias": np.zeros(2, np.float32)}


def test_a_linear_net_falls_exactly_where_its_margin_ends():
    """The margin of x in the maximum norm is |w x + b| / |w|_1: known for each image, so is the accuracy."""
    split, weights = images(), red()
    x = LEVELS(split.images(np.arange(40)))
    margin = (x.reshape(40, -1) @ weights["head.kernel"][:, 1]) / 4 * 0.25 * np.where(split.labels == 1, 1, -1)
    for radius in (0.02, 0.1, 0.2):
        for steps in (1, 7):
            found = attack(
                LOOK, CrossEntropy(), weights, split, LEVELS, REFERENCE, Cache(), radius=radius, steps=steps, batch=16
            )
            assert (found.count, found.clean) == (40, (margin > 0).mean())
            assert found.robust == (margin > radius).mean()
    assert 0 < (margin > 0.1).mean() < 1
    few = attack(LOOK, CrossEntropy(), weights, split, LEVELS, REFERENCE, Cache(), radius=0.1, batch=16, most=20)
    assert few.count == 20


def test_attacks_that_make_no_sense():
    with pytest.raises(UserError, match="`radius` wants a fraction of a pixel's range, 0 to 1, got 8"):
        attack(LOOK, CrossEntropy(), red(), images(), LEVELS, REFERENCE, Cache(), radius=8)
    with pytest.raises(UserError, match="attack wants a classifier of images, got tiny-gpt"):
        attack(check(find("tiny-gpt")), CrossEntropy(), {}, images(), LEVELS, REFERENCE, Cache(), radius=0.1)


@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (3, 5), (64, 64), (784, 100), (1, 40)])
@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_the_bound_of_a_matrix_is_just_above_its_norm(shape, scale):
    w = np.random.default_rng(5).normal(size=shape) * scale
    norm, bound = np.linalg.norm(w, 2), spectral_bound(w)
    assert norm * (1 - 1e-12) <= bound <= norm * 1.01


def test_the_bound_where_singular_values_are_equal_or_none():
    assert 1 <= spectral_bound(np.eye(50)) < 1.002
    assert spectral_bound(np.zeros((4, 3))) == 0
    assert spectral_bound(np.array([[np.inf, 1.0]])) == np.inf


def test_no_two_inputs_differ_by_more_than_the_bound():
    net = check(find("mnist-mlp"))
    weights = drawn(net)
    bound = lipschitz_bound(net, weights)
    rng = np.random.default_rng(6)
    x = rng.normal(size=(2, 50, 784))

    def logits(v):
        for name in ("hidden1", "hidden2", "head"):
            v = v @ weights[f"{name}.kernel"] + weights[f"{name}.bias"]
            v = np.maximum(v, 0) if name != "head" else v
        return v

    assert [p.name.split(".")[0] for p in net.params][::2] == ["hidden1", "hidden2", "head"]
    rates = np.linalg.norm(logits(x[0]) - logits(x[1]), axis=-1) / np.linalg.norm(x[0] - x[1], axis=-1)
    product = np.prod([np.linalg.norm(weights[f"{n}.kernel"], 2) for n in ("hidden1", "hidden2", "head")])
    assert rates.max() < bound <= product * 1.03
    with pytest.raises(
        UserError, match="a Lipschitz bound wants dense layers whose activations have slopes of at most"
    ):
        lipschitz_bound(check(find("mnist-cnn")), {})
