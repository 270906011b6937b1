"""A training in several processes: meet the others, and leave them in good order or not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from netc.netspec.errors import NetcError, UserError
from netc.requests import Plan
from netc.runtime.processes.group import ALONE, Group, Together, end_process
from netc.runtime.processes.launch import LAUNCHED, end_with_launcher, told
from netc.runtime.processes.processes import Processes, processes_of


@contextmanager
def joined(
    coordinator: str | None, process_id: int | None, processes: str | int | None, devices: int | None = None
) -> Iterator[Together]:
    """The processes that the words name, met by then, or this one alone where they name none, or one.

    They share so many `devices`, by default one each. One that fails within tells the others, which end too. Raises
    UserError, and PeerError where they do not meet.
    """
    found = processes_of(coordinator, process_id, processes, os.environ, _detected)
    if found is None or found.count == 1:
        yield ALONE
        return
    from netc.runtime.backends.xla_processes import join

    each, left = divmod(devices or found.count, found.count)
    if left:
        raise UserError(f"`devices` wants a multiple of the {found.count} processes, got {devices}; give such a number")
    if LAUNCHED in os.environ:
        end_with_launcher()
    group = Group(join(found, each), found.index, found.count, end_process)
    try:
        yield group
    except RuntimeError as error:  # of XLA: a sum over all did not come
        group.broken()
        group.failed(f"{error}".partition("\n")[0])
        raise
    except BaseException as error:
        group.failed(f"{error}".partition("\n")[0] if isinstance(error, NetcError) else type(error).__name__)
        raise
    group.done()


def _detected() -> Processes | None:
    from netc.runtime.backends.xla_processes import detected

    return detected()


def planned_together(plan: Plan, together: Together) -> Plan:
    """The plan with the folder that the leader took; a launcher is told of it."""
    where = together.shared("folder", lambda: str(plan.folder.absolute()))
    if together.leads and (launcher := os.environ.get(LAUNCHED)):
        told(Path(launcher), plan.folder, plan.config.training.batch)
    return plan if together.leads else replace(plan, folder=Path(where))
