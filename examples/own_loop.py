"""A training loop of your own: the state goes in and the next one comes out."""

import numpy as np

import netc
from netc import layers as nn


def main(target: str = "cpu", steps: int = 200) -> None:
    rng = np.random.default_rng(0)
    net = netc.NetSpec("loop", (2,), (nn.Dense(32, activation="tanh"), nn.Dense(2)))
    step = netc.compile(net, batch=64, target=target, optimizer="sgd", momentum=0.9)
    state = step.init(seed=0)
    for number in range(steps):
        x = rng.uniform(-1, 1, (64, 2)).astype(np.float32)
        y = (np.hypot(*x.T) < 0.7).astype(np.int32)  # inside a circle or not
        rate = 0.1 * (1 - number / steps)
        state, metrics = step.train(state, x, y, lr=rate)
        if number % 50 == 0 or number == steps - 1:
            print(f"step {number}: loss {metrics['loss']:.4f}, gradient {metrics['grad_norm']:.3f}")
    loss, correct, count = step.evaluate(state, x, y)
    print(f"{correct / count:.1%} of the last batch, mean loss {loss / count:.4f}")
    weights = step.fetch(state)  # by name, on the host; step.restore(weights) is the same state again
    print(", ".join(f"{name} {list(value.shape)}" for name, value in weights.items() if "/" not in name))


if __name__ == "__main__":
    main()
