"""One file per family of layers: what each layer means in JAX. `REFERENCES` is the vocabulary."""

from netc.proofs_oracle.reference import Reference
from netc.proofs_oracle.references import activation, combine, conv, dense, norm, pool, resnet, shape, stochastic

FAMILIES = (dense, conv, norm, pool, activation, shape, combine, resnet, stochastic)
REFERENCES: dict[str, Reference] = {ref.kind: ref for family in FAMILIES for ref in family.REFERENCES}
