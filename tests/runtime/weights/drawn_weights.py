"""Weights of any net, drawn by NumPy. Helpers, not tests."""

import numpy as np


def drawn(net, seed=1):
    """Parameters and statistics by netc's names, of a size that keeps the net's numbers in range."""
    rng = np.random.default_rng(seed)
    found = {}
    for path, shape in net.shapes.items():
        leaf = path.rpartition(".")[2]
        wide = 1 / np.sqrt(max(1, np.prod(shape[:-1]))) if len(shape) > 1 else 0.1
        tensor = rng.uniform(0.5, 1.5, shape) if leaf in ("var", "scale") else rng.normal(size=shape) * wide
        found[path] = tensor.astype(np.float32)
    return found
