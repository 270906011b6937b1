"""How other projects name the tensors of the zoo's nets: one table for each family."""

from __future__ import annotations

import re

from netc.netspec.errors import UserError
from netc.runtime.weights.names import (
    convnext,
    densenet,
    gpt,
    inception,
    llama,
    mobile,
    plain,
    resnet,
    shufflenet,
    swin,
    timm_mobile,
    vit,
)
from netc.runtime.weights.names.table import OWN, Family, Naming

FAMILIES: tuple[Family, ...] = (
    resnet.FAMILY,
    plain.FAMILY,
    densenet.FAMILY,
    *inception.FAMILIES,
    shufflenet.FAMILY,
    convnext.FAMILY,
    *mobile.FAMILIES,
    *timm_mobile.FAMILIES,
    *vit.FAMILIES,
    swin.FAMILY,
    gpt.FAMILY,
    llama.FAMILY,
)


def namings_of(name: str) -> tuple[Naming, ...]:
    """The namings of a net's weights: of the projects that publish such, and netc's own, which every net has."""
    return (*(n for family in FAMILIES if re.fullmatch(family.nets, name) for n in family.namings), OWN)


# what a user calls a project -> the word in its naming
PROJECTS = {"torchvision": "torchvision", "timm": "timm", "hf": "Hugging Face", "netc": "netc"}


def naming_for(name: str, project: str | None) -> Naming:
    """The naming of a net's weights that a user asks for; the first where none is asked for. Raises UserError."""
    found = namings_of(name)
    if project is None:
        return found[0]
    for naming in found:
        if PROJECTS[project] in naming.project.split(" and "):
            return naming
    known = [word for word, said in PROJECTS.items() if any(said in n.project.split(" and ") for n in found)]
    raise UserError(
        f"`names` wants {' or '.join(known)} for {name}, got {project}, whose names for it netc does not know"
    )
