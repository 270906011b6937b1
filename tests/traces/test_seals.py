"""Seals: what a checkpoint binds of a trace, and what may change in a run that goes on as another."""

import errno
import hashlib
import os
from dataclasses import replace

import pytest

from netc.traces.errors import TraceError
from netc.traces.line import to_line
from netc.traces.read import read, read_timing, timing_path
from netc.traces.schema import ChangeRecord, StepRecord
from netc.traces.write import Seal, TraceWriter
from tests.traces.test_files import HEADER, STEPS, records, run


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run" / "trace.jsonl"


def sealed(path, last=STEPS):
    """A trace up to `last`, and the seal that a checkpoint made then would hold."""
    run(path, last=last)
    return Seal(len(path.read_bytes()), hashlib.sha256(path.read_bytes()).hexdigest())


def test_what_is_on_the_disk_is_not_flushed_again(tmp_path, monkeypatch):
    flushed = []
    monkeypatch.setattr(os, "fsync", flushed.append)
    counts = []
    with TraceWriter(tmp_path / "trace.jsonl", HEADER) as writer:
        for step in (0, None, 1, None):
            if step is not None:
                writer.write(StepRecord(step, 0, 1.0, 0.1, 1.0, 1.0))
            writer.sync()
            counts.append(len(flushed))
    assert counts[0] == counts[1] < counts[2] == counts[3]


def test_a_writer_knows_the_seal_of_what_it_wrote(path):
    with TraceWriter(path, HEADER) as writer:
        for step in range(1, 4):
            for record in records(step):
                writer.write(record)
        first = writer.sync()
        writer.write(next(records(4)))
    assert first == Seal(first.bytes, hashlib.sha256(path.read_bytes()[: first.bytes]).hexdigest())
    with TraceWriter(path, HEADER, 4, seal=first) as writer:  # and of what it took up
        assert writer.sync() == first


def test_every_flipped_bit_below_a_seal_is_noticed(path):
    seal = sealed(path, last=4)
    run(path, first=5, resume=5)
    content = path.read_bytes()
    for place in range(0, seal.bytes, 7):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1 << place % 8]) + content[place + 1 :])
        with pytest.raises(TraceError, match=r"trace\.jsonl: wants its first \d+ bytes to have SHA-256 .*altered"):
            TraceWriter(path, HEADER, 5, seal=seal)
    path.write_bytes(content[: seal.bytes - 1])
    with pytest.raises(TraceError, match="got only"):
        TraceWriter(path, HEADER, 5, seal=seal)
    path.write_bytes(content)
    TraceWriter(path, HEADER, 5, seal=seal).close()
    assert path.read_bytes() == content[: seal.bytes]


def test_every_flipped_bit_of_the_wall_times_is_noticed(path):
    with TraceWriter(path, HEADER) as writer:
        for step in range(1, 7):
            for record in records(step):
                writer.write(record)
            if step in (3, 6):
                writer.sync()
    times = timing_path(path)
    content = times.read_bytes()
    for place in range(len(content)):
        times.write_bytes(content[:place] + bytes([content[place] ^ 1 << place % 8]) + content[place + 1 :])
        with pytest.raises(TraceError, match=r"timing\.jsonl"):
            read_timing(times)
    times.write_bytes(content)
    assert len(read_timing(times)) == 6
    with TraceWriter(path, HEADER, 4) as writer:
        writer.sync()  # the seal is there already
    assert times.read_bytes() == b"".join(content.splitlines(keepends=True)[:4])


def test_no_flipped_bit_of_the_wall_times_below_a_seal_is_taken_for_a_cut(path):
    """A step that becomes a later one, and the end of the seal's line: neither may look like what a kill leaves."""
    with TraceWriter(path, HEADER) as writer:
        for step in range(1, 4):
            for record in records(step):
                writer.write(record)
        writer.sync()
    trace, times = path.read_bytes(), timing_path(path)
    content = times.read_bytes()
    for place in range(8 * len(content)):
        flipped = bytearray(content)
        flipped[place // 8] ^= 1 << place % 8
        path.write_bytes(trace)
        times.write_bytes(flipped)
        with pytest.raises(TraceError, match=r"timing\.jsonl"):
            TraceWriter(path, HEADER, 4)
        assert times.read_bytes() == bytes(flipped)


def test_a_record_that_could_not_be_written_leaves_no_half_line(path, monkeypatch):
    with TraceWriter(path, HEADER) as writer:
        writer.write(StepRecord(0, 0, 1, 1, 1, 1))
        before, stream = writer.sync(), writer._trace

        class Full:
            def __init__(self, file):
                self.file, self.left = file, 9

            def write(self, data):
                if not self.left:
                    raise OSError(errno.ENOSPC, "No space left on device")
                self.left = 0
                return self.file.write(data[:9])

            def __getattr__(self, name):
                return getattr(self.file, name)

        stream._file = Full(stream._file)
        with pytest.raises(TraceError, match="No space left"):
            writer.write(StepRecord(1, 0, 1, 1, 1, 1))
        assert (len(path.read_bytes()), hashlib.sha256(path.read_bytes()).hexdigest()) == before == writer.sync()


# -- a run that goes on as another -----------------------------------------------------------------------------------


def anything(theirs, ours):
    return True


def test_a_change_is_written_down_and_read_back(path):
    seal = sealed(path, last=4)
    other = replace(HEADER, target="xla", versions={"netc": "9"})
    with TraceWriter(path, other, 5, seal=seal, accept={"target": anything, "versions": anything}) as writer:
        assert set(writer.changes) == {"target", "versions"}
        writer.write(next(records(5)))
        second = writer.sync()
    trace = read(path)
    assert trace.headers == (HEADER, other)
    assert trace.changes == (ChangeRecord(5, {"target": "xla", "versions": {"netc": "9"}}),)
    TraceWriter(path, other, 6, seal=second).close()  # the header in force
    with pytest.raises(TraceError, match=r"target \(xla there, cpu here\)"):
        TraceWriter(path, HEADER, 6, seal=second)


def test_what_is_not_accepted_is_refused_beside_what_is(path):
    seal = sealed(path, last=4)
    before = path.read_bytes()
    other = replace(HEADER, target="xla", seed=8)
    with pytest.raises(TraceError, match=r"got one that differs in seed \(7 there, 8 here\);"):
        TraceWriter(path, other, 5, seal=seal, accept={"target": anything, "seed": anything})
    assert path.read_bytes() == before


def test_before_the_first_step_the_header_itself_is_new(path):
    run(path, last=3)
    other = replace(HEADER, target="xla")
    with TraceWriter(path, other, 0, accept={"target": anything}) as writer:
        assert writer.changes == ("target",)
    assert path.read_bytes() == to_line(other)


@pytest.mark.parametrize("fields", [{}, {"seed": 3}, {"target": 3}, {"data_sha256": "x"}])
def test_a_change_of_what_may_not_change(fields):
    with pytest.raises(TraceError, match=r"change\.fields"):
        ChangeRecord(3, fields)


def test_a_trace_from_before_the_programs_digest_goes_on_and_another_program_does_not(tmp_path):
    path = tmp_path / "trace.jsonl"
    with TraceWriter(path, HEADER):
        pass
    named = replace(HEADER, program_sha256="a" * 64)
    with TraceWriter(path, named, 0) as trace:
        assert trace.changes == ()
    path.unlink()
    timing_path(path).unlink(missing_ok=True)
    with TraceWriter(path, named):
        pass
    with pytest.raises(TraceError, match="differs in program_sha256"):
        TraceWriter(path, replace(HEADER, program_sha256="b" * 64), 0)
