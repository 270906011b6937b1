"""The module of one (net, batch, recipe): init, train_step, eval_step, predict, and train_steps where asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

from netc.codegen import recomputing
from netc.codegen.collector import no_collector
from netc.codegen.distribute.split import said
from netc.codegen.fit import size_problems
from netc.codegen.ir import Function, Module, Value, identifier
from netc.codegen.module_emitter import ModuleEmitter
from netc.codegen.rewrite.float64 import to_f64, widened
from netc.codegen.rewrite.precision import at_precision
from netc.codegen.said_of_update import said_of_update
from netc.codegen.sharding.mesh import Sharding
from netc.codegen.slots import Slot, averages_of, kept_of, state_of
from netc.codegen.steps import train_steps
from netc.netspec.check import CheckedNet
from netc.netspec.errors import SpecError
from netc.netspec.recipe import Recipe
from netc.netspec.recipe_fit import trained


@dataclass(frozen=True)
class Program:
    """A module with the meaning of its arguments and results. `state` is the fixed order of the state.

    `batch` is that of all replicas together. Where `steps_per_call` K is above 1, the module has a `train_steps` that
    takes K steps in one call. `net` has the rates that the recipe states; `spec_sha256` is the digest of the net
    without them, as runs and exports record it. `sharding` says how XLA splits it, and changes no operation.
    """

    net: CheckedNet
    recipe: Recipe
    batch: int
    state: tuple[Slot, ...]
    module: Module
    steps_per_call: int = 1
    spec_sha256: str = ""
    sharding: Sharding | None = None

    @property
    def replicas(self) -> int:
        """How many devices run it, each on an equal part of the batch: shapes in the module are of one part."""
        return self.module.replicas

    def on(self, sharding: Sharding | None) -> Program:
        """The same program, split over a mesh, or over none."""
        return replace(self, sharding=sharding)

    @property
    def kept(self) -> tuple[Slot, ...]:
        """The part of the state that evaluation needs: parameters, then statistics."""
        return kept_of(self.state)

    @property
    def averages(self) -> tuple[Slot, ...]:
        """The averages of `kept`, in its order; empty if the recipe keeps none."""
        return averages_of(self.state)

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """What a host without Python needs to drive the module: every argument and result, in order."""
        roles = {s.name: s.role for s in self.state}

        def entries(values: Sequence[Value], names: Sequence[str]) -> list[dict[str, Any]]:
            named = zip(values, names, strict=True)
            return [said(n, v.type, roles.get(n, "data"), several=self.replicas > 1) for v, n in named]

        return {
            "format": 1, "net": self.net.spec.name, "spec_sha256": self.spec_sha256, "batch": self.batch,
            **({"replicas": self.replicas} if self.replicas > 1 else {}),
            **said_of_update(self.net, self.recipe, self.steps_per_call),
            "parameters": self.net.count, "layout": {"images": "NHWC", "kernels": "HWIO"},
            "functions": {
                f.name: {"arguments": entries(f.params, f.names), "results": entries(f.results, f.result_names)}
                for f in self.module
                if not f.private
            },
        }  # fmt: skip


@no_collector()
def build(net: CheckedNet, recipe: Recipe, batch: int, *, steps_per_call: int = 1, replicas: int = 1) -> Program:
    """Emit the whole module. Raises SpecError for a recipe, batch or output that cannot be trained.

    A batch counts the examples of one step, which `recipe.accumulate` must divide. With `steps_per_call` K above 1 the
    module also has `train_steps`: K steps on K batches, in one call. With `replicas` N above 1, N devices run it, each
    on an equal part of the batch.
    """
    recipe.check()
    if problems := size_problems(net, recipe, batch, steps_per_call, replicas):
        raise SpecError(tuple(problems))
    stated, net = net, trained(net, recipe)
    state = state_of(net, recipe)
    maker = ModuleEmitter(net, recipe, batch, state, replicas)
    chunks = (maker.chunked.trained, maker.chunked.judged) if recipe.chunked_loss else ()
    micro = (maker.accumulation.micro_step(),) if recipe.accumulate > 1 else ()
    step = maker.train_step(*micro)
    if unmet := recomputing.problems(net.spec.name, recipe, (*micro, step), partial(_step, net, batch)):
        raise SpecError(tuple(unmet))
    functions = [maker.init(), *chunks, *micro, step, maker.eval_step(), maker.predict()]
    if recipe.precision == "f64":
        functions = [to_f64(f, {s.name for s in state}) for f in functions]
        state = tuple(replace(s, type=widened(s.type)) for s in state)
    if steps_per_call > 1:
        functions.insert(-2, train_steps(functions[-3], len(state), steps_per_call))
    module = at_precision(Module(identifier(net.spec.name), tuple(functions), replicas), recipe.precision)
    return Program(net, recipe, batch, state, module, steps_per_call, stated.digest)


def _step(net: CheckedNet, batch: int, recipe: Recipe) -> Function:
    return ModuleEmitter(net, recipe, batch, state_of(net, recipe)).train_step()
