"""A small convolutional network for pictures of 28 x 28 pixels, to be trained from scratch: a factory of one's own."""

from torch import nn


def build(classes: int = 10, width: int = 16) -> nn.Module:
    """Two convolutions and a linear head, weights drawn anew at each call; inputs n x 1 x 28 x 28."""
    return nn.Sequential(
        nn.Conv2d(1, width, 5, padding=2), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(width, 2 * width, 5, padding=2), nn.BatchNorm2d(2 * width), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(2 * width * 49, classes),
    )  # fmt: skip
