"""A small variational autoencoder (Kingma and Welling 2014), so that diffusion may work on latents."""

from netc.netspec.layers import Chain, Conv2d, GaussianSample, NearestUpsample
from netc.netspec.spec import NetSpec

LATENTS = 2  # channels
WEIGHT = 1e-3  # 2 sigma^2 / D for images of D = 64 numbers and a variance sigma^2 of about 0.03


def tiny_vae() -> NetSpec:
    """Images [8, 8, 1], or larger ones of even sides, to latents of half the side and back."""
    encoder = Chain((
        Conv2d(32, 3, 2, "same-symmetric", activation="swish", name="conv1"),
        Conv2d(64, 3, activation="swish", name="conv2"),
        Conv2d(2 * LATENTS, 3, name="moments"),
    ), name="encoder")  # fmt: skip
    decoder = Chain((
        Conv2d(64, 3, activation="swish", name="conv1"),
        NearestUpsample(2, name="larger"),
        Conv2d(32, 3, activation="swish", name="conv2"),
        Conv2d(1, 3, name="out"),
    ), name="decoder")  # fmt: skip
    source = "Kingma and Welling 2014, with three convolutions on either side; the count is ours"
    return NetSpec("tiny-vae", (8, 8, 1), (encoder, GaussianSample(WEIGHT, name="latents"), decoder), source)
