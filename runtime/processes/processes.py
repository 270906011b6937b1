"""Which of several processes this one is, as words or the environment of a scheduler say it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from netc.netspec.errors import UserError

AUTO = "auto"
"""In the place of the number of processes: what the scheduler's environment says."""

MOST = 1 << 16
VISIBLE = ("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")
_ADDRESS = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})")


@dataclass(frozen=True)
class Processes:
    """This is process `index`, from 0, of `count`; process 0 listens at `coordinator`, HOST:PORT.

    `devices`: the local accelerators that are this process's, where its environment says, else all. Raises UserError.
    """

    index: int
    count: int
    coordinator: str
    devices: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.count < MOST:
            raise UserError(
                f"`processes` wants a number from 1 to {MOST - 1}, got {self.count}; choose one in that range"
            )
        if not 0 <= self.index < self.count:
            raise UserError(
                f"`process_id` wants a number from 0 to {self.count - 1}, one for each of `processes`, got "
                f"{self.index}; choose one in that range"
            )
        found = _ADDRESS.fullmatch(self.coordinator)
        if found is None or not 0 < int(found[1]) < 1 << 16:
            raise UserError(
                f"`coordinator` wants HOST:PORT, where process 0 listens, got {self.coordinator!r}; write for example "
                "10.0.0.1:29400"
            )


Detect = Callable[[], Processes | None]


def processes_of(
    coordinator: str | None,
    process_id: int | None,
    processes: str | int | None,
    environment: Mapping[str, str],
    detect: Detect,
) -> Processes | None:
    """What the words say, or None without any: then this process trains alone.

    With `processes=auto` the environment says it: of torchrun, or of a scheduler that `detect` knows. Raises UserError.
    """
    given = {"coordinator": coordinator, "process_id": process_id, "processes": processes}
    missing = [name for name, value in given.items() if value is None]
    if len(missing) == len(given):
        return None
    if processes == AUTO:
        return _detected(coordinator, process_id, environment, detect)
    if missing:
        said = " and ".join(f"`{name}`" for name in missing)
        raise UserError(
            f"`coordinator`, `process_id` and `processes` belong together, got no {said}; give all three, or "
            f"`processes={AUTO}` if a scheduler sets them"
        )
    assert coordinator is not None and process_id is not None and processes is not None
    try:
        count = int(processes)
    except ValueError as error:
        raise UserError(f"`processes` wants a number or `{AUTO}`, got {processes!r}; give one of them") from error
    return Processes(process_id, count, coordinator)


def _detected(
    coordinator: str | None, process_id: int | None, environment: Mapping[str, str], detect: Detect
) -> Processes:
    if coordinator is not None or process_id is not None:
        raise UserError(
            f"`processes={AUTO}` finds the others automatically, got `coordinator`, `process_id` or `processes` too; "
            "leave those out"
        )
    found = of_torchrun(environment) or detect()
    if found and any(environment.get(name, ",").count(",") == 0 for name in VISIBLE):
        return replace(found, devices=None)  # the scheduler left this process one, whatever its number there
    if found is None:
        raise UserError(
            f"`processes={AUTO}` wants the environment of SLURM, Open MPI, torchrun or another that jax.distributed "
            "knows, got none; start by `netc launch`, or give `coordinator`, `process_id` and `processes`"
        )
    return found


def of_torchrun(environment: Mapping[str, str]) -> Processes | None:
    """What torchrun, and what imitates it, says; None where it says nothing. Raises UserError for half of it.

    Its own store listens at MASTER_PORT, so the coordinator takes the port after it.
    """
    names = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    if not all(name in environment for name in names):
        return None
    try:
        rank, count, port = (int(environment[name]) for name in ("RANK", "WORLD_SIZE", "MASTER_PORT"))
        local = (int(environment["LOCAL_RANK"]),) if "LOCAL_RANK" in environment else None
    except ValueError as error:
        raise UserError(f"RANK, WORLD_SIZE, LOCAL_RANK, MASTER_PORT want integers, got: {error}; fix them") from error
    host = environment["MASTER_ADDR"]
    return Processes(rank, count, f"[{host}]:{port + 1}" if ":" in host else f"{host}:{port + 1}", local)
