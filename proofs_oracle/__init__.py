"""WHETHER it is right: JAX references and the comparison of every gradient with them."""

from importlib.util import find_spec

from netc.netspec.errors import UserError
from netc.netspec.install import install_extra

if __name__ != "netc.proofs_oracle":
    raise ImportError(f"this package is netc.proofs_oracle, not {__name__}; install netc and import netc.proofs_oracle")
if find_spec("jax") is None:  # the only room that needs it
    wanted = "`proofs_oracle` wants JAX, got no module named jax"
    raise UserError(f"{wanted}; {install_extra('oracle')}")
