"""Several processes on XLA: `jax.distributed` is what they meet by, with its coordinator, heartbeats and collectives.

Nothing is sent by code of ours: sums go through XLA's collectives (Gloo on CPUs, NCCL on NVIDIA's GPUs), a few words at
the start and the end through the coordinator's key-value store. Of JAX's private modules this file takes the client of
that store, and the table of schedulers that `jax.distributed.initialize` looks into.
"""

from __future__ import annotations

import ctypes
import os
import signal
from threading import Timer
from typing import Any

from netc.runtime.backends.xla import check_xla
from netc.runtime.processes.address import answers, claim, reach
from netc.runtime.processes.group import end_process, gone
from netc.runtime.processes.processes import Processes
from netc.runtime.processes.store import LOST, UnreachableError

REACH = 30  # seconds until a coordinator that does not answer, or a process that does not come, is given up
HEARTBEAT = 20  # seconds without a heartbeat until a process is gone
LEAVING = 60_000  # milliseconds that the first to be done waits for the last
_FOLDER = "netc/"


def detected() -> Processes | None:
    """What the environment of a scheduler that JAX knows says; None where there is none."""
    check_xla()
    from jax._src.clusters import ClusterEnv

    where, count, index, devices = ClusterEnv.auto_detect_unset_distributed_params(None, None, None, None, None, REACH)
    if where is None or count is None or index is None:
        return None
    return Processes(index, count, where, None if devices is None else tuple(devices))


class XlaStore:
    """The key-value store of jax.distributed's coordinator."""

    def __init__(self, client: Any, count: int, where: str) -> None:
        import jax

        self._client, self._count, self._error = client, count, jax.errors.JaxRuntimeError
        self._where = where

    def set(self, key: str, value: str) -> bool:
        """Set a key that is not set; False where it is."""
        try:
            self._client.key_value_set(_FOLDER + key, value)
        except self._error as error:
            if "ALREADY_EXISTS" in str(error):
                return False
            raise _unreachable(error) from error
        return True

    def get(self, key: str, seconds: float) -> str | None:
        """The value of a key, waited for so long; None if it did not come."""
        try:
            found: str = self._client.blocking_key_value_get(_FOLDER + key, round(1000 * seconds))
        except self._error as error:
            if "DEADLINE_EXCEEDED" in str(error) or "NOT_FOUND" in str(error):
                return None
            raise _unreachable(error) from error
        return found

    def delete(self, key: str) -> None:
        """Forget a key that nobody asks for any more."""
        try:
            self._client.key_value_delete(_FOLDER + key)
        except self._error as error:
            raise _unreachable(error) from error

    def under(self, folder: str) -> dict[str, str]:
        """The keys below a folder, without its name, and their values."""
        try:
            found = self._client.key_value_dir_get(f"{_FOLDER}{folder}/")
        except self._error as error:
            if "NOT_FOUND" in str(error):
                return {}
            raise _unreachable(error) from error
        return {key.rpartition("/")[2]: value for key, value in found}

    def alive(self) -> frozenset[int]:
        """The processes that are there. Waits until each has asked, or was found to be gone."""
        try:
            return frozenset(self._client.get_live_nodes(list(range(self._count))))
        except self._error as error:
            raise _unreachable(error) from error

    def answers(self) -> bool:
        """Whether process 0 still listens."""
        return answers(self._where)

    def leave(self, *, together: bool) -> None:
        """Leave the coordinator, after the others have come to do so too if that is `together`."""
        import jax
        from jax._src.distributed import global_state

        if together:
            try:
                self._client.wait_at_barrier(f"{_FOLDER}done", LEAVING)
            except self._error as error:
                raise _unreachable(error) from error
            if global_state.service is not None and self._count > 1:
                self.alive()  # which returns when the others, who ask no more, have left
            jax.distributed.shutdown()
        else:  # what JAX does at the end of the process would wait for the others
            LEFT.append((global_state.client, global_state.service))
            global_state.client = global_state.service = None


_HANDLER = ctypes.CFUNCTYPE(None, ctypes.c_int)
_HANDLERS: list[Any] = []  # what C calls must stay


def say_why_jaxlib_aborts(where: str) -> None:
    """Where process 0 is gone jaxlib aborts the others: let them say so, and end as those who lost another one do.

    An abort while process 0 still listens is one.
    """

    def aborted(number: int) -> None:
        if not answers(where):
            os.write(2, f"netc: {gone(0)}\n".encode())
            os._exit(LOST)

    handler = _HANDLER(aborted)
    _HANDLERS.append(handler)
    set_handler = ctypes.CDLL(None).signal  # Python's own would run when the thread that aborts has ended
    set_handler.argtypes, set_handler.restype = [ctypes.c_int, _HANDLER], ctypes.c_void_p
    set_handler(signal.SIGABRT, handler)


LEFT: list[Any] = []
"""What a process that failed left without a word: it has to end by os._exit."""


def join(processes: Processes, devices: int = 1) -> XlaStore:
    """Meet the other processes, of which each brings so many `devices`; returns once all of them are there.

    Must come before anything else that JAX does. Raises PeerError where the coordinator cannot be reached within 30 s,
    and UserError where another process of this machine has the same number, or process 0 cannot listen. Where some do
    not come within 30 s, says so and ends the process: JAX's own end for it is an abort.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # what C++ says of a process that is gone, netc says
    check_xla()
    import jax
    from jax._src.distributed import global_state

    index, count, where = processes.index, processes.count, processes.coordinator
    claim(where, index)
    if index:
        reach(where, REACH)
    if "--xla_force_host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
        jax.config.update("jax_num_cpu_devices", devices)
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.config.update("jax_enable_preemption_service", False)  # netc's own handlers of signals stay
    jax.config.update("jax_enable_recoverability", True)  # netc tells who is gone, where the service would abort
    late = Timer(REACH, end_process, [
        f"not all of the {count} processes came to {where} within {REACH} s; start {count}, each with its own number "
        f"from 0 to {count - 1}"
    ])  # fmt: skip
    late.daemon = True
    late.start()
    try:
        jax.distributed.initialize(
            where, count, index, processes.devices, "deactivate", 2 * REACH,
            heartbeat_timeout_seconds=HEARTBEAT, shutdown_timeout_seconds=HEARTBEAT,
        )  # fmt: skip
    finally:
        late.cancel()
    if index:
        say_why_jaxlib_aborts(where)
    return XlaStore(global_state.client, count, where)


def _unreachable(error: Exception) -> UnreachableError:
    return UnreachableError(f"process 0, the coordinator, does not answer ({str(error).partition(chr(10))[0][:120]})")
