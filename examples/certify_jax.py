"""Certify a text that JAX made: are its results exactly the derivatives of its loss? And one with a mistake in it?"""

from typing import Any

import jax
import jax.numpy as jnp

import netc

Array = Any  # jax.Array, for type checkers that know jax


def loss(w: Array, b: Array, x: Array, y: Array) -> Array:
    return jnp.mean((jnp.tanh(x @ w + b) - y) ** 2)


def gradients(w: Array, b: Array, x: Array, y: Array) -> Any:
    return jax.value_and_grad(loss, argnums=(0, 1))(w, b, x, y)


def mistaken(w: Array, b: Array, x: Array, y: Array) -> Any:
    value, (dw, db) = gradients(w, b, x, y)
    return value, (dw, 0.5 * db)  # half a gradient trains, too, and no test of shapes finds it


def main() -> None:
    args = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((3, 2), (2,), (4, 3), (4, 2))]
    for function in (gradients, mistaken):
        text = jax.jit(function).lower(*args).as_text()
        found = netc.certify(text, wrt=("0=1", "1=2"))  # result 1 is the gradient of argument 0, and 2 of 1
        blamed = ", ".join(name for statement in found.statements for name in statement.blamed)
        print(f"{function.__name__}: {found.verdict}{f', because of {blamed}' if blamed else ''}")


if __name__ == "__main__":
    main()
