"""Small devices: the memory of one training as static storage, and what it takes of a device's RAM."""

from __future__ import annotations

from dataclasses import dataclass

from netc.codegen.c.source import CSource
from netc.codegen.program import Program
from netc.netspec.errors import UserError

_HEADER = """/* The memory of one training, in static storage. Nothing is allocated; the stack has small arrays. */
#ifndef NET_STATIC_H
#define NET_STATIC_H

#include "net.h"

#ifdef __cplusplus
extern "C" {
#endif

extern net_memory net_static_memory;
extern const net_state net_static_state; /* points into it */
extern net_work net_static_work;

#ifdef __cplusplus
}
#endif

#endif
"""


@dataclass(frozen=True, slots=True)
class Room:
    """The RAM of a training step but for its stack, in bytes: the state, the arena, and a batch with its labels."""

    state: int
    arena: int
    batch: int

    @property
    def total(self) -> int:
        """All three."""
        return self.state + self.arena + self.batch


def room_of(program: Program, source: CSource) -> Room:
    """What a program that was written as C holds in RAM."""
    state = sum(slot.type.bytes for slot in program.state)
    given = program.module.function("train_step").params[len(program.state) :]
    return Room(state, source.arena, sum(v.type.bytes for v in given if v.shape))


def refuse_room(room: Room, ram: int, said: str, name: str) -> None:
    """Raise UserError where a device's RAM (`said` in the user's words) holds less than that."""
    if room.total <= ram:
        return
    raise UserError(
        f"`ram` wants {room.total:,} bytes for {name} (state {room.state:,}, arena {room.arena:,}, a batch "
        f"{room.batch:,}), got {said}; choose a smaller net, input or `batch`, or an optimizer that keeps less, such "
        "as `optimizer=sgd` with `momentum=0`"
    )


def static_files(source: CSource) -> dict[str, str]:
    """net_static.h and net_static.c, which stand beside net.h and net.c."""
    fields = "".join(f"    .{name} = net_static_memory.{name},\n" for name in source.state)
    body = (
        f"net_memory net_static_memory;\nconst net_state net_static_state = {{\n{fields}}};\nnet_work net_static_work;"
    )
    return {"net_static.h": _HEADER, "net_static.c": f'#include "net_static.h"\n\n{body}\n'}
