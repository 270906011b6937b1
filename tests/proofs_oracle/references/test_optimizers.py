"""Optimizers' references beside optax and torch, and their forms in JAX beside the references."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from netc.netspec.optimizers import Adadelta, Adafactor, Adagrad, Lamb, Lion, Muon, NAdam, RMSProp
from netc.proofs_oracle.references import optimizers
from netc.proofs_oracle.witness import compiled, float64

RATE, DECAY = 0.05, 0.1
MASK = (True, False, True)


def l2(made):
    """With decay in the gradient."""
    return lambda mask: optax.chain(optax.add_decayed_weights(DECAY, mask), made)


def adafactor(smallest=128, fading=0.8, clip=1.0, decay=0.0, *, relative=True, eps=1e-30):
    """The parts of optax.adafactor, whose own t^-fading is in float32 and whose decay is no multiple of the rate."""
    return lambda mask: optax.chain(
        optax.scale_by_factored_rms(
            True, fading, 0, smallest, eps, lambda i, power: 1 - (i + jnp.ones((), jnp.float64)) ** -power
        ),
        optax.clip_by_block_rms(clip),
        optax.scale_by_param_block_rms() if relative else optax.identity(),
        optax.add_decayed_weights(decay, mask),
        optax.scale(-RATE),
    )


OPTAX = {
    "lion": (Lion(weight_decay=DECAY), lambda mask: optax.lion(RATE, weight_decay=DECAY, mask=mask)),
    "lion-betas": (Lion(0.6, 0.8), lambda mask: optax.lion(RATE, 0.6, 0.8, weight_decay=0.0)),
    "nadam": (NAdam(weight_decay=DECAY, decoupled=False), l2(optax.nadam(RATE))),
    "nadamw": (
        NAdam(0.8, 0.95, 1e-4, weight_decay=DECAY),
        lambda mask: optax.nadamw(RATE, 0.8, 0.95, 1e-4, weight_decay=DECAY, mask=mask),
    ),
    "rmsprop": (RMSProp(0.9, 1e-4, 0.9), lambda mask: optax.rmsprop(RATE, 0.9, 1e-4, eps_in_sqrt=False, momentum=0.9)),
    "rmsprop-centered": (
        RMSProp(0.9, 1e-4, centered=True),
        lambda mask: optax.rmsprop(RATE, 0.9, 1e-4, eps_in_sqrt=False, centered=True),
    ),
    "rmsprop-tf": (
        RMSProp(0.9, 1e-3, 0.8, initial=1.0, inside=True, weight_decay=DECAY),
        l2(optax.rmsprop(RATE, 0.9, 1e-3, initial_scale=1.0, momentum=0.8)),
    ),
    "adagrad": (  # optax's epsilon is inside the root: none on either side
        Adagrad(1e-30, 0.1, DECAY), l2(optax.adagrad(RATE, 0.1, 0.0)),
    ),
    "adadelta": (Adadelta(0.8, 1e-5, DECAY), l2(optax.adadelta(RATE, 0.8, 1e-5))),
    "lamb": (Lamb(weight_decay=DECAY), lambda mask: optax.lamb(RATE, weight_decay=DECAY, mask=mask)),
    "lamb-plain": (Lamb(0.8, 0.95, 1e-4, 0.0), lambda mask: optax.lamb(RATE, 0.8, 0.95, 1e-4)),
    "adafactor": (Adafactor(), adafactor()),
    "adafactor-factored": (Adafactor(1e-8, 0.7, 0.5, 2, weight_decay=DECAY), adafactor(2, 0.7, 0.5, DECAY, eps=1e-8)),
    "adafactor-absolute": (Adafactor(smallest=2, absolute=True), adafactor(2, relative=False)),
}  # fmt: skip


@pytest.mark.parametrize("name", OPTAX)
def test_it_is_optaxs(name, normal):
    optimizer, make = OPTAX[name]
    params = (normal((2, 3)), normal(3), normal(()))
    kept = optimizers.start(optimizer, params)
    with float64():
        theirs = tuple(jnp.asarray(p) for p in params)
        transform = make(MASK)
        held = transform.init(theirs)
        update = jax.jit(transform.update)
        for _ in range(50):
            gradients = tuple(normal(p.shape) for p in params)
            params, kept = optimizers.step(optimizer, params, gradients, kept, lr=RATE, decay=MASK)
            updates, held = update(gradients, held, theirs)
            theirs = optax.apply_updates(theirs, updates)
        for a, b in zip(params, theirs, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-13)


@pytest.fixture
def torch():
    """Of the extra `bench`: the tests beside it are skipped without."""
    return pytest.importorskip("torch")


TORCH = {
    "rmsprop": (RMSProp(weight_decay=DECAY), lambda optim, groups: optim.RMSprop(groups, RATE)),
    "rmsprop-centered": (
        RMSProp(0.8, 1e-3, 0.7, centered=True, weight_decay=DECAY),
        lambda optim, groups: optim.RMSprop(groups, RATE, 0.8, 1e-3, momentum=0.7, centered=True),
    ),
    "adagrad": (
        Adagrad(1e-5, 0.2, DECAY),
        lambda optim, groups: optim.Adagrad(groups, RATE, initial_accumulator_value=0.2, eps=1e-5),
    ),
    "adadelta": (Adadelta(0.7, 1e-4, DECAY), lambda optim, groups: optim.Adadelta(groups, RATE, 0.7, 1e-4)),
}  # fmt: skip


@pytest.mark.parametrize("name", TORCH)
def test_it_is_torchs(name, normal, torch):
    optimizer, make = TORCH[name]
    params = (normal((2, 3)), normal(3), normal((1,)))
    kept = optimizers.start(optimizer, params)
    theirs = [torch.tensor(p, requires_grad=True) for p in params]
    groups = ([t for t, m in zip(theirs, MASK, strict=True) if m == decayed] for decayed in (True, False))
    made = make(
        torch.optim, [{"params": group, "weight_decay": d} for group, d in zip(groups, (DECAY, 0.0), strict=True)]
    )
    for _ in range(50):
        gradients = tuple(normal(p.shape) for p in params)
        params, kept = optimizers.step(optimizer, params, gradients, kept, lr=RATE, decay=MASK)
        for tensor, gradient in zip(theirs, gradients, strict=True):
            tensor.grad = torch.tensor(gradient)
        made.step()
    for a, b in zip(params, theirs, strict=True):
        np.testing.assert_allclose(a, b.detach().numpy(), rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 4)])
def test_muon_is_torchs(shape, normal, monkeypatch, torch):
    """torch iterates in bfloat16, which is made float64 here."""
    monkeypatch.setattr(torch.Tensor, "bfloat16", lambda self: self.double().clone())
    optimizer = Muon(weight_decay=DECAY)
    params = (normal(shape),)
    theirs = torch.tensor(params[0], requires_grad=True)
    made = torch.optim.Muon([theirs], RATE, DECAY, adjust_lr_fn="match_rms_adamw")
    kept = optimizers.start(optimizer, params)
    for _ in range(20):
        gradients = (normal(shape),)
        params, kept = optimizers.step(optimizer, params, gradients, kept, lr=RATE, decay=(True,))
        theirs.grad = torch.tensor(gradients[0])
        made.step()
    np.testing.assert_allclose(params[0], theirs.detach().numpy(), rtol=1e-9, atol=1e-11)
    assert kept.moments["m"] == kept.moments["v"] == (None,)


CASES = [(cls.kind, case) for cls, reference in optimizers.OPTIMIZERS.items() for case in reference.cases]


@pytest.mark.parametrize(("kind", "case"), CASES, ids=[f"{kind}-{case.name}" for kind, case in CASES])
def test_its_form_in_jax_does_the_same(kind, case, normal):
    """The lines as the script of emit-jax has them, traced as there, in float64."""
    lines = optimizers.reference_of(case.optimizer).form(case.optimizer)
    held = {"jnp": jnp, "PARAMETERS": {i: ((), "", 0, d) for i, d in enumerate(case.decay)}}
    exec("def updated(name, w, g, kept, t, lr):\n    " + "\n    ".join(lines) + "\n    return new, kept", held)
    params = tuple(normal(s) for s in case.shapes)
    kept = optimizers.start(case.optimizer, params)
    names = (*kept.moments, *optimizers.reference_of(case.optimizer).script_moments)
    theirs = [(p, {m: np.zeros_like(p) for m in names}) for p in params]
    step = compiled(
        lambda theirs, gradients, t, lr: [
            held["updated"](i, w, g, dict(moments), t, lr)
            for i, ((w, moments), g) in enumerate(zip(theirs, gradients, strict=True))
        ]
    )
    for t in (1, 2, 3):
        gradients = tuple(normal(s) for s in case.shapes)
        params, kept = optimizers.step(case.optimizer, params, gradients, kept, lr=case.lr, decay=case.decay)
        theirs = step(theirs, gradients, t, case.lr)
        for i, (w, moments) in enumerate(theirs):
            np.testing.assert_allclose(w, params[i], rtol=1e-11, atol=1e-13)
            for m in kept.moments:
                if (wanted := kept.moments[m][i]) is not None and wanted.shape == moments[m].shape:
                    np.testing.assert_allclose(moments[m], wanted, rtol=1e-11, atol=1e-13)


def test_adafactors_form_stays_finite_in_float32():
    """Of a row and a column without gradients, as dead pixels have them."""
    lines = optimizers.reference_of(Adafactor()).form(Adafactor(smallest=2))
    held = {"jnp": jnp, "PARAMETERS": {}}
    exec("def updated(name, w, g, kept, t, lr):\n    " + "\n    ".join(lines) + "\n    return new, kept", held)
    w, g = jnp.ones((3, 4), jnp.float32), jnp.full((3, 4), 1e-6, jnp.float32).at[0].set(0).at[:, 1].set(0)
    new, _ = held["updated"]("w", w, g, dict.fromkeys(("v", "rows", "columns"), jnp.zeros_like(w)), 1, 0.1)
    assert np.isfinite(new).all() and new[0, 1] == 1 and new[1, 0] < 1
