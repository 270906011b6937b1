"""Who a process is, of words and of environments."""

from __future__ import annotations

import socket

import pytest

from netc.netspec.errors import UserError
from netc.runtime.processes.address import answers, claim, reach
from netc.runtime.processes.processes import Processes, processes_of
from netc.runtime.processes.store import PeerError

TORCHRUN = {"RANK": "3", "WORLD_SIZE": "4", "MASTER_ADDR": "node1", "MASTER_PORT": "29500", "LOCAL_RANK": "1"}


def test_words_say_it_and_none_say_that_it_is_alone():
    assert processes_of("h:1", 1, "2", {}, lambda: None) == Processes(1, 2, "h:1")
    assert processes_of(None, None, None, TORCHRUN, lambda: None) is None  # nobody asked


def test_torchrun_is_known_and_a_scheduler_detected():
    assert processes_of(None, None, "auto", TORCHRUN, lambda: None) == Processes(3, 4, "node1:29501", (1,))
    own = Processes(0, 2, "node7:61234", (3,))
    assert processes_of(None, None, "auto", {}, lambda: own) is own
    one = processes_of(None, None, "auto", {"CUDA_VISIBLE_DEVICES": "3"}, lambda: own)
    assert one == Processes(0, 2, "node7:61234")  # of the one that is left it is number 0
    assert processes_of(None, None, "auto", {"CUDA_VISIBLE_DEVICES": "0,1,2,3"}, lambda: own) is own


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("h:1", None, "2"), "belong together, got no `process_id`; give all three, or `processes=auto`"),
        (("h:1", 2, "2"), "`process_id` wants a number from 0 to 1, .* got 2"),
        (("h", 0, "2"), "`coordinator` wants HOST:PORT, .* got 'h'"),
        (("h:99999", 0, "2"), "`coordinator` wants HOST:PORT"),
        (("h:1", 0, "two"), "`processes` wants a number or `auto`, got 'two'"),
        (("h:1", 0, "0"), "`processes` wants a number from 1 to 65535, got 0"),
        (("h:1", 0, "auto"), "finds the others automatically, got `coordinator`"),
        ((None, None, "auto"), "wants the environment of SLURM, Open MPI, torchrun"),
    ],
)
def test_what_does_not_go_together_is_refused(words, sentence):
    with pytest.raises(UserError, match=sentence):
        processes_of(*words, {}, lambda: None)


def test_half_an_environment_is_refused():
    with pytest.raises(UserError, match=r"RANK, WORLD_SIZE, LOCAL_RANK, MASTER_PORT want integers, got: .*'x'"):
        processes_of(None, None, "auto", {**TORCHRUN, "RANK": "x"}, lambda: None)


def test_a_number_is_claimed_once_and_a_coordinator_that_is_not_there_is_told():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        where = f"127.0.0.1:{listening.getsockname()[1]}"
        assert not answers(where)
        with pytest.raises(PeerError, match=rf"{where} cannot be reached within 0 s \(Connection refused\); check"):
            reach(where, 0)
        claim(where, 1)
        with pytest.raises(UserError, match="`process_id` wants a number of its own, got 1, which another process of"):
            claim(where, 1)
        listening.listen()
        reach(where, 0)
        with pytest.raises(UserError, match="`coordinator` wants a port that is not in use, got"):
            claim(where, 0)


def test_long_and_wrong_names_of_hosts_are_taken_and_told():
    claim(f"{'pod.' * 60}svc:1", 1)  # longer than the name of a socket may be
    with pytest.raises(PeerError, match=r"cannot be reached within 0 s \(a..b is no host's name\)"):
        reach("a..b:1", 0)
