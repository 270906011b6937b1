"""The cost of a lowered step: flops and bytes counted by hand on small programs, and rooflines."""

import pytest

from netc.codegen.analysis.step_cost import Ceiling, Work, by_layer, step_works, table, useful_flops, works
from netc.codegen.builder import Builder
from netc.codegen.location import location_of
from netc.codegen.program import build
from netc.codegen.rewrite.lower import lower
from netc.netspec.check import check
from netc.netspec.layers import BatchNorm, Conv2d, Dense, Flatten
from netc.netspec.recipe import Adam, Recipe
from netc.netspec.spec import NetSpec
from netc.netspec.types import TensorType

N = 1000
MB = 4 * N


def traffic(make, count=2, shape=(N,)):
    """(passes, bytes read, bytes written) of what `make` builds of `count` vectors."""
    b = Builder("f")
    results = make(b, *(b.parameter(f"x{i}", TensorType(shape)) for i in range(count)))
    found = works(b.finish([(f"r{i}", r) for i, r in enumerate(results)]))
    return len({w.number for w in found}), sum(w.read for w in found), sum(w.written for w in found)


def test_elementwise_work_is_one_pass():
    assert traffic(lambda b, x, y: [b.mul(b.add(x, y), b.sub(x, 3.0))]) == (1, 2 * MB, MB)


def test_views_are_free_and_a_broadcast_is_read_at_its_source():
    def make(b, x, y):
        wide = b.broadcast(b.slice(x, (0,), (10,)), TensorType((5, 10)))
        return [b.mul(wide, 2.0)]

    assert traffic(make) == (1, 40, 200)


def test_a_source_is_read_once_however_many_slices_show_it():
    def make(b, x, y):
        return [b.add(b.slice(x, (0,), (900,)), b.slice(x, (100,), (1000,)))]

    assert traffic(make) == (1, MB, 3600)


def test_a_sum_ends_its_pass_and_what_follows_reads_again():
    def variance(b, x, y):
        mean = b.mul(b.sum(x, (0,)), 1 / N)
        centred = b.sub(x, b.broadcast(mean, TensorType((N,)), ()))
        return [b.mul(centred, b.broadcast(b.sum(b.mul(centred, centred), (0,)), TensorType((N,)), ()))]

    # sum x; the mean; centre, square and sum; centre is stored, for it is read after that sum; scale it
    passes, read, written = traffic(variance)
    assert passes == 4
    assert read == 3 * MB + 3 * 4
    assert written == 2 * MB + 3 * 4


