"""Drive a compiled program by its manifest alone: nothing of netc is imported once it is compiled.

So would a host in C or Rust: load the module, call @init, and hand the state from call to call.
"""

import json
import tempfile
from pathlib import Path

import numpy as np


def compile_somewhere(path: Path, batch: int) -> None:
    """What is done once, on any machine."""
    import netc
    from netc import layers as nn

    net = netc.NetSpec("driven", (6,), (nn.Dense(16, activation="relu"), nn.Dense(3)))
    netc.compile(net, batch=batch, target="cpu").save(path)


def drive(path: Path, steps: int) -> list[float]:
    """Train, knowing the artefact and its manifest only; returns the losses."""
    import iree.runtime as rt

    manifest = json.loads(path.with_name(path.name + ".json").read_text(encoding="utf-8"))
    module = rt.load_vm_flatbuffer_file(str(path), driver="local-sync")
    described = manifest["functions"]["train_step"]
    state_size = sum(entry["role"] != "data" for entry in described["arguments"])
    x_type, y_type = described["arguments"][state_size : state_size + 2]
    names = [entry["name"] for entry in described["results"]][state_size:]

    rng = np.random.default_rng(0)
    x = rng.standard_normal(x_type["shape"]).astype(np.float32)
    y = (np.arange(y_type["shape"][0]) % 3).astype(np.int32)
    state, losses = list(module.init(np.array([0, 7], np.uint32))), []  # the seed 7, high word first
    for _ in range(steps):
        results = module.train_step(*state, x, y, np.float32(0.01))
        state, metrics = list(results[:state_size]), dict(zip(names, results[state_size:], strict=True))
        losses.append(float(metrics["loss"].to_host()))
    return losses


def main(steps: int = 50, batch: int = 32) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "driven.vmfb"
        compile_somewhere(path, batch)
        losses = drive(path, steps)
    print(f"loss {losses[0]:.4f} at the first step, {losses[-1]:.4f} after {steps}")


if __name__ == "__main__":
    main()
