"""jaxlib's abort of a process that lost the coordinator, and an abort that is none of those."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys

import pytest

from netc.runtime.processes.launch import free_port

CODE = """
import os, sys
from netc.runtime.backends.xla_processes import say_why_jaxlib_aborts
say_why_jaxlib_aborts(sys.argv[1])
os.abort()
"""


@pytest.mark.parametrize("listens", [False, True])
def test_an_abort_is_of_the_coordinator_where_nobody_listens_there(listens):
    with socket.socket() as coordinator:
        coordinator.bind(("127.0.0.1", 0))
        coordinator.listen()
        port = coordinator.getsockname()[1] if listens else free_port()
        done = subprocess.run(
            [sys.executable, "-c", CODE, f"127.0.0.1:{port}"], capture_output=True, text=True, check=False
        )
    assert done.returncode == (-signal.SIGABRT if listens else 75)
    assert ("netc: process 0 is gone: it was killed" in done.stderr) is not listens
