"""Optimizers as IR: one file each, whose rule is found by the class of its declaration in netspec/optimizers.py."""

from importlib import import_module
from pkgutil import iter_modules

from netc.codegen.optim.rule import RULES, OptimizerRule, rule_of

__all__ = ["RULES", "OptimizerRule", "rule_of"]

for _file in iter_modules(__path__):
    import_module(f"{__name__}.{_file.name}")
