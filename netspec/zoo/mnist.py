"""Small nets for 28x28 digits."""

from netc.netspec.layers import ConvBn, Dense, Flatten, MaxPool
from netc.netspec.spec import NetSpec

SOURCE = "lean4-mlir's trainers of the same name"


def mnist_linear() -> NetSpec:
    """Softmax regression: 784 x 10 + 10 parameters."""
    return NetSpec("mnist-linear", (28, 28, 1), (Flatten(), Dense(10, name="head")), "784 * 10 + 10")


def mnist_mlp() -> NetSpec:
    """784-512-512-10 with ReLU."""
    return NetSpec(
        "mnist-mlp",
        (28, 28, 1),
        (
            Flatten(),
            Dense(512, activation="relu", name="hidden1"),
            Dense(512, activation="relu", name="hidden2"),
            Dense(10, name="head"),
        ),
        SOURCE,
    )


def mnist_cnn() -> NetSpec:
    """Four 3x3 convolutions with batch norm, two poolings, one hidden dense layer."""
    return NetSpec(
        "mnist-cnn",
        (28, 28, 1),
        (
            ConvBn(32, name="conv1"),
            ConvBn(32, name="conv2"),
            MaxPool(2, name="pool1"),
            ConvBn(64, name="conv3"),
            ConvBn(64, name="conv4"),
            MaxPool(2, name="pool2"),
            Flatten(),
            Dense(512, activation="relu", name="hidden"),
            Dense(10, name="head"),
        ),
        SOURCE,
    )
