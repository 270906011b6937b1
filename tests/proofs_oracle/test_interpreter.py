"""Which of JAX's programs the interpreter takes; the others would end the process, and go to XLA."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from netc.proofs_oracle.interpreter import interpreted

NUMBERS = np.linspace(-1.0, 2.0, 12, dtype=np.float32).reshape(3, 4)
COUNTS = np.array([7, -7, 5], np.int32)


def lowered(function, *args):
    return jax.jit(function).lower(*args).compiler_ir("stablehlo")


def test_a_small_program_is_computed_as_xla_computes_it():
    (found,) = interpreted(lowered(lambda x: jnp.tanh(x @ x.T), NUMBERS.astype(np.float32)))(
        [NUMBERS.astype(np.float32)]
    )
    np.testing.assert_allclose(found, np.tanh(NUMBERS @ NUMBERS.T), rtol=1e-5)


def test_an_operation_of_several_results_is_made_one_of_stablehlo_first():
    largest, at = interpreted(lowered(lambda x: jax.lax.top_k(x, 2), NUMBERS))([NUMBERS])
    np.testing.assert_array_equal(largest, NUMBERS[:, [3, 2]])
    np.testing.assert_array_equal(at, [[3, 2]] * 3)


@pytest.mark.parametrize(
    ("function", "args"),
    [
        (jax.lax.div, (COUNTS, COUNTS)),
        (jax.lax.rem, (COUNTS, COUNTS)),
        (lambda x: x + 1, (jnp.ones(3, jnp.bfloat16),)),
        (lambda x: x @ x, (np.ones((100, 100), np.float32),)),
    ],
    ids=["integers divided", "their remainder", "bf16", "large"],
)
def test_what_it_would_end_at_or_take_long_for_is_left_to_xla(function, args):
    assert interpreted(lowered(function, *args)) is None
