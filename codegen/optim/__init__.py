"""Optimizers as IR: one file each, found by the class of their declaration in netspec/recipe.py."""

from netc.codegen.optim.adam import ADAM
from netc.codegen.optim.rule import OptimizerRule
from netc.codegen.optim.sgd import SGD
from netc.netspec.recipe import Adam, Optimizer, Sgd

TABLE: dict[type[Optimizer], OptimizerRule] = {Adam: ADAM, Sgd: SGD}


def rule_of(optimizer: Optimizer) -> OptimizerRule:
    """The rule that updates parameters as `optimizer` declares."""
    return TABLE[type(optimizer)]
