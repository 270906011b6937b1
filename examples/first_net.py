"""A first net: three layers, trained on the digits inside netc."""

import netc
from netc import layers as nn


def main(target: str = "cpu", epochs: int = 6) -> None:
    net = netc.NetSpec("first", (8, 8, 1), (nn.ConvBn(32), nn.ConvBn(64), nn.GlobalAvgPool(), nn.Dense(10)))
    print(net.summary())
    run = netc.train(
        net, "digits", lr=0.01, target=target, epochs=epochs,
        on_epoch=lambda e: print(f"epoch {e.epoch + 1}: {e.accuracy:.1%}"),
    )  # fmt: skip
    print(f"{run.accuracy:.1%} of the test digits after {run.steps} steps; everything about it lies in {run.folder}")
    x, y = netc.datasets.load("digits").arrays("test")
    print("the first eight digits:", run.predict(x[:8]).argmax(-1), "they are", y[:8])


if __name__ == "__main__":
    main()
