"""Texts that JAX wrote: lowered, never compiled, read back and certified."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from netc.netspec.errors import UserError
from netc.proofs_oracle.certificate.certify import certify_foreign
from netc.proofs_oracle.certificate.dual import CertifyError
from netc.proofs_oracle.certificate.parse import parse
from netc.proofs_oracle.certificate.statement import Settings

NHWC = ("NHWC", "HWIO", "NHWC")


def spec(*shape, dtype=jnp.float32):
    return jax.ShapeDtypeStruct(shape, dtype)


def cross_entropy(z, labels):
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(z), labels[..., None], -1))


def conv(x, w, stride=(1, 1), padding="SAME", **options):
    return lax.conv_general_dilated(x, w, stride, padding, dimension_numbers=NHWC, **options)


def convolutions(p, x, labels):
    h = conv(x, p["a"], (2, 2))
    mean = h.mean((0, 1, 2))
    var = ((h - mean) ** 2).mean((0, 1, 2))
    h = jax.nn.relu((h - mean) * lax.rsqrt(var + 1e-5) * p["scale"])
    h = lax.reduce_window(h, -jnp.inf, lax.max, (1, 3, 3, 1), (1, 2, 2, 1), "SAME")
    h = jax.nn.silu(conv(h, p["b"], padding=((1, 0), (1, 2)), feature_group_count=2, rhs_dilation=(1, 1)))
    h = conv(h, p["c"], padding=((2, 2), (2, 2)), lhs_dilation=(2, 2), rhs_dilation=(2, 1))
    h = lax.reduce_window(h, 0.0, lax.add, (1, 2, 2, 1), (1, 2, 2, 1), "VALID") / 4
    return cross_entropy(h.mean((1, 2)) @ p["d"], labels)


def transformer(p, ids, labels):
    def norm(h):
        mean = h.mean(-1, keepdims=True)
        return (h - mean) / jnp.sqrt(((h - mean) ** 2).mean(-1, keepdims=True) + 1e-6)

    h = p["embed"][ids]
    q, k, v = jnp.split(norm(h) @ p["qkv"], 3, -1)
    scores = jnp.einsum("btd,bsd->bts", q, k) / 2
    scores = jnp.where(jnp.tril(jnp.ones((5, 5), bool)), scores, -jnp.inf)
    h = h + jax.nn.softmax(scores) @ v
    h = h + jax.nn.gelu(norm(h) @ p["up"]) @ p["down"]
    h = h + jax.nn.gelu(norm(h) @ p["up"], approximate=False) @ p["down"]
    return cross_entropy(h @ p["embed"].T, labels)


IDS = spec(2, 5, dtype=jnp.int32)
NETS = {
    "convolutions": (
        convolutions,
        {"a": spec(3, 3, 3, 4), "b": spec(2, 3, 2, 6), "c": spec(2, 2, 6, 3), "d": spec(3, 3), "scale": spec(4)},
        spec(2, 8, 8, 3),
        spec(2, dtype=jnp.int32),
    ),
    "transformer": (
        transformer,
        {"down": spec(8, 4), "embed": spec(7, 4), "qkv": spec(4, 12), "up": spec(4, 8)},
        IDS,
        IDS,
    ),
}


def judged(text, count, scale=1):
    wrt = [f"{i}={i + 1}" for i in range(count)]
    return certify_foreign(text, None, Settings(primes=3), manifest=None, loss="0", wrt=wrt, scale=scale, limit=3)


@pytest.mark.parametrize("name", NETS)
def test_gradients_that_jax_derived(name):
    function, params, x, labels = NETS[name]
    text = jax.jit(jax.value_and_grad(function)).lower(params, x, labels).as_text()
    found = judged(text, len(params))
    assert found.holds
    assert found.failure < -20


def test_a_gradient_that_jax_was_told_wrongly():
    @jax.custom_vjp
    def cube(x):
        return x * x * x

    cube.defvjp(lambda x: (cube(x), x), lambda x, dy: (3.0000002 * x * x * dy,))  # the next float32 after 3
    for f, holds in ((lambda w: jnp.sum(cube(w)), False), (lambda w: jnp.sum(w * w * w), True)):
        assert judged(jax.jit(jax.value_and_grad(f)).lower(spec(3)).as_text(), 1).holds is holds


def test_what_cannot_be_read_is_a_sentence():
    with pytest.raises(UserError, match=r"line 1: wants StableHLO that MLIR reads, got in 'module \{'"):
        parse("module {")
    text = jax.jit(jax.value_and_grad(lambda x: jnp.abs(jnp.fft.fft(x)).sum())).lower(spec(3)).as_text()
    with pytest.raises(CertifyError, match="fft has no rule"):
        judged(text, 1)


def test_tensors_without_elements_are_read_and_their_maximum_has_no_rule():
    def loss(w, none, of):
        return jnp.sum(jnp.concatenate([w, none]) ** 2) + of(none)

    sums, most = (lambda e: jnp.sum(jnp.tanh(e))), (lambda e: lax.reduce(e, -jnp.inf, lax.max, (0,)))
    texts = [jax.jit(jax.value_and_grad(lambda w, e, f=f: loss(w, e, f), (0, 1))).lower(spec(3), spec(0)).as_text()
             for f in (sums, most)]  # fmt: skip
    assert judged(texts[0], 2).holds
    with pytest.raises(CertifyError, match="reduce_max of a tensor without elements has no rule"):
        judged(texts[1], 1)
