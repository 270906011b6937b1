"""A trace file is written, killed, resumed and read; what is wrong with it is said with its line."""

import errno
import io
import os
import random
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netc.traces.errors import TraceError
from netc.traces.line import to_line
from netc.traces.read import read, read_timing, timing_path
from netc.traces.schema import EvalRecord, Header, StepRecord, TimingRecord
from netc.traces.write import TraceWriter

HEADER = Header(
    net="mlp",
    spec_sha256="a" * 64,
    module_sha256="b" * 64,
    data="digits",
    data_sha256="c" * 64,
    recipe={"lr": 0.1},
    seed=7,
    batch=32,
    target="cpu",
    versions={"netc": "0.1.0"},
)
STEPS = 12


def records(step):
    """What a run of `STEPS` steps, evaluated at every fourth, writes at one step."""
    noise = random.Random(step)
    yield StepRecord(step, step // 4, noise.random(), 0.1, noise.random(), noise.expovariate(1e-30))
    if step % 4 == 0:
        yield EvalRecord(step, step // 4, noise.random(), noise.random(), 100)
    yield TimingRecord(step, noise.random())


def run(path, first=1, last=STEPS, resume=None):
    with TraceWriter(path, HEADER, resume) as writer:
        for step in range(first, last + 1):
            for record in records(step):
                writer.write(record)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run" / "trace.jsonl"


def test_what_is_written_is_read(path):
    run(path)
    trace = read(path)
    written = [record for step in range(1, STEPS + 1) for record in records(step)]
    assert trace.header == HEADER
    assert trace.steps == tuple(record for record in written if isinstance(record, StepRecord))
    assert trace.evals == tuple(record for record in written if isinstance(record, EvalRecord))
    assert read_timing(timing_path(path)) == tuple(r for r in written if isinstance(r, TimingRecord))


def test_wall_times_are_not_in_the_trace(path):
    run(path)
    assert b"seconds" not in path.read_bytes()
    assert timing_path(path) == path.parent / "timing.jsonl"


def test_each_record_is_in_the_file_at_once(path):
    with TraceWriter(path, HEADER) as writer:
        assert read(path).steps == ()
        writer.write(next(records(1)))
        assert len(read(path).steps) == 1
        writer.sync()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(data=st.data())
def test_a_killed_run_resumed_gives_the_same_bytes(tmp_path, data):
    """Cut both files anywhere after the checkpoint and resume from it: the bytes are those of one run."""
    whole, killed = tmp_path / "whole" / "trace.jsonl", tmp_path / "killed" / "trace.jsonl"
    for trace in (whole, killed):
        for file in (trace, timing_path(trace)):
            file.unlink(missing_ok=True)
    run(whole)
    checkpoint = data.draw(st.integers(0, STEPS), "checkpoint")
    run(killed, last=checkpoint)
    for file in (whole, timing_path(whole)):
        at_least = len((killed.parent / file.name).read_bytes())
        content = file.read_bytes()
        cut = data.draw(st.integers(at_least, len(content)), file.name)
        (killed.parent / file.name).write_bytes(content[:cut])
    run(killed, first=checkpoint + 1, resume=checkpoint + 1 if checkpoint else 0)
    assert killed.read_bytes() == whole.read_bytes()
    assert timing_path(killed).read_bytes() == timing_path(whole).read_bytes()


@pytest.mark.parametrize("left", [0, 1, 30])
def test_a_run_killed_in_its_header_starts_over(path, left):
    run(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:left])
    run(path, resume=0)
    assert path.read_bytes() == whole


def test_a_tail_of_zeros_is_dropped(path):
    run(path)
    whole = path.read_bytes()
    path.write_bytes(whole + b"\0" * 512)
    TraceWriter(path, HEADER, STEPS + 1).close()
    assert path.read_bytes() == whole


def test_lines_after_the_cut_may_be_garbage(path):
    run(path)
    whole = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(whole[:4]) + b"garbage\n")
    run(path, first=3, resume=3)
    assert path.read_bytes() == b"".join(whole)


def test_a_new_trace_never_overwrites(path):
    run(path)
    before = path.read_bytes()
    with pytest.raises(TraceError, match=r"wants a new file, got one that exists; resume it"):
        TraceWriter(path, HEADER)
    assert path.read_bytes() == before


def test_another_header_is_refused_and_the_fields_named(path):
    run(path)
    before = path.read_bytes()
    other = replace(HEADER, seed=8, recipe={"lr": 0.2})
    message = r"trace.jsonl:1: .*recipe \(.*0.1.* there.*\), seed \(7 there, 8 here\)"
    with pytest.raises(TraceError, match=message):
        TraceWriter(path, other, 5)
    assert path.read_bytes() == before


def test_resuming_without_a_trace_is_refused(path):
    with pytest.raises(TraceError, match="wants the trace of steps before 5, got none"):
        TraceWriter(path, HEADER, 5)
    with pytest.raises(TraceError, match="resume_from_step wants 0 or more, or None, got -1"):
        TraceWriter(path, HEADER, -1)


