"""Draw docs/one-training.png for the README: the committed golden traces of one training on five backends.

    python scripts/make_readme_picture.py

The traces are tests/golden/traces/cnn (scripts/make_golden_traces.py takes them). The picture holds their digest, which
a test compares.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from netc.traces.floor import read_floor, relative
from netc.traces.read import read

ROOT = Path(__file__).parent.parent
TRACES = ROOT / "tests" / "golden" / "traces" / "cnn"
PICTURE = ROOT / "docs" / "one-training.png"
BACKENDS = {
    "reference": "netc's evaluator in NumPy", "cpu": "IREE, CPU", "vulkan": "IREE, Vulkan (llvmpipe)",
    "xla": "XLA, CPU", "jax": "JAX's autodiff on its own script",
}  # fmt: skip


def digest() -> str:
    """The SHA-256 of what is drawn."""
    files = [*(TRACES / f"{backend}.jsonl" for backend in BACKENDS), TRACES / "noise.json"]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def main() -> None:
    """Write the picture."""
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.rcParams["font.size"] = 9
    traces = {backend: read(TRACES / f"{backend}.jsonl") for backend in BACKENDS}
    drawn = Figure(figsize=(9, 3.2), layout="constrained")
    losses, apart = drawn.subplots(1, 2)
    first = np.array([s.loss for s in traces["reference"].steps])
    for index, (backend, trace) in enumerate(traces.items()):
        steps, loss = [s.step for s in trace.steps], np.array([s.loss for s in trace.steps])
        losses.plot(steps, loss, label=BACKENDS[backend], linewidth=1, color=f"C{index}")
        if index:
            off = relative(first, loss)
            apart.plot(steps, np.where(off > 0, off, np.nan), ".", markersize=2, color=f"C{index}")
    floor = read_floor(TRACES / "noise.json")
    apart.plot(
        range(len(floor.differences["loss"])),
        floor.differences["loss"],
        color="black",
        linewidth=1,
        label="float32's own noise",
    )
    losses.set_title("training loss")
    apart.set_title("relative distance of the losses from the first")
    apart.set_yscale("log")
    for axis in (losses, apart):
        axis.set_xlabel("step")
        axis.grid(alpha=0.3)
        axis.legend(fontsize="small")
    drawn.savefig(PICTURE, dpi=110, metadata={"Software": None, "Description": digest()})


if __name__ == "__main__":
    main()
