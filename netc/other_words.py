"""What other libraries call netc's words, and the words near one that there is not."""

from __future__ import annotations

from collections.abc import Collection

from netc.netspec.nearest import near

OTHERS = {
    "learning_rate": "lr",
    "batch_size": "batch",
    "bs": "batch",
    "model": "net",
    "dataset": "data",
    "num_classes": "classes",
    "num_epochs": "epochs",
    "n_epochs": "epochs",
    "max_epochs": "epochs",
    "eps": "epsilon",
    "wd": "weight_decay",
    "l2": "weight_decay",
    "scheduler": "decay",
    "schedule": "decay",
    "criterion": "loss",
    "device": "target",
    "output": "out",
    "random_seed": "seed",
}


def nearest(name: str, known: Collection[str]) -> tuple[str, ...]:
    """The words, at most three, of which one may have been meant; what others call a word is that word alone."""
    if (word := OTHERS.get(name)) in known:
        return (str(word),)
    return near(name, known)
