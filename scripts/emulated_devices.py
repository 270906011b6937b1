"""Train digits on emulated devices: Cortex-M4 and -M7, aarch64, riscv64; each must print this machine's bits.

    python scripts/emulated_devices.py [NET ..] [--steps N] [--only DEVICE ..] [--write]

The net at 8 x 8, batch 1, plain SGD, is written by `netc emit-c --static --no-stdio`, compiled by each device's
compiler at -O2 -ffp-contract=off, and run by qemu; examples/device/ has the program around it. Its lines have the bits
of each step's loss and norms, of an evaluation, and a digest of the whole state: all must be this machine's. The first
steps are compared with float64's too. Debian's packages: gcc-arm-none-eabi, libnewlib-arm-none-eabi, qemu-system-arm,
qemu-user, gcc-aarch64-linux-gnu, gcc-riscv64-linux-gnu. `--write` puts each net's part into
docs/measurements/emulated_devices.md. Ends with 1 where bits differ, with 3 where a compiler or an emulator is missing.
"""

from __future__ import annotations

import argparse
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from netc.codegen.c.folder import c_files
from netc.codegen.c.static import Room, room_of, static_files
from netc.codegen.program import Program
from netc.programs import request_program
from netc.runtime.cache.store import Cache
from netc.runtime.data.batches import Normalise, statistics
from netc.runtime.data.digits import read_digits
from netc.runtime.measure.code_size import sections
from netc.runtime.prepare import prepare
from netc.runtime.session import Session
from netc.runtime.target import parse_target

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "measurements" / "emulated_devices.md"
AROUND = ROOT / "examples" / "device"
NETS = {"mnist-linear": 1438, "mnist-mlp": 1438, "mnist-cnn": 50}  # and their steps: all training images, or few
FLAGS = (
    "-std=c11", "-O2", "-ffp-contract=off", "-fno-asynchronous-unwind-tables", "-Wall", "-Wextra", "-Wconversion",
    "-Werror",
)  # fmt: skip
RATE, SEED = 0.01, 7
LONGEST = 3600  # seconds for an emulator
BARE = ("-mthumb", "-mfloat-abi=hard", "-DNET_SMALL", "-nostartfiles", "--specs=nosys.specs", "-ffunction-sections",
        "-Wl,--gc-sections", "-Wl,--no-warn-rwx-segments", "-T", str(AROUND / "mps2.ld"))  # fmt: skip
MPS2 = ("-display", "none", "-monitor", "none", "-serial", "none", "-chardev", "stdio,id=host",
        "-semihosting-config", "enable=on,target=native,chardev=host", "-kernel")  # fmt: skip


@dataclass(frozen=True)
class Device:
    """A machine: its compiler, the file of examples/device that is its own, and the emulator before the program."""

    name: str
    compiler: tuple[str, ...]
    own: str
    emulator: tuple[str, ...] = ()

    @property
    def missing(self) -> str | None:
        """The program that is not on this machine."""
        wanted = [self.compiler[0], *self.emulator[:1]]
        return next((word for word in wanted if shutil.which(word) is None), None)


HOST = Device("this machine, gcc", ("gcc",), "host.c")
DEVICES = (
    Device("this machine, clang", ("clang",), "host.c"),
    Device("Cortex-M4 (mps2-an386)", ("arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16", *BARE), "cortex_m.c",
           ("qemu-system-arm", "-M", "mps2-an386", *MPS2)),
    Device("Cortex-M7 (mps2-an500)", ("arm-none-eabi-gcc", "-mcpu=cortex-m7", "-mfpu=fpv5-d16", *BARE), "cortex_m.c",
           ("qemu-system-arm", "-M", "mps2-an500", *MPS2)),
    Device("aarch64", ("aarch64-linux-gnu-gcc", "-static"), "host.c", ("qemu-aarch64",)),
    Device("riscv64", ("riscv64-linux-gnu-gcc", "-static"), "host.c", ("qemu-riscv64",)),
)  # fmt: skip


@dataclass(frozen=True)
class Ran:
    """What a device's program said, without its line about the stack; bytes; seconds."""

    lines: list[str]
    stack: int | None
    code: int
    constants: int
    seconds: float