def test_resuming_with_steps_lost_is_refused(path):
    run(path, last=6)
    with pytest.raises(TraceError, match="wants every step before 9, got them up to 6"):
        TraceWriter(path, HEADER, 9)


def test_a_damaged_line_before_the_cut_is_refused(path):
    run(path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], b"{garbage\n", *lines[3:]]))
    with pytest.raises(TraceError, match=r"trace.jsonl:4: wants one JSON object"):
        TraceWriter(path, HEADER, STEPS)
    with pytest.raises(TraceError, match=r"trace.jsonl:4: wants one JSON object"):
        read(path)


def test_a_half_line_is_named_by_the_reader(path):
    run(path)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(TraceError, match=rf"trace.jsonl:{1 + STEPS + 3}: wants a whole line"):
        read(path)


def test_a_number_cut_short_is_not_taken_for_a_number(path):
    run(path)
    with path.open("ab") as file:
        file.write(to_line(TimingRecord(99, 1.25)).rstrip())
    with pytest.raises(TraceError, match="wants a whole line"):
        read(path)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "wants a header on line 1, got an empty file"),
        ([StepRecord(0, 0, 1, 1, 1, 1)], ":1: wants a record of kind header here, got step"),
        ([HEADER, HEADER], ":2: wants a record of kind step or eval or change here, got header"),
        ([HEADER, TimingRecord(0, 1)], ":2: wants a record of kind step or eval or change here, got timing"),
        (
            [HEADER, StepRecord(4, 0, 1, 1, 1, 1), StepRecord(4, 0, 1, 1, 1, 1)],
            ":3: wants a step after 4, got step 4",
        ),
        (
            [HEADER, StepRecord(4, 0, 1, 1, 1, 1), EvalRecord(3, 0, 1, 1, 1)],
            ":3: wants an evaluation after step 4, got step 3",
        ),
        ([HEADER, EvalRecord(3, 0, 1, 1, 1), EvalRecord(3, 0, 1, 1, 1)], ":3: wants an evaluation after"),
    ],
)
def test_order(tmp_path, lines, message):
    path = tmp_path / "trace.jsonl"
    path.write_bytes(b"".join(map(to_line, lines)))
    with pytest.raises(TraceError, match=message):
        read(path)


def test_the_writer_keeps_the_order_too(path):
    with TraceWriter(path, HEADER) as writer:
        writer.write(EvalRecord(0, 0, 1, 0.1, 10))
        writer.write(StepRecord(1, 0, 1, 1, 1, 1))
        with pytest.raises(TraceError, match=r"trace.jsonl: wants a step after 1, got step 1"):
            writer.write(StepRecord(1, 0, 1, 1, 1, 1))
        writer.write(StepRecord(2, 0, 1, 1, 1, 1))
    assert [record.step for record in read(path).steps] == [1, 2]


def test_a_missing_file(tmp_path):
    for function in (read, read_timing):
        with pytest.raises(TraceError, match="wants a file that can be read, got: No such file"):
            function(tmp_path / "nowhere")


def test_the_trace_may_not_be_called_like_the_timing(tmp_path):
    with pytest.raises(TraceError, match=r"call it trace.jsonl"):
        TraceWriter(tmp_path / "timing.jsonl", HEADER)


def test_short_writes_are_finished_and_a_full_disk_is_said(path):
    class Slow(io.RawIOBase):
        def __init__(self):
            self.got = b""

        def write(self, data):
            if len(self.got) > 500:
                raise OSError(errno.ENOSPC, "No space left on device")
            self.got += bytes(data[:7])
            return min(7, len(data))

    with TraceWriter(path, HEADER) as writer:
        writer._trace._file.close()
        writer._trace._file = Slow()
        written = [StepRecord(step, 0, 1, 1, 1, 1) for step in range(3)]
        for record in written:
            writer.write(record)
        assert writer._trace._file.got == b"".join(map(to_line, written))
        with pytest.raises(TraceError, match="cannot append a step record: No space left on device"):
            for step in range(3, 20):
                writer.write(StepRecord(step, 0, 1, 1, 1, 1))


@pytest.mark.parametrize("name", ["trace.jsonl", "timing.jsonl"])
@pytest.mark.parametrize("resume", [None, 0, 3])
@pytest.mark.parametrize("leads", [True, False])
def test_planted_links_are_not_followed(path, name, resume, leads):
    run(path)
    precious = path.parent / "precious"
    (path.parent / name).rename(precious)
    (path.parent / name).symlink_to(precious if leads else path.parent / "nowhere")
    before = precious.read_bytes()
    with pytest.raises(TraceError, match=r"got one that exists|got: a link; move it away"):
        TraceWriter(path, HEADER, resume)
    assert precious.read_bytes() == before
    assert not (path.parent / "nowhere").exists()


@pytest.mark.parametrize("resume", [0, 3])
def test_what_never_ends_is_not_read(path, resume):
    run(path)
    timing_path(path).unlink()
    os.mkfifo(timing_path(path))
    with pytest.raises(TraceError, match=r"timing\.jsonl: wants a file that can be read, got: no regular file"):
        TraceWriter(path, HEADER, resume)


# -- seals: the bytes of a trace that a checkpoint binds -------------------------------------------------------------