def test_work_waits_for_its_reader():
    def update(b, m, g):
        old = b.mul(m, 0.9)  # could be computed at once, but nobody would
        late = b.op("barrier", b.transpose(b.reshape(g, (10, N // 10)), (1, 0)))
        return [b.add(old, b.reshape(late, (N,)))]

    assert traffic(update) == (2, MB + 2 * MB, MB + MB)


def test_a_product_is_a_pass_of_its_own_but_an_outer_product_is_elementwise():
    def square(b, x, y):
        return [b.mul(b.dot(x, y, (1, 0)), 2.0)]

    assert traffic(square, shape=(10, 10)) == (2, 400 + 400 + 400, 400 + 400)

    def outer(b, x, y):
        return [b.mul(b.dot(x, y, (1, 1)), 2.0)]

    assert traffic(outer, shape=(10, 1)) == (1, 80, 400)


def test_constants_and_what_nobody_reads_cost_nothing():
    assert traffic(lambda b, x, y: [b.constant(1.0, TensorType((N,)))]) == (0, 0, 0)


def test_adam_moves_seven_tensors_and_the_gradient():
    """Reads parameter, two moments, gradient; writes parameter and moments."""
    net = check(NetSpec("one", (50,), (Dense(20, bias=False, name="head"),)))
    step = lower(build(net, Recipe(Adam(), norms=False), 4).module, "cpu").function("train_step")
    update = [w for w in works(step) if w.loc == "head.kernel (update)" and w.bytes > 1000]
    assert len(update) == 1
    assert update[0].written == 3 * 4 * 50 * 20
    assert 0 <= update[0].read - 4 * 4 * 50 * 20 < 100  # and the scalars


SPEC = NetSpec(
    "small", (8, 8, 3),
    (Conv2d(4, 3, 1, "same", bias=False, name="conv"), BatchNorm(name="norm"), Flatten(), Dense(3, name="head")),
)  # fmt: skip


@pytest.mark.parametrize("family", ["cpu", "xla", "gpu"])
def test_the_flops_of_a_layer_are_its_forms_and_the_phases_are_apart(family):
    program = build(check(SPEC), Recipe(norms=False), 2)
    step = lower(program.module, family).function("train_step")
    rows = by_layer(table(works(step), Ceiling(1e11, 1e10)))
    assert [*rows][:3] == ["conv", "norm", "head"]
    assert set(rows["conv"]) == {"forward", "vjp", "update"}
    product = 2 * 2 * 256 * 3
    assert rows["head"]["forward"].flops >= product
    assert rows["head"]["vjp"].flops >= 2 * product
    assert rows["conv"]["forward"].flops >= 2 * 2 * 64 * 4 * 27 - 2 * 2 * 4 * 27 * 28  # taps outside may not count
    assert sum(r.flops for phases in rows.values() for r in phases.values()) == sum(w.flops for w in works(step))


def test_useful_flops_do_not_depend_on_a_schedule():
    module = build(check(SPEC), Recipe(norms=False), 2).module
    conv, dense = 2 * 2 * 64 * 4 * 27, 2 * 2 * 256 * 3
    known = 2 * conv + 3 * dense  # the image needs no gradient, and dce takes it; rules emit it
    assert useful_flops(module) >= known


@pytest.mark.parametrize("family", ["cpu", "xla"])
def test_a_batch_in_parts_costs_its_parts_and_one_update(family):
    part, whole = (build(check(SPEC), Recipe(accumulate=n), 2 * n) for n in (1, 3))
    rows, sums = (
        {(r.layer, r.phase): r for r in table(step_works(lower(p.module, family)), Ceiling(1e11, 1e10))}
        for p in (part, whole)
    )
    weights = sum(p.size for p in whole.net.params)
    for place, row in rows.items():
        times = 3 if place[1] in ("forward", "vjp") and place[0] in ("conv", "norm", "flatten", "head") else 1
        if place[0] not in ("loss", "train_step"):  # whose scalars are added
            assert (sums[place].flops, sums[place].bytes) == (times * row.flops, times * row.bytes), place
    added = sums["accumulate", "update"]
    assert added.flops == 3 * (weights + 2)  # and loss and correct
    # each part reads its gradients and the sums, and writes the sums; zeros are written before; scalars besides
    assert 0 <= added.bytes - 4 * weights * (3 * 3 + 1) < 100
    passes = 3 * sum(r.flops for r in rows.values() if r.phase in ("forward", "vjp") and r.layer in ("conv", "head"))
    assert useful_flops(whole.module) >= 0.9 * passes


def test_deeper_tables_open_the_layers():
    program = build(check(SPEC), Recipe(norms=False), 2)
    step = lower(program.module, "cpu").function("train_step")
    flat, deep = (table(works(step), Ceiling(1e11, 1e10), depth) for depth in (0, 5))
    assert sum(r.bytes for r in flat) == sum(r.bytes for r in deep)


def test_the_roofline_is_the_longer_of_both():
    ceiling = Ceiling(100.0, 10.0)
    assert Work(0, "a", 1000, 5, 5).seconds(ceiling) == 10
    assert Work(0, "a", 100, 50, 50).seconds(ceiling) == 10
    (row,) = table([Work(0, "a", 1000, 5, 5), Work(1, "a", 0, 20, 0)], ceiling)
    assert (row.seconds, row.bound) == (12, "flops")
    (row,) = table([Work(0, "a", 10, 5, 5), Work(1, "a", 0, 20, 0)], ceiling)
    assert row.bound == "bytes"


@pytest.mark.parametrize(
    ("loc", "path", "phase"),
    [
        ("stage2.block0.conv1", ("stage2", "block0", "conv1"), "forward"),
        ("stage2.block0.conv1 (vjp)", ("stage2", "block0", "conv1"), "vjp"),
        ("stage2.block0.conv1.kernel (update)", ("stage2", "block0", "conv1"), "update"),
        ("optimizer", ("optimizer",), "update"),
        ("accumulate", ("accumulate",), "update"),
        ("", ("(no place)",), "forward"),
    ],
)
def test_places_are_read_back(loc, path, phase):
    place = location_of(loc)
    assert (place.path, place.phase) == (path, phase)
