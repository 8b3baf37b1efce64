"""Nets that no library names: the factories of the zoo's tables and plain pictures."""

from torch import nn


def mlp(columns: int, classes: int, width: int = 32, depth: int = 2) -> nn.Module:
    """Rows in, classes out."""
    layers: list[nn.Module] = []
    for place in range(depth):
        layers += [nn.Linear(width if place else columns, width), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(width, classes))


def cnn(classes: int, width: int = 12, channels: int = 1) -> nn.Module:
    """Three convolutions with ReLU and pooling, no normalization, no shortcut."""
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(width, 2 * width, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(2 * width, classes),
    )  # fmt: skip
