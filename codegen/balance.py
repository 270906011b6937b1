"""The program that tells which experts the tokens of an evaluation choose; of a step it is codegen/choices.py."""

from __future__ import annotations

from dataclasses import replace

from netc.codegen.builder import Builder
from netc.codegen.collector import no_collector
from netc.codegen.documents import begins_of
from netc.codegen.ir import Module, identifier
from netc.codegen.program import Program
from netc.codegen.rewrite.precision import at_precision
from netc.codegen.rules import CHOICES, Scope, emit
from netc.codegen.slots import kept_of, state_of
from netc.netspec.check import CheckedNet
from netc.netspec.recipe import Recipe
from netc.netspec.types import TensorType


@no_collector()
def build_choices(net: CheckedNet, recipe: Recipe, batch: int) -> Program:
    """The program of `choices`: (parameters, statistics, x) -> [B, experts of all layers], as evaluation has them.

    Of each example the share of a layer's choices that fell on each expert; in float32 where training is in float64.
    """
    recipe = replace(recipe.without_remat, scan_blocks=False, accumulate=1, chunked_loss=0)
    if recipe.precision == "f64":
        recipe = replace(recipe, precision="f32")
    b = Builder("choices")
    held = {name: b.parameter(name, TensorType(shape)) for name, shape in net.shapes.items()}
    x = b.parameter("x", TensorType((batch, *net.x.shape), net.x.dtype))
    scope = Scope(held, held, False, begins=begins_of(b, recipe.documents, x), examples=batch)
    told = [v for name, v in emit(b, net.spec.body, scope, x).state.items() if name.endswith(CHOICES)]
    function = b.finish([("choices", b.concatenate(told, 1))])
    module = at_precision(Module(identifier(net.spec.name), (function,)), recipe.precision)
    return Program(net, recipe, batch, kept_of(state_of(net, recipe)), module)
