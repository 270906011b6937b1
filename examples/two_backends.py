"""One training on two backends: they agree if they are no further apart than rounding alone drives them."""

import netc
from netc import layers as nn


def main(first: str = "cpu", second: str = "reference", epochs: int = 1, steps: int = 16) -> None:
    net = netc.NetSpec("twice", (8, 8, 1), (nn.ConvBn(8), nn.GlobalAvgPool(), nn.Dense(10)))
    ours, theirs = (netc.train(net, "digits", target=target, epochs=epochs) for target in (first, second))
    for run in (ours, theirs):
        print(f"{run.config.target}: {run.accuracy:.2%}, last loss {run.trace.steps[-1].loss:.6f}")
    floor = netc.trace.noise(ours, steps=steps)
    report = netc.trace.diff(ours, theirs, noise=floor)
    print(f"mode {report.mode}: they {'agree' if report.agree else 'differ'}; {report.verdict}")


if __name__ == "__main__":
    main()
