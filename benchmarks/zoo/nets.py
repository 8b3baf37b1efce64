"""Nets that no library names: the factories of the zoo's tables and plain pictures."""

from torch import Tensor, nn


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


class Block(nn.Module):
    """Linear, activation, linear; around it a shortcut, unless it is plain."""

    def __init__(self, width: int, act: nn.Module, plain: bool) -> None:
        super().__init__()
        self.first, self.act, self.second = nn.Linear(width, width), act, nn.Linear(width, width)
        self.plain = plain

    def forward(self, hidden: Tensor) -> Tensor:
        """The block's own part is taken after an activation, so that blocks can be stacked without shortcuts too."""
        own: Tensor = self.second(self.act(self.first(hidden)))
        return self.act(own) if self.plain else hidden + own


class Deep(nn.Module):
    """Rows in, classes out, through blocks."""

    def __init__(self, columns: int, classes: int, width: int, blocks: int, plain: bool, sigmoid: bool) -> None:
        super().__init__()
        act = nn.Sigmoid() if sigmoid else nn.ReLU()
        self.stem, self.act = nn.Linear(columns, width), act
        self.blocks = nn.ModuleList(Block(width, act, plain) for _ in range(blocks))
        self.head = nn.Linear(width, classes)

    def forward(self, rows: Tensor) -> Tensor:
        """The logits."""
        hidden = self.act(self.stem(rows))
        for block in self.blocks:
            hidden = block(hidden)
        logits: Tensor = self.head(hidden)
        return logits


def deep(columns: int, classes: int, width: int = 64, blocks: int = 2, plain: bool = False,
         sigmoid: bool = False) -> nn.Module:  # fmt: skip
    """Residual blocks, or plain ones."""
    return Deep(columns, classes, width, blocks, plain, sigmoid)
