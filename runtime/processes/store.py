"""What processes meet at: keys and values that all of them see, which the coordinator keeps."""

from __future__ import annotations

from typing import Protocol

from netc.netspec.errors import NetcError, UserError

LOST = 75
"""The exit code of a process whose training ended because another one is gone: EX_TEMPFAIL, to be tried again."""


MISTAKE = UserError.exit_code
"""The exit code of a mistake, which is made again however often the processes are started."""


class PeerError(NetcError):
    """Another process of the training failed, is gone or does not answer; the run can be resumed."""

    exit_code = LOST


class UnreachableError(PeerError):
    """The coordinator, which process 0 runs, does not answer."""


class Store(Protocol):
    """The coordinator's keys and values. Each call raises UnreachableError where it does not answer."""

    def set(self, key: str, value: str) -> bool:
        """Set a key that is not set; False where it is."""

    def get(self, key: str, seconds: float) -> str | None:
        """The value of a key, waited for so long; None if it did not come."""

    def delete(self, key: str) -> None:
        """Forget a key that nobody asks for any more."""

    def under(self, folder: str) -> dict[str, str]:
        """The keys below a folder, without its name, and their values."""

    def alive(self) -> frozenset[int]:
        """The processes that are there. Waits until each has asked, or was found to be gone."""

    def answers(self) -> bool:
        """Whether the coordinator still listens; said at once."""

    def leave(self, *, together: bool) -> None:
        """Leave the coordinator, after the others have come to do so too if that is `together`."""
