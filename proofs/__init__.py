"""WHETHER it is right for all sizes and numbers: theorems about emitted programs, which Lean's kernel checks."""

if __name__ != "netc.proofs":
    raise ImportError(f"this package is netc.proofs, not {__name__}; install netc and import netc.proofs")
