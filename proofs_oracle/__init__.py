"""WHETHER it is right: JAX references and the comparison of every gradient with them."""

from importlib.util import find_spec

from netc.netspec.errors import UserError

if __name__ != "netc.proofs_oracle":
    raise ImportError(f"this package is netc.proofs_oracle, not {__name__}; install netc and import netc.proofs_oracle")
if find_spec("jax") is None:  # the only room that needs it
    raise UserError("`netc oracle` and `netc certify` want JAX, got no module named jax; pip install -e '.[oracle]'")
