"""AlexNet in its one-column form, as torchvision defines it."""

from netc.netspec.layers import AdaptiveAvgPool, Conv2d, Dense, Dropout, Flatten, MaxPool
from netc.netspec.spec import NetSpec

SOURCE = "torchvision.models.alexnet; Krizhevsky 2014, One weird trick"


def alexnet() -> NetSpec:
    """Five convolutions, three poolings, three dense layers.

    The average over 6x6 windows is the identity at 224x224; other sizes from 63x63 up then fit the same head.
    torchvision flattens [C, H, W] and netc [H, W, C]: the rows of hidden1's kernel stand in another order.
    """
    layers = (
        Conv2d(64, 11, 4, ((2, 2), (2, 2)), activation="relu", name="conv1"),
        MaxPool(3, 2, name="pool1"),
        Conv2d(192, 5, 1, "same-symmetric", activation="relu", name="conv2"),
        MaxPool(3, 2, name="pool2"),
        Conv2d(384, 3, 1, "same-symmetric", activation="relu", name="conv3"),
        Conv2d(256, 3, 1, "same-symmetric", activation="relu", name="conv4"),
        Conv2d(256, 3, 1, "same-symmetric", activation="relu", name="conv5"),
        MaxPool(3, 2, name="pool5"),
        AdaptiveAvgPool(6, name="pool"),
        Flatten(name="flatten"),
        Dropout(0.5, name="dropout1"),
        Dense(4096, activation="relu", name="hidden1"),
        Dropout(0.5, name="dropout2"),
        Dense(4096, activation="relu", name="hidden2"),
        Dense(1000, name="head"),
    )
    return NetSpec("alexnet", (224, 224, 3), layers, SOURCE)
