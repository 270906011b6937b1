"""The layout of a training: over which axes of the mesh each argument and result of its functions is split.

`laid_out` notes it on the functions of a lowered module, from where the text has it (codegen/render.py). It changes no
operation: without its notes the text is the plain one, and a compiler that partitions (XLA's Shardy) does the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from netc.codegen.ir import Axes, Function, FunctionLayout, Module, Placement, Value
from netc.codegen.program import Program
from netc.codegen.sharding.mesh import Mesh, Sharding
from netc.codegen.sharding.table import owners, row_of
from netc.codegen.slots import Slot
from netc.netspec.check import CheckedNet

STEPS = "train_steps"  # its batches have the steps before the examples
SPLIT_OFTEN = 0.5  # of the bytes that `shard` means must be in tensors that the mesh divides
KEPT_SPLIT = {"fsdp": ("parameter", "moment", "average", "slow"), "zero1": ("moment", "average", "slow")}
"""The roles of the state that `data` splits."""


def laid_out(module: Module, program: Program, sharding: Sharding) -> Module:
    """The module with the layout of each public function's arguments and results. The mesh fits: see `misfits`."""
    splits = splits_of(program, sharding)
    return replace(module, functions=tuple(f if f.private else _noted(f, program, sharding, splits) for f in module))


def _noted(function: Function, program: Program, sharding: Sharding, splits: Mapping[str, Axes]) -> Function:
    ahead = 1 if function.name == STEPS else 0

    def of(values: Sequence[Value], names: Sequence[str]) -> tuple[Placement, ...]:
        return tuple(
            Placement(splits[name], late=True)  # where they disagree, activations lie as the batch does
            if name in splits
            else Placement(_of_batch(value.shape, program, sharding.mesh, ahead))
            for value, name in zip(values, names, strict=True)
        )

    mesh = sharding.mesh.axes
    return replace(
        function,
        layout=FunctionLayout(mesh, of(function.params, function.names), of(function.results, function.result_names)),
    )


def _of_batch(shape: tuple[int, ...], program: Program, mesh: Mesh, ahead: int) -> Axes:
    """The axes of what is not of the state: its examples over `data`, their tokens over `sequence`."""
    found: list[str | None] = [None] * len(shape)
    if shape[ahead : ahead + 1] == (program.batch,):
        found[ahead] = "data" if mesh.count("data") > 1 else None
        if mesh.count("sequence") > 1 and shape[ahead + 1 : ahead + 2] == program.net.x.shape[:1]:
            found[ahead + 1] = "sequence"
    return tuple(found)


def splits_of(program: Program, sharding: Sharding) -> dict[str, Axes]:
    """The axes of the mesh that split each tensor of the state, by name."""
    by_model = _by_model(program.net, sharding.mesh)
    roles = KEPT_SPLIT.get(sharding.shard, ())
    shapes = {p.name: p.shape for p in program.net.params}
    found = {}
    for slot in program.state:
        of = _parameter(slot)
        axes = by_model[of] if shapes.get(of) == slot.type.shape else (None,) * slot.type.rank
        found[slot.name] = _over_data(axes, slot, sharding.mesh) if slot.role in roles else axes
    return found


def _parameter(slot: Slot) -> str:
    """The parameter that a slot is, or is kept for."""
    return slot.name if slot.role == "parameter" else slot.name.partition("/")[2]


def _by_model(net: CheckedNet, mesh: Mesh) -> dict[str, Axes]:
    count, owned = mesh.count("model"), owners(net)
    found: dict[str, Axes] = {}
    for p in net.params:
        _, axis = row_of(owned[p.name])
        axes: list[str | None] = [None] * len(p.shape)
        if count > 1 and axis is not None and p.shape[axis] % count == 0:
            axes[axis] = "model"
        found[p.name] = tuple(axes)
    return found


def _over_data(axes: Axes, slot: Slot, mesh: Mesh) -> Axes:
    """The largest axis that is whole yet and that `data` divides is split over it; of equal ones the last."""
    count, shape = mesh.count("data"), slot.type.shape
    free = [(n, i) for i, n in enumerate(shape) if axes[i] is None and n % count == 0]
    if count == 1 or not free:
        return axes
    _, chosen = max(free)
    return tuple("data" if i == chosen else axis for i, axis in enumerate(axes))


def misfits(program: Program, sharding: Sharding) -> Iterator[str]:
    """A sentence for each thing of the program that the mesh does not divide."""
    mesh, net, recipe = sharding.mesh, program.net, program.recipe
    examples = program.batch // recipe.accumulate
    if examples % mesh.count("data"):
        parts = f" in {recipe.accumulate} parts of `accumulate`" if recipe.accumulate > 1 else ""
        yield (
            f"`mesh` {mesh} wants a `batch` that data={mesh.count('data')} divides, got {program.batch}{parts}; change "
            "one of the two"
        )
    tokens = mesh.count("sequence")
    if tokens > 1 and (net.x.rank not in (1, 2) or net.x.shape[0] % tokens):
        got = "x".join(map(str, net.x.shape))
        yield f"`mesh` {mesh} wants a sequence that sequence={tokens} divides, got an `input` of {got}; choose another"
    yield from _undivided(net, mesh)
    roles = KEPT_SPLIT.get(sharding.shard, ())
    meant = [s for s in program.state if s.role in roles]
    axes = splits_of(program, sharding)
    split = sum(s.type.bytes for s in meant if "data" in axes[s.name])
    if meant and mesh.count("data") > 1 and split < SPLIT_OFTEN * sum(s.type.bytes for s in meant):
        yield (
            f"`shard={sharding.shard}` wants widths that data={mesh.count('data')} divides, got {net.spec.name}, "
            "most of whose tensors it does not divide; choose another `mesh`"
        )
    if sharding.shard and not meant and sharding.shard in KEPT_SPLIT:
        yield f"`shard={sharding.shard}` wants moments to split, got an `optimizer` without any; leave `shard` out"


def _undivided(net: CheckedNet, mesh: Mesh) -> Iterator[str]:
    """What `model` does not divide: heads, then widths. The first of each is told."""
    count = mesh.count("model")
    if count == 1:
        return
    for each in net.walk():
        for name in ("heads", "kv_heads"):
            heads = getattr(each.layer, name, None)
            if heads and heads % count:
                yield (
                    f"`mesh` {mesh} wants {name} that model={count} divides, got {heads} of {each.path}; choose another"
                )
                return
    owned = owners(net)
    for p in net.params:
        row, axis = row_of(owned[p.name])
        # the last layer's classes are the data's, not a width that one chooses
        if axis is not None and not row.optional and p.shape[axis] % count and p.shape[axis] != net.out.shape[-1]:
            yield (
                f"`mesh` {mesh} wants widths that model={count} divides, got {p.shape[axis]} in {p.name}; choose "
                "another, or change the net"
            )
            return
