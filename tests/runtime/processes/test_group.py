"""What processes agree on, over a store that threads of this process share."""

from __future__ import annotations

import time
from threading import Condition, Thread

import pytest

from netc.netspec.errors import UserError
from netc.runtime.processes import group
from netc.runtime.processes.group import ALONE, Group, refuse_apart
from netc.runtime.processes.store import LOST, PeerError, UnreachableError
from netc.runtime.target import parse_target


class Board:
    """A store that all threads see; `dead` are processes that were killed."""

    def __init__(self):
        self.held, self.changed, self.dead, self.broken = {}, Condition(), set(), False

    def _check(self):
        if self.broken:
            raise UnreachableError("process 0, the coordinator, does not answer")

    def set(self, key, value):
        self._check()
        with self.changed:
            new = key not in self.held
            self.held.setdefault(key, value)
            self.changed.notify_all()
        return new

    def get(self, key, seconds):
        self._check()
        with self.changed:
            self.changed.wait_for(lambda: key in self.held, min(seconds, 0.1))
            return self.held.get(key)

    def delete(self, key):
        self._check()
        with self.changed:
            del self.held[key]

    def under(self, folder):
        self._check()
        with self.changed:
            return {k.rpartition("/")[2]: v for k, v in self.held.items() if k.startswith(f"{folder}/")}

    def alive(self):
        self._check()
        return frozenset(range(3)) - self.dead

    def answers(self):
        return not self.broken

    def leave(self, *, together):
        return None


def into(said):
    """What keeps the sentences, with the exit codes behind those that are not of a process to be tried again."""
    return lambda sentence, code: said.append(sentence if code == LOST else (sentence, code))


@pytest.fixture
def three(monkeypatch):
    monkeypatch.setattr(group, "LOOKS", 0.01)
    monkeypatch.setattr(group, "HURRY", 0.001)
    board, lost = Board(), [[], [], []]
    made = [Group(board, index, 3, into(lost[index])) for index in range(3)]
    yield board, made, lost
    for each in made:
        each._ending.set()


def each(groups, act):
    """What `act` gives, or raises, of each group, all at once."""
    found = [None] * len(groups)

    def one(index):
        try:
            found[index] = act(groups[index])
        except (UserError, PeerError) as error:
            found[index] = error

    threads = [Thread(target=one, args=(index,)) for index in range(len(groups))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return found


def waited(holds):
    end = time.monotonic() + 10
    while not holds() and time.monotonic() < end:
        time.sleep(0.01)
    assert holds()


@pytest.mark.parametrize("first", [0, 2])
def test_all_stop_after_the_same_step_though_one_was_asked(three, first):
    """Each goes at its own pace, as processes do between two sums; nobody is more than the agreed point ahead."""
    _, groups, _ = three

    def run(own):
        asked = []
        stop, steps = own.stop(asked), 0
        while steps < 10_000 and not stop.now():
            steps += 1
            time.sleep(0.0002 * own.part.index)
            if own.part.index == first and steps == 20:
                asked.append(15)
        return steps, stop.number

    found = each(groups, run)
    assert len(set(found)) == 1
    assert found[0][1] == 15
    assert 20 <= found[0][0] < 10_000


def test_the_leader_makes_what_is_shared(three):
    _, groups, _ = three
    assert each(groups, lambda own: own.shared("folder", lambda: f"runs/{own.part.index}")) == ["runs/0"] * 3
    assert [own.leads for own in groups] == [True, False, False]


def test_what_all_have_read_is_forgotten(three):
    """However many checkpoints there are, the store holds what was told since the last time that all answered."""
    board, groups, _ = three

    def rounds(own):
        found = []
        for n in range(6):
            time.sleep(0.002 * own.part.index)
            found.append(own.shared(f"checkpoint {n}", lambda n=n: f"folder {n}"))
            found += own.gathered(f"checkpoint {n} written", f"{own.part.index} of {n}")
            found.append(own.shared(f"checkpoint {n} bound", lambda: "bound"))
        return found

    told = [[f"folder {n}", f"0 of {n}", f"1 of {n}", f"2 of {n}", "bound"] for n in range(6)]
    assert each(groups, rounds) == [[word for one in told for word in one]] * 3
    ours = {key for key in board.held if "checkpoint" in key}
    assert ours == {*(f"checkpoint 5 written/{index}" for index in range(3)), "shared/checkpoint 5 bound"}


def test_what_differs_is_refused_by_all_with_who_and_what(three):
    _, groups, lost = three
    facts = {"version of jaxlib": "0.10.2", "data (SHA-256)": "a" * 64}
    assert each(groups, lambda own: own.compare(facts)) == [None] * 3
    board = Board()
    again = [Group(board, index, 3, into(lost[index])) for index in range(3)]
    other = each(again, lambda own: own.compare({**facts, "data (SHA-256)": "ab"[own.part.index == 2] * 64}))
    wanted = "process 2 wants the data (SHA-256) of process 0, aaaaaaaaaaaa.., got bbbbbbbbbbbb..; start all with"
    assert all(isinstance(error, UserError) and str(error).startswith(wanted) for error in other)


def test_one_that_fails_or_is_gone_ends_the_others_with_a_sentence(three):
    board, groups, lost = three
    groups[1].failed("the disk is full", 1)
    waited(lambda: lost[0] and lost[2])
    assert lost[0] == ["process 1 ended: the disk is full; resume the run from its last checkpoint"]
    assert not lost[1]
    board.held.clear()
    fresh = [[], [], []]
    more = [Group(board, index, 3, into(fresh[index])) for index in range(3)]
    board.dead.add(2)
    waited(lambda: fresh[0] and fresh[1])
    assert fresh[0][0].startswith("process 2 is gone: it was killed, hangs, or cannot be reached; resume the run")
    for own in more:
        own._ending.set()


def test_a_mistake_of_one_is_no_reason_to_begin_again(three):
    _, groups, lost = three
    groups[0].failed("`lr` wants more than 0, got -1; choose one in that range", 2)
    waited(lambda: lost[1] and lost[2])
    assert lost[2] == [("process 0 ended: `lr` wants more than 0, got -1; choose one in that range", 2)]


def test_a_coordinator_that_fails_is_told(three):
    board, _, lost = three
    board.broken = True
    waited(lambda: all(lost))
    assert lost[1] == ["process 0, the coordinator, does not answer"]


def test_one_process_needs_nobody():
    asked = []
    stop = ALONE.stop(asked)
    assert not stop.now()
    asked.append(2)
    assert stop.now() and stop.number == 2
    ALONE.compare({})
    refuse_apart(parse_target("cpu"), "f1", ALONE)


@pytest.mark.parametrize(
    ("target", "best_by", "sentence"),
    [("cpu", "", "3 processes together want `target=xla`, got cpu"), ("xla", "f1", "wants accuracy or loss, got f1")],
)
def test_what_spans_no_processes_is_refused(three, target, best_by, sentence):
    with pytest.raises(UserError, match=sentence):
        refuse_apart(parse_target(target), best_by, three[1][0])
