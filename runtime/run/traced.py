"""The trace of a run from where it goes on, and run.json as it is from there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from netc.runtime.data.dataset import Dataset
from netc.runtime.prepare import Prepared, program_sha256
from netc.runtime.processes.group import Together
from netc.runtime.run.config import RunConfig, read_config, write_config
from netc.runtime.run.resume import LeftOff, Notice, accepted, change_of
from netc.runtime.run.tokenizer import begin_folder
from netc.runtime.target import parse_target
from netc.runtime.versions import versions
from netc.traces.schema import EvalRecord, Header, Record, StepRecord, TimingRecord
from netc.traces.write import NOTHING, Seal, TraceWriter


class Untraced:
    """What a process has in the place of a trace that another one writes."""

    def __init__(self, step: int, changes: tuple[str, ...]) -> None:
        self.step, self.changes = step, changes
        self.watch: Callable[[Record], None] | None = None

    def write(self, record: StepRecord | EvalRecord | TimingRecord) -> None:
        """Note the step."""
        self.step = record.step

    def sync(self) -> Seal:
        """The seal of nothing."""
        return NOTHING


AnyTrace = TraceWriter | Untraced


@contextmanager
def traced(
    config: RunConfig,
    data: Dataset,
    folder: Path,
    prepared: Prepared,
    left: LeftOff,
    together: Together,
    noted: Notice,
    *,
    resume: bool,
    same_bits: bool,
    text: str,
) -> Iterator[AnyTrace]:
    """The trace, and run.json, of the process that writes them; another waits until it may go on. Raises TraceError."""
    if not together.leads:
        yield Untraced(left.step - 1, tuple(together.shared("changes", str).split()))
        return
    target, program = parse_target(config.target), prepared.program
    header = Header(
        net=config.net.spec.name, spec_sha256=config.net.digest, module_sha256=prepared.step_sha256,
        program_sha256=program_sha256(program), data=config.data, data_sha256=data.digest, seed=config.seed,
        recipe=config.recipe_json, batch=config.training.batch, target=config.target, versions=versions(target),
    )  # fmt: skip
    if not resume:
        begin_folder(folder, config, text, data.tokenizer)
    accept = accepted(config, data, same_bits=same_bits)
    with TraceWriter(
        folder / "trace.jsonl", header, left.step if resume else None, seal=left.seal, accept=accept
    ) as trace:
        if resume and config != (before := read_config(folder)):
            write_config(folder, config)
        for name in trace.changes:
            noted(f"{change_of(name, before, config)}: the trace says so from step {left.step} on")
        together.shared("changes", lambda: " ".join(trace.changes))
        yield trace
