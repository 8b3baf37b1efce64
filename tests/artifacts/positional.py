"""Positional: a small net with the positional encoding of the tutorials, a buffer as large as its weights."""

import torch
from torch import nn


class Positional(nn.Module):
    """A sinusoidal table that is saved with the weights, and two layers."""

    def __init__(self, rows: int = 500, width: int = 16) -> None:
        super().__init__()
        at = torch.arange(rows)[:, None] * 0.5 ** torch.arange(width // 2)
        self.register_buffer("pe", torch.cat([at.sin(), at.cos()], dim=1))
        self.mix, self.norm, self.out = nn.Linear(width, width), nn.BatchNorm1d(width), nn.Linear(width, 2)
