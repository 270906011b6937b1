"""A training in several processes: meet the others, and leave them in good order or not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from netc.codegen.sharding.mesh import Sharding
from netc.netspec.errors import NetcError, UserError
from netc.requests import Plan
from netc.runtime.processes.group import ALONE, Group, Together, end_process
from netc.runtime.processes.launch import LAUNCHED, end_with_launcher, told
from netc.runtime.processes.processes import Processes, processes_of
from netc.runtime.processes.store import LOST


@dataclass(frozen=True)
class Shared:
    """The devices that several processes share: as many as are `stated`, or those of a mesh, or one each."""

    stated: int | None = None
    sharding: Sharding | None = None

    @property
    def count(self) -> int:
        """How many are asked for, 0 where each process has one."""
        return self.sharding.mesh.size if self.sharding else self.stated or 0

    def each(self, processes: int) -> int:
        """How many each process has; raises UserError where they cannot share them."""
        own, left = divmod(self.count or processes, processes)
        if left and self.sharding:
            mesh = self.sharding.mesh
            raise UserError(
                f"`mesh` wants a multiple of the {processes} processes, got {mesh}, which is {mesh.size} devices; give "
                "such a mesh"
            )
        if left:
            raise UserError(f"`devices` wants a multiple of the {processes} processes, got {self.stated}; choose "
                            "a multiple")  # fmt: skip
        return own

    def words(self, processes: int) -> dict[str, Any]:
        """What the training is told of them, where they are of several processes."""
        return {} if processes == 1 or self.sharding else {"devices": self.stated or processes}


@contextmanager
def joined(
    coordinator: str | None, process_id: int | None, processes: str | int | None, shared: Shared
) -> Iterator[Together]:
    """The processes that the words name, met by then, or this one alone where they name none, or one.

    One that fails within tells the others, which end too. Raises UserError, and PeerError where they do not meet.
    """
    found = processes_of(coordinator, process_id, processes, os.environ, _detected)
    if found is None or found.count == 1:
        yield ALONE
        return
    from netc.runtime.backends.xla_processes import join

    each = shared.each(found.count)
    if LAUNCHED in os.environ:
        end_with_launcher()

    def lost(sentence: str, code: int) -> None:
        end_process(sentence, LOST if LAUNCHED in os.environ else code)  # a launcher finds the one at fault

    group = Group(join(found, each), found.index, found.count, lost)
    try:
        yield group
    except RuntimeError as error:  # of XLA: a sum over all did not come
        group.broken()
        group.failed(f"{error}".partition("\n")[0], 1)
        raise
    except NetcError as error:
        group.failed(f"{error}".partition("\n")[0], error.exit_code)
        raise
    except BaseException as error:
        group.failed(type(error).__name__, 1)
        raise
    group.done()


def _detected() -> Processes | None:
    from netc.runtime.backends.xla_processes import detected

    return detected()


def planned_together(plan: Plan, together: Together, shared: Shared) -> Plan:
    """The plan with the folder that the leader took; a launcher is told of it."""
    where = together.shared("folder", lambda: str(plan.folder.absolute()))
    if together.leads and (launcher := os.environ.get(LAUNCHED)):
        told(Path(launcher), plan.folder, plan.config.training.batch, shared.count)
    return plan if together.leads else replace(plan, folder=Path(where))
