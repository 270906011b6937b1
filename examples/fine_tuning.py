"""Fine-tuning: the weights of one run are where another begins, with a new last layer for other classes."""

import netc
from netc import layers as nn


def main(target: str = "cpu", epochs: int = 4) -> None:
    x, y = netc.datasets.load("digits").arrays("train")
    net = netc.NetSpec("digits", (8, 8, 1), (nn.ConvBn(32), nn.ConvBn(32), nn.GlobalAvgPool(), nn.Dense(10)))

    first = netc.train(net, netc.Dataset.from_arrays(x, y), lr=0.01, epochs=epochs, target=target)
    print(f"ten classes: {first.accuracy:.1%}")

    # two new classes, even and odd, of few examples
    few = netc.Dataset.from_arrays(x[:200], y[:200] % 2, x[200:400], y[200:400] % 2, classes=("even", "odd"))
    tuned = netc.train(net, few, init=first.folder, new_head=True, epochs=epochs, lr=3e-3, target=target, on_note=print)
    drawn = netc.train(net, few, epochs=epochs, lr=3e-3, target=target)
    print(f"two classes: {tuned.accuracy:.1%} from those weights, {drawn.accuracy:.1%} from drawn ones")


if __name__ == "__main__":
    main()
