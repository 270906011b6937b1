"""What is read of a recorded profile: a net of two convolutions of one shape, which share executables."""

from pathlib import Path

import pytest

from netc.runtime.measure.dispatches import (
    Event,
    Site,
    commands_of,
    events_of,
    flops_of,
    lists_of,
    match,
    names_in,
    shared_time,
    timed,
)

RECORDED = Path(__file__).parent / "profiles"


def lines(name):
    return (RECORDED / name).read_text(encoding="utf-8").splitlines()


@pytest.fixture(scope="module")
def lists():
    return lists_of((RECORDED / "twice.mlir").read_text(encoding="utf-8"), "train_step")


@pytest.fixture(scope="module")
def found(lists):
    sites = match(lists, commands_of(lines("twice-commands.jsonl")))
    return timed(sites, events_of(lines("twice-events.jsonl")), steps=3)


def test_the_lists_are_those_of_the_step_alone(lists):
    assert [len(own) for own in lists] == [9, 7, 7]
    assert not [s for own in lists for s in own if s.loc == "init"]
    assert [s.number for own in lists for s in own] == list(range(23))


def test_a_shared_executable_belongs_to_each_of_its_callers(found):
    shared = {d.site.loc for d in found if d.site.function == "train_step_dispatch_0_slow_memcpy"}
    assert shared == {"first", "second"}
    updates = {d.site.loc for d in found if "elementwise_144" in d.site.function}
    assert updates == {"first.kernel (update)", "second.kernel (update)"}


def test_a_fused_dispatch_is_its_roots_and_names_the_others(found):
    conv = next(d for d in found if d.site.function == "train_step_dispatch_1_conv_2x8x8x4x3x3x4_f32")
    assert (conv.site.loc, conv.site.also) == ("first", ("second (vjp)",))
    assert conv.flops == 2 * 2 * 8 * 8 * 4 * 3 * 3 * 4
    shared = [d for d in found if "slow_memcpy" in d.site.function]
    assert {d.site.also for d in shared} == {()}  # the body is that of one caller and says nothing of the other


def test_every_dispatch_of_the_step_is_found_slowest_first(found, lists):
    assert {d.site for d in found} == {s for own in lists for s in own}
    assert [d.seconds for d in found] == sorted((d.seconds for d in found), reverse=True)
    assert 0 < sum(d.seconds for d in found) < 1e-3


def test_names_are_read_from_every_kind_of_place():
    assert names_in('} loc(fused["a", callsite("b (vjp)" at "m.mlir":3:1), "a"])') == ("a", "b (vjp)")
    assert names_in('} loc("m.mlir":3:1)') == ()
    assert names_in("} loc(unknown)") == ()
    assert names_in("}") == ()


@pytest.mark.parametrize(
    ("name", "flops"),
    [
        ("train_step_dispatch_85_matmul_like_32x32x12544_f32", 2 * 32 * 32 * 12544),
        ("train_step$async_dispatch_4_batch_matmul_96x64x64x32_f32", 2 * 96 * 64 * 64 * 32),
        ("train_step_dispatch_80_matvec_like_32x12544_f32", 2 * 32 * 12544),
        ("train_step_dispatch_6_reduction_32x12544_f32", None),
        ("_encoding_1_encode_3136x512xf32_to_3136x512xf32", None),
    ],
)
def test_flops_are_read_from_the_names_of_products(name, flops):
    assert flops_of(name) == flops


def event(begin, end, index=0, buffer=1):
    return Event(buffer, index, "f", begin, end, end - begin)


def test_dispatches_that_run_at_once_share_the_clock():
    own = shared_time([event(0, 10), event(0, 4), event(8, 12), event(20, 21)])
    assert own == [2 + 4 + 1, 2, 1 + 2, 1]
    assert sum(own) == 12 + 1  # the time in which any ran


def test_a_first_run_does_not_count_and_a_loop_counts_each_time():
    site = Site("f", "a", 0)
    warm = [event(0, 900), event(1000, 1010), event(2000, 2010)]
    assert timed({(1, 0): site}, warm, steps=3)[0].seconds == pytest.approx(10e-9)
    assert timed({(1, 0): site}, [event(0, 10), event(20, 30)], steps=1)[0].seconds == pytest.approx(20e-9)
    assert timed({}, warm, steps=3) == ()


def test_lists_of_the_same_functions_are_taken_in_order():
    first, second, other = [Site("f", "a", 0)], [Site("f", "b", 1)], [Site("g", "c", 2)]
    commands = {7: ((2, "f"),), 8: ((2, "f"),), 9: ((0, "g"),), 10: ((0, "h"),), 11: ((2, "f"),)}
    found = match([first, second, other], commands)
    assert {key: site.loc for key, site in found.items()} == {(7, 2): "a", (8, 2): "b", (9, 0): "c", (11, 2): "a"}
