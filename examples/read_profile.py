"""Read a profile: which layers a step spends its time in, and how that compares with what it computes."""

import netc
from netc import layers as nn


def main(batch: int = 32, steps: int = 20) -> None:
    layers = (nn.ConvBn(32), nn.MaxPool(2), nn.ConvBn(64), nn.GlobalAvgPool(), nn.Dense(10))
    step = netc.compile(netc.NetSpec("profiled", (28, 28, 1), layers), batch=batch, target="cpu")
    cost, memory = step.cost(), step.memory()
    print(f"a step: {cost.useful_flops / 1e6:.1f} MFLOP of mathematics, {cost.bytes / 1e6:.1f} MB moved, "
          f"{memory.total / 1e6:.1f} MB held")  # fmt: skip

    found = step.profile(steps)
    print(f"{found.step * 1e3:.2f} ms; with the profiler {found.profiled * 1e3:.2f} ms, {found.busy * 1e3:.2f} ms busy")
    for layer in sorted(found.layers(), key=lambda each: -each.total):
        phases = ", ".join(f"{phase} {seconds * 1e3:.2f}" for phase, seconds in layer.seconds.items())
        print(f"  {layer.layer:16} {layer.total * 1e3:6.2f} ms  ({phases})")


if __name__ == "__main__":
    main()