def program_of(name: str) -> Program:
    """The training program of a net at 8 x 8: batch 1, SGD without momentum."""
    return request_program(name, input="8x8x1", batch=1, optimizer="sgd", momentum=0.0).build()


def write_program(program: Program, folder: Path) -> Room:
    """Write the C of the net, and the digits, into a folder."""
    files, source = c_files(program, main=False)
    for name, text in (files | static_files(source)).items():
        (folder / name).write_text(text, encoding="utf-8")
    train, test = read_digits()
    levels = np.rint(np.concatenate([train.pixels, test.pixels])[..., 0] * (16 / 255)).astype(int)
    normalise = statistics(train, 1)
    (folder / "digits.h").write_text(
        _digits(levels, np.concatenate([train.labels, test.labels]), normalise), encoding="utf-8"
    )
    return room_of(program, source)


def _digits(levels: np.ndarray, labels: np.ndarray, normalise: Normalise) -> str:
    grey = normalise(np.rint(np.arange(17) * (255 / 16)).astype(np.uint8).reshape(17, 1, 1, 1)).ravel()
    rows = "".join(f"    {{{','.join(map(str, image.ravel()))}}},\n" for image in levels)
    train = len(read_digits()[0])
    return (
        "/* netc's digits: 8 x 8, 17 levels of grey (runtime/data/digits.md) */\n#include <stdint.h>\n"
        f"enum {{ TRAIN = {train}, TEST = {len(levels) - train}, PIXELS = {levels[0].size} }};\n"
        f"static const float grey[17] = {{{', '.join(float(g).hex() + 'f' for g in grey)}}};\n"
        f"static const uint8_t labels[{len(labels)}] = {{{','.join(map(str, labels))}}};\n"
        f"static const uint8_t images[{len(levels)}][{levels[0].size}] = {{\n{rows}}};\n"
    )


def run(device: Device, folder: Path, steps: int) -> Ran:
    """Compile the program in a folder for a device, and run it."""
    own, made = folder / "net.o", folder / "program"
    only_links = ("-T", "-Wl", "-n", "--specs", "/")
    compiler = [word for word in device.compiler if not word.startswith(only_links)]
    _run([*compiler, *FLAGS, "-c", str(folder / "net.c"), "-o", str(own)])
    files = [str(own), str(folder / "net_static.c"), *(str(AROUND / name) for name in ("train.c", device.own))]
    _run([*device.compiler, *FLAGS, f"-DSTEPS={steps}", f"-I{folder}", *files, "-o", str(made), "-lm"])
    began = time.perf_counter()
    lines = _run([*device.emulator, str(made)]).splitlines()
    seconds = time.perf_counter() - began
    stack = next((int(line.split()[1], 16) for line in lines if line.startswith("stack ")), None)
    return Ran(
        [s for s in lines if not s.startswith("stack ")], stack, *(sections(own.read_bytes()) or (0, 0)), seconds
    )


def _run(command: Sequence[str]) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=LONGEST, check=False, stdin=subprocess.DEVNULL
    )  # fmt: skip
    if done.returncode != 0:
        raise SystemExit(f"{command[0]} failed:\n{done.stderr[-2000:]}{done.stdout[-500:]}")
    return done.stdout


def real(word: str) -> float:
    """The float whose bits are written."""
    value: float = struct.unpack("<f", int(word, 16).to_bytes(4, "little"))[0]
    return value


def from_reference(program: Program, lines: Sequence[str], steps: int) -> float:
    """The largest relative distance of the first steps' losses and norms from float64's."""
    train, _ = read_digits()
    normalise, worst = statistics(train, 1), 0.0
    with tempfile.TemporaryDirectory(prefix="netc-") as cache:
        session = Session(prepare(program, parse_target("reference"), Cache(Path(cache))))
        state = session.init(SEED)
        for step, line in zip(range(steps), lines[1:], strict=False):
            state, said = session.train(
                state, normalise(train.pixels[step : step + 1]), train.labels[step : step + 1], RATE
            )
            words = line.split()
            for name in ("loss", "grad_norm", "param_norm"):
                want, got = said[name], real(words[words.index(name) + 1])
                worst = max(worst, abs(got - want) / max(abs(want), 1e-3))
    return worst


