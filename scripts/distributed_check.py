"""Train in several processes of this machine and do to them what happens to processes; print what each case did.

    python scripts/distributed_check.py [--cases kill,stop,..]

Each case says what it wanted and whether it came so; the exit code is 1 if one did not. `cut` joins two network
namespaces by a veth pair, trains over it and takes the link down, which wants root and `ip`; elsewhere it is left out.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from netc.runtime.processes.launch import free_port
from netc.runtime.run.checkpoint import load
from netc.traces.read import read

NET = ["mnist-mlp", "--target", "xla", "--batch", "64", "--seed", "3", "--checkpoint-every", "50"]
MESH = ["--mesh", "data=2,model=2", "--shard", "fsdp"]
LIMIT = 300  # seconds of a case
NETC = [sys.executable, "-m", "netc"]
Process = subprocess.Popen[str]


def started(command: list[str], space: str = "") -> Process:
    """A command whose output is kept, in a network namespace if one is named."""
    inside = ["ip", "netns", "exec", space] if space else []
    return subprocess.Popen([*inside, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def launched(folder: Path, count: int, epochs: int, *options: str) -> Process:
    """`netc launch` of so many processes."""
    train = ["train", *NET, "--epochs", str(epochs), "--out", str(folder)]
    return started([*NETC, "launch", "-n", str(count), *options, "--", *train])


def ended(process: Process) -> tuple[int, str]:
    """The exit code of a process, and what it said."""
    out, err = process.communicate(timeout=LIMIT)
    return process.returncode, out + err


def child(launcher: int, number: int) -> int:
    """The process of that number of a launcher."""
    for task in Path(f"/proc/{launcher}/task").glob("*/children"):
        for pid in map(int, task.read_text().split()):
            words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
            if words[words.index("--process-id") + 1] == str(number):
                return pid
    raise SystemExit(f"process {number} is not there")


def until(folder: Path, lines: int) -> None:
    """Wait until a run's trace has so many lines."""
    trace, end = folder / "trace.jsonl", time.monotonic() + LIMIT
    while not (trace.exists() and trace.read_bytes().count(b"\n") >= lines):
        if time.monotonic() > end:
            raise SystemExit(f"{trace} did not come to {lines} lines")
        time.sleep(0.02)


def same(one: Path, two: Path) -> bool:
    """Whether two runs have the same trace and the same last state, byte for byte."""
    files = ("trace.jsonl", "last/state.safetensors")
    return all((one / name).read_bytes() == (two / name).read_bytes() for name in files)


def losses(run: Path) -> list[float]:
    """The losses of a run's first 40 steps."""
    return [step.loss for step in read(run / "trace.jsonl").steps[:40]]


def whole(folder: Path, count: int = 2) -> tuple[bool, str]:
    """N processes with one device each, beside one process with N devices: of two there is one order of a sum."""
    code, said = ended(launched(folder / "many", count, 4))
    one = [*NETC, "train", *NET, "--epochs", "4", "--devices", str(count), "--out", str(folder / "one")]
    other, also = ended(started(one))
    pairs = zip(losses(folder / "many"), losses(folder / "one"), strict=True)
    far = max(abs(a - b) / b for a, b in pairs)
    holds = same(folder / "many", folder / "one") if count == 2 else far < 2e-5
    return code == other == 0 and holds, f"{said}{also}the losses of 40 steps are at most {far:.1e} apart"


def signalled(number: int, who: int, sentence: str, code: int, count: int = 2) -> Callable[[Path], tuple[bool, str]]:
    """A signal to one process: the exit code and the sentence of the launcher."""

    def case(folder: Path) -> tuple[bool, str]:
        process = launched(folder / "run", count, 500)
        until(folder / "run", 60)
        begin = time.monotonic()
        os.kill(child(process.pid, who), number)
        found, said = ended(process)
        seconds = time.monotonic() - begin
        return found == code and sentence in said and seconds < 30, f"{said}after {seconds:.1f} s"

    return case


def restarted(folder: Path) -> tuple[bool, str]:
    """A run that lost a process and was begun again, beside one that did not."""
    ended(launched(folder / "unbroken", 2, 30))
    process = launched(folder / "run", 2, 30, "--restarts", "1")
    until(folder / "run", 100)
    os.kill(child(process.pid, 1), signal.SIGKILL)
    code, said = ended(process)
    return code == 0 and same(folder / "run", folder / "unbroken"), said


def elastic(folder: Path) -> tuple[bool, str]:
    """Four processes, one killed: the batch of 64 goes on in 2."""
    process = launched(folder / "run", 4, 30, "--restarts", "1", "--elastic")
    until(folder / "run", 100)
    os.kill(child(process.pid, 3), signal.SIGKILL)
    code, said = ended(process)
    return code == 0 and "restarting with 2 of 4 processes" in said, said


