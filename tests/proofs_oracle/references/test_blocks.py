"""References of transposed convolution and adaptive pooling against other definitions of the same thing."""

import math

import numpy as np
import pytest

from netc.netspec.layer import signature_of
from netc.netspec.layers import CeilMaxPool, ChannelShuffle, Dense, DenseBlock, ShuffleV2Block, TokenPositionEmbed
from netc.netspec.layers.window import pair
from netc.netspec.types import TensorType
from netc.proofs_oracle.reference import apply
from netc.proofs_oracle.references import REFERENCES
from netc.proofs_oracle.references.conv import convolve
from netc.proofs_oracle.witness import compiled


def test_a_transposed_convolution_is_the_adjoint_of_a_convolution(normal):
    cases = [c for c in REFERENCES["convTranspose2d"].cases if c.layer.kind == "convTranspose2d"]
    cases = [c for c in cases if c.layer.activation == "identity"]
    assert len(cases) > 15
    tensors = []
    for case in cases:
        signature = signature_of(case.layer, case.x)
        params = {p.name: normal(p.shape) for p in signature.params}
        tensors.append((params, normal((case.batch, *case.shape)), normal((case.batch, *signature.out.shape))))

    def both(tensors):
        out = []
        for case, (params, x, u) in zip(cases, tensors, strict=True):
            y, _ = apply(case.layer, params, {}, x, True)
            (top, left), layer = pair(case.layer.padding), case.layer
            seen = convolve(
                u, params["kernel"], layer.stride, ((top, top), (left, left)),
                groups=layer.groups, dilation=layer.dilation,
            )  # fmt: skip
            out.append((((y - params.get("bias", 0.0)) * u).sum(), (x * seen).sum()))
        return out

    for case, (ours, adjoint) in zip(cases, compiled(both)(tensors), strict=True):
        np.testing.assert_allclose(ours, adjoint, rtol=1e-11, atol=1e-11, err_msg=case.name)


def test_adaptive_means_are_the_loops_of_the_equation(normal):
    cases = [c for c in REFERENCES["adaptiveAvgPool"].cases if c.layer.kind == "adaptiveAvgPool"]
    images = [normal((case.batch, *case.shape)) for case in cases]
    pooled = compiled(lambda images: [apply(c.layer, {}, {}, x, True)[0] for c, x in zip(cases, images, strict=True)])(
        images
    )
    for case, x, y in zip(cases, images, pooled, strict=True):
        (rows, columns), (height, width, _) = pair(case.layer.size), case.shape
        for p, q in np.ndindex(rows, columns):
            seen = x[
                :,
                math.floor(p * height / rows) : math.ceil((p + 1) * height / rows),
                math.floor(q * width / columns) : math.ceil((q + 1) * width / columns),
            ]
            np.testing.assert_allclose(y[:, p, q], seen.mean((1, 2)), rtol=1e-12, atol=1e-15, err_msg=case.name)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_ceil_pool_has_a_window_for_every_pixel_that_a_window_may_reach(size, stride):
    for length in range(size, 13):
        count = signature_of(CeilMaxPool(size, stride), TensorType((length, length, 1))).out.shape[0]
        begins = [start for start in range(0, length, stride) if start < length]
        # every window that begins inside, but none behind one that already reaches the end
        wanted = 1 + sum(1 for before in begins[:-1] if before + size < length)
        assert count == wanted, (length, size, stride)


def test_a_shuffle_by_groups_and_then_by_the_rest_is_the_identity(normal):
    x = normal((2, 3, 12))
    twice = compiled(lambda x: apply(ChannelShuffle(4), {}, {}, apply(ChannelShuffle(3), {}, {}, x, True)[0], True)[0])(
        x
    )
    np.testing.assert_array_equal(twice, x)
    once = compiled(lambda x: apply(ChannelShuffle(3), {}, {}, x, True)[0])(x)
    np.testing.assert_array_equal(once[0, 0], x[0, 0, [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]])


def test_what_a_layer_lets_by_is_found_in_its_output(normal):
    x = normal((2, 3, 3, 2))
    dense = DenseBlock(2, 2, 1)
    params = {p.name: normal(p.shape) for p in signature_of(dense, TensorType((3, 3, 2))).params}
    states = {s.name: np.ones(s.shape) for s in signature_of(dense, TensorType((3, 3, 2))).state}
    y, _ = compiled(lambda p, x: apply(dense, p, states, x, False))(params, x)
    np.testing.assert_array_equal(y[..., :2], x)
    assert y.shape == (2, 3, 3, 6)
    shuffled = ShuffleV2Block(4, 2)
    one = ShuffleV2Block(4, 1)
    x = normal((2, 4, 4, 3))
    signature = signature_of(shuffled, TensorType((4, 4, 3)))
    params = {p.name: normal(p.shape) for p in signature.params}
    states = {s.name: np.ones(s.shape) for s in signature.state}
    first, _ = compiled(lambda p, x: apply(one, p, states, x, False))(params, x)
    y, _ = compiled(lambda p, x: apply(shuffled, p, states, x, False))(params, x)
    np.testing.assert_array_equal(y[..., [0, 2]], first[..., :2])  # the left half, dealt to the even channels


def test_an_embedding_with_a_bias_is_the_dense_layer_on_ids_written_one_hot(normal):
    """Parameters for parameters, and in the values."""
    embed, dense = TokenPositionEmbed(7, 3, positions=False, bias=True), Dense(3)
    ids = np.array([[0, 6, 2, 2], [5, 1, 0, 3]], np.int32)
    ours, theirs = signature_of(embed, TensorType((4,), "i32")), signature_of(dense, TensorType((4, 7)))
    assert [p.shape for p in ours.params] == [p.shape for p in theirs.params] == [(7, 3), (3,)]
    matrix, bias = normal((7, 3)), normal((3,))
    rows, _ = apply(embed, {"tokens": matrix, "bias": bias}, {}, ids, True)
    product, _ = apply(dense, {"kernel": matrix, "bias": bias}, {}, np.eye(7)[ids], True)
    np.testing.assert_allclose(np.asarray(rows), np.asarray(product), rtol=1e-6, atol=1e-6)  # float32 where not x64
