"""docs/certificate-finds.md: a hand-written CNN step whose kernel gradient has its inputs and outputs exchanged."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from click.testing import CliRunner
from jax import lax
from jax.extend.backend import get_backend
from jaxlib import _jax

from netc.cli.main import cli

ROOT = Path(__file__).parents[3]
STEP = ROOT / "scripts" / "foreign" / "texts" / "hand_cnn_step.mlir"
LINE = "%dW1o = stablehlo.transpose %dW1, dims = [1, 0, 2, 3] : (tensor<3x3x3x3xf32>) -> tensor<3x3x3x3xf32>"
USE = "%s2 = stablehlo.multiply %lr2, %dW1 :"
SHOWN = (
    "wrong: the gradient of W1 in main", "read: gradient of W0 = -1 (result 0 - W0) / lr, and so on",
    "a gradient is not the derivative",
)  # fmt: skip
PAGE = (ROOT / "docs" / "certificate-finds.md").read_text()
NAMES = ("W0", "b0", "W1", "b1", "W2", "b2")


def mended():
    text = STEP.read_text()
    assert USE in text
    return text.replace(USE, f"{LINE}\n    {USE.replace('%dW1 ', '%dW1o ')}")


def loss(params, x, y):
    w0, b0, w1, b1, w2, b2 = params

    def layer(h, w, b):
        h = lax.conv_general_dilated(h, w, (1, 1), "SAME", dimension_numbers=("NCHW", "OIHW", "NCHW"))
        return jax.nn.relu(h + b[:, None, None])

    h = layer(layer(x.reshape(4, 1, 6, 6), w0, b0), w1, b1)
    h = lax.reduce_window(h, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
    return -jnp.mean(jax.nn.log_softmax(h.reshape(4, 27) @ w2 + b2)[jnp.arange(4), y])


def run(text, args):
    client = get_backend("cpu")
    devices = _jax.DeviceList(tuple(client.local_devices()[:1]))
    loaded = client.compile_and_load(text, devices, _jax.CompileOptions())
    return [np.asarray(v) for v in loaded.execute([jax.device_put(a) for a in args])]


@pytest.mark.parametrize(
    ("text", "wrong"), [(STEP.read_text(), {"W1"}), (mended(), set())], ids=["with the slip", "mended"]
)
def test_numbers_of_jax(text, wrong):
    rng = np.random.default_rng(0)
    shapes = ((3, 1, 3, 3), (3,), (3, 3, 3, 3), (3,), (27, 4), (4,))
    params = [(rng.standard_normal(s) / 3).astype(np.float32) for s in shapes]
    x, y = rng.standard_normal((4, 36)).astype(np.float32), np.array([0, 3, 1, 2], np.int32)
    *new, value = run(text, [*params, x, y, np.float32(0.5)])
    wanted, gradients = jax.value_and_grad(loss)(params, x, y)
    np.testing.assert_allclose(value, wanted, rtol=1e-5)
    off = {
        n for n, p, q, g in zip(NAMES, params, new, gradients, strict=True) if np.abs((p - q) / 0.5 - g).max() > 1e-4
    }
    assert off == wrong


def certified(*words):
    found = CliRunner().invoke(cli, ["certify", *map(str, words)])
    return found.exit_code, found.stdout


def test_certify_blames_that_kernel_alone_and_certifies_the_mended_step(tmp_path):
    code, shown = certified(STEP)
    assert code == 1
    assert [s for s in shown.splitlines() if s.startswith("wrong")] == ["wrong: the gradient of W1 in main"]
    for line in SHOWN:
        assert line in shown and line in PAGE
    told = [w for k in range(6) for w in ("--update", f"{k}={k}:sgd")]
    code, shown = certified(STEP, *told)
    assert code == 1 and "the gradient of W1" in shown and "the gradient of b1" not in shown
    path = tmp_path / "mended.mlir"
    path.write_text(mended())
    assert certified(path)[0] == 0
    assert LINE in PAGE
