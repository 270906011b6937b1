"""IREE 3.12's local-task device: memory that a program with a barrier never gives back, by the size of its tensors.

    python scripts/repro_memory_cpu.py [--calls N] [--sizes MIB,..] [--driver local-task|local-sync]

Each program computes x x + x, passes `stablehlo.optimization_barrier` (or adds x again), and squares. Nothing is kept
between calls but the input. Prints by how much the process grew, a call, over the last half of the calls.
docs/upstream-issues/memory-cpu.md says more.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from netc.runtime.compile import compiler_path

TEXT = """module @m {{
  func.func public @f(%x: {t}) -> {t} {{
    %0 = stablehlo.multiply %x, %x : {t}
    %1 = stablehlo.add %0, %x : {t}
    %2 = {between}
    %3 = stablehlo.multiply %2, %2 : {t}
    return %3 : {t}
  }}
}}
"""
BETWEEN = {
    "a barrier": "stablehlo.optimization_barrier %1 : {t}",
    "none": "stablehlo.add %1, %x : {t}",
}
FLAGS = (
    "--iree-input-type=stablehlo", "--iree-hal-target-device=local", "--iree-hal-local-target-device-backends=llvm-cpu",
    "--iree-llvmcpu-target-cpu=host",
)  # fmt: skip


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--sizes", default="8,16,20,24,32,33,40,48,64,72,96,128")
    parser.add_argument("--driver", default="local-task")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(_growth(Path(options.one[0]), int(options.one[1]), options.driver, options.calls))
        return 0
    print("| MiB of the tensor | " + " | ".join(f"MiB a call, {name}" for name in BETWEEN) + " |")
    print("|---" * (1 + len(BETWEEN)) + "|")
    for size in map(int, options.sizes.split(",")):
        cells = [f"{_measured(size, between, options):.1f}" for between in BETWEEN.values()]
        print(f"| {size} | " + " | ".join(cells) + " |", flush=True)
    return 0


def _measured(size: int, between: str, options: argparse.Namespace) -> float:
    t = f"tensor<{size << 18}xf32>"
    with tempfile.TemporaryDirectory() as folder:
        source, artefact = Path(folder) / "m.mlir", Path(folder) / "m.vmfb"
        source.write_text(TEXT.format(t=t, between=between.format(t=t)), encoding="utf-8")
        subprocess.run([str(compiler_path()), str(source), "-o", str(artefact), *FLAGS], check=True)
        command = [sys.executable, __file__, "--one", str(artefact), str(size), "--calls", str(options.calls)]
        done = subprocess.run([*command, "--driver", options.driver], check=True, capture_output=True, text=True)
    return float(done.stdout)


def _growth(artefact: Path, size: int, driver: str, calls: int) -> float:
    import iree.runtime as rt

    device, instance = rt.get_device(driver), rt.VmInstance()
    module = rt.VmModule.mmap(instance, str(artefact))
    context = rt.VmContext(instance, modules=[rt.create_hal_module(instance, device), module])
    function = module.lookup_function("f")
    x = device.allocator.allocate_buffer_copy(
        memory_type=rt.MemoryType.DEVICE_LOCAL, allowed_usage=rt.BufferUsage.DEFAULT, device=device,
        buffer=np.full(size << 18, 0.5, np.float32), element_type=rt.HalElementType.FLOAT_32,
    )  # fmt: skip
    sizes = []
    for _ in range(calls):
        inputs, outputs = rt.VmVariantList(1), rt.VmVariantList(1)
        inputs.push_ref(x)
        context.invoke(function, inputs, outputs)
        del inputs, outputs
        sizes.append(resident())
    half = calls // 2
    return (sizes[-1] - sizes[half - 1]) / (calls - half)


def resident() -> float:
    """MiB of this process in memory."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / (1 << 20)


if __name__ == "__main__":
    sys.exit(main())
