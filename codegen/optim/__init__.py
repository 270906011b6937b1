"""Optimizers as IR: one file each, found by the class of their declaration in netspec/recipe.py."""

from netc.codegen.optim import adam, sgd
from netc.codegen.optim.rule import OptimizerRule
from netc.netspec.recipe import SGD, Adam, Optimizer

TABLE: dict[type[Optimizer], OptimizerRule] = {Adam: adam.RULE, SGD: sgd.RULE}


def rule_of(optimizer: Optimizer) -> OptimizerRule:
    """The rule that updates parameters as `optimizer` declares."""
    return TABLE[type(optimizer)]
