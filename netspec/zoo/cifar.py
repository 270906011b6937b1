"""Small convolution nets for 32x32 colour images, without and with batch norm."""

from netc.netspec.layer import Layer
from netc.netspec.layers import Conv2d, ConvBn, Dense, Flatten, MaxPool
from netc.netspec.spec import NetSpec

SOURCE = "lean4-mlir's trainer of the same name (32-32-64-64 convolutions, 512-512-10 head)"


def _net(name: str, convolutions: tuple[Layer, ...]) -> NetSpec:
    conv1, conv2, conv3, conv4 = convolutions
    head = (
        Flatten(),
        Dense(512, activation="relu", name="hidden1"),
        Dense(512, activation="relu", name="hidden2"),
        Dense(10, name="head"),
    )
    return NetSpec(
        name,
        (32, 32, 3),
        (conv1, conv2, MaxPool(2, name="pool1"), conv3, conv4, MaxPool(2, name="pool2"), *head),
        SOURCE,
    )


def cifar_cnn() -> NetSpec:
    """Four 3x3 convolutions with bias and ReLU."""
    widths = (32, 32, 64, 64)
    return _net("cifar-cnn", tuple(Conv2d(w, activation="relu", name=f"conv{i}") for i, w in enumerate(widths, 1)))


def cifar_bn() -> NetSpec:
    """The same with batch norm in place of the bias."""
    widths = (32, 32, 64, 64)
    return _net("cifar-bn", tuple(ConvBn(w, name=f"conv{i}") for i, w in enumerate(widths, 1)))