def accuracy(lines: Sequence[str]) -> str:
    """Of the line about the evaluation."""
    words = next(line.split() for line in lines if line.startswith("eval "))
    right, count = int(words[2], 16), int(words[4], 16)
    return f"{right} of {count} test images ({100 * right / count:.1f} %)"


def study(name: str, steps: int, compared: int, devices: Sequence[Device]) -> tuple[list[str], bool]:
    """Markdown about a net on all devices, and whether all said the same."""
    program = program_of(name)
    with tempfile.TemporaryDirectory(prefix="netc-") as where:
        folder = Path(where)
        room = write_program(program, folder)
        host = run(HOST, folder, steps)
        found = {HOST: host} | {device: run(device, folder, steps) for device in devices}
    distance = from_reference(program, host.lines, min(steps, compared))
    first, last = (real(host.lines[n].split()[3]) for n in (1, steps))
    lines = [
        f"## {name} at 8 x 8", "",
        f"{steps} steps of batch 1, SGD at {RATE}: loss {first:.3f} at the first image, {last:.3f} at the last, then "
        f"{accuracy(host.lines)} right. The first {min(steps, compared)} steps are within {distance:.1e} of float64's.",
        "", f"RAM: state {room.state:,} bytes, arena {room.arena:,}, a batch {room.batch:,}; digits are constants.", "",
        "| device | lines as this machine's | code, bytes | constants, bytes | stack, bytes | seconds |",
        "|---|---|---|---|---|---|",
    ]  # fmt: skip
    same = True
    for device, ran in found.items():
        equal = sum(a == b for a, b in zip(ran.lines, host.lines, strict=False))
        same = same and ran.lines == host.lines
        stack = f"{ran.stack:,}" if ran.stack else ""
        lines.append(
            f"| {device.name} | {equal:,} of {len(host.lines):,} | {ran.code:,} | {ran.constants:,} | {stack} | "
            f"{ran.seconds:.1f} |"
        )
    return [*lines, ""], same


HEAD = """# Emulated devices

    python scripts/emulated_devices.py --write

Digits are trained on devices that qemu emulates, by the C that `netc emit-c --static --no-stdio` writes, compiled with
`-O2 -ffp-contract=off` by each device's GCC. A line has the bits of a step's loss and norms; the last ones are about
the test images and the whole state. Cortex-M4 and -M7 have 4 MB for the program and 4 MB for its data, no operating
system, and `-DNET_SMALL`. Seconds are the emulator's, and say nothing about a device.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for, print the page, and say how it went."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nets", nargs="*", metavar="NET", default=tuple(NETS))
    parser.add_argument("--steps", type=int, help="training images, one by one  [default: all 1438; of mnist-cnn 50]")
    parser.add_argument("--compared", type=int, default=100, help="steps beside float64's  [default: 100]")
    parser.add_argument("--only", nargs="*", metavar="DEVICE", help="words of devices' names")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args(arguments)
    chosen = [d for d in DEVICES if not options.only or any(word.lower() in d.name.lower() for word in options.only)]
    if missing := [f"{d.name} wants {d.missing}" for d in (HOST, *chosen) if d.missing]:
        print("; ".join(missing) + "; install what is missing, or name others by --only", file=sys.stderr)
        return 3
    parts, fine = {}, True
    for name in options.nets:
        steps = options.steps or NETS.get(name, 1438)
        lines, same = study(name, steps, options.compared, chosen)
        parts[name] = "\n".join(lines)
        print(parts[name], flush=True)
        fine = fine and same
    if options.write:
        kept = PAGE.read_text(encoding="utf-8").split("\n## ")[1:] if PAGE.exists() else []
        old = {text.split()[0]: f"## {text.rstrip()}\n" for text in kept}
        whole = old | parts
        order = [*(name for name in NETS if name in whole), *(name for name in whole if name not in NETS)]
        PAGE.write_text("\n".join([HEAD, *(whole[name] for name in order)]), encoding="utf-8")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
