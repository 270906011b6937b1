"""StableHLO's portable artefact: a program as bytes that later versions of StableHLO read. jaxlib writes it."""

from __future__ import annotations

from netc.netspec.errors import UserError
from netc.netspec.install import install_extra


def portable_artifact(text: str) -> tuple[bytes, str]:
    """A text of plain StableHLO as an artefact, and the version of StableHLO that it is of.

    That is the oldest that jaxlib can write: every newer one reads it. Raises UserError where jaxlib is missing.
    """
    try:
        from jaxlib.mlir.dialects import stablehlo
    except ImportError as error:
        raise UserError(f"`bytecode` wants jaxlib, got none; {install_extra('oracle')}") from error
    version: str = stablehlo.get_minimum_version()
    artefact: bytes = stablehlo.serialize_portable_artifact_str(text, version)
    return artefact, version
