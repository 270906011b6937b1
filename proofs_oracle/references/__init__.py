"""One file per family of layers: what each layer means in JAX. Importing it fills `REFERENCES`."""

from importlib import import_module
from pkgutil import iter_modules

from netc.netspec.plugins import oracle_is_here
from netc.proofs_oracle.reference import REFERENCES, apply, reference_of, register

__all__ = ["FAMILIES", "REFERENCES", "apply", "reference_of"]

FAMILIES = tuple(import_module(f"{__name__}.{file.name}") for file in iter_modules(__path__))
register(*(reference for family in FAMILIES for reference in getattr(family, "REFERENCES", ())))
oracle_is_here()
