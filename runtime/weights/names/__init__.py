"""How other projects name the tensors of the zoo's nets: one table for each family."""

from __future__ import annotations

import re

from netc.netspec.errors import UserError
from netc.runtime.weights.names import convnext, densenet, inception, mobile, plain, resnet, shufflenet, swin, vit
from netc.runtime.weights.names.table import Family

FAMILIES: tuple[Family, ...] = (
    resnet.FAMILY,
    plain.FAMILY,
    densenet.FAMILY,
    *inception.FAMILIES,
    shufflenet.FAMILY,
    convnext.FAMILY,
    *mobile.FAMILIES,
    *vit.FAMILIES,
    swin.FAMILY,
)


def family_of(name: str) -> Family:
    """The family of the net of that name; raises UserError if nobody's names are known for it."""
    for family in FAMILIES:
        if re.fullmatch(family.nets, name):
            return family
    raise UserError(
        f"weights from elsewhere want a net that others publish, got {name!r}, of whose weights netc knows no names; "
        "docs/weights.md lists the nets"
    )
