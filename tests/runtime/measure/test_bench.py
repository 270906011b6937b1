"""The race: turns, equal starts, and contestants that fail."""

import numpy as np
import pytest

from netc.netspec.check import check
from netc.netspec.errors import NetcError, UserError
from netc.netspec.find import find
from netc.runtime.measure.bench import Contestant, Job, flops_of, ours, race


@pytest.fixture(scope="module")
def job():
    return Job(check(find("mnist-linear")), 4, 2)


def another_net(job):
    return lambda: 7.0, {}


def refuses(job):
    raise UserError("wants a library, got none; install it")


def dies(job):
    raise SystemExit(3)


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


@pytest.mark.parametrize(
    ("make", "kind", "sentence"),
    [
        (another_net, NetcError, "other is another net than netc reference"),
        (refuses, UserError, "wants a library, got none"),
        (dies, NetcError, "other ended before it was done"),
    ],
)
def test_a_contestant_that_fails_is_a_sentence(job, make, kind, sentence):
    with pytest.raises(kind, match=sentence):
        race(job, [ours("reference"), Contestant("other", make)], rounds=1, seconds=30)


def test_data_and_start_are_the_same_in_every_process(job):
    for mine, theirs in zip(job.data(), Job(job.net, 4, 2).data(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    start, again = job.start(), Job(job.net, 4, 1).start()
    assert list(start) == [*(p.name for p in job.net.params), *(s.name for s in job.net.state)]
    assert all((start[n] == again[n]).all() for n in start)
    assert start["head.kernel"].std() > 0


def test_flops_are_those_of_the_mathematics(job):
    assert 0 < flops_of(job) - 2 * (2 * 4 * 784 * 10) < 30 * 784 * 10  # forward and kernel gradient; then the update
