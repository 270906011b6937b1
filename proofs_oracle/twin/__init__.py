"""A training as one script of plain JAX: the independent twin that `netc emit-jax` writes. No JAX is imported here."""
