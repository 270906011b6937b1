"""Where process 0 listens, before anybody has said a word: whether it can be reached, and who has which number here."""

from __future__ import annotations

import errno
import hashlib
import socket
import time

from netc.netspec.errors import UserError
from netc.runtime.processes.store import PeerError

RETRY = 0.2  # seconds

_CLAIMED: list[socket.socket] = []  # held until the process ends


def claim(coordinator: str, index: int) -> None:
    """Take a number among the processes of this machine; raises UserError where another one has it."""
    place = hashlib.sha256(coordinator.encode()).hexdigest()[:32]  # such a name has at most 107 bytes, a host's has 253
    mine = socket.socket(socket.AF_UNIX)
    try:
        mine.bind(f"\0netc {place} {index}")  # a name without a file, which goes with the process
    except OSError as error:
        mine.close()
        if error.errno != errno.EADDRINUSE:
            raise
        raise UserError(
            f"`process_id` wants a number of its own, got {index}, which another process of {coordinator} has on this "
            "machine; count from 0"
        ) from error
    _CLAIMED.append(mine)
    if index == 0 and answers(coordinator):
        raise UserError(f"`coordinator` wants a port that is not in use, got {coordinator}; give another")


def reach(coordinator: str, seconds: float) -> None:
    """Wait until process 0 listens; raises PeerError if it does not within so many seconds."""
    end = time.monotonic() + seconds
    while True:
        try:
            return _tried(coordinator)
        except OSError as error:
            if time.monotonic() >= end:
                raise PeerError(
                    f"the coordinator {coordinator} cannot be reached within {seconds:.0f} s "
                    f"({error.strerror or error}); check that process 0 runs there, and that the port is open"
                ) from error
        time.sleep(RETRY)


def answers(coordinator: str) -> bool:
    """Whether somebody listens there."""
    try:
        _tried(coordinator)
    except OSError:
        return False
    return True


def _tried(coordinator: str) -> None:
    host, _, port = coordinator.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=2).close()
    except UnicodeError as error:  # of IDNA: an empty label, or one of more than 63 characters
        raise OSError(f"{host} is no host's name") from error
