"""TensorBoard's event files, in the run's folder `tensorboard`: `tensorboard --logdir runs` shows all runs."""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from netc.runtime.logs.log import NAMES, Logged, LoggedRun, key, scalars

FOLDER = "tensorboard"
LARGEST = 1 << 30  # bytes of event files that a run goes on with
HEAD, TAIL = struct.Struct("<QI"), 4  # of a record: its length and the length's checksum; the checksum of what it holds


class EventFile:
    """One event file. A run that goes on keeps the events that its trace has too, with their wall times, and no other.

    An event holds the numbers of a record; of those that the trace has and no file, the time is that of the writing.
    """

    errors: tuple[type[Exception], ...] = ()

    def __init__(self, run: LoggedRun) -> None:
        from tensorboardX.proto import event_pb2, summary_pb2
        from tensorboardX.record_writer import RecordWriter

        self._damaged: type[Exception] = import_module("google.protobuf.message").DecodeError
        self._event, self._summary = event_pb2.Event, summary_pb2.Summary
        folder = run.folder / FOLDER
        folder.mkdir(exist_ok=True)
        old = sorted(folder.glob("events.out.tfevents.*"))
        wanted = {key(record): record for record in run.records}
        kept = dict(self._held(old)) if wanted else {}
        path = folder / f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}.{os.getpid()}.{len(old)}"
        whole = path.with_name(f"new.{path.name}")
        self._file = RecordWriter(str(whole))
        self._file.write(self._event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString())
        for at, record in wanted.items():
            self._file.write(kept.get(at) or self._made(record))
            if (timed := kept.get(("timing", record.step))) is not None and at[0] == "step":
                self._file.write(timed)
        self._file.flush()
        whole.rename(path)
        for other in old:
            other.unlink()

    def write(self, records: Sequence[Logged]) -> None:
        """Append their events."""
        for record in records:
            self._file.write(self._made(record))
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _made(self, record: Logged) -> bytes:
        values = [self._summary.Value(tag=tag, simple_value=value) for tag, value in scalars(record).items()]
        event = self._event(wall_time=time.time(), step=record.step, summary=self._summary(value=values))
        found: bytes = event.SerializeToString()
        return found

    def _held(self, files: Sequence[Path]) -> Iterator[tuple[tuple[str, int], bytes]]:
        """The events of files by kind and step; a half-written last one is left out."""
        kinds = {tag: record.kind for record, tags in NAMES.items() for tag in tags.values()}
        for path in files:
            for content in _contents(path):
                try:
                    event: Any = self._event.FromString(content)
                except self._damaged:  # damaged: what follows is no better
                    break
                if event.summary.value and event.summary.value[0].tag in kinds:
                    yield (kinds[event.summary.value[0].tag], event.step), content


def _contents(path: Path) -> Iterator[bytes]:
    """What the records of an event file hold, up to one that was cut short."""
    if path.stat().st_size > LARGEST:
        return
    with path.open("rb") as file:
        while len(head := file.read(HEAD.size)) == HEAD.size:
            length, _ = HEAD.unpack(head)
            content = file.read(min(length, LARGEST))
            if len(content) < length or len(file.read(TAIL)) < TAIL:
                return
            yield content
