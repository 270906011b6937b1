"""The race: turns, equal starts, contestants that fail, and groups where memory is short."""

import math
import multiprocessing
import os
import signal
import threading
import time

import numpy as np
import pytest

from netc.netspec.check import check
from netc.netspec.errors import NetcError, UserError
from netc.netspec.find import find
from netc.runtime.measure import race as racing
from netc.runtime.measure.bench import Contestant, Job, Timing, flops_of, ours, unbroken
from netc.runtime.measure.race import race


@pytest.fixture(scope="module")
def job():
    return Job(check(find("mnist-linear")), 4, 2)


@pytest.fixture
def quickly(monkeypatch):
    """Processes that are forked from one that has imported all: a new one takes most of a second of the processor."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["netc.runtime.measure.race", "netc.runtime.measure.bench", __name__])
    monkeypatch.setattr(racing.multiprocessing, "get_context", lambda method: context)


def another_net(job):
    return lambda: 7.0, {}


def refuses(job):
    raise UserError("wants a library, got none; install it")


def raises(job):
    raise ValueError("the cache is damaged\nat byte 3")


def dies(job):
    raise SystemExit(3)


def is_killed(job):
    os.kill(os.getpid(), signal.SIGKILL)


def dies_later(job):
    calls = iter([1.0, 1.0, 1.0])  # the warm-up's
    return lambda: next(calls, None) or os._exit(4), {}


def dies_in_its_second_turn(job):
    calls = iter([0.1] * 5)  # the warm-up's, the one that says how many make a turn, and the first turn's
    return lambda: time.sleep(next(calls, None) or os._exit(4)) or 1.0, {}


def is_another_net_and_will_not_go(job):
    threading.Thread(target=time.sleep, args=(60,)).start()
    return another_net(job)


def own_start(job):
    return lambda: 1.0, {"note": 1}


def test_contestants_take_turns_from_the_same_start(job):
    found = race(job, [ours("reference"), Contestant("other", own_start, same_start=False)], rounds=2, seconds=30)
    assert [t.name for t in found] == ["netc reference", "other"]
    assert [len(t.times) for t in found] == [2, 2]
    assert found[0].median >= found[0].fastest > 0
    assert found[0].losses[0] > found[0].losses[2]  # it trains
    assert found[1].notes == {"note": 1}
    assert found[0].resident > 1


FAILURES = {
    another_net: (NetcError, "another_net is another net than netc reference"),
    refuses: (UserError, "wants a library, got none"),
    raises: (NetcError, "raises failed: ValueError: the cache is damaged"),
    dies: (NetcError, "dies ended with code 3 before it was done"),
    is_killed: (NetcError, "is_killed was killed, as the system does when memory runs out"),
    dies_later: (NetcError, "dies_later ended with code 4"),
}


def test_a_contestant_that_fails_has_its_reason_and_the_others_their_times(job, quickly):
    others = [Contestant(make.__name__, make, same_start=make is another_net) for make in FAILURES]
    ours_, *found = race(job, [ours("reference"), *others], rounds=1, seconds=30)
    assert len(ours_.times) == 1
    for (kind, sentence), timing in zip(FAILURES.values(), found, strict=True):
        assert type(timing.failed) is kind and sentence in str(timing.failed)
        assert math.isnan(timing.median) and math.isnan(timing.fair)
    with pytest.raises(NetcError, match="another_net is another net"):
        unbroken([ours_, *found])


def test_a_race_without_a_survivor_raises_the_first_reason(job, quickly):
    with pytest.raises(UserError, match="wants a library"):
        race(job, [Contestant("refuses", refuses), Contestant("dies", dies)], rounds=1, seconds=30)


def test_where_memory_is_short_groups_share_the_first_contestant(job, quickly, monkeypatch):
    monkeypatch.setattr(racing, "available", lambda: 0.0)
    said = []
    three = [Contestant(name, own_start, same_start=False) for name in "abc"]
    found = race(job, three, rounds=2, seconds=30, watch=said.append)
    assert said == ["starting a", "starting b", "timing", "starting c", "timing"]
    assert [len(t.times) for t in found] == [2, 2, 2]
    assert found[0].pace == found[1].pace == 1 != found[2].pace
    assert found[2].fair == found[2].median / found[2].pace


def test_a_group_that_lost_the_first_contestant_has_times_and_no_ratios(job, quickly, monkeypatch):
    monkeypatch.setattr(racing, "available", lambda: 0.0)
    made = [dies_in_its_second_turn, own_start, own_start]
    three = [Contestant(name, make, same_start=False) for name, make in zip("abc", made, strict=True)]
    a, b, c = race(job, three, rounds=5, seconds=0)
    assert "a ended with code 4" in str(a.failed)
    assert len(b.times) == 1 and b.fair == b.median
    assert len(c.times) == 1 and math.isnan(c.fair) and c.failed is None


@pytest.mark.parametrize(("make", "short"), [(is_another_net_and_will_not_go, False), (is_killed, True)])
def test_only_one_that_the_system_killed_ran_out_of_memory(job, quickly, monkeypatch, make, short):
    monkeypatch.setattr(racing, "PARTING", 0.2 if make is not is_killed else racing.PARTING)
    one = racing._Running(job, Contestant("one", make))
    one.start(Timing("first", losses=(1.0,)))
    assert one.timing.failed and one.process.exitcode == -signal.SIGKILL and one.out_of_memory == short


def test_pace_reads_a_later_group_at_the_first_ones_speed():
    assert Timing("x", (3.0,), pace=1.5).fair == 2.0


def test_data_and_start_are_the_same_in_every_process(job):
    for mine, theirs in zip(job.data(), Job(job.net, 4, 2).data(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    start, again = job.start(), Job(job.net, 4, 1).start()
    assert list(start) == [*(p.name for p in job.net.params), *(s.name for s in job.net.state)]
    assert all((start[n] == again[n]).all() for n in start)
    assert start["head.kernel"].std() > 0


def test_flops_are_those_of_the_mathematics(job):
    assert 0 < flops_of(job) - 2 * (2 * 4 * 784 * 10) < 30 * 784 * 10  # forward and kernel gradient; then the update
