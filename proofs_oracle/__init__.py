"""WHETHER it is right: JAX references and the comparison of every gradient with them."""

if __name__ != "netc.proofs_oracle":
    raise ImportError(f"this package is netc.proofs_oracle, not {__name__}; install netc and import netc.proofs_oracle")