def other_target(folder: Path) -> tuple[bool, str]:
    """A run of two processes that is stopped and goes on on IREE's cpu."""
    process = launched(folder / "run", 2, 500)
    until(folder / "run", 60)
    process.send_signal(signal.SIGTERM)
    code, said = ended(process)
    steps = sum(b'"step"' in line for line in (folder / "run" / "trace.jsonl").read_bytes().splitlines())
    epochs = str(steps // 22 + 2)
    words = ["--devices", "1", "--target", "cpu", "--not-bit-for-bit", "--epochs", epochs]
    held = [*NETC, "train", "--resume", str(folder / "run")]
    begun = ended(started([*held, *words]))[1] if code == 143 else ""
    return code == 143 and "wants at least" not in begun and "the run has another target" in begun, said + begun


def tensors(run: Path) -> dict[str, bytes]:
    """The last state of a run, in one file or in pieces."""
    return {name: tensor.tobytes() for name, tensor in load(run / "last").tensors.items()}


def alike(one: Path, two: Path) -> bool:
    """Whether two runs have the same trace and the same last state, in whatever files."""
    traces = [(run / "trace.jsonl").read_bytes() for run in (one, two)]
    return traces[0] == traces[1] and tensors(one) == tensors(two)


def mesh(folder: Path) -> tuple[bool, str]:
    """A mesh over 2 processes beside the same in one; begun again after kill -9; then on two other layouts."""
    one, two, again = (folder / name for name in ("one", "two", "again"))
    small = ["mnist-linear", *NET[1:], *MESH, "--optimizer", "adam", "--epochs", "6"]
    code, said = ended(started([*NETC, "train", *small, "--out", str(one)]))
    process = started([*NETC, "launch", "-n", "2", "--restarts", "1", "--", "train", *small, "--out", str(again)])
    until(again, 60)
    os.kill(child(process.pid, 1), signal.SIGKILL)
    for each in (process, started([*NETC, "launch", "-n", "2", "--", "train", *small, "--out", str(two)])):
        found, text = ended(each)
        code, said = code + found, said + text
    same_bits = code == 0 and alike(one, two) and alike(one, again)
    pieces = len([*(two / "last").glob("state-*-of-00002.safetensors")])
    resumed = [*NETC, "train", "--resume", str(two), "--not-bit-for-bit"]
    for words in (["--mesh", "data=4", "--shard", "zero1", "--epochs", "7"], ["--target", "cpu", "--epochs", "8"]):
        found, text = ended(started([*resumed, *words]))
        code, said = code + found, said + text
    steps = len(read(two / "trace.jsonl").steps)
    wanted = len(read(one / "trace.jsonl").steps) // 6 * 8
    return same_bits and code == 0 and pieces == 2 and steps == wanted, f"{said}{steps} steps, {pieces} pieces"


def by_floor(folder: Path) -> tuple[bool, str]:
    """A mesh beside one device by the measured noise floor, with each `--shard`."""
    train = [*NETC, "train", *NET, "--optimizer", "adam", "--epochs", "2"]
    axes = {"one": (), "fsdp": ("data=4",), "zero1": ("data=2,model=2",), "tensor": ("model=2",)}
    found = []
    for name, mesh in axes.items():
        words = ["--mesh", *mesh, "--shard", name] if mesh else []
        found.append(ended(started([*train, *words, "--out", str(folder / name)])))
    agree, said = all(code == 0 for code, _ in found), "".join(text for _, text in found)
    for name in [*axes][1:] if agree else ():
        code, text = ended(started([*NETC, "trace", "diff", str(folder / "one"), str(folder / name)]))
        agree, said = agree and code == 0, f"{said}{name}: {text.splitlines()[-1] if code == 0 else text}\n"
    return agree, said


def by_hand(folder: Path, where: str, index: int, *words: str, space: str = "") -> Process:
    """A process that no launcher watches."""
    meeting = ["--coordinator", where, "--processes", "2", "--process-id", str(index), "--out", str(folder / "run")]
    return started([*NETC, "train", *NET, "--epochs", "500", *meeting, *words], space)


def other_words(folder: Path) -> tuple[bool, str]:
    """Two processes with another learning rate each."""
    where = f"127.0.0.1:{free_port()}"
    found = [ended(p) for p in (by_hand(folder, where, 0), by_hand(folder, where, 1, "--lr", "0.5"))]
    sentence = "process 1 wants the words (SHA-256) of process 0"
    return all(code == 2 and sentence in said for code, said in found), found[0][1] + found[1][1]


def unreachable(folder: Path) -> tuple[bool, str]:
    """A coordinator that is not there."""
    begin = time.monotonic()
    code, said = ended(by_hand(folder, f"127.0.0.1:{free_port()}", 1))
    return code == 75 and "cannot be reached within 30 s" in said and time.monotonic() - begin < 60, said


def no_launcher(folder: Path) -> tuple[bool, str]:
    """kill -9 of process 0, which is the coordinator, where no launcher watches."""
    where = f"127.0.0.1:{free_port()}"
    first, second = by_hand(folder, where, 0), by_hand(folder, where, 1)
    until(folder / "run", 60)
    first.kill()
    code, said = ended(second)
    ended(first)
    return code == 75 and "netc: process 0" in said, f"{said}exit code {code}"


@contextmanager
def two_spaces() -> Iterator[tuple[str, str]]:
    """Two network namespaces with a link between them; the addresses are 10.71.0.1 and 10.71.0.2."""
    names = [f"netc-{os.getpid()}-{end}" for end in "ab"]
    links = [f"nc{os.getpid() % 10**6}{end}" for end in "ab"]
    try:
        for name in names:
            subprocess.run(["ip", "netns", "add", name], check=True, capture_output=True)
        subprocess.run(["ip", "link", "add", links[0], "type", "veth", "peer", "name", links[1]], check=True)
        for at, (name, link) in enumerate(zip(names, links, strict=True), 1):
            subprocess.run(["ip", "link", "set", link, "netns", name, "name", "eth0"], check=True)
            subprocess.run(["ip", "-n", name, "address", "add", f"10.71.0.{at}/24", "dev", "eth0"], check=True)
            for device in ("lo", "eth0"):
                subprocess.run(["ip", "-n", name, "link", "set", device, "up"], check=True)
            hosts = Path("/etc/netns") / name / "hosts"  # `ip netns exec` puts it in the place of /etc/hosts
            hosts.parent.mkdir(parents=True)
            hosts.write_text(f"127.0.0.1 localhost\n10.71.0.{at} {socket.gethostname()}\n", encoding="ascii")
        yield names[0], names[1]
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
            shutil.rmtree(Path("/etc/netns") / name, ignore_errors=True)


def cut(folder: Path) -> tuple[bool, str]:
    """Two processes in namespaces of their own, whose link is taken down."""
    with two_spaces() as spaces:
        found = [by_hand(folder, "10.71.0.1:29400", index, space=space) for index, space in enumerate(spaces)]
        until(folder / "run", 60)
        begin = time.monotonic()
        subprocess.run(["ip", "-n", spaces[1], "link", "set", "eth0", "down"], check=True)
        said = [ended(process) for process in found]
        seconds = time.monotonic() - begin
    sentences = "process 1 is gone" in said[0][1] and "process 0" in said[1][1]
    return sentences and all(code in (75, 134) for code, _ in said) and seconds < 45, (
        f"{said[0][1]}{said[1][1]}exit codes {said[0][0]} and {said[1][0]} after {seconds:.1f} s"
    )


def may_cut() -> bool:
    """Whether this process may make network namespaces."""
    if os.geteuid() or not shutil.which("ip"):
        return False
    name = f"netc-{os.getpid()}-try"
    made = subprocess.run(["ip", "netns", "add", name], check=False, capture_output=True).returncode == 0
    if made:
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
    return made


SAVED = "nothing is lost; resume with"
CASES: dict[str, tuple[str, Callable[[Path], tuple[bool, str]]]] = {
    "two": ("2 processes are 2 devices, byte for byte", whole),
    "four": ("4 processes are 4 devices, but for the order of sums", lambda folder: whole(folder, 4)),
    "kill": ("kill -9 of process 1", signalled(9, 1, "process 1 was killed by SIGKILL", 137)),
    "coordinator": ("kill -9 of process 0", signalled(9, 0, "process 0 was killed by SIGKILL", 137)),
    "stop": ("SIGSTOP of process 3 of 4", signalled(signal.SIGSTOP, 3, "process 3 stands still", 1, 4)),
    "term": ("SIGTERM to process 2 of 4 saves on all", signalled(15, 2, SAVED, 143, 4)),
    "leader": ("kill -9 of process 0 without a launcher", no_launcher),
    "mesh": ("a mesh over 2 processes is one in 1, byte for byte, goes on, and goes on elsewhere", mesh),
    "floor": ("meshes agree with one device by the noise floor", by_floor),
    "restart": ("begun again after kill -9, byte for byte", restarted),
    "elastic": ("begun again in 2 of 4 processes", elastic),
    "target": ("goes on on IREE's cpu", other_target),
    "words": ("other words are refused", other_words),
    "unreachable": ("no coordinator", unreachable),
    "cut": ("a link is taken down", cut),
}


def main() -> int:
    """Run the cases that are named, by default all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", default=",".join(CASES), help="names, with commas between: " + ", ".join(CASES))
    asked = parser.parse_args()
    failed = 0
    for name in asked.cases.split(","):
        about, case = CASES[name]
        if name == "cut" and not may_cut():
            print(f"{name:12} left out: it wants root and network namespaces", flush=True)
            continue
        with tempfile.TemporaryDirectory(prefix="netc-check-") as folder:
            holds, said = case(Path(folder))
        failed += not holds
        print(f"{name:12} {'as wanted' if holds else 'FAILED':10} {about}", flush=True)
        for line in said.splitlines()[-3:] if holds else said.splitlines():
            print(f"    {line}", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
